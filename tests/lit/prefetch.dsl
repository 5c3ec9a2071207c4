model prefetch
input x: f32[800, 4, 4]
conv(8, kernel=1)
batch 16
