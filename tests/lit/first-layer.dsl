# A convolution of three channels: the fast algorithms' transforms would take longer than what they save. The gradient of its
# weights goes by blocks of rows that are near when the kernel's rows and the channels read them again.
# RUN: %cnnc compile %s --emit=schedule --target=x86-64-linux-avx512 | FileCheck %s
model first
input x: f32[3, 56, 56]
conv(64, kernel=3, padding=1)
relu
avg_pool(56)
flatten
dense(10)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# CHECK: algorithm.conv.forward.3x64.56x56.3x3.1x1 = direct,
# CHECK: algorithm.conv.weight.3x64.56x56.3x3.1x1 = direct,
# CHECK: algorithm.conv.64x56x56.3x58.3x3.dw = each direction by itself,
# CHECK: conv_weight_gradient.{{[0-9a-f]+}}.rows = 14,
# CHECK: for blocks in [0, 3]:
# CHECK-NEXT: for d1 in [0, 2]:
# CHECK-NEXT: for d2 in [0, 2]:
# CHECK-NEXT: produce part:
