# LeNet-5 with ReLU and max pooling
model lenet_relu

input image: f32[1, 28, 28]        # channels, height, width; the batch is implied

conv(6, kernel=5, padding=2)
relu
max_pool(2)
conv(16, kernel=5)
relu
max_pool(2)
flatten
dense(120)
relu
dense(84)
relu
dense(10)

loss softmax_cross_entropy
optimizer adam(lr=1e-3)
init xavier_uniform
batch 1024
