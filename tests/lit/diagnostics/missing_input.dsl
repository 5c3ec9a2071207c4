# There is something to compute from.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
dense(2)

# CHECK:{{.*}}missing_input.dsl:4:1: error: the model has no input
# CHECK-NEXT:model m
# CHECK-NEXT:^~~~~~~
# CHECK-NOT:{{.+}}
