# A convolution's data gradient copies each row of what it reads once, and keeps as many as a row of the result needs: two where a
# kernel of three rows steps over two, three where it steps over none. Columns of the phases take their places tile by tile.
# RUN: %cnnc compile %s --emit=stmt --conv direct --target=x86-64-linux-avx512 | FileCheck %s
# RUN: %cnnc compile %s --emit=schedule --conv direct --target=x86-64-linux-avx512 | FileCheck %s --check-prefix=LOOPS
model rows
input x: f32[2, 28, 28]
conv(24, kernel=1)
tanh
conv(20, kernel=3, padding=1)
tanh
conv(40, kernel=3, stride=2, padding=1)
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 16

# The first new row: behind the last one, which the row of the result before had.
# CHECK: kernel rows_k{{[0-9]+}}_conv_data_gradient
# CHECK: for (out$[[STRIDED:[0-9]+]].s0.d1, 0, 28)
# CHECK: .row.min_1 = select(0 < out$[[STRIDED]].s0.d1, (out$[[STRIDED]].s0.d1/2) + 1,
# CHECK: for (rows{{.*}}.s0.channel, 0, 40)
# CHECK: {{rows.*}}[ramp({{\(+}}t{{[0-9]+}} % 2)*40) +
# CHECK: kernel rows_k{{[0-9]+}}_conv_data_gradient
# CHECK: for (out$[[PLAIN:[0-9]+]].s0.d1, 0, 28)
# CHECK: .row.min_1 = select(0 < out$[[PLAIN]].s0.d1, out$[[PLAIN]].s0.d1 + 1,
# CHECK: for (rows{{.*}}.s0.channel, 0, 20)
# CHECK: {{rows.*}}[ramp({{\(+}}t{{[0-9]+}} % 3)*20) +

# LOOPS: kernel rows_k{{[0-9]+}}_conv_data_gradient
# LOOPS: .tile = 5x3,
# LOOPS: for d2.d2 in [0, 4]:
# LOOPS-NEXT: produce phases:
# LOOPS: consume phases:
# LOOPS-NEXT: for d0.channel in [0, 4]:
# LOOPS-NEXT: unrolled d2.column in [0, 5]:
