#!/usr/bin/env python3
"""Runs the tests, as many parts at a time as there are cores; the output of a part stays together. See tools/test."""
import os, pathlib, re, shutil, signal, subprocess, sys, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
LONG = "--long" in sys.argv
SANITIZE = "--no-sanitize" not in sys.argv
CORES = os.cpu_count() or 1
LIT = "/usr/lib/llvm-14/build/utils/lit/lit.py"
passed, failures = 0, []  # the second: label and number
running, lock = [], threading.Lock()


def counts(text, code):
    """How many tests passed and failed, by what doctest, lit or a script with lines PASS and FAIL prints; else the part counts as one."""
    doctest = re.search(r"test cases: +\d+ \| +(\d+) passed \| +(\d+) failed", text)
    if doctest:
        ok, bad = int(doctest[1]), int(doctest[2])
    else:
        ok = len(re.findall(r"^PASS:? ", text, re.M))
        bad = len(re.findall(r"^(?:FAIL|UNRESOLVED|TIMEOUT|XPASS):? ", text, re.M))
    if not ok and not bad:
        return (0, 1) if code else (1, 0)
    return ok, bad or int(code != 0)


def part(label, *command, then=(), counted=True, **environment):
    """Runs a command as a part of the tests; if it passes, `then` are submitted."""
    def run():
        global passed
        start = time.monotonic()
        with tempfile.TemporaryFile("w+", errors="replace") as out:
            try:
                code = subprocess.run([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                      env=dict(os.environ, **environment), timeout=3600).returncode
            except (OSError, subprocess.TimeoutExpired) as e:
                code = str(e)
            out.seek(0)
            text = out.read()
        ok, bad = counts(text, code) if counted else (0, int(code != 0))
        shown = text if bad or re.search("^PASS", text, re.M) else ""
        with lock:
            print(f"\n== {label} ({ok} passed, {bad} failed, {time.monotonic() - start:.0f} s)\n{shown[-50000:]}", end="", flush=True)
            passed += ok
            if bad:
                failures.append((label if isinstance(code, int) else f"{label}: {code}", bad))
            if not code:
                running.extend(map(pool.submit, then))
    return run


def sanitized(kind, folder, *tests, then=()):
    """A build under sanitizers and its tests. Halide must not switch stacks; compiled models are not instrumented, so a part of the samples does."""
    label = f"under the sanitizers: {kind}"
    programs = [part(f"{t}, {label}", ROOT / folder / "bin" / t, HL_COMPILER_STACK_SIZE="0", CNNC_SAMPLES="1" if LONG else "3") for t in tests]
    build = (f"cmake -G Ninja -S . -B {folder} -DCMAKE_BUILD_TYPE=None -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 "
             f"-DCNNC_SANITIZE={kind} && ninja -C {folder} -j $CNNC_JOBS {' '.join(tests)}")
    return part(f"build {label}", "bash", "-c", build, then=[*then, *programs], counted=False)


def script(name, *arguments, file="run.py"):
    return part(f"tests/{name}", "python3", f"tests/{name}/{file}", *arguments)


def parts():
    """Long ones first: the last to end leave cores idle."""
    fuzz = part("tests/fuzz", "tests/fuzz/run", 60 if LONG else 5)
    units = sorted(f.stem for f in (ROOT / "tests/unit").glob("*_test.cpp"))
    if SANITIZE:
        yield sanitized("fuzzer-no-link,address,undefined", "build-asan", *units, then=[fuzz])
    yield part("tools/style", "tools/style")
    if not SANITIZE:
        yield fuzz
    for name in ("promises", "robustness"):
        yield script(name)
    for unit in units:
        yield part(unit, f"build/bin/{unit}")
    for name in ("compilation", "targets", "cpp", "example", "install", "add_layer", "cases"):
        yield script(name)
    yield script("numerics", 200 if LONG else 12, file="random_models.py")
    yield part("tests/lit", "python3", LIT, "-v", "-j", max(1, CORES // 2), "tests/lit")
    if SANITIZE:
        yield sanitized("thread", "build-tsan", "hooks_test")


os.chdir(ROOT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand on that it is ignored
cache = tempfile.mkdtemp(prefix="cnnc-tests-")  # compiled models of these tests alone
os.environ.update(XDG_CACHE_HOME=cache, CNNC_LONG_TESTS=str(int(LONG)), CNNC_JOBS=str(max(1, CORES // 2)))
pool = ThreadPoolExecutor(CORES)
try:
    running = [pool.submit(p) for p in parts()]
    for future in running:  # grows
        future.result()
finally:
    pool.shutdown(cancel_futures=True)
    shutil.rmtree(cache, ignore_errors=True)
failed = sum(n for _, n in failures)
if failures:
    print("\nfailed:\n" + "\n".join("  " + label for label, _ in failures))
print(f"\n{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
