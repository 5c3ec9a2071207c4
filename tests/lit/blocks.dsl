# Rows of an image that do not fit a cache are computed by blocks of columns, of a width that leaves no column to be computed
# twice: 196 columns by 33, not by 30.
# RUN: %cnnc compile %s --emit=schedule --target=x86-64-linux-avx512 | FileCheck %s
model blocks
input x: f32[256, 14, 14]
conv(1024, kernel=1)
flatten
batch 16

# CHECK: .tile = {{[0-9]+}}x3,
# CHECK: for d2.block in [0, 5]:
# CHECK: for d2.d2.d2 in [0, 10]:
# CHECK: unrolled d2.d2.column in [0, 2]:
