# A dense layer takes a flat value.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s
model m

input image: f32[1, 28, 28]

dense(10)
# CHECK: dense-unflattened.dsl:[[#@LINE-1]]:{{[0-9]+}}: error: dense: input is f32[1, 28, 28]; put 'flatten' before it
