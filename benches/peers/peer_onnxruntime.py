"""ONNX Runtime: peer_onnxruntime.py cpu|webgpu."""

import os
import sys

import onnxruntime as ort
from protocol import serve

PROVIDER = {"cpu": "CPUExecutionProvider", "webgpu": "WebGpuExecutionProvider"}[sys.argv[1]]


def load(case):
    if PROVIDER not in ort.get_available_providers():
        raise RuntimeError(f"this wheel has no {PROVIDER}, it has {', '.join(ort.get_available_providers())}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ["PEER_THREADS"])
    # A waiting thread must not take the cores of the next peer.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    # What the provider refuses must not run on the CPU unseen.
    if sys.argv[1] != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = ort.InferenceSession(case.onnx, options, providers=[PROVIDER])
    inputs = case.inputs()
    run = lambda: session.run(None, inputs)[0]  # noqa: E731
    ways = {"end to end": run}
    if sys.argv[1] == "cpu":
        ways["resident"] = run
    return f"onnxruntime {ort.__version__}, {PROVIDER}, {os.environ['PEER_THREADS']} threads", run, ways


serve(load)
