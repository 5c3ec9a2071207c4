# An image moved by one pixel within the windows gives the same result
# input: [[[9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 9, 0], [0, 0, 0, 0]]]
# expect: [[[9, 0], [0, 9]]]
# input: [[[0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 0, 9], [0, 0, 0, 0]]]
# expect: [[[9, 0], [0, 9]]]
# input: [[[0, 0, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 9, 0]]]
# expect: [[[9, 0], [0, 9]]]
# input: [[[0, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 0], [0, 0, 0, 9]]]
# expect: [[[9, 0], [0, 9]]]
model max_pool_moved

input image: f32[1, 4, 4]

max_pool(2)
