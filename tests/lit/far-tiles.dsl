# A weight gradient by tiles: while all output channels pass by some vectors of the input's channels at a point, the next vectors are
# fetched, of the same point or of the next, where all of them leave the second-level cache.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
model far
input x: f32[64, 7, 7]
conv(160, kernel=3, padding=1)
tanh
conv(64, kernel=3, padding=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# 36 points of 160 channels, 4 tiles of 16 images, are 1.5 MB. Vectors of 16 channels stand 36 * 4 * 17 * 16 = 39168 numbers apart, the next
# five 195840 behind. They have 4 * 5 * 2 pieces of 8 lines at a point; of 16 * 2 * 2 rounds the first 40 fetch one.
# CHECK-LABEL: kernel far_k{{[0-9]+}}_winograd_weight_gradient
# CHECK: for ([[V:total[$0-9]*.s0.channel.vector]], 0, 2) {
# CHECK: for ([[OUT:total[$0-9]*.s0.out.out]], 0, 16) {
# CHECK: for ([[Z:sum[$0-9]*.s1.examples.z]], 0, 2) {
# CHECK: for ([[Y:sum[$0-9]*.s1.examples.y]], 0, 2) {
# CHECK-NEXT: if ((((([[OUT]]*2) + [[Z]])*2) + [[Y]]) < 40) {
# CHECK-NEXT: prefetch((void *)V{{[$0-9]*}}, ((((([[Y]]/2) + (([[OUT]]*2) + [[Z]]))/5)*272) + ((((([[Y]]/2) + (([[OUT]]*2) + [[Z]])) % 5)*39168) + ((([[Y]] % 2)*128) + (((select([[V]] < 1, [[V]], -1)*180) + {{.*}}*1088)))) + 195840, 1, 1)
# CHECK-COUNT-6: prefetch((void *)V
# CHECK-NEXT: prefetch((void *)V{{.*}} + 195952, 1, 1)
# CHECK-NEXT: }
# CHECK-NOT: prefetch((void *)V

# Of 64 channels 0.6 MB.
# CHECK-LABEL: kernel far_k{{[0-9]+}}_winograd_weight_gradient
# CHECK-NOT: prefetch((void *)V
# CHECK: {{^}}kernel far_

# CPP-COUNT-8: __builtin_prefetch(((float *)_V{{.*}}), /*rw*/0, /*locality*/3);
