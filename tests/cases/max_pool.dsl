# Max pooling by single steps
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
# expect: [[[4, 5], [7, 8]]]
model max_pool

input image: f32[1, 3, 3]

max_pool(2, stride=1)
