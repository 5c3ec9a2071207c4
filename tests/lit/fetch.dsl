# Where the vectors of a weight gradient are turned, those of the next sixteen channels are fetched, up to the last of the input: the
# pieces of a block are short, and the machine's own prefetching does not see them come.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
model fetch
input x: f32[2, 10, 9]
conv(128, kernel=1)
tanh
conv(96, kernel=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# CHECK-LABEL: kernel fetch_k{{[0-9]+}}_conv_channel_sums
# CHECK: produce [[TURNED:turned[$0-9]*]] {
# A channel has 1440 numbers. What is fetched begins 16 channels on; the first of 16 stands 15 channels before the last.
# CHECK: let [[AT:t[0-9]+]] = {{.*}}[[TURNED]].s0.column
# CHECK-NEXT: if ([[AT]] < 8730) {
# CHECK-NEXT: prefetch(in1, ([[AT]]*16) + 23040, 1, 16)
# CHECK-NEXT: prefetch(in1, ([[AT]]*16) + 24480, 1, 16)
# CHECK-COUNT-13: prefetch(in1,
# CHECK-NEXT: prefetch(in1, ([[AT]]*16) + 44640, 1, 16)
# CHECK-NEXT: }
# CHECK-NEXT: [[TURNED]][

# CPP-COUNT-16: __builtin_prefetch(((float *)_in1 + {{.*}}), /*rw*/0, /*locality*/3);
