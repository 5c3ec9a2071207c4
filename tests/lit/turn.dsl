# Images are packed by fours of numbers: each is loaded into its place of a vector, and only within fours numbers change places.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=asm --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=ASM
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx2 | FileCheck %s --check-prefix=CPP
model turn
input x: f32[1, 3, 18]
conv(2, kernel=3, padding=1)
sigmoid
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 64

# An image has 54 numbers: images 0, 4, 8 and 12 are 216 apart. Rows of 18 end with a four that begins at 14.
# CHECK-LABEL: kernel turn_k{{[0-9]+}}_pack_f32
# CHECK: let [[A:four[$0-9]*]] = concat_vectors(in[ramp([[AT:.*]] + 0, 1, 4)], in[ramp(([[AT]] + 216) + 0, 1, 4)], in[ramp(([[AT]] + 432) + 0, 1, 4)], in[ramp(([[AT]] + 648) + 0, 1, 4)])
# CHECK-NEXT: let [[B:four[$0-9]*]] = concat_vectors(in[ramp(([[AT]] + 54) + 0, 1, 4)], in[ramp(([[AT]] + 270) + 0, 1, 4)],
# CHECK-COUNT-2: = concat_vectors(
# CHECK-NEXT: = shuffle([[A]], [[B]], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29, 2, 18, 3, 19,
# Bytes become numbers after they have been loaded.
# CHECK-LABEL: kernel turn_k{{[0-9]+}}_pack_u8
# CHECK-NOT: shuffle(
# CHECK: interleave_vectors(

# ASM-LABEL: turn_k{{[0-9]+}}_pack_f32:
# ASM-NOT: vperm
# ASM: vinsertf128 $1, {{[0-9]+}}({{.*}}), %ymm
# ASM: vunpcklps
# ASM: .size

# CPP: int turn_k{{[0-9]+}}_pack_f32(
# CPP: float16_ops::shuffle<0, 8, 1, 9, 4, 12, 5, 13, 2, 10, 3, 11, 6, 14, 7, 15>(
