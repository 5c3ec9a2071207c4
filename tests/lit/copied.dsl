# What inference reads that is made of the parameters is copied for each further thread where half of the second-level cache holds it.
# RUN: %cnnc compile %s --emit=plan --target=x86-64-linux-avx512 | FileCheck %s
# RUN: sed 's/dense(40)/dense(4000)/' %s > %t.dsl
# RUN: %cnnc compile %t.dsl --emit=plan --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=LARGE
model copied
input x: f32[120]
dense(40)
sigmoid
dense(3)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 64

# Weights for 120 inputs of 48 units, three whole vectors. What one image reads besides stands behind them and is not copied.
# CHECK: prepared from the parameters: {{[0-9]+}} bytes, of which each further thread copies 23040{{$}}
# CHECK: infer: workspace
# CHECK: %dense1.weight.packed : prepared 0 +23040
# CHECK: train: workspace
# LARGE: prepared from the parameters: {{[0-9]+}} bytes{{$}}
# LARGE: infer: workspace
# LARGE: %dense1.weight.packed : prepared 0 +1920000
