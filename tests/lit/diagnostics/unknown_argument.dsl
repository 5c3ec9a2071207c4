# An unknown argument, with the near miss or all there are.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(3, kernal=2, kernel=2)
max_pool(2, dilation=2)

# CHECK:{{.*}}unknown_argument.dsl:6:9: error: conv: unknown argument 'kernal'; did you mean 'kernel'?
# CHECK-NEXT:conv(3, kernal=2, kernel=2)
# CHECK-NEXT:        ^~~~~~
# CHECK-NEXT:{{.*}}unknown_argument.dsl:7:13: error: max_pool: unknown argument 'dilation'; there are kernel, stride and padding
# CHECK-NEXT:max_pool(2, dilation=2)
# CHECK-NEXT:            ^~~~~~~~
# CHECK-NOT:{{.+}}
