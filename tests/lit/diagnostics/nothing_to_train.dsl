# There are parameters to train.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
relu
loss softmax_cross_entropy
optimizer sgd(lr=0.1)

# CHECK:{{.*}}nothing_to_train.dsl:7:1: error: a loss needs parameters to train, found none
# CHECK-NEXT:loss softmax_cross_entropy
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
