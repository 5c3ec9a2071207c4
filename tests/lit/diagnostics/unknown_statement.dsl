# A word before another one is a statement; what it was meant to be counts as given.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
loss softmax_cross_entropy
optimiser sgd(lr=0.1)
epochs 10

# CHECK:{{.*}}unknown_statement.dsl:8:1: error: unknown statement 'optimiser'; did you mean 'optimizer'?
# CHECK-NEXT:optimiser sgd(lr=0.1)
# CHECK-NEXT:^~~~~~~~~
# CHECK-NEXT:{{.*}}unknown_statement.dsl:9:1: error: unknown statement 'epochs'
# CHECK-NEXT:epochs 10
# CHECK-NEXT:^~~~~~
# CHECK-NOT:{{.+}}
