#!/usr/bin/env python3
"""Compiles the models and uses the libraries as a stranger would: in C and C++ programs, with no Halide."""
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build/bin/cnnc")
OUT = ROOT / "build/example"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
WARN = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
failed = 0


def sh(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
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
        print("  " + fault[-4000:].replace("\n", "\n  "))


def compile_model(model):
    sh(CNNC, "compile", ROOT / f"models/{model}.dsl", "-o", OUT)
    missing = [f for f in (f"{model}.h", f"lib{model}.a") if not (OUT / f).exists()]
    return f"not written: {missing}" if missing else None


def same_bytes(model):
    again = OUT / "again"
    sh(CNNC, "compile", ROOT / f"models/{model}.dsl", "-o", again)
    for name in (f"lib{model}.a", f"{model}.h"):
        if (again / name).read_bytes() != (OUT / name).read_bytes():
            return f"{name}: the same text gave other bytes"


def header(compiler, language, standard):
    source = OUT / f"header.{'c' if language == 'c' else 'cpp'}"
    source.write_text('#include "lenet.h"\n#include "lenet.h"\n#include "softmax_regression.h"\n'
                      'int main(void) { return lenet_model() == 0; }\n')
    sh(compiler, f"-std={standard}", *WARN, "-fsyntax-only", "-I", OUT, source)


def program(source, models, *arguments, standard="c++17"):
    exe = OUT / "bin" / source.stem  # not beside the headers: <span> would be found there
    cc = ["gcc", "-std=c11"] if source.suffix == ".c" else ["g++", f"-std={standard}"]
    sh(*cc, "-O2", *WARN, "-I", OUT, source, *[OUT / f"lib{m}.a" for m in models], "-lm", "-lpthread", "-o", exe)
    return sh(exe, *arguments)


def no_undefined(model):
    undefined = set(re.findall(r" U (\S+)", sh("nm", "--undefined-only", OUT / f"lib{model}.a")))
    allowed = re.compile(r"(pthread_\w+|mem(cpy|set|move|cmp)|str\w+|v?snprintf|(exp|log|sqrt|cos|sin|tanh|fma|pow|floor)f?"
                         r"|sysconf|sched_\w+|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__cpu_\w+)$")
    defined = set(re.findall(r" [A-Zu] (\S+)", sh("nm", "--defined-only", OUT / f"lib{model}.a")))
    extra = sorted(u for u in undefined - defined if not allowed.match(u))
    return f"undefined: {extra}" if extra else None


def same_as_command():
    """The linked library and `cnnc train` give the same checkpoint after one epoch, byte for byte."""
    exe, runs = OUT / "train_lenet", OUT / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    sh("g++", "-std=c++17", "-O1", "-DCNNC_MODEL=lenet_model", "-I", ROOT / "runtime", "-I", OUT, ROOT / "runtime/train_main.cpp",
       ROOT / "build/lib/libcnnc_runtime.a", OUT / "liblenet.a", "-lfmt", "-lz", "-lspng", "-lpthread", "-o", exe)
    options = ["--epochs", 1, "--seed", 3, "--quiet"]
    sh(exe, *options, "--output", runs / "library")
    sh(CNNC, "train", ROOT / "models/lenet.dsl", *options, "--output", runs / "command")
    losses = [re.sub(r',"seconds".*', "", (runs / r / "metrics.jsonl").read_text()) for r in ("library", "command")]
    if losses[0] != losses[1]:
        return f"library: {losses[0]}\ncommand: {losses[1]}"


def thirty_lines():
    n = len((HERE / "train.c").read_text().splitlines())
    return f"{n} lines" if n > 30 else None


def train_in_c():
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        if not (OUT / name).exists():
            with gzip.open(DATA / f"{name}.gz") as f, open(OUT / f"{name}.part", "wb") as g:
                shutil.copyfileobj(f, g)
            os.replace(OUT / f"{name}.part", OUT / name)
    epochs = 10 if os.environ.get("CNNC_LONG_TESTS") == "1" else 3
    text = program(HERE / "train.c", ["lenet"], OUT / "train-images-idx3-ubyte", OUT / "train-labels-idx1-ubyte", epochs)
    losses = [float(v) for v in re.findall(r"loss (\S+)", text)]
    if len(losses) != epochs or not losses[-1] < min(losses[0], 2.2):
        return "the loss does not fall:\n" + text


(OUT / "bin").mkdir(parents=True, exist_ok=True)
for model in sorted(p.stem for p in (ROOT / "models").glob("*.dsl")):
    check(f"example/compile models/{model}.dsl", lambda: compile_model(model))
check("example/the same text gives the same bytes", lambda: same_bytes("lenet"))
for compiler, language, standard in [("gcc", "c", "c99"), ("gcc", "c", "c11"), ("g++", "c++", "c++17"), ("g++", "c++", "c++20"),
                                     ("clang-14", "c", "c99"), ("clang-14", "c", "c11"), ("clang++-14", "c++", "c++17"),
                                     ("clang++-14", "c++", "c++20")]:
    check(f"example/header as {standard}, {compiler}", lambda: header(compiler, language, standard))
check("example/only libc, libm and threads are needed", lambda: no_undefined("lenet"))
check("example/train.c has at most 30 lines", thirty_lines)
check("example/train.c stands in the README", lambda: None if (HERE / "train.c").read_text() in (ROOT / "README.md").read_text() else "it differs")
check("example/train.c trains", train_in_c)
check("example/span.cpp predicts alike from floats and bytes, pointers and spans",
      lambda: program(HERE / "span.cpp", ["lenet"], standard="c++20") and None)
check("example/the library and the command train alike", same_as_command)
check("example/learn_edge.c learns the kernel", lambda: program(HERE / "learn_edge.c", ["learn_edge"]) and None)
check("example/two models in one program, any number of threads",
      lambda: program(HERE / "two_models.cpp", ["lenet", "softmax_regression"]) and None)
for threads in (1, 2):
    check(f"example/three steps as PyTorch takes them, {threads} thread(s)",
          lambda: program(ROOT / "tests/numerics/pytorch_test.c", ["lenet"], ROOT / "tests/numerics/lenet_steps", threads) and None)
sys.exit(1 if failed else 0)
