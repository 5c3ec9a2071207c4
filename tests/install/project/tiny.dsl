model tiny
input x: f32[1, 8, 8]
conv(4, kernel=3)
relu
flatten
dense(3)
loss softmax_cross_entropy
optimizer adam(lr=0.01)
batch 32
