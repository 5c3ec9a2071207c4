# No input, parameter or result is too large.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[5]
dense(16777216)
target t: f32[90000, 90000]
loss squared_error
optimizer adam

# CHECK:{{.*}}tensor_too_large.dsl:6:1: error: dense: the weight is f32[16777216, 5]; more than 67108864 elements are not supported
# CHECK-NEXT:dense(16777216)
# CHECK-NEXT:^~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}tensor_too_large.dsl:7:14: error: the target is f32[90000, 90000]; more than 67108864 elements are not supported
# CHECK-NEXT:target t: f32[90000, 90000]
# CHECK-NEXT:             ^~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
