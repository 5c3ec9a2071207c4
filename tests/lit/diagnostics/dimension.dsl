# Dimensions are whole numbers above 0.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[0, 2.5, -1]
flatten

# CHECK:{{.*}}dimension.dsl:5:14: error: expected a dimension from 1 to 67108864, found '0'
# CHECK-NEXT:input x: f32[0, 2.5, -1]
# CHECK-NEXT:             ^
# CHECK-NEXT:{{.*}}dimension.dsl:5:17: error: expected a dimension from 1 to 67108864, found '2.5'
# CHECK-NEXT:input x: f32[0, 2.5, -1]
# CHECK-NEXT:                ^~~
# CHECK-NEXT:{{.*}}dimension.dsl:5:22: error: expected a dimension from 1 to 67108864, found '-1'
# CHECK-NEXT:input x: f32[0, 2.5, -1]
# CHECK-NEXT:                     ^~
# CHECK-NOT:{{.+}}
