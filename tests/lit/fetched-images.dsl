# While the first layer computes, it fetches the images of the next chunk, a part before each time that sums are computed. Images that
# would take more than a quarter of the second-level cache are left where they are.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=cpp --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=CPP
# RUN: sed 's/12, 10/120, 100/' %s > %t.dsl
# RUN: %cnnc compile %t.dsl --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=LARGE
model fetch
input x: f32[1, 12, 10]
conv(5, kernel=3)
sigmoid
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 64

# Sixteen images of 120 numbers are 120 lines; ten rows of two tiles of columns are 20 times. A line has 16 numbers.
# CHECK-LABEL: kernel fetch_k{{[0-9]+}}_conv_sigmoid
# CHECK: prefetch((void *)ahead, (((({{.*}}.d1*2) + {{.*}}.d2.d2)*96) + 80)*pixel, 1, 1)
# CHECK-COUNT-4: prefetch((void *)ahead,
# CHECK-NEXT: prefetch((void *)ahead, ((({{.*}}.d1*2) + {{.*}}.d2.d2)*96)*pixel, 1, 1)
# CHECK-NEXT: produce conv
# The kernel of one image has no next chunk, and the gradient of the weights comes when it has been fetched.
# CHECK-NOT: (void *)ahead

# CPP: int fetch_k{{[0-9]+}}_conv_sigmoid({{.*}}, void *_ahead, int32_t _pixel)
# CPP-COUNT-6: __builtin_prefetch(((uint8_t *)_ahead + {{.*}}), /*rw*/0, /*locality*/3);

# LARGE-NOT: (void *)ahead
