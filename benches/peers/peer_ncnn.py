"""ncnn on the CPU or through Vulkan: peer_ncnn.py cpu|vulkan f32|f16.

pnnx makes its files. Its maps have no batch, so that one runs image by image.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys

import ncnn
import numpy
from protocol import serve

DEVICE, PRECISION = sys.argv[1:3]


def converted(case):
    """ncnn's two files beside the ONNX file, made once."""
    param, weights = case.folder / "image.ncnn.param", case.folder / "image.ncnn.bin"
    if not weights.exists():
        # The package's Python part wants PyTorch.
        binary = pathlib.Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"
        shapes = ",".join(str([1, *shape[1:]]).replace(" ", "") for shape in case.shapes.values())
        command = [binary, "image.onnx", f"inputshape={shapes}", "fp16=0"]
        made = subprocess.run(command, cwd=case.folder, capture_output=True, text=True)
        if not weights.exists():
            raise RuntimeError(f"pnnx: {(made.stderr or made.stdout).strip()[-200:]}")
    return str(param), str(weights)


def load(case):
    net = ncnn.Net()
    net.opt.num_threads = int(os.environ["PEER_THREADS"])
    net.opt.openmp_blocktime = 0
    net.opt.use_vulkan_compute = DEVICE == "vulkan"
    if PRECISION == "f32":
        for option in ["fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage", "bf16_packed"]:
            setattr(net.opt, f"use_{option}", False)
    param, weights = converted(case)
    if net.load_param(param) or net.load_model(weights):
        raise RuntimeError("ncnn does not load the file that pnnx made")
    names = net.input_names()
    # A mat only borrows an array's memory.
    images = [{name: ncnn.Mat(x).clone() for name, x in zip(names, xs)} for xs in zip(*case.inputs().values())]

    def run(image):
        extractor = net.create_extractor()
        for name, mat in image.items():
            extractor.input(name, mat)
        failed, mat = extractor.extract(net.output_names()[0])
        if failed:
            raise RuntimeError(f"ncnn fails with {failed}")
        return mat

    where = ncnn.get_gpu_info(0).device_name() if DEVICE == "vulkan" else f"CPU, {net.opt.num_threads} threads"
    return (
        f"ncnn {ncnn.__version__}, {where}, {PRECISION}",
        lambda: numpy.stack([numpy.array(run(image)) for image in images]),
        {"end to end": lambda: [run(image) for image in images]},
    )


serve(load)
