#!/usr/bin/env python3
"""What the header promises, of the library that `cnnc compile` writes."""
import concurrent.futures, os, pathlib, shutil, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = ROOT / "build/bin/cnnc"
OUT = ROOT / "build/promises"
LONG = os.environ.get("CNNC_LONG_TESTS") == "1"
MODELS = sorted(p.stem for p in (ROOT / "models").glob("*.dsl"))
# Nets that the models have nothing like: wide layers, long rows, prime sizes.
NETS = {
    "wide": "input x: f32[3, 32, 32]\nconv(64, kernel=3, padding=1)\nrelu\nmax_pool(2)\nconv(64, kernel=3, padding=1)\nrelu\nflatten\ndense(257)\n"
            "tanh\ndense(11)\nloss softmax_cross_entropy\noptimizer adam\nbatch 17\n",
    "rows": "input x: f32[2, 9, 211]\nconv(7, kernel=(3, 5), padding=same)\nsigmoid\navg_pool((3, 2))\nconv(5, kernel=(1, 7))\ntanh\nflatten\n"
            "dense(4099)\nrelu\ndense(3)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.001, momentum=0.9)\nbatch 5\n",
    "many_classes": "input x: f32[1, 13, 13]\nconv(3, kernel=5, stride=2)\ntanh\nflatten\ndense(300)\nloss softmax_cross_entropy\n"
                    "optimizer sgd(lr=0.1)\nbatch 33\n",
    "images": "input x: f32[2, 17, 19]\ntarget y: f32[3, 17, 19]\nconv(8, kernel=3, padding=1)\ntanh\nconv(3, kernel=(5, 3), padding=(2, 1))\n"
              "loss squared_error\noptimizer adam\nbatch 19\n",
    "tiny": "input x: f32[1, 8, 8]\nconv(4, kernel=3)\nrelu\nflatten\ndense(3)\nloss softmax_cross_entropy\noptimizer adam(lr=0.01)\nbatch 32\n",
}
failed = 0


def sh(*command, code=0):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(map(str, command))}\nexit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(name, body):
    global failed
    try:
        fault = body() or ""
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        fault = str(e)
    failed += bool(fault)
    print(("FAIL " if fault else "PASS ") + "promises/" + name, flush=True)
    if fault:
        print("  " + fault[-4000:].replace("\n", "\n  "))


def source(net):
    if net in NETS:
        path = OUT / f"{net}.dsl"
        path.write_text(f"model {net}\n{NETS[net]}")
        return path
    return ROOT / f"models/{net}.dsl"


def build(program, net, *flags, name=None):
    target = OUT / (name or f"{program}_{net}")
    sh("gcc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", f"-DTABLE={net}_model", "-I", ROOT / "runtime", HERE / f"{program}.c",
       OUT / f"lib{net}.a", *flags, "-o", target, "-lm", "-pthread")
    return target


def header(net):
    for language, compilers, standards in (("c", ("gcc", "clang-14"), ("c99", "c11")), ("c++", ("g++", "clang++-14"), ("c++17", "c++20"))):
        for compiler in compilers:
            for standard in standards:
                sh(compiler, "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", OUT / f"{net}.h")


WRAPPED = ["malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "pthread_mutex_lock", "pthread_mutex_unlock",
           "pthread_cond_wait", "pthread_cond_signal", "pthread_cond_broadcast"]


def quiet(net, fault=0, code=0):
    program = build("quiet", net, f"-DFAULT={fault}", *[f"-Wl,--wrap={w}" for w in WRAPPED], name=f"quiet_{net}_{fault}")
    sh(program, code=code)


def own_symbols(net):
    for line in sh("nm", "-g", "--defined-only", OUT / f"lib{net}.a").splitlines():
        words = line.split()
        if len(words) == 3 and not words[2].startswith(f"{net}_"):
            return f"defines {words[2]}"


# The C++ output with its own first line's flags, and a sanitizer.
def sanitized(net, compiler, sanitizer, level="-O1"):
    text = OUT / f"{net}.cpp"
    sh(CNNC, "compile", source(net), "--emit=cpp", "-o", text)
    flags = [f for f in text.read_text().split("\n", 1)[0].split() if f.startswith(("-m", "-std", "-f"))]
    out = OUT / f"{net}_{compiler}_{sanitizer.split(',')[0]}.o"
    sh(compiler, *flags, level, f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-fno-sanitize=vptr,alignment" if compiler == "g++" else "-fno-sanitize=vptr",
       "-c", text, "-o", out)
    return out


def undefined_behaviour(net, compiler, sanitizer):
    out = sanitized(net, compiler, sanitizer)
    program = OUT / f"exercise_{net}_{compiler}_{sanitizer}"
    c = "gcc" if compiler == "g++" else "clang-14"
    sh(c, "-std=c11", f"-fsanitize={sanitizer}", f"-DTABLE={net}_model", "-I", ROOT / "runtime", "-c", HERE / "exercise.c", "-o", f"{program}.o")
    sh(compiler, f"-fsanitize={sanitizer}", f"{program}.o", out, "-o", program, "-lm", "-pthread")
    for threads in (1, 2):
        sh(program, threads)


def side_by_side():
    objects = [sanitized(net, "clang++-14", "thread") for net in ("tiny", "lenet_sgd")]
    program = OUT / "side_by_side"
    sh("clang-14", "-std=c11", "-g", "-fsanitize=thread", "-Dfirst_model=tiny_model", "-Dsecond_model=lenet_sgd_model", "-I", ROOT / "runtime",
       "-c", HERE / "side_by_side.c", "-o", f"{program}.o")
    sh("clang++-14", "-fsanitize=thread", f"{program}.o", *objects, "-o", program, "-lm", "-pthread")
    sh(program)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    nets = MODELS + list(NETS)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda net: sh(CNNC, "compile", source(net), "-o", OUT), nets))
        for net in MODELS:
            check(f"header of {net}", lambda: header(net))
        for net in nets:
            check(f"symbols of {net}", lambda: own_symbols(net))
            check(f"no allocation, lock or system call: {net}", lambda: quiet(net))
            check(f"the stack of a thread: {net}", lambda: sh(build("stack", net)) and None)
        check("an allocation would be seen", lambda: quiet("tiny", 1, 3))
        check("a system call would be seen", lambda: quiet("tiny", 2, -9))
        sh(build("exercise", "perceptron"), 1, OUT / "other.bytes")
        for net in ("tiny", "lenet", "learn_edge", "many_classes", "edge_detector"):
            check(f"wrong arguments change nothing: {net}", lambda: sh(build("arguments", net), OUT / "other.bytes") and None)
        check("two models and two states of each, side by side, under the thread sanitizer", side_by_side)
        # g++ 12 puts temporary vectors on an instrumented stack less aligned than it then asks of them: alignment is
        # for clang to check.
        cases = [(net, *c) for net in (nets if LONG else ["tiny", "images", "lenet"])
                 for c in (("g++", "address,undefined"), ("clang++-14", "address,undefined"))]
        done = [pool.submit(undefined_behaviour, *case) for case in cases]
        for case, future in zip(cases, done):
            check(f"C++ output of {case[0]} with {case[1]} under the sanitizers: {case[2]}", future.result)
    return 1 if failed else 0


sys.exit(main())
