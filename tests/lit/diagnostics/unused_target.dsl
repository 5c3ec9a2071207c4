# A target needs a loss that takes it.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
target y: f32[2]
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)

# CHECK:{{.*}}unused_target.dsl:6:8: error: the target 'y' is not used: softmax_cross_entropy takes class labels
# CHECK-NEXT:target y: f32[2]
# CHECK-NEXT:       ^
# CHECK-NOT:{{.+}}
