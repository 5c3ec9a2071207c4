# Padding of a max pool is minus infinity, not zero
# input: [[[-20, -19, -18, -17], [-16, -15, -14, -13], [-12, -11, -10, -9], [-8, -7, -6, -5]]]
# expect: [[[-15, -13], [-7, -5]]]
model max_pool_padding_negative

input image: f32[1, 4, 4]

max_pool(3, padding=1, stride=2)
