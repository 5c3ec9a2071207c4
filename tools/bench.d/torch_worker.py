"""LeNet in PyTorch, for tools/bench: the commands of driver.c, with the same data and parameters.

    torch_worker.py sigmoid-average|relu-max OPTIMIZER THREADS IMAGES LABELS PARAMETERS DESCRIPTION COUNT
"""
import json
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

WARM_UP = 5  # as in driver.c


def lenet(kind):
    activation, pool = {"sigmoid-average": (nn.Sigmoid, nn.AvgPool2d), "relu-max": (nn.ReLU, nn.MaxPool2d)}[kind]
    return nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), activation(), pool(2), nn.Conv2d(6, 16, 5), activation(), pool(2),
                         nn.Flatten(), nn.Linear(400, 120), activation(), nn.Linear(120, 84), activation(), nn.Linear(84, 10))


def optimizer_of(text, net):
    """The optimizer in its fastest form: one pass over the parameters where this version has it."""
    kind, rate = text.split(":")
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[kind]
    try:
        return make(net.parameters(), lr=float(rate), fused=True)
    except (TypeError, RuntimeError):
        return make(net.parameters(), lr=float(rate))


def set_parameters(net, path, description):
    """The file's floats stand as cnnc keeps them; its layers and ours come in the same order."""
    flat = numpy.fromfile(path, dtype=numpy.float32)
    tensors = json.load(open(description))["parameters"]
    named = {t["name"]: t for t in tensors}
    layers = [m for m in net if isinstance(m, (nn.Conv2d, nn.Linear))]
    names = ["conv1", "conv2", "dense1", "dense2", "dense3"]
    with torch.no_grad():
        for layer, name in zip(layers, names):
            for part in ("weight", "bias"):
                t, p = named[f"{name}.{part}"], getattr(layer, part)
                if list(p.shape) != t["shape"]:
                    sys.exit(f"{name}.{part}: {list(p.shape)} here, {t['shape']} in cnnc")
                p.copy_(torch.from_numpy(flat[t["offset"]:t["offset"] + p.numel()].reshape(p.shape)))


def main():
    kind, optimizer_text, threads, images, labels, parameters, description, count = sys.argv[1:]
    count = int(count)
    torch.set_num_threads(int(threads))
    x = torch.from_numpy(numpy.fromfile(images, dtype=numpy.float32)[:count * 784].reshape(count, 1, 28, 28))
    y = torch.from_numpy(numpy.fromfile(labels, dtype=numpy.uint8)[:count].astype(numpy.int64))
    net = lenet(kind)
    set_parameters(net, parameters, description)

    def say(**answer):
        print(json.dumps(answer), flush=True)

    def first_of(step, batch, pool):
        return step % (pool // batch) * batch

    say(version=torch.__version__)
    for line in sys.stdin:
        command, batch, *rest = line.split(None, 2 if line.startswith("outputs") else -1)
        batch = int(batch)
        if command == "train":
            set_parameters(net, parameters, description)
            net.train()
            optimizer = optimizer_of(optimizer_text, net)
            losses = []
            steps = WARM_UP + int(rest[0])
            starts = [first_of(step, batch, count) for step in range(steps)]
            for step, at in enumerate(starts):
                if step == WARM_UP:
                    start = time.perf_counter()
                optimizer.zero_grad(set_to_none=True)
                loss = functional.cross_entropy(net(x[at:at + batch]), y[at:at + batch])
                loss.backward()
                optimizer.step()
                if step < WARM_UP:
                    losses.append(loss.item())
            last = loss.item()
            say(losses=losses, last_loss=last, seconds=time.perf_counter() - start)
        elif command == "predict":
            calls, pool = map(int, rest)
            net.eval()
            with torch.inference_mode():
                inputs = [x[at:at + batch] for at in range(0, pool - batch + 1, batch)]
                for i in range(-WARM_UP, calls):
                    if i == 0:
                        start = time.perf_counter()
                    net(inputs[(i + WARM_UP) % len(inputs)])
            say(seconds=time.perf_counter() - start)
        elif command == "outputs":
            net.eval()
            with torch.inference_mode():
                net(x[:batch]).numpy().tofile(rest[0].strip())
            say()


if __name__ == "__main__":
    main()
