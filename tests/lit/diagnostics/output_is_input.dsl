# The output is computed.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
output x

# CHECK:{{.*}}output_is_input.dsl:7:8: error: the output is the input 'x' itself
# CHECK-NEXT:output x
# CHECK-NEXT:       ^
# CHECK-NOT:{{.+}}
