#!/usr/bin/env python3
"""Adds a layer as the README says, one file and one line, and uses it: nothing else is compiled again."""
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build"
OUT = BUILD / "add_layer"
failed = 0
MODEL = """model leaky
input x: f32[2, 7, 6]
conv(3, kernel=2)
leaky_relu
max_pool(2)
flatten
dense(4)
loss softmax_cross_entropy
optimizer sgd(lr=0.1)
batch 20
"""


def sh(*command, code=0):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout + done.stderr


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


def link_command():
    """How ninja links cnnc: the same, with the new registry and the new layer before the library."""
    lines = sh("ninja", "-C", BUILD, "-t", "commands", "bin/cnnc").strip().splitlines()
    return re.sub(r"^.*?&& ", "", lines[-1]) if lines[-1].startswith(": &&") else lines[-1]


def build():
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "layers").mkdir(parents=True)
    text = (ROOT / "compiler/layers/registry.def").read_text()
    (OUT / "layers/registry.def").write_text(text + "REGISTER(leaky_relu)\n")
    cache = (BUILD / "CMakeCache.txt").read_text()
    halide = re.search(r"^HALIDE_INCLUDE:PATH=(.*)$", cache, re.M)[1]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-I", OUT, "-I", ROOT / "compiler", "-isystem", halide]
    objects = []
    for source in (HERE / "leaky_relu.cpp", ROOT / "compiler/layers/registry.cpp"):
        objects.append(OUT / f"{source.stem}.o")
        sh("g++", *flags, "-c", source, "-o", objects[-1])
    command = link_command().split(" && :")[0]
    command = command.replace("-o bin/cnnc", " ".join(map(str, objects)) + f" -o {OUT / 'cnnc'}")
    done = subprocess.run(command, shell=True, cwd=BUILD, capture_output=True, text=True)
    return done.stderr or "not linked" if done.returncode or not (OUT / "cnnc").exists() else None


def learns():
    (OUT / "leaky.dsl").write_text(MODEL)
    text = sh(OUT / "cnnc", "check", OUT / "leaky.dsl")
    return None if text.count(" ok\n") == 4 else text


def in_cpp():
    sh(OUT / "cnnc", "compile", OUT / "leaky.dsl", "-o", OUT)
    sh(OUT / "cnnc", "compile", OUT / "leaky.dsl", "--emit=cpp", "-o", OUT / "leaky.cpp")
    sh("g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-march=native", "-I", OUT, "-c", OUT / "leaky.cpp", "-o", OUT / "leaky.o")


def diagnoses():
    (OUT / "wrong.dsl").write_text(MODEL.replace("leaky_relu\n", "leaky_rel\n"))
    text = sh(OUT / "cnnc", "compile", OUT / "wrong.dsl", "--emit=graph", code=1)
    return None if "wrong.dsl:4:1: error: unknown layer 'leaky_rel'; did you mean 'leaky_relu'?" in text else text


def fused():
    text = sh(OUT / "cnnc", "compile", OUT / "leaky.dsl", "--emit=fused")
    return None if re.search(r"= conv\(.*\n    %\d+ = leaky_relu\(.*\n    %\d+ = max_pool\(", text) else text


check("add_layer/one file and one line build", build)
check("add_layer/its gradient is right", learns)
check("add_layer/it is fused like the others", fused)
check("add_layer/it comes out as C++", in_cpp)
check("add_layer/it is known to the diagnostics", diagnoses)
sys.exit(1 if failed else 0)
