# An argument is given once, by place or by name.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(3, kernel=2, channels=4)

# CHECK:{{.*}}repeated_argument.dsl:6:19: error: conv: argument 'channels' is given twice
# CHECK-NEXT:conv(3, kernel=2, channels=4)
# CHECK-NEXT:                  ^~~~~~~~
# CHECK-NEXT:{{.*}}repeated_argument.dsl:6:6: note: it is given here first
# CHECK-NEXT:conv(3, kernel=2, channels=4)
# CHECK-NEXT:     ^
# CHECK-NOT:{{.+}}
