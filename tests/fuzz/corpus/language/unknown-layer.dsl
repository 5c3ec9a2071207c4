# An unknown layer, with the near miss; the second fault is reported too.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s
# RUN: bash -c '%cnnc compile %s --emit=graph 2>/dev/null; test $? = 1'
model m

input image: f32[1, 28, 28]

conf(6, kernel=5)
# CHECK: unknown-layer.dsl:[[#@LINE-1]]:1: error: unknown layer 'conf'; did you mean 'conv'?
# CHECK-NEXT: conf(6, kernel=5)
# CHECK-NEXT: ^~~~
sigmoit
# CHECK: unknown-layer.dsl:[[#@LINE-1]]:1: error: unknown layer 'sigmoit'; did you mean 'sigmoid'?
