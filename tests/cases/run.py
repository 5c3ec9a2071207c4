#!/usr/bin/env python3
"""Runs the worked cases of this folder through the real command and compares what it prints, exactly.

A case is a model whose comments say what is expected:
    # input: [[[0, 1], [2, 3]]]      then   # expect: [[[...]]]
    # expect-shape: 1x8x8            of the output for an input of ones
    # expect-summary: 3x3            a word in what `cnnc summary` prints
"""
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/bin/cnnc")
failed = 0


def report(name, fault):
    global failed
    failed += bool(fault)
    print(("FAIL " if fault else "PASS ") + name, flush=True)
    if fault:
        print("  " + fault.replace("\n", "\n  "))


def cnnc(*arguments):
    """Standard output; raises RuntimeError with the messages if the command fails."""
    done = subprocess.run([CNNC, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def run(model, value):
    return cnnc("run", model, "--input", value if isinstance(value, str) else json.dumps(value)).strip()


def shape(value):
    return [len(value)] + shape(value[0]) if isinstance(value, list) else []


def filled(dims, value):
    """A nested list; value(index) gives each element."""
    def make(index):
        return [make(index + (i,)) for i in range(dims[len(index)])] if len(index) < len(dims) else value(index)
    return make(())


def words(text):
    return re.findall(r"[\w.]+", text.replace(",", ""))


def check(name, body):
    try:
        fault = body()
    except (RuntimeError, OSError, ValueError, LookupError, TypeError, subprocess.TimeoutExpired) as e:
        fault = str(e) or repr(e)
    report(name, fault)


def case(path):
    text = path.read_text()
    said = re.findall(r"^# (input|expect|expect-shape|expect-summary): (.*)$", text, re.M)
    dims = [int(n) for n in re.search(r"^input \w+: f32\[(.*?)\]", text, re.M)[1].split(",")]
    value, number = None, 0
    for key, wanted in said:
        if key == "input":
            value = wanted
            continue
        number += 1

        def body():
            if key == "expect":
                found = run(path, value)
                return None if found == wanted else f"expected {wanted}\nfound    {found}"
            if key == "expect-shape":
                found = "x".join(map(str, shape(json.loads(run(path, filled(dims, lambda i: 1))))))
                return None if found == wanted else f"expected the shape {wanted}, found {found}"
            found = cnnc("summary", path)
            return None if wanted in words(found) else f"expected '{wanted}' in\n{found}"
        check(f"cases/{path.stem}" + (f" {number}" if number > 1 else ""), body)


def pixels():
    image = filled([3, 3, 3], lambda i: ((i[0] * 31 + i[1] * 17 + i[2] * 7) % 13 - 6) / 4)
    whole = json.loads(run(HERE / "conv_1x1.dsl", image))
    for r in range(3):
        for c in range(3):
            one = json.loads(run(HERE / "dense_pixel.dsl", [[[image[k][r][c]]] for k in range(3)]))
            while isinstance(one[0], list):
                one = [v[0] for v in one] if len(one) == 2 else one[0]
            for k in range(2):
                if abs(whole[k][r][c] - one[k]) > 1e-6:
                    return f"channel {k}, pixel ({r}, {c}): convolution {whole[k][r][c]}, dense {one[k]}"


def lenet():
    found = words(cnnc("summary", ROOT / "models/lenet.dsl"))
    at = 0
    for wanted in ["6x28x28", "6x14x14", "16x10x10", "16x5x5", "400", "120", "84", "10"]:
        if wanted not in found[at:]:
            return f"expected '{wanted}' after {found[:at][-8:]}"
        at = found.index(wanted, at) + 1
    return None if "61706" in found else "expected 61706 parameters"


for path in sorted(HERE.glob("*.dsl")):
    case(path)
check("cases/conv_1x1 is dense at each pixel", pixels)
check("cases/shapes and parameters of models/lenet.dsl", lenet)
edge = [[[1, 1, 0, 0, 0, 0, 1, 1]] * 6]
wanted = str([[[0, 1, 0, 0, 0, -1, 0]] * 6])
check("cases/models/edge_detector.dsl", lambda: (lambda f: None if f == wanted else f"expected {wanted}\nfound    {f}")(
    run(ROOT / "models/edge_detector.dsl", edge)))
sys.exit(1 if failed else 0)
