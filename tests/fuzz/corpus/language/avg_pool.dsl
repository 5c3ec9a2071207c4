# Average pooling by single steps
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[2, 3], [5, 6]]]
model avg_pool

input image: f32[1, 3, 3]

avg_pool(2, stride=1)
