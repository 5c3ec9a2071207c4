# An unknown loss; where none is near, all are listed.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
loss hinge
optimizer adam

# CHECK:{{.*}}unknown_loss.dsl:7:6: error: unknown loss 'hinge'; there are softmax_cross_entropy and squared_error
# CHECK-NEXT:loss hinge
# CHECK-NEXT:     ^~~~~
# CHECK-NOT:{{.+}}
