# What a layer finds wrong with its input; layers below it stay silent.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
max_pool(3)
conv(6, kernel=5)
relu
add(x, max_pool(x, 2))
dense(x, 10)

# CHECK:{{.*}}layer.dsl:7:1: error: conv: kernel 5x5 does not fit an input of 2x3x2 (height 3 < 5) with padding 0
# CHECK-NEXT:conv(6, kernel=5)
# CHECK-NEXT:^~~~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:6:1: note: input is %0 = max_pool(%x) : f32[2, 3, 2]
# CHECK-NEXT:max_pool(3)
# CHECK-NEXT:^~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:9:1: error: add: the shapes f32[2, 9, 8] and f32[2, 4, 4] differ
# CHECK-NEXT:add(x, max_pool(x, 2))
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:5:1: note: input is %x = input : f32[2, 9, 8]
# CHECK-NEXT:input x: f32[2, 9, 8]
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:9:8: note: the other input is %1 = max_pool(%x) : f32[2, 4, 4]
# CHECK-NEXT:add(x, max_pool(x, 2))
# CHECK-NEXT:       ^~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:10:1: error: dense: input is f32[2, 9, 8]; put 'flatten' before it
# CHECK-NEXT:dense(x, 10)
# CHECK-NEXT:^~~~~~~~~~~~
# CHECK-NEXT:{{.*}}layer.dsl:5:1: note: input is %x = input : f32[2, 9, 8]
# CHECK-NEXT:input x: f32[2, 9, 8]
# CHECK-NEXT:^~~~~~~~~~~~~~~~~~~~~
# CHECK-NOT:{{.+}}
