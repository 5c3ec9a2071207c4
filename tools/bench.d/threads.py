"""One thread and two of the same library: the section threads."""
import statistics

from harness import BUILD, Fault, Workers, percent, progress, spread, table, take_turns
from lenet import Library

WORK = [("LeNet, SGD", "lenet", 256, "sgd(lr=0.9)", "train"), ("LeNet", "lenet", 256, None, "infer"),
        ("perceptron, SGD", "perceptron", 16, "sgd(lr=0.1)", "train"), ("perceptron", "perceptron", 16, None, "infer")]


def values_after(worker, mode, batch):
    """What five steps make of the parameters, or the outputs."""
    path = BUILD / "values.f32"
    if mode == "train":
        worker.ask("train", batch, 1)
        worker.ask("parameters", path)
    else:
        worker.ask("outputs", batch, path)
    return path.read_bytes()


def threads():
    """two threads beside one, of the same library and with the same bits; the perceptron is too small to use the second"""
    rows = []
    for title, model, batch, optimizer, mode in WORK:
        library = Library(model, batch, optimizer)
        progress(f"threads: {title}")
        with Workers() as workers:
            both = {n: library.worker(workers, mode, n) for n in (1, 2)}
            if values_after(both[1], mode, batch) != values_after(both[2], mode, batch):
                raise Fault(f"{title}: one thread and two do not give the same bits")
            words = {"train": lambda n: ("train", batch, n), "infer": lambda n: ("predict", batch, n, 10240)}[mode]
            samples, _ = take_turns({n: lambda k, w=w: w.ask(*words(k)) for n, w in both.items()})
        rows.append({"work": title, "mode": mode, "batch": batch, "one": batch / statistics.median(samples[1]),
                     "two": batch / statistics.median(samples[2]), "spread_one": spread(samples[1]), "spread_two": spread(samples[2]),
                     "speedup": statistics.median(a / b for a, b in zip(samples[1], samples[2]))})
    progress("")
    table(["work", "", "batch", "images/s with one", "spread", "with two", "spread", "two are faster by"],
          [[r["work"], r["mode"], str(r["batch"]), f"{r['one']:,.0f}", percent(r["spread_one"]), f"{r['two']:,.0f}", percent(r["spread_two"]),
            f"{r['speedup']:.2f}×"] for r in rows])
    return rows
