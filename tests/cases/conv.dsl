# Cross-correlation of the numbers 0..8 with a 2x2 kernel
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[19, 25], [37, 43]]]
model conv

input image: f32[1, 3, 3]

conv(1, kernel=2, bias=false, weight=[[0, 1], [2, 3]])
