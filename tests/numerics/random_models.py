#!/usr/bin/env python3
"""Random small models, each through `cnnc check`: layers in any order, odd sizes, strides and paddings.

    random_models.py [COUNT [SEED]]
"""
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CNNC = ROOT / "build/bin/cnnc"


def pair(r, low, high):
    a, b = r.randint(low, high), r.randint(low, high)
    return a, b, f"({a}, {b})" if a != b or r.random() < 0.3 else str(a)


def model(r):
    c, h, w = r.randint(1, 4), r.randint(3, 13), r.randint(3, 13)
    lines = ["model m", f"input x: f32[{c}, {h}, {w}]"]
    saved = None  # a value of the current shape for an add
    for _ in range(r.randint(1, 5)):
        kind = r.choice(["conv", "conv", "max_pool", "avg_pool", "sigmoid", "tanh", "relu", "softmax", "add"])
        if kind in ("conv", "max_pool", "avg_pool"):
            kh, kw, k = pair(r, 1, 4)
            sh, sw, s = pair(r, 1, 3)
            # padding below the kernel: a window of padding alone has no largest element
            top, left = r.randint(0, max(0, min(kh // 2, 2))), r.randint(0, max(0, min(kw // 2, 2)))
            if h + 2 * top < kh or w + 2 * left < kw:
                continue
            h, w = (h + 2 * top - kh) // sh + 1, (w + 2 * left - kw) // sw + 1
            arguments = f"kernel={k}, stride={s}, padding=({top}, {left})"
            if kind == "conv":
                c = r.randint(1, 9)
                lines.append(f"conv({c}, {arguments}{r.choice(['', ', bias=false', ', flip=true'])})")
            else:
                lines.append(f"{kind}({arguments}{', count_padding=false' if kind == 'avg_pool' and r.random() < 0.5 else ''})")
        elif kind == "softmax" and c == 1:
            continue  # of one channel it is 1, and every gradient before it zero
        elif kind == "add":
            name = f"v{len(lines)}"
            lines += [f"{name} = tanh", f"{name}b = conv({name}, {c}, kernel=3, padding=1)", f"add({name}, {name}b)"]
        else:
            lines.append(kind)
    if r.random() < 0.25:
        target = f"target t: f32[{c}, {h}, {w}]"
        lines.insert(2, target)
        lines += ["conv(%d, kernel=1)" % c, f"loss squared_error{r.choice(['', '(reduction=sum)'])}"]
    else:
        lines.append("flatten")
        for _ in range(r.randint(0, 2)):
            lines += [f"dense({r.randint(1, 40)})", r.choice(["sigmoid", "tanh"])]
        lines += [f"dense({r.randint(2, 30)})", "loss softmax_cross_entropy"]
    lines += [f"optimizer {r.choice(['sgd(lr=0.1)', 'adam'])}", f"batch {r.choice([1, 3, 16, 37])}"]
    return "\n".join(lines) + "\n"


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "m.dsl"
        for i in range(count):
            r = random.Random(seed * 100003 + i)
            text = model(r)
            conv = r.choice(["auto", "fast", "direct"])
            path.write_text(text)
            done = subprocess.run([CNNC, "check", path, "--samples", "6", "--conv", conv], capture_output=True, text=True, timeout=300)
            # A gradient that is zero everywhere is right where a layer is saturated or cut off; all else is wrong.
            bad = done.returncode != 0 and ("WRONG" in done.stdout or not done.stdout.count("  zero\n"))
            failed += bad
            print(("FAIL " if bad else "PASS ") + f"random model {seed}/{i}, --conv {conv}", flush=True)
            if bad:
                print("  " + (text + done.stdout + done.stderr).replace("\n", "\n  "))
    return 1 if failed else 0


sys.exit(main())
