# Ranges of arguments.
# RUN: not %cnnc compile %s --emit=graph 2>&1 >/dev/null | FileCheck %s --match-full-lines --strict-whitespace

model m
input x: f32[2, 9, 8]
conv(0, kernel=(0, 2), stride=99999999999999999999, padding=-1)
batch 0
init uniform(1, 1)
loss softmax_cross_entropy
optimizer sgd(lr=0, momentum=1)

# CHECK:{{.*}}out_of_range.dsl:6:6: error: conv: channels: expected 1 to 1048576, found 0
# CHECK-NEXT:conv(0, kernel=(0, 2), stride=99999999999999999999, padding=-1)
# CHECK-NEXT:     ^
# CHECK-NEXT:{{.*}}out_of_range.dsl:6:17: error: conv: kernel: expected 1 to 32768, found 0
# CHECK-NEXT:conv(0, kernel=(0, 2), stride=99999999999999999999, padding=-1)
# CHECK-NEXT:                ^
# CHECK-NEXT:{{.*}}out_of_range.dsl:6:31: error: conv: stride: expected 1 to 32768, found 99999999999999999999
# CHECK-NEXT:conv(0, kernel=(0, 2), stride=99999999999999999999, padding=-1)
# CHECK-NEXT:                              ^~~~~~~~~~~~~~~~~~~~
# CHECK-NEXT:{{.*}}out_of_range.dsl:6:61: error: conv: padding: expected 0 to 32768, found -1
# CHECK-NEXT:conv(0, kernel=(0, 2), stride=99999999999999999999, padding=-1)
# CHECK-NEXT:                                                            ^~
# CHECK-NEXT:{{.*}}out_of_range.dsl:7:7: error: batch: expected a whole number from 1 to 1048576, found 0
# CHECK-NEXT:batch 0
# CHECK-NEXT:      ^
# CHECK-NEXT:{{.*}}out_of_range.dsl:8:17: error: uniform: b: expected a number above a, 1, found 1
# CHECK-NEXT:init uniform(1, 1)
# CHECK-NEXT:                ^
# CHECK-NEXT:{{.*}}out_of_range.dsl:10:18: error: sgd: lr: expected a number above 0, found 0
# CHECK-NEXT:optimizer sgd(lr=0, momentum=1)
# CHECK-NEXT:                 ^
# CHECK-NEXT:{{.*}}out_of_range.dsl:10:30: error: sgd: momentum: expected a number from 0 to below 1, found 1
# CHECK-NEXT:optimizer sgd(lr=0, momentum=1)
# CHECK-NEXT:                             ^
# CHECK-NOT:{{.+}}
