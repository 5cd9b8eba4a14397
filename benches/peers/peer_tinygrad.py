"""tinygrad's generated kernels for one SE block: peer_tinygrad.py WEBGPU|CL|CPU|NV."""

import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import sys

from protocol import serve

# Where tinygrad looks for Dawn; the package dawn-python has it.
DAWN = importlib.util.find_spec("pydawn")
if DAWN and platform.system() == "Linux":
    library = pathlib.Path(DAWN.origin).parent / "lib" / f"libwebgpu_dawn_{platform.machine()}.so"
    os.environ.setdefault("WEBGPU_PATH", str(library))

from tinygrad import Device, Tensor, TinyJit  # noqa: E402
from tinygrad.helpers import DEV  # noqa: E402

DEVICE = sys.argv[1]


def load(case):
    DEV.value = DEVICE
    if not case.is_block:
        raise RuntimeError("runs the SE block only")
    channels = case.shapes["input"][1]
    weights = {
        name: Tensor(case.array(name, shape)).realize()
        for name, shape in [
            ("fc1.weight", (-1, channels)),
            ("fc1.bias", -1),
            ("fc2.weight", (channels, -1)),
            ("fc2.bias", -1),
        ]
    }

    @TinyJit
    def se_block(x, residual):
        hidden = x.mean((2, 3)).linear(weights["fc1.weight"].T, weights["fc1.bias"]).relu()
        gate = hidden.linear(weights["fc2.weight"].T, weights["fc2.bias"]).sigmoid()
        return (x * gate.reshape(*gate.shape, 1, 1) + residual).relu().realize()

    arrays = case.inputs().values()
    inputs = [Tensor(x).realize() for x in arrays]

    def resident():
        se_block(*inputs)
        Device[DEVICE].synchronize()

    def end_to_end():
        return se_block(*(Tensor(x).realize() for x in arrays)).numpy()

    about = f"tinygrad {importlib.metadata.version('tinygrad')}, {DEVICE}"
    return about, end_to_end, {"end to end": end_to_end, "resident": resident}


serve(load)
