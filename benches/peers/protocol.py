"""What every peer speaks: one JSON object a line in, one out.

    {"do": "load", "case": FOLDER}            -> {"about": "...", "ways": ["end to end", ...]}
    {"do": "check", "to": FILE}               -> {}, and the answer as raw float32 in the file
    {"do": "time", "way": "...", "runs": N}   -> {"seconds": [...]}

Ways: "end to end" begins and ends with arrays on the host; "resident" has inputs and output on the device and ends when
the device has finished. Any error is {"error": "..."}.
"""

import json
import os
import pathlib
import sys
import time


class Case:
    """A folder that prepare.py made."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        facts = json.loads((self.folder / "case.json").read_text())
        self.name, self.shapes = facts["name"], facts["inputs"]
        self.is_block = "residual" in self.shapes
        self.onnx = str(self.folder / "model.onnx")

    def array(self, name, shape=-1):
        import numpy

        return numpy.fromfile(self.folder / f"{name}.bin", dtype=numpy.float32).reshape(shape)

    def inputs(self):
        return {name: self.array(name, shape) for name, shape in self.shapes.items()}


def serve(load):
    """Answers requests until the input ends. `load(case)` returns what it runs on, a function that computes the answer
    as an array, and the functions to time by their way."""
    # Libraries that print must not talk in between.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answer, ways = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        reply = {}
        try:
            if request["do"] == "load":
                about, answer, ways = load(Case(request["case"]))
                reply = {"about": about, "ways": list(ways)}
            elif request["do"] == "check":
                import numpy

                numpy.ascontiguousarray(answer(), dtype=numpy.float32).tofile(request["to"])
            else:
                reply = {"seconds": [seconds(ways[request["way"]]) for _ in range(request["runs"])]}
        except Exception as error:  # Whatever a peer throws is the table's reason.
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=out, flush=True)


def seconds(once):
    start = time.perf_counter()
    once()
    return time.perf_counter() - start
