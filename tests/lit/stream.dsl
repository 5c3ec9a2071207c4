# A result that has left the caches before it is read is written past them; a small one is not.
# RUN: %cnnc compile %s --emit=asm --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %models/lenet.dsl --emit=asm --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=SMALL
model stream
input x: f32[32, 120, 120]
conv(64, kernel=1)
batch 16

# CHECK: stream_k{{[0-9]+}}_conv:
# CHECK: vmovntps %zmm
# CHECK: .size stream_k{{[0-9]+}}_conv

# SMALL-NOT: vmovnt
