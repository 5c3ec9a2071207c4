# Padding of a max pool never wins
# input: [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]]
# expect: [[[5, 7], [13, 15]]]
model max_pool_padding

input image: f32[1, 4, 4]

max_pool(3, padding=1, stride=2)
