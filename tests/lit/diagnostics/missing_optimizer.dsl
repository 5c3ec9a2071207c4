# A loss alone trains nothing.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
loss softmax_cross_entropy

# CHECK:{{.*}}missing_optimizer.dsl:7:1: error: a loss needs an optimizer, found none
# CHECK-NEXT:loss softmax_cross_entropy
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
