# A perceptron with one hidden layer
model perceptron

input image: f32[1, 28, 28]

flatten
dense(256)
relu
dense(10)

loss softmax_cross_entropy
optimizer sgd(lr=0.1)
init xavier_uniform
batch 256
