#!/usr/bin/env python3
"""Libraries for other machines: linked by Debian's cross compilers and run under qemu-user, they train as the host's
library does; and libraries of several variants, which pick what the processor can run."""
import array
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = ROOT / "build/bin/cnnc"
OUT = ROOT / "build/targets"
STEP = ROOT / "tests/cpp/step.c"
MODELS = ["lenet_relu", "lenet_sgd", "learn_edge", "softmax_regression"]
ALL = "x86-64-linux-avx512,x86-64-linux-avx2,x86-64-linux"
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


def build(model, target, compiler, source=STEP, name=None, *flags):
    exe = OUT / (name or f"{model}-{target}")
    library = OUT / f"{exe.name}.lib"
    sh(CNNC, "compile", ROOT / f"models/{model}.dsl", "--target", target, "-o", library)
    sh(*compiler, "-O2", "-Wall", "-Wextra", "-Werror", f"-DMODEL={model}_model", "-I", library, "-I", ROOT / "runtime", source,
       library / f"lib{model}.a", "-lm", "-lpthread", "-o", exe, *flags)
    return exe


def values(exe, *runner):
    data = exe.with_suffix(".bin")
    sh(*runner, exe, data)
    v = array.array("f")
    v.frombytes(data.read_bytes())
    return v


def compare(model, found, wanted):
    """A step from the same start. Lanes differ, so sums are taken in another order: 2e-5 of the largest element."""
    text = (OUT / f"{model}-host.lib/{model}.h").read_text()
    count = int(re.search(r"_PARAMETER_COUNT (\d+)", text)[1])
    if len(found) != len(wanted):
        return f"{len(found)} values, expected {len(wanted)}"
    parts = [("gradient", 0, count), ("loss", count, count + 1), ("parameters", count + 1, 2 * count + 1),
             ("outputs", 2 * count + 1, len(wanted))]
    for name, begin, end in parts:
        largest = max(map(abs, wanted[begin:end]))
        difference = max(abs(x - y) if x == x else float("inf") for x, y in zip(found[begin:end], wanted[begin:end]))
        # Adam divides by the gradient's size: where that is near zero its rounding decides.
        tolerance = 1e-2 if name == "parameters" and model == "lenet_relu" else 2e-5
        if not largest > 0 or difference > tolerance * largest:
            return f"{name}: difference {difference:g} where the largest element is {largest:g}"


def cross(model, target, compiler, runner):
    return compare(model, values(build(model, target, compiler, STEP, None, "-static"), *runner), host[model])


def picks(exe, cpu, wanted):
    found = sh("qemu-x86_64", "-cpu", cpu, exe).split()
    return None if found[:2] == wanted.split() else f"on {cpu}: found '{' '.join(found)}', expected '{wanted}'"


OUT.mkdir(parents=True, exist_ok=True)
host = {m: values(build(m, "host", ["gcc"])) for m in MODELS}
for model in MODELS:
    check(f"targets/{model} for arm-64-linux",
          lambda: cross(model, "arm-64-linux", ["aarch64-linux-gnu-gcc"], ["qemu-aarch64"]))
    check(f"targets/{model} for riscv-64-linux",
          lambda: cross(model, "riscv-64-linux", ["riscv64-linux-gnu-gcc"], ["qemu-riscv64"]))
    check(f"targets/{model} for x86-64-linux", lambda: compare(model, values(build(model, "x86-64-linux", ["gcc"])), host[model]))

# status of init, then the variant's name and the status of a step
fat = build("lenet_sgd", ALL, ["gcc"], HERE / "which.c", "which-all", "-static")
narrow = build("lenet_sgd", "x86-64-linux-avx512", ["gcc"], HERE / "which.c", "which-avx512", "-static")
two = build("lenet_sgd", "x86-64-linux,x86-64-linux-avx2", ["gcc"], HERE / "which.c", "which-two", "-static")
check("targets/three variants, on a processor without AVX", lambda: picks(fat, "Nehalem", "0 x86-64-linux"))
check("targets/three variants, on a processor with AVX2", lambda: picks(fat, "Haswell", "0 x86-64-linux-avx2"))
check("targets/two variants in any order, with AVX2", lambda: picks(two, "Haswell", "0 x86-64-linux-avx2"))
check("targets/AVX-512 alone says that the processor lacks it", lambda: picks(narrow, "Haswell", "10 -"))
check("targets/three variants, on this machine", lambda: None if sh(fat).split()[0] == "0" else "init fails")
sys.exit(1 if failed else 0)
