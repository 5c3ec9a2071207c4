# An unknown optimizer, with the near miss.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
loss softmax_cross_entropy
optimizer adan

# CHECK:{{.*}}unknown_optimizer.dsl:8:11: error: unknown optimizer 'adan'; did you mean 'adam'?
# CHECK-NEXT:optimizer adan
# CHECK-NEXT:          ^~~~
# CHECK-NOT:{{.+}}
