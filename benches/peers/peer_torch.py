"""PyTorch: peer_torch.py cpu|cuda f32|tf32|f16 [channels_last] [compile]."""

import os
import sys

import torch
from prepare import build
from protocol import serve

DEVICE, PRECISION, *REST = sys.argv[1:]


@torch.inference_mode()
def load(case):
    if DEVICE == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no CUDA device")
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = PRECISION == "tf32"
    kind = torch.float16 if PRECISION == "f16" else torch.float32
    layout = torch.channels_last if "channels_last" in REST else torch.contiguous_format
    model = build(case.name)[0].to(DEVICE, kind, memory_format=layout)
    if "compile" in REST:
        model = torch.compile(model)
    host = [torch.from_numpy(x) for x in case.inputs().values()]
    to_device = lambda: [x.to(DEVICE, kind).contiguous(memory_format=layout) for x in host]  # noqa: E731
    inputs = to_device()

    @torch.inference_mode()
    def resident():
        model(*inputs)
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    @torch.inference_mode()
    def end_to_end():
        return model(*to_device()).float().contiguous().cpu().numpy()

    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    about = f"PyTorch {torch.__version__}, {where}, {' '.join([PRECISION, *REST])}"
    return about, end_to_end, {"end to end": end_to_end, "resident": resident}


serve(load)
