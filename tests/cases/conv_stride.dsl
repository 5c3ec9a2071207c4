# Steps of three rows and two columns
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[0, 8], [6, 8]]]
model conv_stride

input image: f32[1, 3, 3]

conv(1, kernel=2, bias=false, weight=[[0, 1], [2, 3]], padding=1, stride=(3, 2))
