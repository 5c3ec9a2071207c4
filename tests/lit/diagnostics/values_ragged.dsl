# The lists of one level are equally long.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[1, 9, 8]
conv(1, kernel=2, weight=[[1, 2], [3]])

# CHECK:{{.*}}values_ragged.dsl:6:35: error: conv: weight: expected a list of 2, as in the lists before, found a list of 1
# CHECK-NEXT:conv(1, kernel=2, weight={{\[\[}}1, 2], [3]])
# CHECK-NEXT:                                  ^~~
# CHECK-NOT:{{.+}}
