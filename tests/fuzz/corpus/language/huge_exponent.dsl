model m
input x: f32[1, 2, 2]
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=1e9999999999999999999)
batch 1
