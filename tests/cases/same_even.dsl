# An even kernel with padding=same puts the larger half after
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[19, 25, 10], [37, 43, 16], [7, 8, 0]]]
model same_even

input image: f32[1, 3, 3]

conv(1, kernel=2, bias=false, weight=[[0, 1], [2, 3]], padding=same)
