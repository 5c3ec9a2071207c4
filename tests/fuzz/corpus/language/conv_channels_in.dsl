# Two input channels are summed
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
# expect: [[[56, 72], [104, 120]]]
model conv_channels_in

input image: f32[2, 3, 3]

conv(1, kernel=2, bias=false, weight=[[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
