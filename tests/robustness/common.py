"""What the robustness tests share: a tiny model and data set, the command, and the lines PASS and FAIL."""
import ctypes
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CNNC = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else str(ROOT / "build/bin/cnnc")
LONG = os.environ.get("CNNC_LONG_TESTS") == "1"
SEED = int(os.environ.get("CNNC_SEED", "1"))
rng = random.Random(SEED)

MODEL = """model tiny
input image: f32[1, 5, 5]
conv(2, kernel=3)
relu
flatten
dense(3)
loss softmax_cross_entropy
optimizer adam(lr=1e-2)
init xavier_uniform
batch 8
"""
SMALL = """model small
input image: f32[1, 2, 3]
flatten
dense(2)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
init xavier_uniform
batch 4
"""
failed = 0


def fault_of(body, *arguments):
    """`body` returns what is wrong, or nothing."""
    try:
        return body(*arguments)
    except (OSError, RuntimeError, ValueError, LookupError, struct.error, subprocess.SubprocessError) as e:
        return f"{type(e).__name__}: {e}"


def check(name, body, *arguments):
    report(name, fault_of(body, *arguments))


def check_all(cases):
    """`cases`: (name, body, arguments...); two at a time, reported in order."""
    with ThreadPoolExecutor(2) as pool:
        for case, fault in zip(cases, pool.map(lambda c: fault_of(*c[1:]), cases)):
            report(case[0], fault)


def report(name, fault):
    global failed
    failed += bool(fault)
    print(f"{'FAIL' if fault else 'PASS'} robustness/{name}", flush=True)
    if fault:
        print(f"  (CNNC_SEED={SEED}) " + str(fault)[-4000:].replace("\n", "\n  "), flush=True)


def cnnc(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300, **options}
    done = subprocess.run([CNNC, *map(str, arguments)], **options)
    done.stdout, done.stderr = ((b or b"").decode(errors="replace") for b in (done.stdout, done.stderr))
    return done


def said(done, code, *words):
    """What is wrong with a command that should have ended with `code` and one message that has all of `words`."""
    text = f"exit code {done.returncode}, expected {code}\n{' '.join(done.args[1:])}\n{done.stderr[-1500:]}"
    if done.returncode != code or "internal error" in done.stderr:
        return text
    missing = [str(w) for w in words if str(w) not in done.stderr]
    if missing:
        return f"the message lacks {missing}\n{text}"
    if code in (1, 2, 3) and not (done.stderr.startswith("error: ") or ": error: " in done.stderr):
        return f"no message\n{text}"
    return None


def succeed(*arguments, **options):
    done = cnnc(*arguments, **options)
    if done.returncode:
        raise RuntimeError(said(done, 0))
    return done.stdout


def each(items, body):
    """The first fault of `body` over the items, two at a time, each with its own number."""
    with ThreadPoolExecutor(2) as pool:
        return next((f for f in pool.map(lambda pair: body(*pair), enumerate(items)) if f), None)


def npy(shape, data, descr="|u1", order="False", version=1):
    head = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    start = 10 if version == 1 else 12
    head += " " * (-(len(head) + start + 1) % 64) + "\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(head)) + head.encode() + data


def idx(shape, data, kind=8):
    return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", d) for d in shape) + data


def write(path, data):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def tiny_data(count, seed=7):
    r = random.Random(seed)
    labels = bytes(r.randrange(3) for _ in range(count))
    images = b"".join(bytes(min(255, r.randrange(120) + 100 * (i % 3 == label)) for i in range(25)) for label in labels)
    return images, labels


# The fields of a checkpoint, as runtime/checkpoint.cpp lists them. "s": a length and bytes.
FIELDS = [("model", "s"), ("fingerprint", "Q"), ("net", "s"), ("epoch", "I"), ("step", "Q"), ("loss_sum", "d"), ("correct", "Q"),
          ("seen", "Q"), ("seconds", "d"), ("best_epoch", "I"), ("best_loss", "d"), ("epochs", "I"), ("batch", "I"), ("seed", "Q"),
          ("examples", "I"), ("validation", "I"), ("data_crc", "I"), ("data", "s")]


def read_checkpoint(data):
    """A dictionary of the fields; raises ValueError where the file is not whole."""
    if data[:8] != b"CNNCCKPT" or struct.unpack_from("<Q", data, 12)[0] != len(data):
        raise ValueError(f"a checkpoint of {len(data)} bytes is not whole")
    if zlib.crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise ValueError("a checkpoint's check sum is wrong")
    at, fields = 20, {}
    for name, kind in FIELDS:
        if kind == "s":
            size = struct.unpack_from("<Q", data, at)[0]
            fields[name] = data[at + 8:at + 8 + size]
            at += 8 + size
        else:
            fields[name] = struct.unpack_from("<" + kind, data, at)[0]
            at += struct.calcsize("<" + kind)
    return fields


def make_checkpoint(fields):
    body = b"".join(struct.pack("<Q", len(fields[n])) + fields[n] if k == "s" else struct.pack("<" + k, fields[n]) for n, k in FIELDS)
    data = b"CNNCCKPT" + struct.pack("<IQ", 1, 20 + len(body) + 4) + body
    return data + struct.pack("<I", zlib.crc32(data))


def left_over(folder):
    return [p.name for p in pathlib.Path(folder).glob(".cnnc-tmp-*")]


def own_mounts():
    """Whether this process may mount: it then has a name space of its own, so nothing mounted outlives it."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(0x00020000) != 0:  # CLONE_NEWNS
        return False
    return subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def unmount(folder):
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def work_folder():
    memory = pathlib.Path("/dev/shm")  # where syncing a file costs nothing
    return tempfile.TemporaryDirectory(prefix="cnnc-robustness-", dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None)
