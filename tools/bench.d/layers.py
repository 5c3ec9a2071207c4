"""Single convolutions beside oneDNN: the section layers. The list is layers.txt; what is timed is said in layer_worker.cpp and
onednn.cpp."""
import dataclasses
import math
import re
import shutil
import statistics

import harness
import peers
from harness import BENCH, BUILD, ROOT, Fault, Workers, peak_rate, percent, progress, say, spread

WORKER = ROOT / "build/bin/layer_worker"
# Of the largest element. Sums of float32 in another order differ by about 1e-6, fast convolutions by about 1e-5; a wrong kernel by
# far more.
TOLERANCE = 1e-4
FILES = {"y": "forward", "inferred": "inference", "dx": "data", "dw": "weight"}
DIRECTIONS = ["forward", "data", "weight", "inference"]
# What oneDNN's time of a direction is compared with: its forward pass is the same in training and in inference.
THEIRS = {"forward": ["forward"], "data": ["data"], "weight": ["weight"], "inference": ["forward"], "all": ["forward", "data", "weight"]}
TITLES = {"forward": "forward", "data": "data gradient", "weight": "weight gradient", "inference": "inference", "all": "all of training"}


@dataclasses.dataclass
class Shape:
    channels: int
    size: int
    outputs: int
    kernel: int
    stride: int
    padding: int
    batch: int
    quick: bool = False

    def __str__(self):
        stride = f"/{self.stride}" if self.stride > 1 else ""
        return f"{self.kernel}x{self.kernel}{stride} {self.channels}->{self.outputs} at {self.size}, batch {self.batch}"

    def words(self):
        return [self.channels, self.size, self.outputs, self.kernel, self.stride, self.padding, self.batch]

    def flop(self):
        side = (self.size + 2 * self.padding - self.kernel) // self.stride + 1
        return 2 * self.batch * self.outputs * side * side * self.channels * self.kernel ** 2


def listed():
    shapes = []
    for line in (BENCH / "layers.txt").read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            star = words[0] == "*"
            shapes.append(Shape(*map(int, words[star:]), star))
    options = harness.options
    chosen = [s for s in shapes if (re.search(options.layer, str(s)) if options.layer else s.quick or not options.quick)]
    if not chosen:
        raise Fault("no layer has such a name; they are:\n" + "\n".join(map(str, shapes)))
    return chosen


def agree(answer, name, shape):
    for file, found in answer.items():
        if not found["difference"] <= TOLERANCE * found["largest"]:
            raise Fault(f"{shape}: {TITLES[FILES[file]]}: cnnc and {name} differ by {found['difference']:.3g}, "
                        f"the largest element is {found['largest']:.3g}")


def measure(shape):
    """A row: of each direction the seconds of cnnc and oneDNN, medians over rounds."""
    options = harness.options
    folder = BUILD / "layers" / re.sub(r"\W+", "-", str(shape))
    folder.mkdir(parents=True, exist_ok=True)
    rounds, slot = (3, 0.05) if options.quick or options.no_peer else (7, 0.15)
    row = {"layer": str(shape), "shape": shape.words(), "flop": shape.flop(), "directions": {}}
    with Workers() as workers:
        ours = workers("cnnc", WORKER, *shape.words(), options.conv)
        row["compile_seconds"] = ours.hello["compile_seconds"]
        row["errors"] = ours.ask("data", folder)
        theirs = [] if options.no_peer else [workers(name, program, *shape.words(), folder) for name, program in peers.onednn().items()]
        row["onednn_kernels"] = {w.name: w.hello["kernels"] for w in theirs}
        for w in theirs:
            agree(w.ask("compare"), w.name, shape)
        shutil.rmtree(folder)

        def sample(worker, calls):
            answer = worker.ask("time", calls)
            kernels = answer.pop("kernels", None)
            return {d: statistics.fmean(seconds) for d, seconds in answer.items()}, kernels

        first, _ = sample(ours, 1)
        calls = max(1, min(50, int(slot / (first["all"] + first["inference"]))))
        peak, a, b = [], [], {w.name: [] for w in theirs}
        for _ in range(rounds):
            peak.append(peak_rate(1))
            seconds, row["kernels"] = sample(ours, calls)
            a.append(seconds)
            for w in theirs:
                b[w.name].append(sample(w, calls)[0])
    for d in [*DIRECTIONS, "all"]:
        seconds = [s[d] for s in a]
        flop = shape.flop() * (3 if d == "all" else 1)
        found = row["directions"][d] = {
            "seconds": statistics.median(seconds), "spread": spread(seconds), "gflops": flop / statistics.median(seconds) * 1e-9,
            "share_of_peak": statistics.median(flop / s * 1e-9 / p for s, p in zip(seconds, peak))}
        found["peers"] = {}
        for name, samples in b.items():
            other = [sum(s[direction] for direction in THEIRS[d]) for s in samples]
            found["peers"][name] = {"seconds": statistics.median(other), "spread": spread(other),
                                    "share_of_peak": statistics.median(flop / s * 1e-9 / p for s, p in zip(other, peak)),
                                    "ratio": statistics.median(o / s for o, s in zip(other, seconds))}
    return row


def cell(found):
    return ", ".join([percent(found["share_of_peak"]), *(f"{p['ratio']:.2f}×" for p in found["peers"].values())])


def mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def summary(rows):
    """Geometric means over all layers and over the 3x3 ones of stride 1, and the least ratio of a layer."""
    groups = {"all layers": rows, "3x3, stride 1": [r for r in rows if r["shape"][3:5] == [3, 1]]}
    result = {}
    for title, group in groups.items():
        if not group:
            continue
        result[title] = {}
        for d in [*DIRECTIONS, "all"]:
            of = [r["directions"][d] for r in group]
            result[title][d] = {"share_of_peak": mean(f["share_of_peak"] for f in of),
                                "peers": {name: {"ratio": mean(f["peers"][name]["ratio"] for f in of),
                                                 "least_ratio": min(f["peers"][name]["ratio"] for f in of)} for name in of[0]["peers"]}}
        found = result[title].values()
        say(f"| **{title}**, geometric mean | " + " | ".join(map(cell, found)) + " |")
        if rows[0]["onednn_kernels"]:
            say("| least ratio | " + " | ".join(", ".join(f"{p['least_ratio']:.2f}×" for p in f["peers"].values()) for f in found) + " |")
    return result


def layers():
    """convolutions of VGG, ResNet and AlexNet, one thread, each direction: oneDNN"""
    if not WORKER.exists():
        raise Fault("build/bin/layer_worker is not there; run tools/build")
    names = [] if harness.options.no_peer else peers.onednn()
    say("Each cell: share of peak by the direct method's multiply-adds" +
        "".join(f", by how much cnnc is faster than {name}" for name in names) + ". Both keep their own\n"
        "layouts, oneDNN its weights too; cnnc's directions of training contain what is made of the weights once an update, and a kernel\n"
        "that two directions need is counted in both.\n")
    head = ["layer", *TITLES.values()]
    say("| " + " | ".join(head) + " |")
    say("|---" * len(head) + "|")
    rows = []
    for shape in listed():
        progress(f"layers: {shape}")
        row = measure(shape)
        rows.append(row)
        progress("")
        say(f"| {row['layer']} | " + " | ".join(cell(found) for found in row["directions"].values()) + " |")
        if harness.options.kernels:
            for k in row["kernels"]:
                say(f"    {k['seconds'] * 1e3:9.3f} ms  {k['routine']:<14} {k['op']}  ({', '.join(k['directions'])})")
    means = summary(rows)
    say("\nThe largest error of a sample beside double, of the largest element:")
    for d in DIRECTIONS:
        worst = max(rows, key=lambda r: r["errors"][d]["relative"])
        say(f"  {TITLES[d]}: {worst['errors'][d]['relative']:.2g} ({worst['layer']})")
    return {"rows": rows, "means": means}
