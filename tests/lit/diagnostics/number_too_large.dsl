# Numbers are 32-bit floats.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=1e39)

# CHECK:{{.*}}number_too_large.dsl:8:18: error: number '1e39' does not fit a 32-bit float
# CHECK-NEXT:optimizer sgd(lr=1e39)
# CHECK-NEXT:                 ^~~~
# CHECK-NOT:{{.+}}
