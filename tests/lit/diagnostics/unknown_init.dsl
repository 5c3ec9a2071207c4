# An unknown initialisation, with the near miss.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[4]
dense(2)
init he_uniforn

# CHECK:{{.*}}unknown_init.dsl:7:6: error: unknown initialisation 'he_uniforn'; did you mean 'he_uniform'?
# CHECK-NEXT:init he_uniforn
# CHECK-NEXT:     ^~~~~~~~~~
# CHECK-NOT:{{.+}}
