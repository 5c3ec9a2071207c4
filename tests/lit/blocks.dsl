# A convolution computes an image that is large by blocks of columns, whose channels' pieces are short enough to be fetched ahead,
# of a width that leaves few columns to be computed twice: 196 columns by 9, not by 12.
# RUN: %cnnc compile %s --emit=schedule --target=x86-64-linux-avx512 | FileCheck %s
model blocks
input x: f32[256, 14, 14]
conv(1024, kernel=1)
flatten
batch 16

# CHECK: .tile = {{[0-9]+}}x3,
# CHECK: .block = 9, cost {{.*}}; next 6,
# CHECK: for d2.block in [0, 21]:
# CHECK: for d2.d2.d2 in [0, 2]:
# CHECK: unrolled d2.d2.column in [0, 2]:
