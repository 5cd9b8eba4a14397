"""Run the shaders through compilers that are not naga: Tint, spirv-val, DXC and FXC.

    python3 tools/shaders_foreign/check.py DIRECTORY [--sample]

DIRECTORY is what `make shaders-foreign` has written (tests/host/shaders/foreign.rs). A compiler that is not installed is
reported as not run; where `CI` is set, that fails for all but FXC (tools/shaders_foreign/install.sh installs them). With
--sample, DXC compiles only as many pipelines as have every value of every constant of every source. Metal's compiler
runs on macOS only: MSL is naga's own, checked by naga alone.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
LIBRARIES = HERE / "node_modules/webgpu/dist/win32-x64"
WORKERS = os.cpu_count() or 1
# Pipelines of FXC's sample: it needs seconds for the larger ones.
FXC_SAMPLE = 24
# Failures that are printed in full.
SHOWN = 10


class NotRun(Exception):
    """Why a compiler could not be asked."""


def in_ci():
    return os.environ.get("CI", "") not in ("", "0", "false")


def excluded(pipelines, reasons):
    """Count the pipelines that need what a compiler's adapters never have, by reason."""
    return collections.Counter(reason for p in pipelines for need, reason in reasons.items() if need in p["needs"])


def tint(directory, sources, pipelines):
    """Make every module and every pipeline that a browser's plans can have by Dawn's null backend."""
    if not shutil.which("node") or not (HERE / "node_modules/webgpu").is_dir():
        raise NotRun("node, or its package webgpu")
    without = {"int64": "WGSL has no 64-bit integers", "matrices": "WGSL has no cooperative matrices"}
    able = [p for p in pipelines if not without.keys() & set(p["needs"])]
    modules = {label: s for label, s in sources.items() if not without.keys() & set(s["needs"])}
    request = json.dumps({"sources": modules, "pipelines": able})
    command = ["node", HERE / "tint.mjs", directory]
    done = subprocess.run(command, input=request, capture_output=True, text=True)
    if done.returncode != 0:
        raise NotRun(f"Dawn: {done.stderr.strip()[-300:]}")
    answers = json.loads(done.stdout)
    missing = [label for label in modules if label not in answers["sources"]]
    missing += [p["label"] for p in able if p["label"] not in answers["pipelines"]]
    found = {**answers["sources"], **answers["pipelines"], **{label: "no answer" for label in missing}}
    return found, excluded(pipelines, without)


def spirv_val(directory, _sources, pipelines):
    """Validate every pipeline's SPIR-V for Vulkan 1.3."""
    if not shutil.which("spirv-val"):
        raise NotRun("spirv-val (Debian: spirv-tools)")
    without = {}
    if "SPV_KHR_cooperative_matrix" not in known_extensions():
        without = {"matrices": "this spirv-val knows no SPV_KHR_cooperative_matrix"}
    able = {p["spv"] for p in pipelines if not without.keys() & set(p["needs"])}

    def validate(file):
        command = ["spirv-val", "--target-env", "vulkan1.3", directory / "spv" / file]
        done = subprocess.run(command, capture_output=True, text=True)
        return file, None if done.returncode == 0 else (done.stdout + done.stderr).strip() or "failed"

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        answers = dict(pool.map(validate, sorted(able)))
    return {p["label"]: answers[p["spv"]] for p in pipelines if p["spv"] in answers}, excluded(pipelines, without)


def known_extensions():
    """The text of the library that has the names of all extensions."""
    library = pathlib.Path(shutil.which("spirv-val")).resolve().read_bytes()
    return library.decode("latin-1")


def dxc(directory, _sources, pipelines):
    """Compile every pipeline's HLSL by DXC, or that of the sample."""
    left_out = excluded(pipelines, {"matrices": "wgpu offers no cooperative matrices on DX12"})
    able = [p for p in pipelines if "hlsl" in p]
    if "--sample" in sys.argv:
        every = len(able)
        able = sample_of(able)
        left_out["not in the sample"] = every - len(able)
    entries = {p["hlsl"]["file"]: p["hlsl"] for p in able}
    answers = by_microsoft("dxc", "dxcompiler.dll", directory, list(entries.values()))
    return {p["label"]: answers[p["hlsl"]["file"]] for p in able}, left_out


def sample_of(pipelines):
    """Choose pipelines that together have every value of every constant of every source."""
    chosen = []
    of_source = collections.defaultdict(list)
    for pipeline in pipelines:
        of_source[pipeline["source"]].append(pipeline)
    for some in of_source.values():
        left = {pair for p in some for pair in p["constants"].items()}
        chosen.append(some[0])
        left -= some[0]["constants"].items()
        while left:
            best = max(some, key=lambda p: len(left & p["constants"].items()))
            chosen.append(best)
            left -= best["constants"].items()
    return chosen


def fxc(directory, _sources, pipelines):
    """Compile the HLSL of a few pipelines, of different sources, by FXC."""
    left_out = collections.Counter(f"shader model 5.1 has no {p['needs'][0]}" for p in pipelines if p["needs"])
    able = [p for p in pipelines if "fxc" in p]
    sample = list({p["source"]: p for p in able}.values())
    sample = sample[:: -(-len(sample) // FXC_SAMPLE)]
    left_out["not in the sample"] = len(able) - len(sample)
    answers = by_microsoft("fxc", "d3dcompiler_47.dll", directory, [p["fxc"] for p in sample])
    return {p["label"]: answers[p["fxc"]["file"]] for p in sample}, left_out


def by_microsoft(kind, library, directory, entries):
    """Compile HLSL files by a Windows library under Wine: file to error, or to None."""
    wine = next((path for path in ("/usr/lib/wine/wine64", shutil.which("wine64")) if path and os.path.exists(path)), None)
    for path, name in [
        (wine, "wine64"),
        (shutil.which("x86_64-w64-mingw32-gcc"), "x86_64-w64-mingw32-gcc"),
        ((LIBRARIES / library).exists(), f"the npm package webgpu, which has {library}"),
    ]:
        if not path:
            raise NotRun(name)
    program = directory / "dx.exe"
    command = ["x86_64-w64-mingw32-gcc", "-O1", "-Wall", "-Werror", "-o", program, HERE / "dx.c"]
    subprocess.run(command, check=True)
    environment = os.environ | {
        "WINEPREFIX": str(directory / "wine"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=;d3dcompiler_47,dxcompiler=n",
    }
    # The prefix is made once, before several processes want it.
    subprocess.run([wine, "wineboot", "--init"], env=environment, check=True, capture_output=True)

    def compile_some(some):
        lines = "".join(f"{entry['file']} {entry['entry']} {entry['profile']}\n" for entry in some)
        command = [wine, program, kind, str(LIBRARIES / library)]
        return subprocess.run(
            command, input=lines, capture_output=True, text=True, errors="replace", env=environment, cwd=directory / "hlsl"
        ).stdout

    # Several processes, each with every so-manieth: large shaders are neighbours.
    parts = [entries[start::WORKERS] for start in range(WORKERS)]
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        outputs = list(pool.map(compile_some, filter(None, parts)))
    answers = {}
    for output in outputs:
        for line in output.splitlines():
            word, _, rest = line.partition(" ")
            if word == "loaded" and LIBRARIES.name not in rest:
                raise NotRun(f"{library} of the npm package: Wine loaded {rest or 'nothing'}")
            if word in ("ok", "failed"):
                file, _, message = rest.partition(" ")
                answers[file] = None if word == "ok" else message.strip() or "failed without a message"
    return {entry["file"]: answers.get(entry["file"], "no answer: the compiler ended before it") for entry in entries}


def report(name, found, left_out, seconds):
    """Print what came of a compiler. Return the number of failures."""
    failures = {label: error for label, error in found.items() if error is not None}
    print(f"{name}: {len(found) - len(failures)} passed, {len(failures)} failed, in {seconds:.0f} s")
    for reason, count in sorted(left_out.items()):
        print(f"    excluded {count}: {reason}")
    causes = collections.Counter(" ".join(error.split())[-160:] for error in failures.values())
    for label, error in list(failures.items())[:SHOWN]:
        print(f"  failed: {label}\n    {error[:1200]}")
    if len(failures) > SHOWN:
        print(f"  and {len(failures) - SHOWN} more; the causes, by how often:")
        for cause, count in causes.most_common(SHOWN):
            print(f"    {count}: …{cause}")
    return len(failures)


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    sources = json.loads((directory / "sources.json").read_text())
    pipelines = json.loads((directory / "pipelines.json").read_text())
    for pipeline in pipelines:
        pipeline["needs"] = sources[pipeline["source"]]["needs"]
    if len(sources) < 100 or len(pipelines) < 100:
        sys.exit(f"{directory}: {len(sources)} sources and {len(pipelines)} pipelines: fewer than the library has")
    print(f"{len(sources)} sources, {len(pipelines)} pipelines of all targets' plans of all networks")
    failed = 0
    for name, run, wanted in [("Tint", tint, True), ("spirv-val", spirv_val, True), ("DXC", dxc, True), ("FXC", fxc, False)]:
        start = time.monotonic()
        try:
            failed += report(name, *run(directory, sources, pipelines), time.monotonic() - start)
        except NotRun as why:
            print(f"{name}: not run, for want of {why}")
            failed += wanted and in_ci()
    print("Metal: not run, for want of its compiler; naga alone has checked what it writes in MSL (make test)")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
