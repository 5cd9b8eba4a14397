"""wonnx, which runs ONNX files on wgpu."""

import importlib.metadata

import numpy
import wonnx
from protocol import serve


def load(case):
    session = wonnx.Session.from_path(case.onnx)
    inputs = {name: x.ravel() for name, x in case.inputs().items()}

    def run():
        return numpy.array(next(iter(session.run(inputs).values())), dtype=numpy.float32)

    return f"wonnx {importlib.metadata.version('wonnx')}", run, {"end to end": run}


serve(load)
