"""Write assets/timm.csv: how timm's pretrained networks want their images, for every network of the zoo that timm has.

    pip install timm==1.0.31
    python tools/timm_contract.py results-imagenet.csv            # write assets/timm.csv
    python tools/timm_contract.py results-imagenet.csv --check    # fail unless the file is what would be written

results-imagenet.csv is huggingface/pytorch-image-models, results/results-imagenet.csv at commit 4e5207c7bb65 (30 October
2025). The result is the same byte for byte on every machine. Rows follow the zoo's order; an architecture's first row is
timm's default tag.
"""

import argparse
import csv
import hashlib
import re
from pathlib import Path

import timm
from timm.data import infer_imagenet_subset
from timm.models import get_arch_pretrained_cfgs
from timm.models._registry import _model_default_cfgs

TIMM = "1.0.31"
RESULTS = "4e5207c7bb6592474ca56e28b2cf85be8f1a550f"
RESULTS_SHA256 = "30972bf7c7ab451bbd4480ec6116b13d0a84441c57bbc946896fd312264acfcd"
# Networks of the zoo that timm calls something else.
RENAMED = {"xception": "legacy_xception"}
ROOT = Path(__file__).parent.parent

HEAD = f"""\
# How timm's networks want their images. Written by tools/timm_contract.py: change that, not this.
# Settings: timm {TIMM}, default_cfgs. Accuracy on ImageNet's validation set, top-1;top-5 in percent@size/crop_pct:
# huggingface/pytorch-image-models, results/results-imagenet.csv at {RESULTS[:12]}.
# An empty test_input or test_crop_pct: as for input. An empty hub: timm's hub has no file.
"""
COLUMNS = [
    "name", "input", "crop_pct", "test_input", "test_crop_pct", "interpolation", "crop_mode", "mean", "std",
    "classes", "labels", "hub", "license", "accuracy",
]


def architectures():
    """Names of the zoo's networks, in its order, as far as timm has them."""
    families = re.search(r"FAMILIES.*?= &\[(.*?)\];", (ROOT / "src/zoo.rs").read_text(), re.S)[1]
    names = []
    for family in dict.fromkeys(re.findall(r"(\w+)::", families)):
        text = (ROOT / f"src/zoo/{family}.rs").read_text()
        names += re.findall(r'(?:\btimm|\blegacy|Entry::new|\binception)\(\s*"(\w+)"', text)
    return [name for name in dict.fromkeys(names) if RENAMED.get(name, name) in _model_default_cfgs]


def side(size):
    channels, height, width = size
    assert channels == 3 and height == width, size
    return height


def published(path):
    """By name: size, crop, top-1, top-5 and interpolation of each measurement."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row in rows:
        shares = float(row["top1"]), float(row["top5"])
        measured = int(row["img_size"]), float(row["crop_pct"]), *shares, row["interpolation"]
        found.setdefault(row["model"], []).append(measured)
    return found


def number(x):
    return "" if x is None else f"{x:g}"


def accuracy(config, measurements):
    """The measurements at the settings of the row; the list has crops cut to three places, the row has all."""
    settings = [(side(config.input_size), config.crop_pct)]
    if config.test_input_size:
        settings.append((side(config.test_input_size), config.test_crop_pct or config.crop_pct))
    found = []
    for size, crop in settings:
        for at, rounded, top1, top5, interpolation in measurements:
            if at == size and abs(rounded - crop) < 0.001 and interpolation == config.interpolation:
                found.append(f"{top1:.3f};{top5:.3f}@{size}/{crop:g}")
    return " ".join(found)


def rows(results):
    for name in architectures():
        known = RENAMED.get(name, name)
        default = _model_default_cfgs[known]
        configs = get_arch_pretrained_cfgs(known)
        tags = list(dict.fromkeys([default.default_with_tag[0], *default.tags]))
        for tag in tags:
            config = configs[f"{known}.{tag}" if tag else known]
            if config.num_classes == 0:
                continue  # Features only, no classifier: not a network of the zoo.
            subset = infer_imagenet_subset({"num_classes": config.num_classes}) or ""
            assert subset, (name, tag, config.num_classes)
            yield [
                f"{name}.{tag}",
                side(config.input_size),
                number(config.crop_pct),
                config.test_input_size and side(config.test_input_size),
                number(config.test_crop_pct),
                config.interpolation,
                config.crop_mode,
                " ".join(map(number, config.mean)),
                " ".join(map(number, config.std)),
                config.num_classes,
                subset,
                config.hf_hub_id,
                config.license,
                accuracy(config, results.get(f"{known}.{tag}", [])),
            ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    assert timm.__version__ == TIMM, f"expected timm {TIMM}, found {timm.__version__}"
    digest = hashlib.sha256(args.results.read_bytes()).hexdigest()
    assert digest == RESULTS_SHA256, f"expected results-imagenet.csv of {RESULTS}, found sha256 {digest}"
    lines = [COLUMNS, *rows(published(args.results))]
    text = HEAD + "".join(",".join("" if x is None else str(x) for x in line) + "\n" for line in lines)
    place = ROOT / "assets/timm.csv"
    if args.check:
        assert place.read_text() == text, f"{place} is not what this script writes"
    else:
        place.write_text(text)


if __name__ == "__main__":
    main()
