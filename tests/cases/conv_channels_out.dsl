# Three output channels, the kernels larger by one each
# input: [[[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
# expect: [[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]]
model conv_channels_out

input image: f32[2, 3, 3]

conv(3, kernel=2, bias=false, weight=[
  [[[0, 1], [2, 3]], [[1, 2], [3, 4]]],
  [[[1, 2], [3, 4]], [[2, 3], [4, 5]]],
  [[[2, 3], [4, 5]], [[3, 4], [5, 6]]]])
