# Values stand above their uses.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
relu(y)
y = tanh

# CHECK:{{.*}}used_too_early.dsl:6:6: error: 'y' is used before it is defined
# CHECK-NEXT:relu(y)
# CHECK-NEXT:     ^
# CHECK-NEXT:{{.*}}used_too_early.dsl:7:1: note: it is defined here
# CHECK-NEXT:y = tanh
# CHECK-NEXT:^
# CHECK-NOT:{{.+}}
