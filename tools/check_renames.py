"""Check that torchvision's, pytorchcv's and EfficientNet-PyTorch's networks, with their own tensor names, give the same answers here.

    pip install torch==2.15.0 torchvision==0.29.2 pytorchcv==0.0.74 efficientnet_pytorch==0.7.1 safetensors==0.8.0
    cargo build --release --features cli
    python tools/check_renames.py target/release/excite              # run every network of NETWORKS on an adapter
    python tools/check_renames.py --list > tests/data/foreign.txt    # names and shapes, for tests/host/weights.rs

Weights are random and seeded, batch norms far from the identity. An answer may differ from PyTorch's in float64 by 2e-5 of
the largest logit: the limit of float32 in tests/common/compare.rs.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

# Our name, library, their name, side of the image. VGG's first linear layer is larger than some adapters bind.
NETWORKS = [
    ("efficientnet_b0", "torchvision", "efficientnet_b0", 64),
    ("efficientnet_b1", "torchvision", "efficientnet_b1", 64),
    ("efficientnet_b2", "torchvision", "efficientnet_b2", 64),
    ("efficientnet_b3", "torchvision", "efficientnet_b3", 64),
    ("efficientnet_b4", "torchvision", "efficientnet_b4", 64),
    ("regnety_032", "torchvision", "regnet_y_3_2gf", 64),
    ("vgg16_bn", "torchvision", "vgg16_bn", 224),
    ("inception_v3", "torchvision", "inception_v3", 107),
    ("resnet50", "torchvision", "resnet50", 65),
    ("resnet101", "torchvision", "resnet101", 64),
    ("resnet152", "torchvision", "resnet152", 64),
    ("resnext50_32x4d", "torchvision", "resnext50_32x4d", 65),
    ("densenet121", "torchvision", "densenet121", 64),
    ("resnext50_32x4d", "pytorchcv", "resnext50_32x4d", 65),
    ("resnext101_32x4d", "pytorchcv", "resnext101_32x4d", 64),
    ("seresnext50_32x4d", "pytorchcv", "seresnext50_32x4d", 65),
    ("seresnext101_32x4d", "pytorchcv", "seresnext101_32x4d", 64),
    ("senet154", "pytorchcv", "senet154", 64),
    ("regnety_002", "pytorchcv", "regnety002", 64),
    ("regnety_008", "pytorchcv", "regnety008", 64),
    ("regnety_032", "pytorchcv", "regnety032", 64),
    ("vgg16_bn", "pytorchcv", "bn_vgg16b", 224),
    ("densenet121", "pytorchcv", "densenet121", 64),
    ("inception_v3", "pytorchcv", "inceptionv3", 107),
    ("xception", "pytorchcv", "xception", 97),
    ("semnasnet_100", "pytorchcv", "mnasnet_a1", 64),
    ("bninception", "pytorchcv", "bninception", 65),
    ("shufflenet_g3_w1", "pytorchcv", "shufflenet_g3_w1", 65),
    ("resnet110_cifar10", "pytorchcv", "resnet110_cifar10", 32),
    ("preresnet164_cifar10", "pytorchcv", "preresnet164bn_cifar10", 32),
    ("se_resnet110_cifar10", "pytorchcv", "seresnet110_cifar10", 32),
    ("tf_efficientnet_b0", "EfficientNet-PyTorch", "efficientnet-b0", 65),
    ("tf_efficientnet_b1", "EfficientNet-PyTorch", "efficientnet-b1", 64),
]
# Names and shapes fit, the networks differ: they must be refused, with the reason.
REFUSED = [
    ("efficientnet_b5", "torchvision", "efficientnet_b5"),
    ("efficientnet_b6", "torchvision", "efficientnet_b6"),
    ("efficientnet_b7", "torchvision", "efficientnet_b7"),
    ("tf_efficientnet_b0", "torchvision", "efficientnet_b0"),
    ("tf_efficientnet_b5", "torchvision", "efficientnet_b5"),
    ("tf_efficientnetv2_s", "torchvision", "efficientnet_v2_s"),
    ("regnety_008", "torchvision", "regnet_y_800mf"),
    ("mobilenetv3_large_100", "torchvision", "mobilenet_v3_large"),
    ("mobilenetv3_small_100", "torchvision", "mobilenet_v3_small"),
    ("resnet50", "pytorchcv", "resnet50"),
    ("resnet50", "pytorchcv", "resnet50b"),
    ("abl_resnet50", "pytorchcv", "resnet50"),
    ("seresnet18", "pytorchcv", "seresnet18"),
    ("seresnet50", "pytorchcv", "seresnet50"),
    ("abl_seresnet50_r16", "pytorchcv", "seresnet50b"),
    ("legacy_seresnet50", "pytorchcv", "seresnet50"),
    ("vgg16_bn", "pytorchcv", "bn_vgg16"),
    ("efficientnet_b0", "pytorchcv", "efficientnet_b0"),
    ("efficientnet_b0", "pytorchcv", "efficientnet_b0b"),
    ("se_preresnet164_cifar10", "pytorchcv", "sepreresnet164bn_cifar10"),
    ("efficientnet_b0", "EfficientNet-PyTorch", "efficientnet-b0"),
]
LIMIT = 2e-5


def build(library, name):
    """Their network with random weights."""
    torch.manual_seed(1)
    if library == "torchvision":
        import torchvision

        options = {"init_weights": True} if name == "inception_v3" else {}
        model = torchvision.models.get_model(name, weights=None, **options)
    elif library == "EfficientNet-PyTorch":
        from efficientnet_pytorch import EfficientNet

        # Without a size it pads as TensorFlow at every size, else as TensorFlow at that size.
        model = EfficientNet.from_name(name, image_size=None)
    else:
        from pytorchcv.model_provider import get_model

        model = get_model(name, pretrained=False)
        # The mean over the whole map, at sizes other than the usual one too.
        if isinstance(getattr(model.features, "final_pool", None), torch.nn.AvgPool2d):
            model.features.final_pool = torch.nn.AdaptiveAvgPool2d(1)
        if name == "xception":
            model.features.final_block.pool = torch.nn.AdaptiveAvgPool2d(1)
    return model.eval()


def disturb(model):
    """Random parameters everywhere, batch norms far from the identity."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.25, 0.25)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                module.bias.data.uniform_(-0.5, 0.5)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            module.bias.data.uniform_(-0.5, 0.5)


def tensors(model):
    return {name: x.contiguous() for name, x in model.state_dict().items() if "num_batches_tracked" not in name}


def run(excite, ours, weights, image, folder):
    """Our answer, or the message of the refusal."""
    save_file(weights, f"{folder}/weights.safetensors")
    save_file({"input": image}, f"{folder}/input.safetensors")
    command = [excite, "run", ours, "--weights", f"{folder}/weights.safetensors"]
    command += ["--input", f"{folder}/input.safetensors", "--output", f"{folder}/output.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RUST_LOG": "excite=info"})
    if done.returncode:
        return None, done.stderr.strip().splitlines()[-1]
    return load_file(f"{folder}/output.safetensors")["logits"], done.stderr


def check(excite, only):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for ours, library, theirs, side in NETWORKS:
            if only and only not in f"{ours} {library} {theirs}":
                continue
            model = build(library, theirs)
            disturb(model)
            image = torch.rand(2, 3, side, side) * 4 - 2
            weights = tensors(model)
            found, said = run(excite, ours, weights, image, folder)
            if found is None and "max_storage_buffer_binding_size" in said:
                print(f"skipped {ours:23} {library} {theirs}: {said}")
                continue
            if found is None:
                print(f"FAILED {ours:24} {library} {theirs}: {said}")
                failed += 1
                continue
            with torch.no_grad():
                expected = model.double()(image.double())
            error = ((found.double() - expected).abs().max() / expected.abs().max()).item()
            verdict = "same" if error < LIMIT else "FAILED"
            failed += verdict != "same"
            names = f"{library}'s names" if f"{library}'s names" in said else "our names"
            print(f"{verdict:6} {ours:24} {library} {theirs}: {error:.1e} at {side}, {names}", flush=True)
        for ours, library, theirs in REFUSED:
            if only and only not in f"{ours} {library} {theirs}":
                continue
            side = 224 if "vgg" in ours else 64
            _, said = run(excite, ours, tensors(build(library, theirs)), torch.zeros(1, 3, side, side), folder)
            verdict = "refused" if "not those of" in said else "FAILED"
            failed += verdict != "refused"
            print(f"{verdict} {ours:24} {library} {theirs}: {said[:300]}", flush=True)
    return failed


def listing():
    """Names and shapes. A name is written as how many characters it shares with the one before, and the rest."""
    print("# Names and shapes of other libraries' networks. Written by tools/check_renames.py --list.")
    print("# A network: our name, library, their name, whether it fits. A layer: characters its name shares with the one")
    print("# before, the rest of it, the dimensions of its weight; then b for a bias, n for all four tensors of a norm.")
    rows = [(*row[:3], "fits") for row in NETWORKS] + [(*row, "refused") for row in REFUSED]
    for ours, library, theirs, verdict in rows:
        print(f"= {ours} {library} {theirs} {verdict}")
        layers = {}
        for name, tensor in tensors(build(library, theirs)).items():
            layer, _, role = name.rpartition(".")
            layers.setdefault(layer, {})[role] = tuple(tensor.shape)
        last = ""
        for layer, roles in layers.items():
            weight = roles["weight"]
            kind = {("weight",): "", ("bias", "weight"): "b", ("bias", "running_mean", "running_var", "weight"): "n"}
            kind = kind[tuple(sorted(roles))]
            assert all(shape == weight[:1] for role, shape in roles.items() if role != "weight"), layer
            shared = len(os.path.commonprefix([last, layer]))
            print(" ".join(map(str, [shared, layer[shared:] or "-", *weight, kind])).rstrip())
            last = layer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("excite", nargs="?")
    parser.add_argument("--only", help="part of 'our-name library their-name'")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        listing()
    elif check(args.excite, args.only):
        sys.exit(1)


if __name__ == "__main__":
    main()
