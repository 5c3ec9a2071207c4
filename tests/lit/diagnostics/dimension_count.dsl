# One to four dimensions.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[]
target y: f32[1, 1, 1, 1, 1]
dense(2)
loss squared_error
optimizer adam

# CHECK:{{.*}}dimension_count.dsl:5:13: error: expected 1 to 4 dimensions, found 0
# CHECK-NEXT:input x: f32[]
# CHECK-NEXT:            ^~
# CHECK-NEXT:{{.*}}dimension_count.dsl:6:14: error: expected 1 to 4 dimensions, found 5
# CHECK-NEXT:target y: f32[1, 1, 1, 1, 1]
# CHECK-NEXT:             ^~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
