# A stride of two halves it
# expect-shape: 1x4x4
model shape_stride

input image: f32[1, 8, 8]

conv(1, kernel=3, padding=1, stride=2)
