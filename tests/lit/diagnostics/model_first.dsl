# The model is named before all else.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

input x: f32[4]
model m
dense(2)

# CHECK:{{.*}}model_first.dsl:4:1: error: expected 'model NAME' as the first statement, found 'input'
# CHECK-NEXT:input x: f32[4]
# CHECK-NEXT:^~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}model_first.dsl:5:1: note: the model is named here
# CHECK-NEXT:model m
# CHECK-NEXT:^~~~~~~
# CHECK-NOT:{{.+}}
