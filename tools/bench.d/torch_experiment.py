"""The published experiment in PyTorch, for the section experiment of tools/bench: LeNet, Adam, hold-out validation.

    torch_experiment.py FOLDER EPOCHS VALIDATION BATCH RATE THREADS SEED CHECKPOINT

Answers with one line of JSON. Its seconds begin when PyTorch is there: reading the files, shuffling, training, validation and keeping
the best parameters are in them. All images stand in memory; a batch is picked by a permutation, without worker processes, which
would only slow it down.
"""
import gzip
import json
import pathlib
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

from torch_worker import lenet, optimizer_of


def read(folder, name, head):
    with gzip.open(pathlib.Path(folder) / f"train-{name}.gz") as f:
        return numpy.frombuffer(f.read(), dtype=numpy.uint8, offset=head)


def main():
    folder, *numbers, checkpoint = sys.argv[1:]
    epochs, validation, batch, rate, threads, seed = [float(n) if "." in n or "e" in n else int(n) for n in numbers]
    torch.set_num_threads(threads)
    start = time.perf_counter()
    torch.manual_seed(seed)
    images = torch.from_numpy(read(folder, "images-idx3-ubyte", 16).reshape(-1, 1, 28, 28).astype(numpy.float32)).div_(255)
    labels = torch.from_numpy(read(folder, "labels-idx1-ubyte", 8).astype(numpy.int64))
    order = torch.randperm(len(images))
    x, y = images[order[validation:]], labels[order[validation:]]
    held_x, held_y = images[order[:validation]], labels[order[:validation]]
    net = lenet("sigmoid-average")
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    optimizer = optimizer_of(f"adam:{rate}", net)
    history, best = [], float("inf")
    for _ in range(epochs):
        begin = time.perf_counter()
        net.train()
        order, total = torch.randperm(len(x)), torch.zeros(())
        for picked in order.split(batch):
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(net(x[picked]), y[picked])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(picked)
        seconds = time.perf_counter() - begin
        net.eval()
        with torch.inference_mode():
            held_loss, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for part_x, part_y in zip(held_x.split(batch), held_y.split(batch)):
                outputs = net(part_x)
                held_loss += functional.cross_entropy(outputs, part_y, reduction="sum")
                correct += (outputs.argmax(1) == part_y).sum()
        history.append({"train_loss": total.item() / len(x), "validation_loss": held_loss.item() / validation,
                        "validation_accuracy": correct.item() / validation, "seconds": seconds,
                        "with_validation": time.perf_counter() - begin})
        if history[-1]["validation_loss"] < best:
            best = history[-1]["validation_loss"]
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, checkpoint)
    print(json.dumps({"version": torch.__version__, "seconds": time.perf_counter() - start, "history": history}))


main()
