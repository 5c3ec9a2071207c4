# LeNet-5 with sigmoid and average pooling, by plain gradient descent
model lenet_sgd

input image: f32[1, 28, 28]        # channels, height, width; the batch is implied

conv(6, kernel=5, padding=2)
sigmoid
avg_pool(2)
conv(16, kernel=5)
sigmoid
avg_pool(2)
flatten
dense(120)
sigmoid
dense(84)
sigmoid
dense(10)

loss softmax_cross_entropy
optimizer sgd(lr=0.9)
init xavier_uniform
batch 256
