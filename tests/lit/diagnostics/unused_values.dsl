# Values are for a parameter that there is.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(2, kernel=1, bias=false, bias_values=[1, 2])

# CHECK:{{.*}}unused_values.dsl:6:43: error: conv: the layer has no parameter for 'bias_values'
# CHECK-NEXT:conv(2, kernel=1, bias=false, bias_values=[1, 2])
# CHECK-NEXT:                                          ^~~~~~
# CHECK-NOT:{{.+}}
