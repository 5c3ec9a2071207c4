# There is something to compute.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]

# CHECK:{{.*}}no_layers.dsl:4:1: error: the model has no layers
# CHECK-NEXT:model m
# CHECK-NEXT:^~~~~~~
# CHECK-NOT:{{.+}}
