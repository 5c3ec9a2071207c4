# A border of one zero all round
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]]
model conv_padding

input image: f32[1, 3, 3]

conv(1, kernel=2, bias=false, weight=[[0, 1], [2, 3]], padding=1)
