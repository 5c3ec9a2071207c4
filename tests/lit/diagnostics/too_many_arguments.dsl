# Most arguments are given by name.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(3, 5, kernel=5)
relu(2)

# CHECK:{{.*}}too_many_arguments.dsl:6:9: error: conv: expected 1 argument without a name, found '5' too
# CHECK-NEXT:conv(3, 5, kernel=5)
# CHECK-NEXT:        ^
# CHECK-NEXT:{{.*}}too_many_arguments.dsl:7:6: error: relu: expected no arguments without a name, found '2' too
# CHECK-NEXT:relu(2)
# CHECK-NEXT:     ^
# CHECK-NOT:{{.+}}
