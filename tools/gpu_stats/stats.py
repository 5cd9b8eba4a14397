"""What AMD's compilers in Mesa make of the kernels: registers, waves, spills, instructions. No GPU is needed.

    python3 tools/gpu_stats/stats.py PROGRAM DIRECTORY [--check]

DIRECTORY is written by tests/host/shaders/foreign.rs, PROGRAM is tools/gpu_stats, built: `make gpu-stats` does both. Writes
docs/gpu_stats.csv; with --check, compares with it and fails on a spill or scratch memory, fewer waves, more registers, over
2 % more instructions in the inner loop or around it, or other pipelines. Where the driver is of another version than the file's, it only
reports. Without Mesa's DRM shim nothing runs, which fails where `CI` is set.
"""

import concurrent.futures
import csv
import json
import os
import pathlib
import platform
import subprocess
import sys

from listing import inner_loop

FILE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/gpu_stats.csv"
# By the shim's names: RX 7900 XTX and RX 6800.
GPUS = ("navi31", "navi21")
# Whose pipelines are compiled, as users plan for them.
PLANS = {"discrete", "integrated", "cooperative 16x16"}
SHIM = f"/usr/lib/{platform.machine()}-linux-gnu/libamdgpu_noop_drm_shim.so"
DRIVERS = ("/usr/share/vulkan/icd.d/radeon_icd.json", f"/usr/share/vulkan/icd.d/radeon_icd.{platform.machine()}.json")
KEY = ("gpu", "shader", "variant", "constants")
FIGURES = (
    "registers", "waves", "spills", "scratch", "workgroup_bytes", "code_bytes", "instructions",
    "loop", "loop_fmas", "loop_integer_multiplies", "around", "around_integer_multiplies",
)
MORE_OF_LOOP = 1.02


def compile_on(gpu, program, driver, pipelines):
    """Compile pipelines by one GPU's compiler: the driver's version and a row for each."""
    # RDNA2 has no cooperative matrices.
    able = [p for p in pipelines if gpu == "navi31" or "matrices" not in p["needs"]]
    environment = os.environ | {
        "AMDGPU_GPU_ID": gpu,
        "LD_PRELOAD": SHIM,
        "VK_DRIVER_FILES": driver,
        "MESA_SHADER_CACHE_DISABLE": "true",
    }
    request = json.dumps([{"spv": p["spv"], "bindings": p["bindings"]} for p in able])
    done = subprocess.run([program], input=request, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{gpu}: {done.stderr.strip()[-600:]}")
    answer = json.loads(done.stdout)
    if gpu.upper() not in answer["device"].upper():
        sys.exit(f"{gpu}: the driver shows {answer['device']}")
    refused = [f"{p['label']}: {found['error']}" for p, found in zip(able, answer["pipelines"]) if "error" in found]
    if refused:
        sys.exit(f"{gpu} refuses {len(refused)} pipelines\n" + "\n".join(refused[:10]))
    return answer["driver"], [row(gpu, p, found) for p, found in zip(able, answer["pipelines"], strict=True)]


def row(gpu, pipeline, found):
    """Make the file's row of a pipeline."""
    shader, variant = pipeline["source"].split(" ", 1)
    constants = " ".join(f"{name}={value:g}" for name, value in sorted(pipeline["constants"].items()))
    return {
        "gpu": gpu,
        "shader": shader,
        "variant": variant.strip("()"),
        "constants": constants,
        "registers": found["VGPRs"],
        "waves": found["Subgroups per SIMD"],
        "spills": found["Spilled VGPRs"] + found["Spilled SGPRs"],
        "scratch": found["Scratch size"],
        "workgroup_bytes": found["LDS size"],
        "code_bytes": found["Code size"],
        "instructions": found["Instructions"],
        **inner_loop(found["listing"]),
    }


def key(some):
    return tuple(some[name] for name in KEY)


def worse(old, new):
    """Say what of a pipeline is worse than in the file."""
    if new["spills"] or new["scratch"]:
        yield f"{new['spills']} spills, {new['scratch']} bytes of scratch memory"
    if old is None:
        yield "not in the file"
        return
    if new["waves"] < int(old["waves"]):
        yield f"waves {old['waves']} to {new['waves']}"
    if new["registers"] > int(old["registers"]):
        yield f"registers {old['registers']} to {new['registers']}"
    for loop in ("loop", "around"):
        if new[loop] > MORE_OF_LOOP * int(old[loop]):
            yield f"instructions, {loop}: {old[loop]} to {new[loop]}"


def check(version, rows):
    """Compare with the file. Return the number of complaints that count."""
    with FILE.open(newline="") as file:
        recorded = file.readline().removeprefix("# ").strip()
        known = {key(old): old for old in csv.DictReader(file)}
    complaints = [f"{' '.join(key(new))}: {what}" for new in rows for what in worse(known.get(key(new)), new)]
    gone = known.keys() - {key(new) for new in rows}
    complaints += [f"{' '.join(gone_one)}: in no plan any more" for gone_one in sorted(gone)]
    better = sum(new["loop"] < int(known[key(new)]["loop"]) for new in rows if key(new) in known)
    print(f"{len(rows)} pipelines by {version}: {len(complaints)} complaints, {better} inner loops shorter than in the file")
    for complaint in complaints[:40]:
        print(f"  {complaint}")
    if recorded != version:
        print(f"the file is of {recorded}: nothing of this fails")
        return 0
    if complaints:
        print("where this is meant: make gpu-stats writes the file anew")
    return len(complaints)


def main():
    program, directory = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    driver = next((path for path in DRIVERS if os.path.exists(path)), None)
    if driver is None or not os.path.exists(SHIM):
        print("gpu-stats: not run, for want of Mesa's RADV and its DRM shim (tools/gpu_stats/install.sh)")
        sys.exit(os.environ.get("CI", "") not in ("", "0", "false"))
    sources = json.loads((directory / "sources.json").read_text())
    pipelines = [p for p in json.loads((directory / "pipelines.json").read_text()) if PLANS & set(p["plans"])]
    for pipeline in pipelines:
        pipeline |= {name: sources[pipeline["source"]][name] for name in ("needs", "bindings")}
        pipeline["spv"] = str(directory / "spv" / pipeline["spv"])
    if len(pipelines) < 50:
        sys.exit(f"{directory}: {len(pipelines)} pipelines: fewer than the plans have")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda gpu: compile_on(gpu, program, driver, pipelines), GPUS))
    version = answers[0][0]
    rows = sorted((new for _, some in answers for new in some), key=key)
    if "--check" in sys.argv:
        sys.exit(check(version, rows) > 0)
    with FILE.open("w", newline="") as file:
        file.write(f"# {version}\n")
        writer = csv.DictWriter(file, KEY + FIGURES, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    spilled = sum(new["spills"] + new["scratch"] > 0 for new in rows)
    print(f"{FILE.name}: {len(rows)} pipelines by {version}, {spilled} with spills or scratch memory")
    sys.exit(spilled > 0)


if __name__ == "__main__":
    main()
