#!/usr/bin/env python3
"""Builds the C++ output of every model with g++ and clang++, without a warning, and compares what it computes with the
object: each tensor to 1e-5 of its largest element. With --time it also prints how fast it is beside the object."""
import array
import pathlib
import re
import shlex
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = ROOT / "build/bin/cnnc"
OUT = ROOT / "build/cpp"
TIME = "--time" in sys.argv
failed = 0


def sh(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def check(name, body):
    global failed
    try:
        fault = body()
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        fault = str(e)
    failed += bool(fault)
    print(("FAIL " if fault else "PASS ") + name, flush=True)
    if fault:
        print("  " + fault[-3000:].replace("\n", "\n  "))


def program(model, objects, name):
    exe = OUT / name
    sh("gcc", "-O2", "-Wall", "-Wextra", "-Werror", f"-DMODEL={model}_model", "-I", ROOT / "runtime", HERE / "step.c", *objects,
       "-lm", "-lpthread", "-o", exe)
    return exe


def values(exe):
    data = exe.with_suffix(".bin")
    sh(exe, data)
    v = array.array("f")
    v.frombytes(data.read_bytes())
    return v


def tensors(model):
    """Sizes of the parts that step.c writes, by the header."""
    text = (OUT / f"{model}.h").read_text()
    count = int(re.search(r"_PARAMETER_COUNT (\d+)", text)[1])
    return count, "TRAIN_BYTES" in text


RATE = 1e-3  # of the models that are trained with Adam


def compare(model, found, wanted):
    count, trains = tensors(model)
    sizes = ([count, 1] if trains else []) + [count]
    sizes.append(len(wanted) - sum(sizes))
    if len(found) != len(wanted):
        return f"{len(found)} values, expected {len(wanted)}"
    gradients, at = wanted[:count] if trains else [], 0
    for i, n in enumerate(sizes):
        a, b = found[at:at + n], wanted[at:at + n]
        at += n
        largest = max(map(abs, b))
        allowed = [1e-5 * largest] * n
        if trains and i == 2:
            # Adam divides a gradient by its own size: where the gradient is hardly more than rounding, so is the step's
            # direction, and the step is as long as the learning rate.
            rounding = 1e-5 * max(map(abs, gradients))
            allowed = [x + RATE * min(1, rounding / (abs(g) + 1e-12)) for x, g in zip(allowed, gradients)]
        difference, bound = max(((abs(x - y) if x == x else float("inf"), z) for x, y, z in zip(a, b, allowed)), key=lambda d: d[0] / d[1] if d[1] else d[0])
        if not largest > 0 or difference > bound:
            return f"part {i}: difference {difference:g} where the largest element is {largest:g} and {bound:.2g} is allowed"


def model_test(model, compiler):
    source = OUT / f"{model}.cpp"
    flags = shlex.split(re.search(r"c\+\+ (.*) -c ", source.open().readline())[1])
    sh(compiler, *flags, "-Wall", "-Wextra", "-Werror", "-I", OUT, "-c", source, "-o", OUT / f"{model}-{compiler}.o")
    exe = program(model, [OUT / f"{model}-{compiler}.o"], f"{model}-{compiler}")
    fault = compare(model, values(exe), reference[model])
    if TIME and not fault:
        print(f"  object {sh(OUT / f'{model}-object', '--time').strip()}, {compiler} {sh(exe, '--time').strip()}")
    return fault


OUT.mkdir(parents=True, exist_ok=True)
reference = {}
for model in sorted(p.stem for p in (ROOT / "models").glob("*.dsl")):
    text = ROOT / f"models/{model}.dsl"
    for stage, file in (("cpp", f"{model}.cpp"), ("header", f"{model}.h"), ("obj", f"{model}.o")):
        sh(CNNC, "compile", text, f"--emit={stage}", "-o", OUT / file)
    reference[model] = values(program(model, [OUT / f"{model}.o"], f"{model}-object"))
    for compiler in ("g++", "clang++-14"):
        check(f"cpp/{model} with {compiler}", lambda: model_test(model, compiler))
sys.exit(1 if failed else 0)
