# An optimizer alone has nothing to do.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
optimizer adam

# CHECK:{{.*}}missing_loss.dsl:7:1: error: an optimizer needs a loss, found none
# CHECK-NEXT:optimizer adam
# CHECK-NEXT:^~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
