# The network does not see its target.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
target y: f32[4]
add(x, y)
loss squared_error
optimizer adam

# CHECK:{{.*}}target_as_value.dsl:7:8: error: 'y' is the target: only the loss takes it
# CHECK-NEXT:add(x, y)
# CHECK-NEXT:       ^
# CHECK-NEXT:{{.*}}target_as_value.dsl:6:1: note: the target is here
# CHECK-NEXT:target y: f32[4]
# CHECK-NEXT:^~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
