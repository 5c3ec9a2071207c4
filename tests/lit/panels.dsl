# A weight gradient of many channels: some vectors of x's channels, turned, stay near while all of dy, copied, passes by them.
# Where an element of dy is used too seldom for a copy, all channels of x pass by some of dy, in its place.
# RUN: %cnnc compile %s --emit=schedule --target=x86-64-linux-avx512 | FileCheck %s
model panels
input x: f32[2, 14, 14]
conv(512, kernel=1)
tanh
conv(128, kernel=1)
tanh
conv(96, kernel=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# CHECK: conv_channel_sums(in0 in1 ){{.*}} f32[96, 128, 1, 1]
# CHECK: .order = all channels,
# CHECK: .tile =
# CHECK-NOT: produce rows
# CHECK: produce turned:
# CHECK: for d0.d0 in
# CHECK: for d1.group in

# CHECK: conv_channel_sums(in0 in1 ){{.*}} f32[128, 512, 1, 1]
# CHECK: .order = panels,
# CHECK: .block = 1x7,
# CHECK: produce rows:
# CHECK: for d1.group in [0, 7]:
# CHECK-NEXT: produce turned:
# CHECK: for d0.d0 in [0, 31]:
# CHECK: unrolled d0.channel in [0, 3]:
# CHECK-NEXT: unrolled d1.in_vector.vector in [0, 3]:
