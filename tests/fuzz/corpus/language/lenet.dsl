
model lenet

input image: f32[1, 28, 28]        

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
optimizer adam(lr=1e-3)
init xavier_uniform
batch 1024
