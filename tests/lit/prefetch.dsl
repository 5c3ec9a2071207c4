# Short pieces of an image that is copied for a convolution are fetched before they are needed, a line at a time, into all
# caches.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=asm --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=ASM
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
model prefetch
input x: f32[800, 4, 4]
conv(8, kernel=1)
batch 16

# CHECK: produce rows
# CHECK: prefetch(in0, {{.*}}, 1, 16)
# CHECK: consume rows

# ASM: prefetcht0 {{.*}}(

# CPP-NOT: float const {{.*}} = __builtin_prefetch(
# CPP: = 0; __builtin_prefetch({{.*}}, /*rw*/0, /*locality*/3);
