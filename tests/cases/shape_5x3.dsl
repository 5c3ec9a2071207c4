# So does a 5x3 kernel with padding (2, 1)
# expect-shape: 1x8x8
model shape_5x3

input image: f32[1, 8, 8]

conv(1, kernel=(5, 3), padding=(2, 1))
