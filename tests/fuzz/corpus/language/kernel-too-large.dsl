# A kernel larger than its input; the note says where the input comes from.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s
model m

input image: f32[16, 6, 6]

avg_pool(2)
conv(6, kernel=5)
# CHECK: kernel-too-large.dsl:[[#@LINE-1]]:{{[0-9]+}}: error: conv: kernel 5x5 does not fit an input of 16x3x3 (height 3 < 5) with padding 0
# CHECK: kernel-too-large.dsl:[[#@LINE-3]]:1: note: input is %{{.*}} = avg_pool(%image){{.*}} : f32[16, 3, 3]
