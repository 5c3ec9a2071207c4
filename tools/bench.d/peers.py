"""Installs what tools/bench measures cnnc against, from the package registries by name, and builds the programs that drive them.

Python packages go into a virtual environment below build/, Debian's packages into the system (as root; without root those peers
are left out). A second call finds everything in place.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build/bench"
VENV = BUILD / "venv"
PYTHON = VENV / "bin/python"

TORCH = "torch==2.13.0"
PYTHON_PACKAGES = ["numpy", "onnx", "onnxruntime"]
ONEDNN = "onednn-devel-cpu-gomp==2023.2.0"  # 3.2, the newest that is built for a CPU alone, with GNU's OpenMP
ONEDNN_DEBIAN = ["libdnnl-dev"]  # 2.6: the last major version with Winograd's convolution
TINY_DNN = ["tiny-dnn", "libcereal-dev", "libstb-dev", "libgemmlowp-dev"]  # the last three are what its headers include


class Missing(Exception):
    """A peer that cannot be had here, and why."""


def say(text):
    print(f"bench: {text}", flush=True)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise Missing(f"{pathlib.Path(str(command[0])).name} {' '.join(map(str, command[1:]))}: exit code {done.returncode}\n"
                      + (done.stdout + done.stderr)[-2000:])
    return done.stdout


def debian(packages):
    def installed(p):
        done = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", p], capture_output=True, text=True)
        return done.stdout == "installed"
    missing = [p for p in packages if not installed(p)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise Missing(f"not installed: {' '.join(missing)} (installing needs root)")
    say(f"apt-get install {' '.join(missing)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    try:
        run(*install, env=environment)
    except Missing:  # the package lists may be old, or not there yet
        run("apt-get", "update", "-qq", env=environment)
        run(*install, env=environment)


def torch_is_small():
    """False where pip would bring gigabytes of GPU packages with it, and where it has no such version."""
    try:
        report = json.loads(run(PYTHON, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-", TORCH))
    except (Missing, ValueError):
        return False
    return not any(p["metadata"]["name"].startswith("nvidia") for p in report["install"])


def python_packages():
    stamp, wanted = VENV / "installed", "\n".join([TORCH, *PYTHON_PACKAGES])
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    say(f"a virtual environment in {VENV.relative_to(ROOT)}")
    shutil.rmtree(VENV, ignore_errors=True)
    run(sys.executable, "-m", "venv", VENV)
    torch = [TORCH]
    if not torch_is_small():
        say(f"pip has no {TORCH} without GPU packages; taking Debian's python3-torch")
        debian(["python3-torch", "python3-venv"])
        shutil.rmtree(VENV)
        run("/usr/bin/python3", "-m", "venv", "--system-site-packages", VENV)
        torch = []
    say(f"pip install {' '.join(torch + PYTHON_PACKAGES)}")
    run(PYTHON, "-m", "pip", "install", "--quiet", *torch, *PYTHON_PACKAGES)
    run(PYTHON, "-c", "import torch, onnx, onnxruntime")
    stamp.write_text(wanted)


def program(name, command, source):
    """Compiles a program unless it was compiled from the same source by the same command."""
    exe, stamp = BUILD / "bin" / name, BUILD / "bin" / f"{name}.made"
    made = " ".join(map(str, command)) + "\n" + "".join(f.read_text() for f in [source, *sorted(HERE.glob("*.h"))])
    if not (exe.exists() and stamp.exists() and stamp.read_text() == made):
        exe.parent.mkdir(parents=True, exist_ok=True)
        say(f"compiling {source.relative_to(ROOT)}")
        head, *tail = command
        run(head, "-o", exe, source, *tail)
        stamp.write_text(made)
    return exe


def peak():
    return program("peak", ["gcc", "-std=gnu11", "-O3", "-march=native", "-lpthread"], HERE / "peak.c")


def tiny_dnn():
    """The program for one thread and the one for several; tiny-dnn settles that when it is compiled."""
    debian(TINY_DNN)
    include = BUILD / "include/third_party"
    include.mkdir(parents=True, exist_ok=True)
    link = include / "stb"  # the place where tiny-dnn's headers look for it
    if not link.is_symlink():
        link.symlink_to("/usr/include/stb")
    common = ["g++", "-std=c++14", "-O3", "-march=native", "-w", f"-I{include.parent}", "-DCNN_USE_AVX", "-lstb", "-lpthread"]
    source = HERE / "tinydnn.cpp"
    return {1: program("tinydnn-1", [*common, "-DCNN_SINGLE_THREAD"], source),
            2: program("tinydnn-2", [*common, "-DCNN_USE_OMP", "-fopenmp"], source)}


def onednn():
    """Programs by the name of the peer."""
    home = BUILD / "onednn"
    if not (home / "installed").exists():
        say(f"pip install {ONEDNN}")
        shutil.rmtree(home, ignore_errors=True)
        run(sys.executable, "-m", "venv", home)
        run(home / "bin/python", "-m", "pip", "install", "--quiet", ONEDNN)
        (home / "installed").touch()
    common = ["g++", "-std=c++17", "-O2", "-Wall", "-Wextra"]
    source = HERE / "onednn.cpp"
    found = {"oneDNN 3": program("onednn-3", [*common, f"-I{home}/include", f"-L{home}/lib", f"-Wl,-rpath,{home}/lib", "-ldnnl"], source)}
    try:
        debian(ONEDNN_DEBIAN)
        found["oneDNN 2"] = program("onednn-2", [*common, "-ldnnl"], source)
    except Missing as e:
        say(f"Debian's oneDNN is left out: {e}")
    return found
