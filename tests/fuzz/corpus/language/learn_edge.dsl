
model learn_edge

input image: f32[1, 6, 8]
target y: f32[1, 6, 7]

conv(1, kernel=(1, 2), bias=false)

loss squared_error(reduction=sum)
optimizer sgd(lr=3e-2)
init uniform(-0.707, 0.707)
batch 1
