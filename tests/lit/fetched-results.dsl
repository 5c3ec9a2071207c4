# The lines that sums go to are fetched also where their places are counted inside what stores them: a pool's gradient, parts of a tile.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=asm --target=x86-64-linux-avx512 -o %t
model places
input x: f32[3, 3, 40]
conv(300, kernel=1)
tanh
conv(1, kernel=3, padding=1)
avg_pool((1, 2))
tanh
flatten
dense(3)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 19

# CHECK-LABEL: kernel places_k{{[0-9]+}}_conv_data_gradient
# CHECK: prefetch(out{{[$0-9]*}},
# CHECK: produce gradient
