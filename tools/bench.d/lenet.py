"""LeNet beside the frameworks: the sections training, inference and latency."""
import array
import functools
import gzip
import json
import math
import pathlib
import random
import re

import harness
import peers
from harness import BENCH, BUILD, CNNC, ROOT, Fault, Workers, command, percent, progress, read_floats, rows_of, say, show, show_head, show_rows, table, take_turns

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
EXAMPLES = 10240  # 32 MB of floats: a step's images are not in the caches that are near
# Sums of float32 in another order differ by about 1e-6 of the largest output; fast convolutions by about 1e-5. A wrong layer
# differs by far more.
OUTPUT_TOLERANCE = 1e-4
# The same, five steps on: each step's difference moves the parameters of the next.
LOSS_TOLERANCE = 1e-4


# The data and the models

def read_idx(path, head):
    with gzip.open(path) as f:
        return f.read()[head:]


def data():
    """Images as floats, labels as bytes: the first EXAMPLES of Fashion-MNIST's training images."""
    folder = BUILD / "data"
    images, labels = folder / "images.f32", folder / "labels.u8"
    if not (images.exists() and labels.exists() and images.stat().st_size == EXAMPLES * 784 * 4):
        folder.mkdir(parents=True, exist_ok=True)
        pixels = read_idx(DATA / "train-images-idx3-ubyte.gz", 16)[:EXAMPLES * 784]
        scaled = [b / 255 for b in range(256)]
        images.write_bytes(array.array("f", [scaled[b] for b in pixels]).tobytes())
        labels.write_bytes(read_idx(DATA / "train-labels-idx1-ubyte.gz", 8)[:EXAMPLES])
    return images, labels


@functools.cache
def flops(model):
    """Of one example, forward and for a whole training step: the gradient of a layer's weights and of its input cost what its
    forward pass does, but nobody needs the gradient of the images."""
    layers = []
    for line in command(CNNC, "summary", ROOT / f"models/{model}.dsl").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "total":
            total = int(words[2])
        elif len(words) >= 4 and words[2].isdigit() and words[3].isdigit():
            layers.append(int(words[3]))
    if total != sum(layers):
        raise Fault(f"cnnc summary: the layers' multiply-adds {layers} do not make {total}")
    return 2 * total, 2 * (3 * total - layers[0])


class Library:
    """A model, compiled and linked to the driver, with start parameters for it and for the peers."""

    def __init__(self, model, batch, optimizer=None):
        self.model = model
        self.folder = BUILD / "lib" / "-".join([model, str(batch), *([re.sub(r"\W+", "_", optimizer)] if optimizer else [])])
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--optimizer", optimizer] if optimizer else []
        command(CNNC, "compile", ROOT / f"models/{model}.dsl", "-o", self.folder, "--batch", batch, *options)
        self.driver = self.folder / "driver"
        command("gcc", "-std=gnu11", "-O3", "-march=native", "-Wall", "-Wextra", f"-DMODEL={model}", f'-DMODEL_HEADER="{model}.h"', "-I", self.folder,
                BENCH / "driver.c", self.folder / f"lib{model}.a", "-lm", "-lpthread", "-o", self.driver)
        self.description = self.folder / "description.json"
        self.description.write_text(command(self.driver, "describe"))
        self.about = json.loads(self.description.read_text())
        self.parameters = self.folder / "parameters.f32"
        self.parameters.write_bytes(self.start())

    def start(self):
        """Weights three times as wide as Xavier's under sigmoids, or else every image gives nearly the same outputs there, and
        biases that are not zero: so that a lost bias or a wrong layer is seen."""
        rng = random.Random(1)
        values = array.array("f", bytes(4 * self.about["parameter_count"]))
        for tensor in self.about["parameters"]:
            shape = tensor["shape"]
            size, bound = math.prod(shape), 0.1
            if len(shape) > 1:
                area = math.prod(shape[2:])
                bound = (1 if "relu" in self.model else 3) * math.sqrt(6 / ((shape[0] + shape[1]) * area))
            for i in range(tensor["offset"], tensor["offset"] + size):
                values[i] = rng.uniform(-bound, bound)
        return values.tobytes()

    def worker(self, workers, mode, threads):
        images, labels = data()
        return workers("cnnc", self.driver, mode, threads, images, labels, self.parameters, EXAMPLES, threads=threads)

    def torch(self, workers, threads, optimizer="sgd:0"):
        images, labels = data()
        return workers("PyTorch", peers.PYTHON, BENCH / "torch_worker.py", self.kind(), optimizer, threads, images, labels, self.parameters,
                       self.description, EXAMPLES, threads=threads)

    def onnx(self, workers, threads):
        return workers("ONNX Runtime", peers.PYTHON, BENCH / "onnx_worker.py", self.kind(), threads, data()[0], self.parameters,
                       self.description, EXAMPLES, threads=threads)

    def tiny_dnn(self, workers, threads, optimizer):
        images, labels = data()
        names = [f"{layer}.{part}" for layer in ("conv1", "conv2", "dense1", "dense2", "dense3") for part in ("weight", "bias")]
        offsets = {t["name"]: t["offset"] for t in self.about["parameters"]}
        return workers("tiny-dnn", tiny_dnn_programs()[min(threads, 2)], optimizer, images, labels, self.parameters, EXAMPLES,
                       *[offsets[n] for n in names], threads=threads)

    def kind(self):
        return "relu-max" if "relu" in self.model else "sigmoid-average"


tiny_dnn_found = None


def tiny_dnn_programs():
    """Raises Missing, and the second time without trying again."""
    global tiny_dnn_found
    if tiny_dnn_found is None:
        try:
            tiny_dnn_found = peers.tiny_dnn()
        except peers.Missing as e:
            tiny_dnn_found = e
    if isinstance(tiny_dnn_found, Exception):
        raise tiny_dnn_found
    return tiny_dnn_found


def outputs_agree(workers, batch):
    """The outputs of the first batch, of each worker and cnnc's, which is the first."""
    outputs = []
    for w in workers:
        path = BUILD / f"outputs-{w.name.replace(' ', '-')}.f32"
        w.ask("outputs", batch, path)
        outputs.append(read_floats(path))
    ours = outputs[0]
    largest = max(map(abs, ours))
    # One image's outputs against another's: where they are all the same, agreement says nothing.
    if batch > 1 and max(max(ours[k::10]) - min(ours[k::10]) for k in range(10)) < 0.02 * largest:
        raise Fault("the start parameters give every image the same outputs")
    for w, theirs in zip(workers[1:], outputs[1:]):
        difference = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        if not difference <= OUTPUT_TOLERANCE * largest:
            raise Fault(f"outputs of cnnc and {w.name} differ by {difference:.3g}, the largest is {largest:.3g}")


def losses_agree(ours, theirs, name):
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if not abs(a - b) <= LOSS_TOLERANCE * abs(b):
            raise Fault(f"step {step + 1}: loss {a:.7g} with cnnc, {b:.7g} with {name}")


# Each section gives rows for the JSON file and prints a table of its own.

OPTIMIZERS = {"SGD": ("sgd(lr=0.9)", "sgd:0.9"), "Adam": ("adam(lr=1e-3)", "adam:0.001")}


def training():
    """LeNet, one step with loss, gradients and update: PyTorch, tiny-dnn"""
    peers.python_packages()
    flop = flops("lenet")[1]
    rows, note = [], ""
    for batch in [256] if harness.options.quick else [256, 32, 57, 64, 1024]:
        for optimizer, (ours, theirs) in list(OPTIMIZERS.items())[:1 if harness.options.quick else None]:
            library = Library("lenet", batch, ours)
            for threads in counts() if batch == 256 else [2]:
                progress(f"training: {optimizer}, batch {batch}, {threads} threads")
                with Workers() as workers:
                    all_workers = [library.worker(workers, "train", threads), library.torch(workers, threads, theirs)]
                    try:
                        all_workers.append(library.tiny_dnn(workers, threads, theirs))
                    except peers.Missing as e:
                        note = f"tiny-dnn is not here: {e}"
                    reference = all_workers[0].ask("train", batch, 1)["losses"]

                    def one(w):
                        # The runs that are timed agree too: their warm-up steps are compared each time.
                        def run(n):
                            answer = w.ask("train", batch, n)
                            losses_agree(reference, answer["losses"], w.name)
                            return answer
                        return run

                    contestants = {w.name: one(w) for w in all_workers}
                    samples, peak = take_turns(contestants)
                made = rows_of("training", f"LeNet, {optimizer}", threads, batch, samples, peak, flop)
                progress("")
                if not rows:
                    show_head(made[0]["unit"])
                show_rows(made)
                rows += made
    say()
    if note:
        say(note)
    for threads in [] if harness.options.quick else [1, 2]:
        rate = {r["work"]: r["rate"] for r in rows if (r["who"], r["batch"], r["threads"]) == ("cnnc", 256, threads)}
        say(f"Adam takes {100 * (rate['LeNet, SGD'] / rate['LeNet, Adam'] - 1):.1f} % more time than SGD "
            f"at batch 256 with {threads} thread{'s' * (threads > 1)}")
    return rows


def counts():
    """Numbers of threads."""
    return [2] if harness.options.quick else [1, 2]


def models():
    return dict(list(MODELS.items())[:1 if harness.options.quick else None])


MODELS = {"lenet": "LeNet", "lenet_relu": "LeNet, ReLU and max pooling"}


def inference():
    """many images, batch 256: ONNX Runtime, PyTorch"""
    peers.python_packages()
    rows, batch = [], 256
    for model, title in models().items():
        library = Library(model, batch)
        for threads in counts():
            progress(f"inference: {model}, {threads} threads")
            with Workers() as workers:
                all_workers = [library.worker(workers, "infer", threads), library.onnx(workers, threads), library.torch(workers, threads)]
                outputs_agree(all_workers, batch)
                contestants = {w.name: lambda n, w=w: w.ask("predict", batch, n, EXAMPLES) for w in all_workers}
                samples, peak = take_turns(contestants)
            rows += rows_of("inference", title, threads, batch, samples, peak, flops(model)[0])
    progress("")
    show(rows)
    return rows


def latency():
    """one image, one thread: ONNX Runtime"""
    peers.python_packages()
    rows, pool = [], 256  # 0.8 MB of images: a single one is rarely far away
    for model, title in models().items():
        # The library for one image, and the one for many that is given a single one.
        libraries = {"cnnc": Library(model, 1), "cnnc, library for 256": Library(model, 256)}
        with Workers() as workers:
            ours = {name: library.worker(workers, "infer", 1) for name, library in libraries.items()}
            onnx = libraries["cnnc"].onnx(workers, 1)
            for w in ours.values():
                outputs_agree([w, onnx], 1)
            contestants = {name: lambda n, w=w: w.ask("predict", 1, n, pool) for name, w in ours.items()}
            contestants["ONNX Runtime"] = lambda n: onnx.ask("predict", 1, n, pool)
            contestants["ONNX Runtime, empty model"] = lambda n: onnx.ask("empty", n)
            progress(f"latency: {model}")
            samples, peak = take_turns(contestants)
        made = rows_of("latency", title, 1, 1, samples, peak, flops(model)[0])
        del made[-1]["share_of_peak"], made[-1]["gflops"]
        rows += made
    progress("")
    for r in rows:
        r["microseconds"] = 1e6 / r["rate"]
    table(["work", "", "µs an image", "spread", "share of peak", "cnnc is faster by"],
          [[r["work"], r["who"], f"{r['microseconds']:.2f}", percent(r["spread"]), percent(r["share_of_peak"]) if "share_of_peak" in r else "",
            f"{r['cnnc_ratio']:.2f}×" if "cnnc_ratio" in r else ""] for r in rows])
    say("The empty model copies ten floats: it takes the time of a call of ONNX Runtime from Python, which its other row contains.")
    return rows
