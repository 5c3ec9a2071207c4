# How many values a layer takes.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
add(x)
relu(x, x)
add

# CHECK:{{.*}}input_count.dsl:6:1: error: add: expected 2 inputs, found 1
# CHECK-NEXT:add(x)
# CHECK-NEXT:^~~~~~
# CHECK-NEXT:{{.*}}input_count.dsl:7:1: error: relu: expected 1 input, found 2
# CHECK-NEXT:relu(x, x)
# CHECK-NEXT:^~~~~~~~~~
# CHECK-NEXT:{{.*}}input_count.dsl:8:1: error: add: expected 2 inputs, found 0
# CHECK-NEXT:add
# CHECK-NEXT:^~~
# CHECK-NOT:{{.+}}
