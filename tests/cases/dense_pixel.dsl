# The dense layer that conv_1x1.dsl applies to each pixel
model dense_pixel

input image: f32[3, 1, 1]

flatten
dense(2, weight=[[0.5, -1.25, 0.3], [0.1, 0.7, -0.9]])
