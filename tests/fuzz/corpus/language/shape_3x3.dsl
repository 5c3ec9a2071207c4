# A 3x3 kernel with padding 1 keeps the size
# expect-shape: 1x8x8
model shape_3x3

input image: f32[1, 8, 8]

conv(1, kernel=3, padding=1)
