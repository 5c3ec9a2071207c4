# Given values have the parameter's shape.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(1, kernel=2, weight=[[1, 2, 3], [4, 5, 6]])

# CHECK:{{.*}}values_shape.dsl:6:26: error: conv: expected a weight of 1x2x2x2, found 2x3
# CHECK-NEXT:conv(1, kernel=2, weight={{\[\[}}1, 2, 3], [4, 5, 6]])
# CHECK-NEXT:                         ^~~~~~~~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
