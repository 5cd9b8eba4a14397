"""Makes the pictures of this folder with timm's evaluation transform. Needs timm, torchvision and Pillow; run it here."""

import numpy
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

SOURCES = {"wide": (41, 23), "tall": (13, 149)}
# Also in the names of the files: source, crop mode, height, width, crop in percent, interpolation.
CASES = [
    ("wide", "center", 20, 20, 87.5, "bicubic"),
    ("tall", "center", 24, 24, 100, "bilinear"),
    ("wide", "center", 24, 16, 90, "bilinear"),
    ("tall", "squash", 21, 30, 80, "bicubic"),
    ("wide", "border", 24, 24, 90, "bicubic"),
    ("tall", "border", 28, 12, 100, "bicubic"),
]
for name, (width, height) in SOURCES.items():
    picture = [
        [[(x * x * 7 + y * 29 + x * y + c * 85) % 256 for c in range(3)] for x in range(width)] for y in range(height)
    ]
    Image.fromarray(numpy.array(picture, dtype=numpy.uint8)).save(f"{name}.png", optimize=True)
for source, mode, height, width, percent, interpolation in CASES:
    transform = transforms_imagenet_eval(
        (height, width), percent / 100, mode, interpolation=interpolation, normalize=False
    )
    pixels = transform(Image.open(f"{source}.png")).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(f"{source}_{mode}_{height}_{width}_{percent}_{interpolation}.png", optimize=True)
