# What a layer cannot do without.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(kernel=3)
max_pool

# CHECK:{{.*}}missing_argument.dsl:6:1: error: conv: argument 'channels' is missing
# CHECK-NEXT:conv(kernel=3)
# CHECK-NEXT:^~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}missing_argument.dsl:7:1: error: max_pool: argument 'kernel' is missing
# CHECK-NEXT:max_pool
# CHECK-NEXT:^~~~~~~~
# CHECK-NOT:{{.+}}
