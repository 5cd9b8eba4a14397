#!/usr/bin/env python3
"""Compares a timm network's error in f32 between PyTorch, ONNX Runtime and excite, image by image.

    tools/error_of_f32.py fbnetv3_b --excite target/release/excite

Exports the network with weights made from a seed, runs the same images through all three, and prints how far each
answer is from PyTorch's in float64, as a share of the largest logit. Needs torch, timm, onnx, onnxruntime, safetensors.
"""

import argparse
import copy
import math
import subprocess
import tempfile
from pathlib import Path

import onnxruntime
import timm
import torch
from safetensors.torch import load_file, save_file


def network(name, seed, size):
    """Makes the network with random weights, and statistics of its norms that fit them and vary."""
    torch.manual_seed(seed)
    model = timm.create_model(name, pretrained=False)
    for key, parameter in model.named_parameters():
        if parameter.dim() >= 2:
            parameter.data.normal_(0, 1.2 / math.sqrt(parameter[0].numel()))
        elif key.endswith("bias"):
            parameter.data.uniform_(-0.3, 0.3)
        else:
            parameter.data.uniform_(0.5, 1.5)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(torch.randn(16, 3, size, size))
    for norm in norms:
        norm.running_mean += 0.1 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
        norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.7, 1.4)
    return model.eval()


def answers(model, images, excite, folder):
    """The answers of each program, in float64."""
    path = str(folder / "net.onnx")
    names = {"input_names": ["input"], "output_names": ["logits"]}
    axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(model, images[:2], path, opset_version=17, dynamo=False, dynamic_axes=axes, **names)
    save_file({"input": images.contiguous()}, folder / "x.safetensors")
    command = [excite, "run", path, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors"]
    subprocess.run(command, check=True)
    session = onnxruntime.InferenceSession(path)
    yield "PyTorch", model(images)
    yield "ONNX Runtime", torch.tensor(session.run(None, {"input": images.numpy()})[0])
    yield "excite", load_file(folder / "y.safetensors")["logits"]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("--excite", default="excite", help="the binary")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    for seed in range(args.seeds):
        model = network(args.network, seed, args.size)
        images = torch.randn(args.images, 3, args.size, args.size)
        exact = copy.deepcopy(model).double()(images.double())
        with tempfile.TemporaryDirectory() as folder:
            for program, answer in answers(model, images, args.excite, Path(folder)):
                errors = (answer.double() - exact).abs().amax(1) / exact.abs().max()
                print(f"seed {seed} {program:13} mean {errors.mean():.2e} largest {errors.max():.2e}", flush=True)


if __name__ == "__main__":
    main()
