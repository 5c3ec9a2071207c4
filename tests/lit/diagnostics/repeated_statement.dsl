# A header statement stands once.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
batch 4
batch 5

# CHECK:{{.*}}repeated_statement.dsl:8:1: error: 'batch' is given twice
# CHECK-NEXT:batch 5
# CHECK-NEXT:^~~~~~~
# CHECK-NEXT:{{.*}}repeated_statement.dsl:7:1: note: it is given here first
# CHECK-NEXT:batch 4
# CHECK-NEXT:^~~~~~~
# CHECK-NOT:{{.+}}
