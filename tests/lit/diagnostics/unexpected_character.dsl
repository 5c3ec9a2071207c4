# What the language has no use for.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2) * 3
dense(é)

# CHECK:{{.*}}unexpected_character.dsl:6:10: error: unexpected character '*'
# CHECK-NEXT:dense(2) * 3
# CHECK-NEXT:         ^
# CHECK-NEXT:{{.*}}unexpected_character.dsl:7:7: error: unexpected character 'é'
# CHECK-NEXT:dense(é)
# CHECK-NEXT:      ^
# CHECK-NOT:{{.+}}
