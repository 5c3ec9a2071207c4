# No layer is computed for nothing.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
a = dense(3)
b = dense(x, 2)
relu(b)

# CHECK:{{.*}}unused_value.dsl:6:1: error: this value is not used: the output %0 does not depend on it
# CHECK-NEXT:a = dense(3)
# CHECK-NEXT:^~~~~~~~~~~~
# CHECK-NOT:{{.+}}
