# A name stands for one value.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
y = dense(2)
x = relu(y)
y = tanh

# CHECK:{{.*}}repeated_name.dsl:7:1: error: the name 'x' is given twice
# CHECK-NEXT:x = relu(y)
# CHECK-NEXT:^
# CHECK-NEXT:{{.*}}repeated_name.dsl:5:7: note: it is given here first
# CHECK-NEXT:input x: f32[4]
# CHECK-NEXT:      ^
# CHECK-NEXT:{{.*}}repeated_name.dsl:8:1: error: the name 'y' is given twice
# CHECK-NEXT:y = tanh
# CHECK-NEXT:^
# CHECK-NEXT:{{.*}}repeated_name.dsl:6:1: note: it is given here first
# CHECK-NEXT:y = dense(2)
# CHECK-NEXT:^
# CHECK-NOT:{{.+}}
