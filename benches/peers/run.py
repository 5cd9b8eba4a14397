#!/usr/bin/env python3
"""Times excite beside other programs that run the same networks, on this machine's adapter, interleaved.

    python3 benches/peers/run.py                                # everything; some GB come into a temporary folder
    python3 benches/peers/run.py --peer 'ncnn*' --case 'se_*'   # excite, and what matches
    python3 benches/peers/run.py --batch 1 8 32                 # images a run, for networks and SE blocks
    python3 benches/peers/run.py --keep DIR                     # keep, and use again, what was installed and made
    python3 benches/peers/run.py --python torch=/a/bin/python   # one that has torch, timm, onnx and onnxscript

Needs Rust and Python 3.10 or newer; the rest comes from PyPI and crates.io. Every peer is a process of its own
(protocol.py), is checked against PyTorch's answer in float64 before it is timed, and is taken in turn with all others:
A B C A B C …. Ratios are taken within a turn. A peer that can't be installed, fails, hangs or is wrong is a line with
its reason, whatever that is: it never costs the table.
"""

import argparse
import array
import atexit
import contextlib
import datetime
import fnmatch
import itertools
import json
import math
import os
import pathlib
import platform
import queue
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
THREADS = str(os.cpu_count() or 1)

# Largest error, as a part of the largest expected number. ncnn's own tests allow this much in f32.
F32, F16 = 1e-3, 2e-2

# A peer that has taken this many seconds of a case gets no more turns, if it has had enough of them.
BUDGET, ENOUGH = 40, 5

# What pip installs, call by call, into an environment of its own. pnnx would bring PyTorch for a part that isn't used.
ENVIRONMENTS = {
    "torch": [["torch", "timm", "onnx", "onnxscript"]],
    "ncnn": [["ncnn", "numpy"], ["--no-deps", "pnnx"]],
    "onnxruntime": [["onnxruntime"]],
    "onnxruntime-webgpu": [["onnxruntime-webgpu"]],
    "iree": [["iree-base-compiler[onnx]", "iree-base-runtime"]],
    "tinygrad": [["tinygrad", "dawn-python", "numpy"]],
    "wonnx": [["wonnx", "numpy"]],
}

NETWORKS = ["seresnet50", "efficientnet_b0", "seresnext50_32x4d"]
STAGES = [(256, 56, 16), (512, 28, 32), (1024, 14, 64), (2048, 7, 128)]


def all_cases(batches):
    """Names as prepare.py has them. Without batches, networks have 1 image and SE blocks 1 and 8."""
    networks = [name if n == 1 else f"{name}@{n}" for n in batches or [1] for name in NETWORKS]
    return [*networks, *(f"se_{c}_{s}_{r}_{n}" for n in batches or [1, 8] for c, s, r in STAGES)]


@dataclass
class Peer:
    name: str
    program: list
    # Where its packages are; excite and burn are built.
    environment: str
    # On a portable GPU interface, on the CPU, or through CUDA.
    kind: str
    tolerance: float = F32
    blocks_only: bool = False
    networks_only: bool = False
    reason: str = ""
    command: list = field(default_factory=list)


PEERS = [
    Peer("excite", [], "excite", "GPU"),
    Peer("excite tuned", ["tuned"], "excite", "GPU", networks_only=True),
    Peer("excite f16", ["f16"], "excite", "GPU", F16, networks_only=True),
    Peer("excite f16 cooperative", ["f16", "cooperative"], "excite", "GPU", F16, networks_only=True),
    Peer("excite, NCHW buffers", ["nchw"], "excite", "GPU", blocks_only=True),
    Peer("ncnn Vulkan f32", ["peer_ncnn.py", "vulkan", "f32"], "ncnn", "GPU"),
    Peer("ncnn Vulkan f16", ["peer_ncnn.py", "vulkan", "f16"], "ncnn", "GPU", F16),
    Peer("onnxruntime WebGPU", ["peer_onnxruntime.py", "webgpu"], "onnxruntime-webgpu", "GPU"),
    Peer("IREE Vulkan", ["peer_iree.py", "vulkan"], "iree", "GPU"),
    Peer("wonnx", ["peer_wonnx.py"], "wonnx", "GPU"),
    Peer("tinygrad WebGPU", ["peer_tinygrad.py", "WEBGPU"], "tinygrad", "GPU", blocks_only=True),
    Peer("burn wgpu", [], "burn", "GPU", blocks_only=True),
    Peer("ncnn CPU", ["peer_ncnn.py", "cpu", "f32"], "ncnn", "CPU"),
    Peer("onnxruntime CPU", ["peer_onnxruntime.py", "cpu"], "onnxruntime", "CPU"),
    Peer("PyTorch CPU", ["peer_torch.py", "cpu", "f32"], "torch", "CPU"),
    Peer("PyTorch CPU channels_last", ["peer_torch.py", "cpu", "f32", "channels_last"], "torch", "CPU"),
    Peer("PyTorch CPU compile", ["peer_torch.py", "cpu", "f32", "compile"], "torch", "CPU"),
    Peer("PyTorch CUDA f32", ["peer_torch.py", "cuda", "f32"], "torch", "CUDA"),
    Peer("PyTorch CUDA f32 channels_last", ["peer_torch.py", "cuda", "f32", "channels_last"], "torch", "CUDA"),
    Peer("PyTorch CUDA TF32", ["peer_torch.py", "cuda", "tf32", "channels_last"], "torch", "CUDA", F16),
    Peer("PyTorch CUDA f16", ["peer_torch.py", "cuda", "f16", "channels_last"], "torch", "CUDA", F16),
    Peer("PyTorch CUDA compile f32", ["peer_torch.py", "cuda", "f32", "compile"], "torch", "CUDA"),
    Peer("PyTorch CUDA compile f16", ["peer_torch.py", "cuda", "f16", "channels_last", "compile"], "torch", "CUDA", F16),
]


class Failed(Exception):
    """Why a peer has no figure."""


def reason(error):
    """Whatever went wrong, in one line for the table."""
    text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:200]


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def environment():
    """As many threads for all; a thread that waits must not take the cores of the next in turn."""
    names = ["PEER_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"]
    waiting = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **dict.fromkeys(names, THREADS), **waiting}


def end(process):
    """Ends a process and what it has started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        process.kill()
    process.wait()


RUNNING = []


def started(command, **options):
    """A process in a group of its own, which ends with this one."""
    process = subprocess.Popen(command, text=True, start_new_session=True, **options)
    RUNNING.append(process)
    return process


@atexit.register
def end_all():
    while RUNNING:
        end(RUNNING.pop())


def finished(command, limit, **options):
    """What a command prints, if it succeeds in time."""
    process = started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"{pathlib.Path(command[0]).name} took more than {limit} s") from None
    finally:
        end(process)
        RUNNING.remove(process)
    if process.returncode:
        raise Failed(last_line(err or out))
    return out


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return ((errors or lines or ["no message"])[-1])[:200]


class Speaker:
    """A peer's process."""

    def __init__(self, command, log, limit):
        self.limit, self.log = limit, log
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with log.open("w") as errors:
            self.process = started(command, stderr=errors, env=environment(), cwd=log.parent, **pipes)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=self.limit)
        except queue.Empty:
            raise Failed(f"no answer to {request['do']} in {self.limit} s") from None
        except BrokenPipeError:
            line = None
        if line is None:
            code = self.process.wait()
            raise Failed(f"ended with {code}: {last_line(self.log.read_text(errors='replace'))}")
        try:
            reply = json.loads(line)
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            raise Failed(f"says what is no answer to {request['do']}: {line.strip()}")
        if "error" in reply:
            raise Failed(reply["error"])
        return reply

    def seconds(self, way, runs):
        found = self.ask(do="time", way=way, runs=runs).get("seconds")
        good = isinstance(found, list) and len(found) == runs
        if not good or not all(isinstance(each, (int, float)) and 0 < each < math.inf for each in found):
            raise Failed(f"{way}: expected {runs} times above 0, found {found}")
        return found

    def close(self):
        end(self.process)
        RUNNING.remove(self.process)


def built(command, limit, **options):
    """The program that cargo builds."""
    out = finished([*command, "--message-format=json"], limit, **options)
    made = [json.loads(line).get("executable") for line in out.splitlines() if line.startswith("{")]
    if not any(made):
        raise Failed("cargo names no program that it has built")
    return [path for path in made if path][-1]


def install(name, folder, limit):
    """The command that starts programs of an environment."""
    if name == "excite":
        return [built(["cargo", "build", "--release", "--example", "peer"], limit, cwd=HERE)]
    if name == "burn":
        # Built elsewhere, so that no lock file or target folder is left beside the source.
        source = folder / "burn" / "source"
        shutil.copytree(HERE / "burn", source, dirs_exist_ok=True)
        options = {"cwd": source, "env": {**os.environ, "CARGO_TARGET_DIR": str(folder / "burn" / "target")}}
        return [built(["cargo", "build", "--release"], limit, **options)]
    home = folder / name
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = home / "installed"
    if not done.exists():
        finished([sys.executable, "-m", "venv", str(home)], limit)
        for packages in ENVIRONMENTS[name]:
            finished([str(python), "-m", "pip", "install", "--quiet", *packages], limit)
        done.touch()
    return [str(python)]


def floats(path):
    numbers = array.array("f")
    numbers.frombytes(path.read_bytes())
    return numbers


def check(found, expected, tolerance):
    """Refuses a wrong answer, else its error."""
    if len(found) != len(expected):
        raise Failed(f"wrong: {len(found)} numbers instead of {len(expected)}")
    if any(map(math.isnan, found)):
        raise Failed("wrong: not a number")
    error = max(abs(a - b) for a, b in zip(found, expected)) / max(map(abs, expected))
    if error > tolerance:
        raise Failed(f"wrong: off by {error:.1e}, allowed is {tolerance:.0e}")
    return error


def load(peer, case, work, limit):
    """A peer that has shown that it is right, what it says of itself, and how often a turn repeats each way."""
    speaker = Speaker(peer.command, work / f"{peer.name}.log".replace(" ", "_"), limit)
    try:
        facts = speaker.ask(do="load", case=str(case))
        if not isinstance(facts.get("about"), str) or "end to end" not in (facts.get("ways") or []):
            raise Failed(f"does not say what it is and does: {facts}")
        answer = work / "answer.bin"
        answer.unlink(missing_ok=True)  # Another's that was wrong.
        speaker.ask(do="check", to=str(answer))
        facts["error"] = check(floats(answer), floats(case / "expected.bin"), peer.tolerance)
        facts["runs"] = {}
        for way in facts["ways"]:
            speaker.seconds(way, 2)  # warm
            facts["runs"][way] = max(1, min(20, int(0.05 / speaker.seconds(way, 1)[0])))
        return speaker, facts
    except BaseException:
        speaker.close()
        raise


def measure(case, peers, work, rounds, limit):
    """Of each peer by name: a reason, or what it is and the medians of its turns by way."""
    results, speakers = {}, {}
    try:
        for peer in peers:
            try:
                if peer.reason:
                    raise Failed(peer.reason)
                if peer.networks_only if case.name.startswith("se_") else peer.blocks_only:
                    continue
                say(f"  {case.name}: {peer.name}")
                speakers[peer.name], facts = load(peer, case, work, limit)
                turns = {way: [] for way in facts["ways"]}
                results[peer.name] = {**facts, "kind": peer.kind, "turns": turns, "spent": 0.0}
            except Exception as error:  # One peer's trouble is its line, and never the end of the table.
                results[peer.name] = {"kind": peer.kind, "reason": reason(error)}
        for _ in range(rounds):
            for name, speaker in list(speakers.items()):
                result = results[name]
                if result["spent"] > BUDGET and len(result["turns"]["end to end"]) >= ENOUGH:
                    continue
                try:
                    for way, runs in result["runs"].items():
                        seconds = speaker.seconds(way, runs)
                        result["turns"][way].append(statistics.median(seconds))
                        result["spent"] += sum(seconds)
                except Exception as error:
                    results[name] = {"kind": result["kind"], "reason": reason(error)}
                    speakers.pop(name).close()
    finally:
        for speaker in speakers.values():
            speaker.close()
    return results


def ratios(results, name, way, ours="excite"):
    """excite's time over a peer's, turn by turn."""
    ours, theirs = (results.get(each, {}).get("turns", {}).get(way) for each in (ours, name))
    return [a / b for a, b in zip(ours, theirs)] if ours and theirs else []


def table(case, results):
    columns = ["program", "runs on", "way", "median ms (min-max)", "excite's time over its (min-max)", "error"]
    reasons = {}
    lines = [f"### {case}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, result in results.items():
        if "reason" in result:
            reasons.setdefault((result["kind"], result["reason"].replace("|", "/")), []).append(name)
            continue
        for way, turns in result["turns"].items():
            milliseconds = sorted(1e3 * t for t in turns)
            middle, least, most = statistics.median(milliseconds), milliseconds[0], milliseconds[-1]
            ratio = ratios(results, name, way)
            compared = f"{statistics.median(ratio):.2f} ({min(ratio):.2f}-{max(ratio):.2f})" if ratio else ""
            lines.append(
                f"| {name} | {result['kind']} | {way} | {middle:.2f} ({least:.2f}-{most:.2f}) | {compared} "
                f"| {result['error']:.0e} |"
            )
    for (kind, reason), names in reasons.items():
        lines.append(f"| {', '.join(names)} | {kind} | | {reason} | | |")
    return "\n".join(lines) + "\n"


def summary(all_results):
    """One table: excite's time over each program's, for networks and for the mean of the SE blocks."""
    networks = [case for case in all_results if not case.startswith("se_")]
    se_blocks = [case for case in all_results if case.startswith("se_")]
    ways = ["end to end", "resident"] if se_blocks else []
    titles = ["program", *networks, *(f"SE block, {way}" for way in ways)]
    lines = ["### excite's time over the others'", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name in [peer.name for peer in PEERS if any(peer.name in results for results in all_results.values())]:
        cells = []
        for case in networks:
            result = all_results[case].get(name, {})
            ratio = ratios(all_results[case], name, "end to end")
            cells.append(f"{statistics.median(ratio):.2f}" if ratio else result.get("reason", "")[:60])
        for way in ways:
            found = [ratios(all_results[case], name, way) for case in se_blocks if name in all_results[case]]
            found = [statistics.median(ratio) for ratio in found if ratio]
            of = "" if len(found) == len(se_blocks) else f" ({len(found)} of {len(se_blocks)} shapes)"
            cells.append(f"{statistics.geometric_mean(found):.2f}{of}" if found else "")
        lines.append(f"| {name} | {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", "Networks end to end; SE blocks as geometric means of medians.", ""])


def fastest(results, way, ours):
    """The fastest portable-GPU peer of a case, and the ratios to it."""
    peers = [name for name, result in results.items() if result["kind"] == "GPU" and not name.startswith("excite")]
    others = [name for name in peers if ratios(results, name, way, ours)]
    if not others:
        return None
    name = min(others, key=lambda n: statistics.median(results[n]["turns"][way]))
    return name, ratios(results, name, way, ours)


def bars(all_results):
    """What the project wants of itself on a software adapter, and what this run says."""
    lines = ["### Bars", ""]
    for case in ["seresnet50", "efficientnet_b0"]:
        results = all_results.get(case, {})
        ncnn = [name for name in results if name.startswith("ncnn Vulkan") and ratios(results, name, "end to end")]
        for name in ncnn:
            ratio = ratios(results, name, "end to end")
            middle = statistics.median(ratio)
            spread = f"{min(ratio):.2f}-{max(ratio):.2f}"
            verdict = "met" if middle <= 0.7 else "not met"
            lines.append(f"- {case}, end to end: at most 0.7x the time of {name}: {middle:.2f}x ({spread}), {verdict}")
    for ours, way in itertools.product(["excite", "excite, NCHW buffers"], ["resident", "end to end"]):
        best = {case: fastest(r, way, ours) for case, r in all_results.items() if case.startswith("se_")}
        best = {case: found for case, found in best.items() if found}
        if best:
            turns = [statistics.geometric_mean(turn) for turn in zip(*(ratio for _, ratio in best.values()))]
            middle = statistics.geometric_mean(statistics.median(ratio) for _, ratio in best.values())
            verdict = "met" if middle <= 0.4 else "not met"
            lines.append(
                f"- SE block, {ours}, {way}, geometric mean of {len(best)} shapes: at most 0.4x the time of the "
                f"fastest portable-GPU peer of each: {middle:.2f}x ({min(turns):.2f}-{max(turns):.2f}), {verdict}; "
                f"fastest: {', '.join(dict.fromkeys(name for name, _ in best.values()))}"
            )
    return "\n".join(lines if lines[2:] else [*lines, "None can be told from this run."]) + "\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", metavar="GLOB", help="only peers like this (and excite)")
    parser.add_argument("--case", action="append", metavar="GLOB", help="only cases like this")
    parser.add_argument("--batch", type=int, nargs="+", metavar="N", help="images a run [networks 1, SE blocks 1 8]")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each peer [9]")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="work there and leave it")
    parser.add_argument("--python", action="append", default=[], metavar="ENV=PATH", help="an interpreter to use")
    parser.add_argument("--limit", type=float, default=120, help="seconds that an answer may take [120]")
    parser.add_argument("--install-limit", type=float, default=1800, help="seconds of an installation [1800]")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all measurements there too")
    return parser.parse_args()


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    like = lambda name, globs: not globs or any(fnmatch.fnmatch(name, glob) for glob in globs)  # noqa: E731
    peers = [peer for peer in PEERS if peer.name == "excite" or like(peer.name, options.peer)]
    cases = [case for case in all_cases(options.batch) if like(case, options.case)]
    kept = contextlib.nullcontext(options.keep)
    with kept if options.keep else tempfile.TemporaryDirectory(prefix="peers-") as folder:
        work = pathlib.Path(folder).resolve()
        (work / "cases").mkdir(parents=True, exist_ok=True)

        ready = {}
        given = dict(each.split("=", 1) for each in options.python)
        for name in dict.fromkeys(["torch", *(peer.environment for peer in peers)]):
            say(f"installing {name}")
            try:
                ready[name] = [given[name]] if name in given else install(name, work, options.install_limit)
            except Exception as error:
                ready[name] = Failed(f"not installed: {reason(error)}")
        for peer in peers:
            found = ready[peer.environment]
            if isinstance(found, Failed):
                peer.reason = str(found)
            elif peer.kind == "CUDA" and not shutil.which("nvidia-smi"):
                peer.reason = "not tried: no NVIDIA driver"
            else:
                program = [str(HERE / part) if part.endswith(".py") else part for part in peer.program]
                peer.command = [*found, *program]

        missing = [case for case in cases if not (work / "cases" / case / "case.json").exists()]
        if missing:
            say("making the cases")
            try:
                if isinstance(ready["torch"], Failed):
                    raise ready["torch"]
                command = [*ready["torch"], str(HERE / "prepare.py"), str(work / "cases"), *missing]
                finished(command, options.install_limit)
            except Exception as error:
                for peer in peers:
                    peer.reason = peer.reason or f"not tried: PyTorch makes what all run, and it is {reason(error)}"

        now = datetime.datetime.now(datetime.timezone.utc)
        load_average = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
        print(f"{now:%Y-%m-%d %H:%M} UTC, {platform.machine()}, {THREADS} threads for all{load_average}\n")
        results = {}
        for case in cases:
            results[case] = measure(work / "cases" / case, peers, work, options.rounds, options.limit)
            print(table(case, results[case]), flush=True)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1))
        print(summary(results))
        print(bars(results))
        said = {r["about"]: None for each in results.values() for r in each.values() if "about" in r}
        print("\n".join(f"- {about}" for about in said))
        if hasattr(os, "getloadavg"):
            print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
