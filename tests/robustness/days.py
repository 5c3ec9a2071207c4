"""Bad days: a full disk, a read-only folder, a folder that another run is writing."""
import json
import pathlib
import shutil
import signal
import subprocess
import time

import common
from common import CNNC, check, cnnc, left_over, mount, npy, read_checkpoint, said, succeed, tiny_data, unmount, write

may_mount = False
mounted = []


def unmount_all():
    for folder in reversed(mounted):
        unmount(folder)
    mounted.clear()


def new_mount(folder, *arguments):
    folder.mkdir(parents=True, exist_ok=True)
    mount(*arguments, folder)
    mounted.append(folder)
    return folder


def whole(folder):
    """What of a run's files is not whole."""
    for name in ("best.ckpt", "last.ckpt"):
        if (folder / name).exists():
            read_checkpoint((folder / name).read_bytes())
    if (folder / "metrics.jsonl").exists():
        for line in (folder / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
    return f"left over: {left_over(folder)}" if left_over(folder) else None


def train(work, folder, *more):
    return cnnc("train", work / "tiny.dsl", "--data", f"{work / 'di.npy'},{work / 'dl.npy'}", "--epochs", 6, "--output", folder, *more)


def fill(path, free):
    """Fills the file system but for `free` bytes."""
    with open(path, "wb", buffering=0) as f:
        try:
            while f.write(bytes(65536)):
                pass
        except OSError:
            pass
        f.truncate(max(0, f.seek(0, 2) - free))


def full_disk(work, disk, pages, wanted):
    """A run that meets a full disk says so and leaves whole files; with room again it ends as if nothing had been."""
    run = disk / "run"
    shutil.rmtree(run, ignore_errors=True)
    fill(disk / "filler", pages * 4096)
    done = train(work, run)
    if done.returncode == 0:
        return None if pages else "no room was enough"
    fault = said(done, 3, disk, "No space left on device") or whole(run)
    if fault:
        return f"{pages} pages free: {fault}"
    (disk / "filler").unlink()
    again = cnnc("train", "--resume", run, "--quiet") if (run / "last.ckpt").exists() else train(work, run)
    if again.returncode:
        return f"{pages} pages free, then room: {said(again, 0)}"
    if [(run / n).read_bytes() for n in ("last.ckpt", "best.ckpt")] != wanted:
        return f"{pages} pages free, then room: other bits"


def full_disk_twice(work, disk):
    """A run that is resumed on a full disk keeps the files that it has."""
    run = disk / "run"
    shutil.rmtree(run, ignore_errors=True)
    train(work, run)
    before = {n: (run / n).read_bytes() for n in ("last.ckpt", "best.ckpt", "metrics.jsonl", "run.json", "model.dsl")}
    fill(disk / "filler", 0)
    fault = said(cnnc("train", "--resume", run, "--epochs", 9), 3, disk, "No space left on device") or whole(run)
    (disk / "filler").unlink()
    return fault or (f"{run}: a file was changed" if any((run / n).read_bytes() != b for n, b in before.items()) else None)


def full_library(work, disk):
    """`compile` on a full disk keeps the library that is there."""
    out = disk / "out"
    succeed("compile", work / "tiny.dsl", "-o", out)
    write(work / "other.dsl", (work / "tiny.dsl").read_text().replace("dense(3)", "dense(4)"))
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    fill(disk / "filler", 0)
    done = cnnc("compile", work / "other.dsl", "-o", out)
    (disk / "filler").unlink()
    fault = said(done, 3, out, "No space left on device")
    if not fault and before != {p.name: p.read_bytes() for p in out.iterdir()}:
        fault = "the library was changed"
    shutil.rmtree(out)
    return fault


def read_only(work, run):
    """A finished run in a read-only folder can be used, and neither resumed nor written over."""
    folder = new_mount(work / "read-only", "--bind", run)
    mount("-o", "remount,bind,ro", folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    for command in (["eval", folder], ["predict", folder, "train:0"]):
        if fault := said(cnnc(*command), 0):
            return fault
    for command in (["train", "--resume", folder, "--epochs", 9], ["compile", work / "tiny.dsl", "-o", folder],
                    ["train", work / "tiny.dsl", "--data", f"{work / 'di.npy'},{work / 'dl.npy'}", "--output", folder / "new"],
                    ["compile", work / "tiny.dsl", "--emit=graph", "-o", folder / "graph"]):
        if fault := said(cnnc(*command), 3, folder, "Read-only file system"):
            return fault
    if before != {p.name: p.read_bytes() for p in folder.iterdir()}:
        return "a file was changed"


def dev_full(work, run):
    with open("/dev/full", "wb") as full:
        for command in (["run", work / "tiny.dsl", "--input", work / "one.npy"], ["eval", run], ["predict", run, "train:0"],
                        ["summary", work / "tiny.dsl"], ["compile", work / "tiny.dsl", "--emit=graph"]):
            if fault := said(cnnc(*command, stdout=full), 3, "standard output", "No space left on device"):
                return fault
        done = train(work, work / "full-out", "--quiet")
        if done.returncode or whole(work / "full-out"):
            return said(done, 0) or whole(work / "full-out")
        # Messages that nobody can read are no reason to stop.
        return said(cnnc("train", "--resume", work / "full-out", "--epochs", 7, stderr=full), 0)


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        if time.monotonic() > end:
            raise RuntimeError("waited too long")
        time.sleep(0.002)


def ended(process, seconds=60):
    """What a process said on standard error; one that does not end is killed."""
    try:
        return process.communicate(timeout=seconds)[1].decode(errors="replace")
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise


def busy(work):
    """A second run into the same folder is refused while the first goes on undisturbed; readers are welcome."""
    run = work / "busy"
    spec = f"{work / 'di.npy'},{work / 'dl.npy'}"
    first = subprocess.Popen([CNNC, "train", str(work / "tiny.dsl"), "--data", spec, "--epochs", "100000", "--output", str(run), "-q"],
                             stderr=subprocess.PIPE)
    try:
        wait_for(lambda: (run / "metrics.jsonl").exists(), first)
        faults = [said(cnnc("train", work / "tiny.dsl", "--data", spec, "--output", run), 3, run, "another run is writing"),
                  said(cnnc("train", "--resume", run), 3, run, "another run is writing"),
                  *[said(cnnc("eval", run, "--checkpoint", c), 0) for c in ("best", "last")]]
        if first.poll() is not None:
            faults.append("the first run has ended")
    finally:
        first.send_signal(signal.SIGINT)
        ended(first)
    faults.append(None if first.returncode == 130 else f"exit code {first.returncode} of the first run, expected 130")
    faults.append(said(cnnc("train", work / "tiny.dsl", "--data", spec, "--output", run), 2, run, "--resume"))
    return next((f for f in faults if f), None) or whole(run)


def odd_files(work, run):
    """Folders, pipes, devices and nothing where a file should be."""
    pipe = work / "pipe.npy"
    subprocess.run(["mkfifo", str(pipe)], check=True)
    tiny, one = work / "tiny.dsl", str(work / "one.npy")
    (work / "folder.npy").mkdir()
    cases = [(3, pipe, ["run", tiny, "--input", pipe]), (3, "not a regular file", ["run", tiny, "--input", one, "--weights", "/dev/zero"]),
             (3, "folder.npy", ["run", tiny, "--input", work / "folder.npy"]), (3, "no.npy", ["run", tiny, "--input", work / "no.npy"]),
             (3, "no.dsl", ["run", work / "no.dsl", "--input", one]), (3, "no-run", ["eval", work / "no-run"]),
             (3, "no-run", ["train", "--resume", work / "no-run"]), (3, "best.ckpt", ["eval", work / "empty-run"]),
             (3, "last.ckpt", ["train", "--resume", work / "empty-run"]), (3, work / "one.npy", ["eval", one]),
             (3, one, ["train", tiny, "--data", f"{work / 'di.npy'},{work / 'dl.npy'}", "--output", f"{one}/run"]),
             (2, "1.npy", ["train", tiny, "--data", "1.npy,2.npy,3.npy"]), (3, "nowhere", ["train", tiny, "--data", work / "nowhere"])]
    shutil.copytree(run, work / "empty-run", ignore=lambda *_: ["best.ckpt", "last.ckpt", "metrics.jsonl"])
    return next((f for f in (said(cnnc(*command), code, word) for code, word, command in cases) if f), None)


def run(work: pathlib.Path):
    images, labels = tiny_data(48)
    write(work / "di.npy", npy((48, 5, 5), images))
    write(work / "dl.npy", npy((48,), labels))
    write(work / "one.npy", npy((1, 5, 5), images[:25]))
    good = work / "good-run"
    fault = said(train(work, good), 0) or whole(good)
    check("a run on a good day", lambda: fault)
    if fault:
        return
    check("a second run into the same folder", busy, work)
    check("no room on standard output", dev_full, work, good)
    check("folders, pipes and nothing in a file's place", odd_files, work, good)
    if not may_mount:
        return
    check("a read-only folder", read_only, work, good)
    disk = new_mount(work / "disk", "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    run_there = train(work, disk / "run")
    wanted = [(disk / "run" / n).read_bytes() for n in ("last.ckpt", "best.ckpt")] if run_there.returncode == 0 else []
    for pages in range(13) if common.LONG else (0, 1, 3, 4, 5, 6):
        check(f"a disk with {pages} pages of room", full_disk, work, disk, pages, wanted)
        (disk / "filler").unlink(missing_ok=True)
    check("a disk that fills between two runs", full_disk_twice, work, disk)
    check("a library on a full disk", full_library, work, disk)
