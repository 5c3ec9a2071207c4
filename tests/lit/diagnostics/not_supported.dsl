# Blocks, functions and several inputs will come. Their bodies and uses say nothing more.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
block residual(x, units)
  y = what(x)

  return add(x, y)
function swish(x) = x * sigmoid(x)
input z: f32[4]
residual(4)
swish
dense(2)

# CHECK:{{.*}}not_supported.dsl:6:1: error: blocks are not supported yet
# CHECK-NEXT:block residual(x, units)
# CHECK-NEXT:^~~~~
# CHECK-NEXT:{{.*}}not_supported.dsl:10:1: error: functions are not supported yet
# CHECK-NEXT:function swish(x) = x * sigmoid(x)
# CHECK-NEXT:^~~~~~~~
# CHECK-NEXT:{{.*}}not_supported.dsl:11:1: error: several inputs are not supported yet
# CHECK-NEXT:input z: f32[4]
# CHECK-NEXT:^~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}not_supported.dsl:5:1: note: the first is here
# CHECK-NEXT:input x: f32[4]
# CHECK-NEXT:^~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
