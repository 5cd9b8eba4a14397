"""Makes the cases that all peers run: ONNX files, inputs, and the answers of PyTorch on the CPU in float64.

Usage: prepare.py DIR NAME..., where a name is one of timm's networks, with `@BATCH` for a batch other than 1, or
`se_C_SIDE_REDUCED_BATCH` for one SE block: `relu(x * sigmoid(fc2(relu(fc1(mean(x))))) + residual)`. Needs torch, timm, onnx and onnxscript.
"""

import json
import pathlib
import sys

import torch

class SeBlock(torch.nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.fc1 = torch.nn.Conv2d(channels, reduced, 1)
        self.fc2 = torch.nn.Conv2d(reduced, channels, 1)

    def forward(self, x, residual):
        gate = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))
        return torch.relu(x * gate + residual)


def seed(model):
    """Fills all tensors: no peer is handed zeros, batch norms are not the identity, and numbers stay in bounds."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        numbers = torch.rand(tensor.shape, generator=generator)
        if name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
            numbers = numbers + 0.5
        elif tensor.dim() == 1:
            numbers = (numbers - 0.5) / 2
        else:
            numbers = (numbers - 0.5) * 2 * (3 / tensor[0].numel()) ** 0.5
        tensor.copy_(numbers)
    return model.eval()


def build(name):
    """The model of a case, and its inputs."""
    generator = torch.Generator().manual_seed(2)
    if name.startswith("se_"):
        channels, side, reduced, batch = map(int, name.split("_")[1:])
        model, shapes = SeBlock(channels, reduced), 2 * [(batch, channels, side, side)]
    else:
        import timm

        network, _, batch = name.partition("@")
        model, shapes = timm.create_model(network), [(int(batch or 1), 3, 224, 224)]
    with torch.no_grad():
        seed(model)
    return model, [4 * torch.rand(shape, generator=generator) - 2 for shape in shapes]


def write(path, tensor):
    path.write_bytes(tensor.detach().contiguous().float().numpy().tobytes())


def export(model, names, inputs, path):
    torch.onnx.export(
        model,
        tuple(inputs),
        path,
        input_names=names,
        output_names=["output"],
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def prepare(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    model, inputs = build(name)
    names = ["input", "residual"][: len(inputs)]
    export(model, names, inputs, folder / "model.onnx")
    # For peers whose maps have no batch.
    export(model, names, [x[:1] for x in inputs], folder / "image.onnx")
    # Peers that have no loader read these.
    if name.startswith("se_"):
        for key, tensor in model.state_dict().items():
            write(folder / f"{key}.bin", tensor)
    with torch.no_grad():
        expected = model.double()(*(x.double() for x in inputs))
    for key, x in zip(names, inputs):
        write(folder / f"{key}.bin", x)
    write(folder / "expected.bin", expected)
    case = {"name": name, "inputs": {key: list(x.shape) for key, x in zip(names, inputs)}}
    if name.startswith("se_"):
        case["reduced"] = int(name.split("_")[3])
    (folder / "case.json").write_text(json.dumps(case))


if __name__ == "__main__":
    for each in sys.argv[2:]:
        prepare(pathlib.Path(sys.argv[1]) / each, each)
        print(each, flush=True)
