"""Runs that are killed or interrupted at random moments and resumed: the final bits are always the same."""
import json
import shutil
import signal
import subprocess
import time

from common import CNNC, LONG, check, cnnc, left_over, npy, read_checkpoint, rng, said, tiny_data, write

EPOCHS = 40


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


class Kills:
    def __init__(self, work):
        self.work, self.count = work, {signal.SIGKILL: 0, signal.SIGINT: 0, signal.SIGTERM: 0}
        began = time.monotonic()
        self.process(work / "straight", None, 0)
        self.duration = time.monotonic() - began
        self.wanted = final(work / "straight")
        self.inside = 0  # of a run that had begun to train and was not done

    def process(self, run, which, delay):
        """Starts or resumes `run`, and sends it `which` after `delay`; returns its exit code, negative for a signal."""
        p = start(self.work, run)
        if which is not None:
            try:
                p.wait(delay)
            except subprocess.TimeoutExpired:
                p.send_signal(which)
        message = p.communicate(timeout=120)[1].decode(errors="replace")
        if p.returncode not in (0, 130, -signal.SIGKILL, -signal.SIGTERM):
            raise RuntimeError(f"exit code {p.returncode} of {p.args}: {message}")
        if p.returncode == 130 and "interrupted in epoch" in message and f"go on with: cnnc train --resume {run}" not in message:
            raise RuntimeError(f"the message does not say how to go on: {message}")
        return p.returncode

    def chain(self, run, which, most):
        """Kills and resumes one run until it is done."""
        done = 0
        while done < most:
            code = self.process(run, which(), rng.uniform(0.3, 1) * self.duration)
            if code == 0:
                break
            done += 1
            self.count[signal.SIGINT if code == 130 else -code] += 1
            if (run / "last.ckpt").exists():
                at = read_checkpoint((run / "last.ckpt").read_bytes())
                self.inside += 0 < at["epoch"] < EPOCHS or at["step"] > 0
        while self.process(run, None, 0):
            pass
        fault = None
        if final(run) != self.wanted:
            names = ("last.ckpt", "best.ckpt", "metrics.jsonl")
            other = [n for n, a, b in zip(names, final(run), self.wanted) if a != b]
            fault = f"after {done} kills of one run: other bits in {other}"
        elif left_over(run):
            fault = f"left over: {left_over(run)}"
        shutil.rmtree(run)
        return fault

    def until(self, which, wanted):
        number = 0
        while self.count[which] < wanted:
            number += 1
            fault = self.chain(self.work / f"kill-{which}-{number}", lambda: which, wanted - self.count[which])
            if fault:
                return fault
            if number > 20 * wanted:
                return f"only {self.count[which]} signals met a run"


def interrupted(work):
    """Ctrl-C in the middle of an epoch: a message that says how to go on, and the place is kept."""
    run = work / "interrupted"
    p = start(work, run)
    end = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() and p.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    p.send_signal(signal.SIGINT)
    message = p.communicate(timeout=60)[1].decode()
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
    check("signals met runs that were training", lambda: None if kills.inside >= count // 3 else f"only {kills.inside} of {kills.count}")
    check("interrupted: how to go on", interrupted, work)
