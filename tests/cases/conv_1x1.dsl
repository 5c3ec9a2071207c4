# A 1x1 convolution is a dense layer at each pixel: see dense_pixel.dsl
model conv_1x1

input image: f32[3, 3, 3]

conv(2, kernel=1, weight=[[[[0.5]], [[-1.25]], [[0.3]]], [[[0.1]], [[0.7]], [[-0.9]]]])
