# A convolution's transformed weights that come from beyond the caches are fetched 8 KB before they are read, each round of input channels
# the lines of one of the next rounds; others are not.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
model far
input x: f32[96, 14, 14]
conv(192, kernel=3, padding=1)
tanh
conv(160, kernel=3, padding=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# 49 points of 96 by 192 channels are 3.6 MB.
# CHECK-LABEL: kernel far_k{{[0-9]+}}_winograd_conv
# CHECK-NOT: prefetch(in1,

# 49 points of 192 by 160 channels are 6.0 MB. A round reads the weights of 16 input channels for 8 output channels: 8 lines.
# CHECK-LABEL: kernel far_k{{[0-9]+}}_winograd_conv
# CHECK: for ([[ROUND:sum[$0-9]*.s1.channels[$0-9]*y]], 0, 12) {
# CHECK: prefetch(in1, ((([[ROUND]] + [[PASS:t[0-9]+]])*128) + [[POINT:t[0-9]+]]) + 2048, 1, 1)
# CHECK-NEXT: prefetch(in1, ((([[ROUND]] + [[PASS]])*128) + [[POINT]]) + 2064, 1, 1)
# CHECK-COUNT-5: prefetch(in1,
# CHECK-NEXT: prefetch(in1, ((([[ROUND]] + [[PASS]])*128) + [[POINT]]) + 2160, 1, 1)
# CHECK-NOT: prefetch(in1,
# CHECK: for (sum{{[$0-9]*}}.s1.channels{{[$0-9]*}}x, 0, 16)

# CPP-LABEL: far_k{{[0-9]+}}_winograd_conv
# CPP-COUNT-8: __builtin_prefetch(((float *)_in1 + {{.*}}), /*rw*/0, /*locality*/3);
