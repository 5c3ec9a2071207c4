"""Runs that are killed or interrupted at random moments and resumed: the final bits are always the same."""
import json
import shutil
import signal
import subprocess
import time

from common import CNNC, LONG, check, cnnc, left_over, npy, read_checkpoint, rng, said, tiny_data, write
from days import ended

EPOCHS = 250


def start(work, run):
    fresh = ["train", work / "tiny.dsl", "--data", f"{work / 'ki.npy'},{work / 'kl.npy'}", "--epochs", EPOCHS, "--seed", 5, "--output", run]
    resumed = ["train", "--resume", run]
    command = resumed if (run / "last.ckpt").exists() else fresh
    return subprocess.Popen([CNNC, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def final(run):
    """The bytes of the checkpoints, and the metrics without their times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"], line["images_per_second"]
    return (run / "last.ckpt").read_bytes(), (run / "best.ckpt").read_bytes(), lines


def stamp(run):
    """Changes when a run has compiled its model and begins: that writes run.json."""
    return (run / "run.json").stat().st_mtime_ns if (run / "run.json").exists() else 0


class Kills:
    def __init__(self, work):
        self.work, self.met, self.inside = work, 0, 0
        began = time.monotonic()
        p, before = start(work, work / "straight"), stamp(work / "straight")
        self.wait_for_begin(p, work / "straight", before)
        self.compiling = time.monotonic() - began
        if ended(p, 300) and p.returncode:
            raise RuntimeError(f"exit code {p.returncode} of a run that nothing happens to")
        self.training = time.monotonic() - began - self.compiling
        self.wanted = final(work / "straight")

    def wait_for_begin(self, p, run, before):
        while p.poll() is None and stamp(run) == before:
            time.sleep(0.001)

    def process(self, run, which):
        """Starts or resumes `run` and sends it `which` at a random moment, most often while it trains. True if it is done."""
        before, p = stamp(run), start(self.work, run)
        if which is not None and rng.random() < 0.85:
            self.wait_for_begin(p, run, before)
            time.sleep(rng.uniform(0, self.training / 3))
        elif which is not None:
            time.sleep(rng.uniform(0, self.compiling))
        if which is not None and p.poll() is None:
            p.send_signal(which)
        message = ended(p, 300)
        if p.returncode == 0:
            return True
        in_time = "interrupted in epoch" in message
        # Before main begins the system's own handler ends it; a shell shows 130 for that, too.
        too_early = which == signal.SIGINT and p.returncode == -signal.SIGINT and stamp(run) == before
        if not too_early and p.returncode != (130 if which == signal.SIGINT or in_time else -which if which else 0):
            raise RuntimeError(f"exit code {p.returncode} of {p.args}: {message}")
        if in_time and f"go on with: cnnc train --resume {run}" not in message:
            raise RuntimeError(f"the message does not say how to go on: {message}")
        self.met += 1
        if (run / "last.ckpt").exists():
            at = read_checkpoint((run / "last.ckpt").read_bytes())
            self.inside += 0 < at["epoch"] < EPOCHS or at["step"] > 0
        return False

    def chain(self, run, which, most):
        """Kills and resumes one run until it is done; returns what is wrong with it then."""
        before = self.met
        while not self.process(run, which if self.met < before + most else None):
            pass
        names = ("last.ckpt", "best.ckpt", "metrics.jsonl")
        other = [n for n, a, b in zip(names, final(run), self.wanted) if a != b]
        fault = f"after {self.met - before} signals to one run: other bits in {other}" if other else None
        fault = fault or (f"left over: {left_over(run)}" if left_over(run) else None)
        shutil.rmtree(run)
        return fault

    def until(self, which, wanted):
        self.met = self.inside = number = 0
        while self.met < wanted:
            number += 1
            fault = self.chain(self.work / f"kill-{which}-{number}", which, wanted - self.met)
            if fault:
                return fault
            if number > 10 * wanted:
                return f"only {self.met} signals met a run"
        return None if self.inside >= wanted // 3 else f"only {self.inside} of {self.met} signals met a run in its middle"


def interrupted(work):
    """Ctrl-C in the middle of an epoch: a message that says how to go on, and the place is kept."""
    run = work / "interrupted"
    p = start(work, run)
    end = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() and p.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    p.send_signal(signal.SIGINT)
    message = ended(p)
    if p.returncode != 130 or f"saved; go on with: cnnc train --resume {run}" not in message:
        return f"exit code {p.returncode}, expected 130: {message}"
    return said(cnnc("eval", run), 0) or said(cnnc("train", "--resume", run, "--quiet"), 0)


def run(work):
    images, labels = tiny_data(400)
    write(work / "ki.npy", npy((400, 5, 5), images))
    write(work / "kl.npy", npy((400,), labels))
    try:
        kills = Kills(work)
    except (RuntimeError, OSError) as e:
        return check("a run to be killed", lambda: str(e))
    count = 200 if LONG else 12
    check(f"killed {count} times and resumed: the same bits", kills.until, signal.SIGKILL, count)
    check(f"interrupted {count // 3} times and resumed: the same bits", kills.until, signal.SIGINT, count // 3)
    check(f"terminated {count // 6} times and resumed: the same bits", kills.until, signal.SIGTERM, count // 6)
    check("interrupted: how to go on", interrupted, work)
