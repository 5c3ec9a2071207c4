# The bracket is shown, and the next statements are read.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(3, kernel=(2, 2)
relu
sigmoit
conv(1, kernel=1, weight=[[1], [2]

# CHECK:{{.*}}unclosed_bracket.dsl:6:5: error: '(' is never closed
# CHECK-NEXT:conv(3, kernel=(2, 2)
# CHECK-NEXT:    ^
# CHECK-NEXT:{{.*}}unclosed_bracket.dsl:8:1: error: unknown layer 'sigmoit'; did you mean 'sigmoid'?
# CHECK-NEXT:sigmoit
# CHECK-NEXT:^~~~~~~
# CHECK-NEXT:{{.*}}unclosed_bracket.dsl:9:26: error: '[' is never closed
# CHECK-NEXT:conv(1, kernel=1, weight={{\[\[}}1], [2]
# CHECK-NEXT:                         ^
# CHECK-NOT:{{.+}}
