# A file must name its model.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s
# CHECK: missing-model.dsl:{{[0-9]+}}:{{[0-9]+}}: error: {{.*}}model

input image: f32[1, 28, 28]

flatten
dense(10)
