# Labels have 16 bits.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(65537)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)

# CHECK:{{.*}}too_many_classes.dsl:7:1: error: softmax_cross_entropy: found 65537 classes; at most 65536 are supported
# CHECK-NEXT:loss softmax_cross_entropy
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
