# An unknown value, with the near miss.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
branch = relu(x)
add(brunch, x)
output last

# CHECK:{{.*}}unknown_value.dsl:7:5: error: unknown value 'brunch'; did you mean 'branch'?
# CHECK-NEXT:add(brunch, x)
# CHECK-NEXT:    ^~~~~~
# CHECK-NEXT:{{.*}}unknown_value.dsl:8:8: error: unknown value 'last'
# CHECK-NEXT:output last
# CHECK-NEXT:       ^~~~
# CHECK-NOT:{{.+}}
