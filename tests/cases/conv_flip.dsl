# The strict convolution, with the kernel turned round
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[5, 11], [23, 29]]]
model conv_flip

input image: f32[1, 3, 3]

conv(1, kernel=2, bias=false, weight=[[0, 1], [2, 3]], flip=true)
