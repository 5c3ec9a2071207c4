#!/usr/bin/env python3
"""Writes tests/numerics/lenet_steps/: three Adam steps of LeNet as PyTorch computes them, for pytorch_test.c.

Not part of the test run, because it needs PyTorch (written with 2.13.0) and numpy. All vectors are flat and hold the
parameters in the order conv1.weight, conv1.bias, conv2.*, dense1.*, dense2.*, dense3.*.
"""
import pathlib

import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
torch.set_num_threads(1)
# The reference is computed in double precision from float32 weights, so that its own rounding is no part of it.
net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2),
    nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
for p in net.parameters():
    if p.dim() > 1:
        nn.init.xavier_uniform_(p)
    else:
        nn.init.uniform_(p, -0.1, 0.1)  # not zero, so that a lost bias is seen
net = net.double()
count = 8
images = torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8)
labels = torch.randint(0, 10, (count,))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

flat = lambda values: np.concatenate([v.detach().numpy().ravel() for v in values]).astype(np.float32)
out = {"images": images.numpy().reshape(count, 784), "labels": labels.numpy().astype(np.uint8),
       "weights": flat(net.parameters())}
losses = []
for step in range(3):
    optimizer.zero_grad()
    logits = net(images.double() / 255)
    loss = nn.functional.cross_entropy(logits, labels)
    loss.backward()
    losses.append(loss.item())
    if step == 0:
        out["logits"] = logits.detach().numpy().astype(np.float32)
        out["gradients"] = flat(p.grad for p in net.parameters())
    optimizer.step()
out["losses"] = np.array(losses, dtype=np.float32)
out["updated"] = flat(net.parameters())

folder = pathlib.Path(__file__).resolve().parent / "lenet_steps"
folder.mkdir(exist_ok=True)
for name, value in out.items():
    np.save(folder / f"{name}.npy", value)
print("losses", losses)
