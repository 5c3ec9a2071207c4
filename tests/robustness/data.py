"""Files that are cut short, too long, of the wrong type, forged, or of another model."""
import gzip
import shutil
import struct

from common import (FIELDS, LONG, MODEL, SMALL, check, check_all, cnnc, each, idx, make_checkpoint, npy, read_checkpoint, rng, said, succeed,
                    tiny_data, write)

F32 = struct.pack("<25f", *[0.5] * 25)
IMAGES, LABELS = tiny_data(32)
GOOD_IMAGES, GOOD_LABELS = npy((32, 5, 5), IMAGES), npy((32,), LABELS)
BIG = 2 ** 40


def refused_data(work, number, images, labels, words, code=1):
    """Training on these refuses them by name, and makes no folder."""
    folder = work / f"data {number}"
    spec = f"{write(folder / 'i.npy', images)},{write(folder / 'l.npy', labels)}"
    fault = said(cnnc("train", work / "tiny.dsl", "--data", spec, "--output", folder / "run"), code, *words)
    if not fault and (folder / "run").exists():
        fault = f"{words}: the run's folder was made"
    shutil.rmtree(folder)
    return fault


def npy_cases():
    def images(*words, **k):
        return (k.pop("raw", None) or npy(k.pop("shape", (32, 5, 5)), k.pop("data", IMAGES), **k), GOOD_LABELS, ("i.npy", *words))

    def labels(*words, **k):
        return (GOOD_IMAGES, npy(k.pop("shape", (32,)), k.pop("data", LABELS), **k), ("l.npy", *words))

    nan = struct.pack("<f", float("nan"))
    return {
        "one byte too long": images("too long", "801", "800", raw=GOOD_IMAGES + b"\0"),
        "another file": images("not a .npy file", raw=b"\x89PNG\r\n\x1a\n" + bytes(64)),
        "of float16": images("'<f2'", descr="<f2", shape=(16, 5, 5)),
        "of complex numbers": images("'<c8'", descr="<c8", shape=(4, 5, 5)),
        "of objects": images("'|O'", descr="|O"),
        "big-endian": images("big-endian", "'>f4'", descr=">f4", shape=(8, 5, 5)),
        "of integers": images("int16", "uint8 or float32", descr="<i2", shape=(16, 5, 5)),
        "column-major": images("ascontiguousarray", order="True"),
        "of another size": images("images of 28x28", "1x5x5", shape=(1, 28, 28), data=bytes(784)),
        "with three channels": images("images of 3x5x5", "1x5x5", shape=(10, 3, 5, 5), data=bytes(750)),
        "a single number": images("a single number", shape="()", data=b"\0"),
        "with no images": images("holds no images", shape=(0, 5, 5), data=b""),
        "with sizes that overflow": images("9223372036854775808", "largest size", shape=(2 ** 63, 2, 5)),
        "with a size beyond 64 bits": images("dimension is too large", shape=(10 ** 30, 5, 5)),
        "with sizes above all memory": images("largest size", shape=(BIG, 5, 5)),
        "with sizes that are not there": images("cut short", "25000000", shape=(1000000, 5, 5)),
        "with a negative size": images("bad .npy header", shape=(-32, 5, 5)),
        "of version 9": images("version 9", raw=GOOD_IMAGES[:6] + b"\x09" + GOOD_IMAGES[7:]),
        "with a NaN": images("element 30", "nan", descr="<f4", shape=(32, 5, 5), data=bytes(120) + nan + bytes(3076)),
        "with a double above float32": images("element 0", "inf", descr="<f8", shape=(1, 5, 5), data=struct.pack("<25d", *[1e300] * 25)),
        "labels too few": (GOOD_IMAGES, npy((31,), LABELS[:31]), ("i.npy has 32 images", "l.npy has 31 labels")),
        "labels of floats": labels("float32", "integer", descr="<f4", data=bytes(128)),
        "a label too large": labels("label 3 of item 31", "below 3", data=LABELS[:31] + b"\3"),
        "a negative label": labels("label -1 of item 0", descr="|i1", data=b"\xff" + LABELS[1:]),
        "a label of 2^63": labels("of item 31", descr="<u8", data=bytes(31 * 8) + struct.pack("<Q", 2 ** 63)),
        "labels of two columns": labels("32x2", shape=(32, 2), data=LABELS * 2),
    }


def idx_case(work, number, images, labels, *words, code=1, packed=False):
    folder = work / f"idx {number}"
    end = ".gz" if packed else ""
    if images is not None:
        write(folder / f"train-images-idx3-ubyte{end}", images)
    if labels is not None:
        write(folder / f"train-labels-idx1-ubyte{end}", labels)
    return said(cnnc("train", work / "tiny.dsl", "--data", folder, "--output", folder / "run"), code, *words)


def idx_cases():
    good, labels = idx((32, 5, 5), IMAGES), idx((32,), LABELS)
    name = "train-images-idx3-ubyte"
    packed, packed_labels = gzip.compress(good), gzip.compress(labels)
    return {
        "cut short": (good[:-1], labels, name, "cut short", "815", "816"),
        "cut in its header": (good[:7], labels, name, "cut short"),
        "empty": (b"", labels, name, "cut short: 0 bytes"),
        "too long": (good + b"\0", labels, name, "more data", "800"),
        "of floats": (idx((32, 5, 5), IMAGES, kind=13), labels, name, "0x0d", "0x08"),
        "of another size": (idx((2, 28, 28), bytes(1568)), labels, name, "28x28", "1x5x5"),
        "with sizes that overflow": (idx((2 ** 32 - 1,) * 3, IMAGES), labels, name, "4294967295x4294967295x4294967295", "largest size"),
        "with sizes that are not there": (idx((2 ** 20, 5, 5), IMAGES), labels, name, "cut short", "1048576x5x5"),
        "with nine dimensions": (idx((1,) * 9, IMAGES), labels, name, "9 dimensions"),
        "labels missing": (good, None, "train-labels-idx1-ubyte", "No such file"),
        "labels in the images' place": (labels, good, name, "scalar", "1x5x5"),
        "packed and cut": (packed[:-9], packed_labels, name + ".gz", "cut short"),
        "packed and damaged": (packed[:40] + bytes([packed[40] ^ 255]) + packed[41:], packed_labels, name + ".gz"),
        "not packed but so named": (good, packed_labels, name + ".gz", "gzip"),
        "packed with more behind it": (packed + b"more", packed_labels, name + ".gz", "more data"),
        "packed to fill all memory": (gzip.compress(idx((2 ** 16, 2 ** 16, 8), bytes(10 ** 7))), packed_labels, name + ".gz", "cut short"),
    }


def all_idx(work, key):
    images, labels, *words = idx_cases()[key]
    return idx_case(work, key, images, labels, *words, code=3 if key == "labels missing" else 1,
                    packed="packed" in key)


def cuts(size):
    return range(size) if LONG else sorted({0, 1, 5, 7, 9, 11, size - 1, *(rng.randrange(size) for _ in range(5))})


def npy_cuts(work):
    whole = npy((1, 5, 5), F32, descr="<f4")
    model = write(work / "pixels.dsl", "model pixels\ninput x: f32[1, 5, 5]\nrelu\n")
    succeed("run", model, "--input", write(work / "whole.npy", whole))

    def one(number, length):
        path = write(work / f"cut-{number}.npy", whole[:length])
        return said(cnnc("run", model, "--input", path), 1, path)
    return each(cuts(len(whole)), one)


def weights(work, number, data, *words):
    path = write(work / f"weights-{number}.ckpt", data)
    fault = said(cnnc("run", work / "small.dsl", "--input", "[[1,2,3],[4,5,6]]", "--weights", path), 1, path, *words)
    if not fault and path.read_bytes() != data:
        fault = f"{path}: was changed"
    path.unlink()
    return fault


def weight_bits(work, whole):
    bits = range(8 * len(whole)) if LONG else rng.sample(range(8 * len(whole)), 16)

    def one(number, bit):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        fault = weights(work, number, bytes(data))
        return fault and f"bit {bit}: {fault}"
    return each(bits, one)


def damaged_runs(work, run):
    """What each command says of each damaged file of a run."""
    cases = [("last.ckpt", ["train", "--resume", "R"], lambda d: d[:-1]), ("last.ckpt", ["train", "--resume", "R"], lambda d: b""),
             ("best.ckpt", ["eval", "R"], lambda d: d + b"\0"), ("best.ckpt", ["predict", "R", "train:0"], lambda d: d[:50]),
             ("last.ckpt", ["eval", "R", "--checkpoint", "last"], lambda d: d[:100] + bytes([d[100] ^ 1]) + d[101:]),
             ("metrics.jsonl", ["train", "--resume", "R"], lambda d: d[:-9]),
             ("metrics.jsonl", ["train", "--resume", "R"], lambda d: b'{"epoch":1}\n'),
             ("metrics.jsonl", ["train", "--resume", "R"], lambda d: d.replace(b'"epoch":1', b'"epoch":2')),
             ("model.dsl", ["eval", "R"], lambda d: d[:30]), ("model.dsl", ["eval", "R"], lambda d: bytes(range(256))),
             ("model.dsl", ["train", "--resume", "R"], lambda d: d.replace(b"dense(2)", b"dense(3)")),
             *[("run.json", ["train", "--resume", "R"], lambda d, n=n: d[:n]) for n in (0, 1, 20, 90)],
             ("run.json", ["eval", "R"], lambda d: b"[" * 100000)]
    return damaged_each(work, run, cases)


def damaged_overrides(work, run):
    """What run.json says that the command line changed; it is the file that is at fault now."""
    values = ['{"batch": "-3"}', '{"batch": "99999999999999999999"}', '{"batch": "12x"}', '{"optimizer": "sgd(("}',
              '{"optimizer": "sgd(lr=-1)"}', '{"init": "best"}', '{"colour": "red"}', "7", '{"batch": 3}']
    return damaged_each(work, run, [("run.json", ["eval", "R"], lambda d, v=v: d.replace(b'"overrides": {}', f'"overrides": {v}'.encode()))
                                    for v in values])


def damaged_each(work, run, cases):
    def one(number, case):
        name, command, damage = case
        folder = work / f"damaged-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        before = (folder / name).read_bytes()
        after = damage(before)
        if before == after:
            return f"{case}: nothing was damaged"
        write(folder / name, after)
        # A model of another text has other parameters: the checkpoint is named.
        done = cnnc(*[str(folder) if a == "R" else a for a in command])
        fault = said(done, 1, folder if name != "run.json" else "")
        if not fault and (folder / name).read_bytes() != after:
            fault = f"{name}: was changed"
        shutil.rmtree(folder)
        return fault and f"{name} of {len(after)} bytes: {fault}"
    return each(cases, one)


def forged(work, run):
    """Whole checkpoints, with a right check sum, whose values cannot be: refused by name, or harmless."""
    good = read_checkpoint((run / "last.ckpt").read_bytes())
    extremes = {"I": [0, 1, 2, 2 ** 31, 2 ** 32 - 1], "Q": [0, 1, 2 ** 32, 2 ** 64 - 1], "d": [float("nan"), float("inf"), -1.0]}
    changes = [{n: v} for n, k in FIELDS if k in extremes for v in extremes[k]]
    changes += [{"epoch": 1, "step": 2 ** 63, "epochs": 9}, {"epoch": 1, "step": 2 ** 62, "seen": 1, "epochs": 9},
                {"epoch": 1, "step": 1, "seen": 0}, {"net": b""}, {"net": good["net"][:-1]}, {"data": b""}, {"data": b"\xff\0,\n"},
                {"model": b"\0" * 9999}, {"validation": good["examples"]}, {"validation": good["examples"] - 1}]
    if not LONG:
        changes = rng.sample(changes[:-10], 9) + changes[-10:]

    def one(number, change):
        folder = work / f"forged-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        write(folder / "last.ckpt", make_checkpoint({**good, **change}))
        commands = [["train", "--resume", folder, "--epochs", 4, "--quiet"], ["eval", folder, "--checkpoint", "last"]]
        for command in commands if LONG or "net" in change else commands[:1]:
            done = cnnc(*command, timeout=60)
            names = done.returncode == 1 and "data" not in change and not change.keys() & {"data_crc", "examples"}
            fault = said(done, done.returncode, folder if names else "")
            if fault or done.returncode not in (0, 1, 2, 3):
                return f"{str(change)[:200]}: {fault or said(done, 1)}"
        shutil.rmtree(folder)
    return each(changes, one)


def run(work):
    write(work / "tiny.dsl", MODEL)
    write(work / "small.dsl", SMALL)
    check_all([(f"npy {name}", refused_data, work, name, *case) for name, case in npy_cases().items()])
    check_all([(f"idx {name}", all_idx, work, name) for name in idx_cases()])
    check("npy cut at any length", npy_cuts, work)

    spec = f"{write(work / 'i.npy', npy((12, 2, 3), IMAGES[:72]))},{write(work / 'l.npy', npy((12,), bytes([0, 1] * 6)))}"
    small = work / "small-run"
    succeed("train", work / "small.dsl", "--data", spec, "--epochs", 3, "--output", small, "--quiet")
    whole = (small / "last.ckpt").read_bytes()
    check("weights cut at any length", lambda: each(cuts(len(whole)), lambda n, length: weights(work, f"cut-{n}", whole[:length])))
    check("weights with any bit flipped", weight_bits, work, whole)
    check("weights too long", weights, work, 0, whole + b"\0", "too long")
    check("weights of another kind of file", weights, work, 0, GOOD_IMAGES, "not a checkpoint")
    succeed("train", work / "tiny.dsl", "--data", f"{write(work / 'ti.npy', GOOD_IMAGES)},{write(work / 'tl.npy', GOOD_LABELS)}",
            "--epochs", 1, "--output", work / "tiny-run", "--quiet")
    check("weights of another model", weights, work, 0, (work / "tiny-run/last.ckpt").read_bytes(), "another model", "tiny")
    check("damaged files of a run", damaged_runs, work, small)
    check("damaged overrides of a run", damaged_overrides, work, small)
    check("forged checkpoints", forged, work, small)
