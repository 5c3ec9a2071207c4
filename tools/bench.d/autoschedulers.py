"""cnnc's schedules beside those of Halide's autoschedulers, kernel by kernel: the section autoschedulers. How it is done is said in
autoschedulers.cpp."""
import json
import math
import statistics
import subprocess

from harness import BUILD, ROOT, Fault, command, percent, progress, say, table

NAMES = ["Adams2019", "Li2018", "Mullapudi2016"]
LONGEST = 60  # seconds for one schedule
FORMS = {"auto": "as cnnc computes LeNet", "direct": "the direct form of the same layers"}


def lines(mode, conv, folder):
    words = [ROOT / "build/bin/autoschedulers", mode, ROOT / "models/lenet.dsl", conv, folder, LONGEST]
    with subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise Fault(f"autoschedulers {mode}: exit code {process.returncode}")


def cell(row, name):
    if name in row["seconds"]:
        return f"{row['seconds'][name] * 1e6:.2f}"
    return f"> {LONGEST} s" if row["failures"][name].startswith("not done") else "wrong" if row["failures"][name].startswith("wrong") else "fails"


def autoschedulers():
    """every kernel of LeNet, forward and backward, one thread: Halide's autoschedulers"""
    command("cmake", "--build", ROOT / "build", "--target", "autoschedulers")
    folder = BUILD / "autoschedulers"
    folder.mkdir(parents=True, exist_ok=True)
    result = {}
    for conv, title in FORMS.items():
        for n, made in enumerate(lines("make", conv, folder)):
            progress(f"autoschedulers: {n + 1} of {made['of']} kernels, {title}")
        rows = list(lines("time", conv, folder))
        progress("")
        for row in rows:
            others = [row["seconds"][n] for n in NAMES if n in row["seconds"]]
            row["best"] = min(others) if others else None
            row["ratio"] = row["best"] / row["seconds"]["cnnc"] if others else None
        say(f"{title}, µs a chunk (train_kept: for {max(r['chunks'] for r in rows)} chunks); ratio: the best of the three by cnnc's; memory: "
            "what loading all that the kernel reads and storing all that it writes takes, of cnnc's time")
        table(["kernel", "in", "cnnc", *NAMES, "ratio", "memory"],
              [[r["what"], " ".join(sorted(set(r["routines"]))), cell(r, "cnnc"), *(cell(r, n) for n in NAMES), f"{r['ratio']:.2f}" if r["ratio"] else "",
                percent(r["move"] / r["seconds"]["cnnc"])] for r in rows])
        ratios = [r["ratio"] for r in rows if r["ratio"]]
        say(f"geometric mean {math.exp(statistics.fmean(map(math.log, ratios))):.2f}; cnnc is behind in {sum(r < 1 for r in ratios)} of {len(rows)} kernels, "
            f"by more than 2 % in {sum(r < 0.98 for r in ratios)}")
        for routine in ("train", "infer"):
            here = [(r, n / r["chunks"]) for r in rows if (n := sum(name in (routine, routine + "_kept") for name in r["routines"])) and r["best"]]
            say(f"all kernels of {routine}: cnnc {sum(n * r['seconds']['cnnc'] for r, n in here) * 1e6:.1f} µs, "
                f"the best of the three for each {sum(n * r['best'] for r, n in here) * 1e6:.1f} µs")
        result[conv] = rows
    return result
