# The border of zeros is apart from the rest of an image that is copied: a row of them, then in each row a column, then 28 columns without
# a condition.
# RUN: %cnnc compile %s --emit=stmt --target=x86-64-linux-avx512 | FileCheck %s
model border
input x: f32[2, 28, 28]
conv(64, kernel=1)
tanh
conv(64, kernel=3, stride=2, padding=1)
tanh
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# CHECK-LABEL: kernel border_k{{[0-9]+}}_conv_channel_sums
# CHECK: produce [[TURNED:turned[$0-9]*]] {
# CHECK-NEXT: if ({{.*}}) {
# CHECK-NEXT: for ([[TURNED]].s0.column, 0, 29) {
# CHECK-NEXT: let [[ZEROS:t[0-9]+]] = {{.*}}x16({{.*}}0.000000f)
# CHECK-NEXT: [[TURNED]][ramp([[TURNED]].s0.column*256, 1, 256) {{.*}}] = interleave_vectors([[ZEROS]],
# CHECK: for ([[TURNED]].s0.row.rebased, 0,
# CHECK-NOT: for
# CHECK: [[TURNED]][ramp({{.*}}] = interleave_vectors(
# CHECK-NOT: select
# CHECK: for ([[TURNED]].s0.column.rebased, 0, 28) {
# CHECK-NOT: select
# CHECK: [[TURNED]][ramp({{.*}}] = concat_vectors(
# CHECK: consume [[TURNED]] {
