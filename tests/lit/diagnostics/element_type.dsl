# Elements are 32-bit floats.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f64[4]
dense(2)

# CHECK:{{.*}}element_type.dsl:5:10: error: expected element type 'f32', found 'f64'
# CHECK-NEXT:input x: f64[4]
# CHECK-NEXT:         ^~~
# CHECK-NOT:{{.+}}
