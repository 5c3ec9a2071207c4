# The stride of a pool is its window unless said otherwise
# input: [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]]
# expect: [[[10]]]
model max_pool_default_stride

input image: f32[1, 4, 4]

max_pool(3)
