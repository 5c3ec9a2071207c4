# The name begins the library's symbols.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model while
input x: f32[4]
dense(2)

# CHECK:{{.*}}model_name.dsl:4:7: error: 'while' cannot be a model's name: it has a meaning in C or C++
# CHECK-NEXT:model while
# CHECK-NEXT:      ^~~~~
# CHECK-NOT:{{.+}}
