# Softmax regression: one linear layer, the smallest classifier
model softmax_regression

input image: f32[1, 28, 28]

flatten
dense(10)

loss softmax_cross_entropy
optimizer sgd(lr=0.1)
init xavier_uniform
batch 256
