#!/usr/bin/env python3
"""The compilation itself: the same bytes however it is run, the cache, equal kernels made once, memory, tuning files."""
import json, os, pathlib, re, shutil, signal, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CNNC = os.environ.get("CNNC", str(ROOT / "build/bin/cnnc"))
failed = 0


def report(name, fault):
    global failed
    failed += bool(fault)
    print(("FAIL " if fault else "PASS ") + "compilation/" + name, flush=True)
    if fault:
        print("  " + str(fault).strip().replace("\n", "\n  "))


def start(cache, *arguments, **environment):
    env = dict(os.environ, XDG_CACHE_HOME=str(cache), **environment)
    return subprocess.Popen([CNNC, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


def run(cache, *arguments, code=0, **environment):
    """Standard output and standard error."""
    process = start(cache, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    if process.returncode != code:
        raise RuntimeError(f"cnnc {' '.join(map(str, arguments))}: exit code {process.returncode}, expected {code}\n{err.decode()}")
    return out, err.decode()


def compiled(cache, model, *arguments, **environment):
    """The object's bytes, and whether they came from the cache."""
    out, err = run(cache, "compile", model, "--emit=obj", "-o", "-", "--time", *arguments, **environment)
    return out, "from the cache" in err


def blocks(count, channels=8, size=8):
    return (f"model blocks\ninput image: f32[{channels}, {size}, {size}]\n" + f"conv({channels}, kernel=3, padding=1)\nrelu\n" * count +
            "flatten\ndense(10)\nloss softmax_cross_entropy\noptimizer adam(lr=1e-3)\ninit he_uniform\nbatch 64\n")


def residual(layers=20):
    """A chain of blocks of two convolutions with a sum around each, halved twice."""
    text, x, channels = "model residual\ninput image: f32[3, 32, 32]\ns = conv(image, 16, kernel=3, padding=1)\nx0 = relu(s)\n", "x0", 16
    for i in range(1, layers // 2):
        wider = i in (3, 6)
        stride = 2 if wider else 1
        channels *= 2 if wider else 1
        text += f"a{i} = conv({x}, {channels}, kernel=3, padding=1, stride={stride})\nb{i} = relu(a{i})\nc{i} = conv(b{i}, {channels}, kernel=3, padding=1)\n"
        way = x
        if wider:
            way = f"p{i}"
            text += f"p{i} = conv({x}, {channels}, kernel=1, stride=2)\n"
        text += f"s{i} = add(c{i}, {way})\nx{i} = relu(s{i})\n"
        x = f"x{i}"
    return text + f"flatten({x})\ndense(10)\nloss softmax_cross_entropy\noptimizer sgd(lr=0.1)\ninit he_uniform\nbatch 32\n"


def same_bytes(folder):
    model = folder / "net.dsl"
    model.write_text(blocks(3))  # more than one part
    made = {jobs: compiled(folder / "none", model, "--no-cache", "--jobs", jobs)[0] for jobs in (1, 2, 5)}
    if (folder / "none").exists():
        return "--no-cache made a folder"
    return "" if made[1] == made[2] == made[5] else "the number of jobs changes the object"


def cache(folder):
    model, where = folder / "net.dsl", folder / "cache"
    model.write_text(blocks(1))
    plain = compiled(where, model, "--no-cache")
    first, second = compiled(where, model), compiled(where, model)
    if first[1] or not second[1]:
        return "the first compilation is in the cache, or the second is not"
    if not plain[0] == first[0] == second[0]:
        return "the cache changes the bytes"
    if compiled(where, model, "--batch", 7)[1] or compiled(where, model, "--conv=direct")[1]:
        return "another batch or method was taken from the cache"
    model.write_text("# a comment\n" + blocks(1))
    if not compiled(where, model)[1]:
        return "a comment makes another model"
    run(where, "compile", model, "-o", folder / "out")
    run(where, "compile", model, "-o", folder / "out2", "--no-cache")
    for name in ("blocks.h", "libblocks.a"):
        if (folder / "out" / name).read_bytes() != (folder / "out2" / name).read_bytes():
            return f"{name} differs"
    left = [p.name for p in (where / "cnnc").iterdir() if p.name.startswith("temporary")]
    return f"left over: {left}" if left else ""


def damaged(folder):
    model, where = folder / "net.dsl", folder / "cache"
    model.write_text(blocks(1))
    whole = compiled(where, model)[0]
    entry = next((where / "cnnc").iterdir())
    good = entry.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    for bad in (b"", good[:10], good[:-1], good + b"x", bytes(flipped), b"\xff" * len(good)):
        entry.write_bytes(bad)
        again, hit = compiled(where, model)
        if hit or again != whole:
            return f"an entry of {len(bad)} bytes was believed"
        if entry.read_bytes() != good:
            return "the damaged entry was not replaced"
    return ""


def unwritable(folder):
    model = folder / "net.dsl"
    model.write_text(blocks(1))
    (folder / "file").touch()
    for where in (folder / "file", "/dev/null", "relative"):
        if compiled(where, model, HOME="")[1]:
            return f"{where}: from the cache"
    return ""


def bounded(folder):
    where, model = folder / "cache", folder / "net.dsl"
    for channels in range(1, 9):
        model.write_text(blocks(1, channels).replace("model blocks", f"model m{channels}") .replace("relu\n", "relu\nx = conv(4, kernel=3)\n"))
        compiled(where, model, CNNC_CACHE_MB="0" if channels == 8 else "1")
    sizes = [p.stat().st_size for p in (where / "cnnc").iterdir()]
    return "" if sizes and sum(sizes) <= 1 << 20 else f"{len(sizes)} entries of {sum(sizes)} bytes"


def at_once(folder):
    model, where = folder / "net.dsl", folder / "cache"
    model.write_text(blocks(1))
    all_of_them = [start(where, "compile", model, "--emit=obj", "-o", "-") for _ in range(4)]
    said = {p.communicate(timeout=300)[0] for p in all_of_them}
    return "" if len(said) == 1 and all(p.returncode == 0 for p in all_of_them) else "four compilers disagree"


def kernels(folder):
    """50 equal blocks are as many kernels as 5."""
    lists = []
    for count in (5, 50):
        (folder / "net.dsl").write_text(blocks(count))
        text = run(folder, "compile", folder / "net.dsl", "--emit=schedule")[0].decode()
        lists.append(re.findall(r"^kernel (\S+)", text, re.M))
    return "" if lists[0] == lists[1] else f"{len(lists[0])} and {len(lists[1])} kernels"


def arena(folder):
    (folder / "residual.dsl").write_text(residual())
    faults = []
    for model in (ROOT / "models/lenet.dsl", ROOT / "models/lenet_relu.dsl", folder / "residual.dsl"):
        text = run(folder, "summary", model)[0].decode()
        above = re.findall(r"^arena .*, ([0-9.]+) % above", text, re.M)
        if len(above) != 2 or max(map(float, above)) > 10:
            faults.append(f"{model.name}: {above} % above the bound")
    return "\n".join(faults)


def memory_and_batch(folder):
    """Memory for training grows with the partial sums and the chunks that each keeps, at most four of each; not with the batch."""
    sizes = {}
    for batch in (64, 256, 4096):
        header = run(folder, "compile", ROOT / "models/lenet.dsl", "--emit=header", "--batch", batch)[0].decode()
        macro = re.search(r"TRAIN_BYTES\(threads\)(.*?)\n\n?[#/]", header, re.S).group(1)
        sizes[batch] = [int(n) for n in re.findall(r"(\d+)u", macro)]
    if len(sizes[64]) != 4 or sizes[256] != sizes[4096]:
        return str(sizes)
    return "" if all(few < many for few, many in zip(sizes[64], sizes[256])) else f"a batch of 64 keeps one chunk: {sizes}"


def tuning_file(folder):
    model, tuned = folder / "net.dsl", folder / "net.tune"
    model.write_text(blocks(1))
    plain = compiled(folder / "c", model)[0]
    text = run(folder, "compile", model, "--emit=schedule")[0].decode()
    key, taken, other = re.search(r"# (dense\S+) = (\S+), cost \S+; next (\S+),", text).groups()
    target = re.search(r"compiled for (\S+)\.", run(folder, "compile", model, "--emit=header")[0].decode()).group(1)

    def write(decisions, target=target):
        tuned.write_text(json.dumps({"format": 1, "targets": {target: decisions}}))
    write({key: other, "gone.0000000000000000.tile": "1x1"})
    out, said = run(folder / "c", "compile", model, "--emit=obj", "-o", "-")
    if "net.tune: 2 tuned choices" not in said or out == plain:
        return f"not used: {said}"
    if f"{key} = {other}, cost" not in run(folder, "compile", model, "--emit=schedule")[0].decode():
        return "the schedule does not take it"
    if compiled(folder / "c", model, "--no-tune")[0] != plain:
        return "--no-tune does not ignore it"
    write({key: "no such tile", "gone.0.tile": "1x1"})
    if compiled(folder / "c", model)[0] != plain:
        return "what is no candidate changes the object"
    write({key: other}, "another-target")
    out, said = run(folder / "c", "compile", model, "--emit=obj", "-o", "-")
    if said or out != plain:
        return "another target's choices are used"
    for bad in ("", "{", "[]", '{"format": 2, "targets": {}}', '{"format": 1, "targets": {"x": 1}}', '{"format": 1, "targets": {"x": {"k": 3}}}'):
        tuned.write_text(bad)
        said = run(folder / "c", "compile", model, "-o", folder, code=1)[1]
        if "net.tune: not a file of 'cnnc tune'" not in said:
            return f"{bad}: {said}"
    return ""


def tune(folder):
    model, tuned = folder / "net.dsl", folder / "net.tune"
    model.write_text(blocks(1))
    out, said = run(folder / "c", "tune", model, "--seconds", 20)
    if not re.search(r"by the model's choices, .* us tuned", out.decode()) or "round 1" not in said + out.decode() and "algorithm." not in said:
        return out.decode() + said
    if json.loads(tuned.read_text())["format"] != 1:
        return tuned.read_text()
    compiled(folder / "c", model)
    tuned.unlink()
    process = start(folder / "c", "tune", model, "--seconds", 600)
    process.stderr.readline()  # the first trial is done
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    return "" if process.returncode == 130 and json.loads(tuned.read_text()) else f"interrupted: exit code {process.returncode}"


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand on that it is ignored
    for test in (same_bytes, cache, damaged, unwritable, bounded, at_once, kernels, arena, memory_and_batch, tuning_file, tune):
        with tempfile.TemporaryDirectory() as temporary:
            try:
                report(test.__name__, test(pathlib.Path(temporary)))
            except (RuntimeError, OSError, AttributeError, ValueError, subprocess.TimeoutExpired) as e:
                report(test.__name__, f"{type(e).__name__}: {e}")
    return 1 if failed else 0


sys.exit(main())
