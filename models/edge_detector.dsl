# Finds vertical edges: 1 where the image falls from light to dark, -1 where it rises
model edge_detector

input image: f32[1, 6, 8]

conv(1, kernel=(1, 2), bias=false, weight=[[1, -1]])
