# Two 2x2 convolutions see 3x3 pixels
# expect-summary: 2x2
# expect-summary: 3x3
model receptive_field

input image: f32[1, 8, 8]

conv(1, kernel=2)
conv(1, kernel=2)
