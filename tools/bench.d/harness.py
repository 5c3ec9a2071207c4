"""What the sections of tools/bench share: programs that answer lines, taking turns, tables."""
import array
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import peers

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "tools/bench.d"
CNNC = ROOT / "build/bin/cnnc"
BUILD = ROOT / "build/bench"

options = None  # the command line, once it is parsed


class Fault(Exception):
    pass


def say(text=""):
    print(text, flush=True)


# Programs that answer a line with a line

class Worker:
    def __init__(self, name, *command, threads=1):
        self.name = name
        self.log = BUILD / "log" / f"{name.replace(' ', '-')}-{threads}"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Large pages for whoever allocates much, as runtime/aligned_bytes.h asks for them.
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), GLIBC_TUNABLES="glibc.malloc.hugetlb=1")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            text=True, env=environment)
        self.hello = self.answer("start")

    def answer(self, line):
        try:
            return json.loads(self.process.stdout.readline())
        except ValueError:
            self.process.kill()
            code = self.process.wait()
            raise Fault(f"{self.name} gave no answer to '{line}' (exit code {code})\n{self.log.read_text()[-2000:]}") from None

    def ask(self, *words):
        line = " ".join(map(str, words))
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # said below, with what it wrote
        return self.answer(line)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Workers:
    """Closes what was opened, also after a fault."""

    def __enter__(self):
        self.all = []
        return self

    def __call__(self, *arguments, **options):
        self.all.append(Worker(*arguments, **options))
        versions.setdefault(self.all[-1].name, self.all[-1].hello.get("version"))
        machine.update({k: v for k, v in self.all[-1].hello.items() if k == "vector_bits"})
        return self.all[-1]

    def __exit__(self, *_):
        for w in self.all:
            w.close()


versions = {}
machine = {}


# Taking turns

def take_turns(contestants):
    """contestants: name -> function of a number of repetitions whose answer has their seconds, and that of the first, which is cnnc,
    the FMA rate meanwhile. Returns name -> seconds of one repetition in each round, and the FMA rate in each round."""
    slot, rounds = (0.15, 5) if options.quick else (0.4, 9)
    repetitions = {}
    for name, run in contestants.items():
        n = 2
        for _ in range(3):  # also the warm-up
            seconds = run(n)["seconds"]
            n = max(1, min(int(n * slot / max(seconds, 1e-9)), 200 * n))
            if n == 1:
                break
        repetitions[name] = n
    samples, peak = collections.defaultdict(list), []
    for _ in range(rounds):
        for name, run in contestants.items():
            time.sleep(0.02)  # threads that still spin for more work of the last one go to sleep
            answer = run(repetitions[name])
            samples[name].append(answer["seconds"] / repetitions[name])
            if name == next(iter(contestants)):
                peak.append(answer["gflops"])
                peak_rates[answer["threads"]].append(answer["gflops"])
    return samples, peak


peak_worker = None
peak_rates = collections.defaultdict(list)


def peak_rate(threads):
    """GFLOP/s of so many threads together, now, in a process of their own."""
    global peak_worker
    if peak_worker is None:
        peak_worker = Worker("peak", peers.peak())
        machine.update(peak_worker.hello)
    peak_rates[threads].append(peak_worker.ask(threads, 0.03)["gflops"])
    return peak_rates[threads][-1]


def spread(values):
    return (max(values) - min(values)) / statistics.median(values)


def rows_of(section, work, threads, batch, samples, peak, flop, unit="images/s"):
    """A row of the table for each contestant; those of cnnc come first and are what the peers are compared with."""
    rows = []
    for name, seconds in samples.items():
        rates = [batch / s for s in seconds]
        shares = [r * flop * 1e-9 / p for r, p in zip(rates, peak)]
        row = {"section": section, "work": work, "batch": batch, "threads": threads, "who": name, "unit": unit,
               "rate": statistics.median(rates), "spread": spread(rates), "gflops": statistics.median(rates) * flop * 1e-9,
               "share_of_peak": statistics.median(shares)}
        if name != "cnnc":
            row["cnnc_ratio"] = statistics.median(p / c for p, c in zip(seconds, samples["cnnc"]))
        rows.append(row)
    return rows


def percent(value):
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def table(head, rows):
    table_head(head)
    for row in rows:
        say("| " + " | ".join(row) + " |")
    say()


def table_head(head):
    say()
    say("| " + " | ".join(head) + " |")
    say("|---" * len(head) + "|")


def show_head(unit):
    table_head(["work", "batch", "threads", "", unit, "spread", "share of peak", "cnnc is faster by"])


def show_rows(rows):
    """Lines of a table that are known already."""
    for r in rows:
        say("| " + " | ".join([r["work"], str(r["batch"]), str(r["threads"]), r["who"], f"{r['rate']:,.0f}", percent(r["spread"]),
                               percent(r["share_of_peak"]), f"{r['cnnc_ratio']:.2f}×" if "cnnc_ratio" in r else ""]) + " |")


def show(rows):
    show_head(rows[0]["unit"])
    show_rows(rows)
    say()


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def read_floats(path):
    values = array.array("f")
    values.frombytes(path.read_bytes())
    return values


def command(*words, environment=None):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise Fault(f"{' '.join(map(str, words))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout
