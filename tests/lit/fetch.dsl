# What a kernel copies of far images is fetched while the sums before it are computed: into the second-level cache, up to twelve lines at
# a time, in rounds that leave time between them.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=asm --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=ASM
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
model fetch
input x: f32[2, 16, 14]
conv(256, kernel=1)
tanh
conv(64, kernel=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# A channel has 16 * 14 * 16 = 3584 numbers. Blocks of 12 places, 192 numbers, of 256 channels are copied, then 8 * 4 tiles computed:
# each fetches 8 channels of the next block, one every 32 of its 256 products.
# CHECK-LABEL: kernel fetch_k4_conv_tanh
# CHECK: produce rows
# CHECK-NOT: prefetch(in0
# CHECK: consume rows
# CHECK: for ([[C:conv[$0-9]*.s1.conv_domain.y]], 0, 256) {
# CHECK-NEXT: if (([[C]] % 32) == 0) {
# CHECK-NEXT: prefetch(in0, (((([[C]]/32) + ((([[O:out[$0-9]*]].s0.d0.d0*4) + [[O]].s0.d2.d2.d2)*8))*3584) + ([[O]].s0.d2.block*192)) + 192, 1, 1)
# CHECK-NEXT: prefetch(in0, (((([[C]]/32) + ((([[O]].s0.d0.d0*4) + [[O]].s0.d2.d2.d2)*8))*3584) + ([[O]].s0.d2.block*192)) + 208, 1, 1)
# CHECK-COUNT-9: prefetch(in0,
# CHECK-NEXT: prefetch(in0, (((([[C]]/32) + ((([[O]].s0.d0.d0*4) + [[O]].s0.d2.d2.d2)*8))*3584) + ([[O]].s0.d2.block*192)) + 368, 1, 1)
# CHECK-NEXT: }
# CHECK-NOT: prefetch(in0

# Blocks of 7 places, 112 numbers, two a row. Of the gradient, 64 channels are copied once a block: each of 4 * 16 rounds fetches one for the next
# block, which may be the first of the next row. Of the input, 64 channels are turned each of 4 times: 4 of 7 rounds fetch one, of the next
# 64 (64 * 3584 = 229376) or the first of the next block.
# CHECK-LABEL: kernel fetch_k{{[0-9]+}}_conv_channel_sums
# CHECK: produce [[TURNED:turned[$0-9]*]] {
# CHECK-NOT: prefetch
# CHECK: consume [[TURNED]] {
# CHECK-NEXT: for ([[K:out[$0-9]*.s1.d0.d0]], 0, 16) {
# CHECK-NEXT: prefetch(in0, ((((([[W:out[$0-9]*]].s1.d1.group*16) + [[K]])*32) + (select([[X:out[$0-9]*.s1.blocks.x]] < 1, [[X]], -1) + ((select([[X]] < 1, 0, 1) + [[Y:out[$0-9]*.s1.blocks.y]])*2)))*112) + 112, 1, 1)
# CHECK-COUNT-5: prefetch(in0,
# CHECK-NEXT: prefetch(in0, ((((([[W]].s1.d1.group*16) + [[K]])*32) + (select([[X]] < 1, [[X]], -1) + ((select([[X]] < 1, 0, 1) + [[Y]])*2)))*112) + 208, 1, 1)
# CHECK-NEXT: allocate part
# CHECK: for ([[P:part[$0-9]*.s1.positions.y]], 0, 7) {
# CHECK-NEXT: if ([[P]] < 4) {
# CHECK-NEXT: prefetch(in1, ((((([[K]]*4) + [[P]])*32) + ((select([[W]].s1.d1.group < 3, [[W]].s1.d1.group, -1)*2048) + {{.*}} + 229376, 1, 1)
# CHECK-COUNT-5: prefetch(in1,
# CHECK-NEXT: prefetch(in1, {{.*}} + 229472, 1, 1)
# CHECK-NEXT: }

# ASM-LABEL: fetch_k4_conv_tanh:
# ASM-COUNT-12: prefetcht1
# ASM-LABEL: fetch_k5_dense:

# CPP-COUNT-12: __builtin_prefetch(((float *)_in0 + {{.*}}), /*rw*/0, /*locality*/3);
