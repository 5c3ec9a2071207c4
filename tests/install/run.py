#!/usr/bin/env python3
"""Installs the build, moves it, and uses it as a stranger would: no source tree, no network."""
import os, pathlib, re, shutil, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
failed = 0


def report(name, problem=""):
    global failed
    failed += bool(problem)
    print(("FAIL " if problem else "PASS ") + "install/" + name, flush=True)
    if problem:
        print("  " + problem.strip().replace("\n", "\n  "))


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600, **options)


def problem_of(done):
    return "" if done.returncode == 0 else f"{' '.join(map(str, done.args))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"


def options_of(text):
    return {o for line in re.findall(r"^  (-\S+)", text, re.M) for o in re.findall(r"--?[a-z][a-z-]*", line)}


def commands_of(cnnc):
    listed = run(cnnc, "--help").stdout.split("Subcommands:")[1]
    return re.findall(r"^  ([a-z]+) ", listed, re.M)


def check_tree(prefix):
    wanted = ["bin/cnnc", "include/cnnc/cnnc_model.h", "include/cnnc/net.h", "share/cnnc/models/lenet.dsl", "share/doc/cnnc/LICENSE",
              "share/man/man1/cnnc.1", "share/bash-completion/completions/cnnc", "share/zsh/site-functions/_cnnc"]
    missing = [w for w in wanted if not (prefix / w).exists()]
    for pattern in ("cmake/cnnc/cnncConfig.cmake", "pkgconfig/cnnc.pc", "libcnnc_runtime.a"):
        missing += [] if list(prefix.glob("lib*/" + pattern)) + list(prefix.glob("lib/*/" + pattern)) else [pattern]
    report("everything is there", "missing: " + ", ".join(missing) if missing else "")
    named = [str(f) for f in prefix.rglob("*") if f.is_file() and str(ROOT).encode() in f.read_bytes()]
    report("no path of the source tree", "\n".join(named))


def check_project(prefix, folder):
    shutil.copytree(HERE / "project", folder / "project")
    shutil.copy(prefix / "share/cnnc/models/lenet.dsl", folder / "project")
    build = folder / "build"
    # Where the system allows it, in a network namespace of its own: with no way out.
    alone = ["unshare", "-rn"] if run("unshare", "-rn", "true").returncode == 0 else []
    done = run(*alone, "cmake", "-G", "Ninja", "-S", folder / "project", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    done = done if done.returncode else run(*alone, "ninja", "-C", build)
    report("a project with find_package", problem_of(done))
    for program in ("in_c", "in_cpp", "with_runtime"):
        report(f"project/{program}", problem_of(run(build / program)) if (build / program).exists() else "not built")
    done = run("ninja", "-C", build)
    report("a second build does nothing", "" if "no work to do" in done.stdout else done.stdout)
    time.sleep(1.1)
    model = folder / "project/tiny.dsl"
    model.write_text(model.read_text().replace("batch 32", "batch 16"))
    done = run("ninja", "-C", build)
    header = (build / "tiny.cnnc/tiny.h")
    report("a changed model is compiled again", problem_of(done) or ("" if "TINY_BATCH 16" in header.read_text() else "an old header"))
    bad = folder / "bad"
    shutil.copytree(HERE / "project", bad)
    (bad / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.20)\nproject(bad C CXX)\nfind_package(cnnc REQUIRED)\n"
                                        "cnnc_add_model(tiny tiny.dsl COLOUR red)\n")
    done = run("cmake", "-S", bad, "-B", folder / "bad-build", f"-DCMAKE_PREFIX_PATH={prefix}")
    report("an unknown word of cnnc_add_model is refused", "" if done.returncode and "COLOUR" in done.stderr else done.stdout + done.stderr)


def check_pkg_config(prefix, folder):
    pc = next(iter(list(prefix.glob("lib*/pkgconfig")) + list(prefix.glob("lib/*/pkgconfig"))))
    env = dict(os.environ, PKG_CONFIG_PATH=str(pc))
    flags = run("pkg-config", "--cflags", "--libs", "cnnc", env=env)
    cnnc = run("pkg-config", "--variable=compiler", "cnnc", env=env).stdout.strip()
    problem = problem_of(flags) or problem_of(run(cnnc, "compile", HERE / "project/tiny.dsl", "-o", folder / "pc"))
    if not problem:
        problem = problem_of(run("g++", "-std=c++17", HERE / "project/with_runtime.cpp", f"-I{folder}/pc", folder / "pc/libtiny.a",
                                 *flags.stdout.split(), "-o", folder / "pc/program")) or problem_of(run(folder / "pc/program"))
    report("pkg-config", problem)


def check_help(cnnc, prefix):
    done = run(cnnc, "--version")
    report("--version", "" if re.fullmatch(r"cnnc \d+\.\d+\.\d+\n", done.stdout) else done.stdout)
    man = (prefix / "share/man/man1/cnnc.1").read_text()
    bash = (prefix / "share/bash-completion/completions/cnnc").read_text()
    zsh = (prefix / "share/zsh/site-functions/_cnnc").read_text()
    for command in commands_of(cnnc):
        text = run(cnnc, "help", command).stdout
        problems = []
        if "Example" not in text or f"cnnc {command}" not in text:
            problems.append("no example in its help")
        if text != run(cnnc, command, "--help").stdout:
            problems.append("help and --help differ")
        if f".It Cm {command}" not in man or f"'{command}:" not in zsh:
            problems.append("not in the manual page or the completion of zsh")
        listed = re.search(rf"\[{command}\]=\"(.*)\"", bash)
        offered = set((listed.group(1).replace("$model", "--batch --optimizer --init") if listed else "").split())
        for option in options_of(text) - {"-h", "--help"}:
            if option not in offered:
                problems.append(f"{option}: not in the completion of bash")
            spelled = option[1:]  # mdoc's Fl writes one hyphen
            if not re.search(rf"(Fl|,) {re.escape(spelled)}\b", man):
                problems.append(f"{option}: not in the manual page")
            if option not in zsh:
                if not (option in ("--batch", "--optimizer", "--init")):
                    problems.append(f"{option}: not in the completion of zsh")
        for option in offered - options_of(text):
            problems.append(f"{option}: offered by bash, unknown to the command")
        report(f"help {command}", "\n".join(problems))
    warnings = run("man", "--warnings", "-l", prefix / "share/man/man1/cnnc.1", env=dict(os.environ, MANPAGER="cat", LC_ALL="C.UTF-8"))
    report("the manual page", warnings.stderr or ("" if "model.dsl" in warnings.stdout else "empty"))


def complete(prefix, folder, line):
    script = (f"cd {folder}; source {prefix}/share/bash-completion/completions/cnnc; COMP_WORDS=({line}); "
              f"COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _cnnc; echo \"${{COMPREPLY[*]}}\"")
    return set(run("bash", "-c", script).stdout.split())


def check_completion(prefix, folder):
    (folder / "files").mkdir()
    (folder / "files/net.dsl").touch()
    (folder / "files/other.txt").touch()
    cases = {"cnnc co": {"compile"}, "cnnc compile --em": {"--emit"}, "cnnc compile --emit gr": {"gradient", "graph"},
             "cnnc train ''": {"net.dsl"}, "cnnc eval run --checkpoint ''": {"best", "last"}, "cnnc help s": {"summary"}}
    wrong = []
    for line, wanted in cases.items():
        found = complete(prefix, folder / "files", line)
        if found != wanted:
            wrong.append(f"{line}: {sorted(found)}, expected {sorted(wanted)}")
    report("completion of bash", "\n".join(wrong))
    if shutil.which("zsh"):
        report("completion of zsh", problem_of(run("zsh", "-n", prefix / "share/zsh/site-functions/_cnnc")))


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        done = run("cmake", "--install", ROOT / "build", "--prefix", folder / "first")
        report("cmake --install", problem_of(done))
        if done.returncode:
            return 1
        prefix = folder / "moved"
        (folder / "first").rename(prefix)
        check_tree(prefix)
        check_help(prefix / "bin/cnnc", prefix)
        check_completion(prefix, folder)
        check_project(prefix, folder)
        check_pkg_config(prefix, folder)
    return 1 if failed else 0


sys.exit(main())
