# Where the points of two tiles stay near, a block of channels goes through all points, then the next; else all channels go
# through one point, then the next. Room of a channel lies between the points of a tile. The lines that sums go to are fetched
# before the sums are computed.
# RUN: %cnnc compile %s --emit=schedule --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=STMT
model tiles
input x: f32[64, 28, 28]
conv(32, kernel=3, padding=1)
relu
conv(256, kernel=1)
relu
conv(96, kernel=3, padding=1)
relu
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# CHECK-LABEL: kernel tiles_k{{[0-9]+}}_winograd_conv_relu
# CHECK: in1 : param f32[4, 42, 4, 128]
# CHECK: consume V:
# CHECK-NEXT: for d0.bk in [0, 3]:
# CHECK-NEXT: produce product:
# CHECK-NEXT: for j in [0, 5]:
# CHECK-NEXT: for i in [0, 6]:
# CHECK-NEXT: produce sum:

# CHECK-LABEL: kernel tiles_k{{[0-9]+}}_winograd_conv_relu
# CHECK: in1 : param f32[1, 42, 128, 192]
# CHECK: consume V:
# CHECK-NEXT: produce product:
# CHECK-NEXT: for j in [0, 5]:
# CHECK-NEXT: for i in [0, 6]:
# CHECK-NEXT: for block in [0, 7]:
# CHECK-NEXT: produce sum:

# 64 channels and one of room, of three tiles each.
# STMT-LABEL: kernel tiles_k{{[0-9]+}}_winograd_conv_relu
# STMT: V[ramp(((V.s0.i*195)

# STMT-LABEL: kernel tiles_k{{[0-9]+}}_conv_relu
# STMT-COUNT-24: prefetch([[OUT:out[$0-9]*]],
# STMT-NOT: prefetch([[OUT]],
# STMT: produce conv

# In the gradient of the weights sixteen lanes, and one of room, of one tile or of several.
# STMT-LABEL: kernel tiles_k{{[0-9]+}}_winograd_weight_gradient
# STMT: turned{{[$0-9]*}}[ramp({{t[0-9]+}}*272, 1, 256)
