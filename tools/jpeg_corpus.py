"""Makes tests/data/jpeg.safetensors: small JPEGs of every layout that libjpeg-turbo writes, and Pillow's pixels of each.

    python3 tools/jpeg_corpus.py

Needs Pillow, NumPy and `cjpeg` (Debian: libjpeg-turbo-progs). Layouts are the product of samplings, scans and codings;
sizes change from file to file, most of them no multiple of a block. A file is the tensor NAME, a vector of bytes; its
pixels are NAME.rgb, [height, width, 3]. The committed file was made with cjpeg 2.1.5 and Pillow 13.0 (libjpeg-turbo 3.2).
"""

import io
import json
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy
from PIL import Image

OUTPUT = Path(__file__).parent.parent / "tests/data/jpeg.safetensors"

# Sampling factors of Y, Cb and Cr, as cjpeg takes them.
SAMPLINGS = {
    "444": "1x1",
    "422": "2x1",
    "440": "1x2",
    "420": "2x2",
    "411": "4x1",
    "441": "1x4",
    "410": "4x2",
    "chroma-wider": "1x1,2x1,2x1",
    "chroma-finer": "1x1,2x2,2x2",
    "cb-finer": "1x1,2x2,1x1",
    "chroma-differs": "2x2,2x1,1x2",
}

# The components of each scan; in progressive files, of each scan of the first coefficients.
SCANS = {"interleaved": ["0,1,2"], "separate": ["0", "1", "2"], "chroma-first": ["1", "2", "0"]}

SIZES = [(33, 17), (24, 24), (19, 35), (16, 16), (41, 9), (7, 29), (50, 23), (8, 8), (1, 21), (27, 1), (31, 33)]


def scene(width, height):
    """Waves of colour with a hard edge: what differs between ways to spread chroma."""
    y, x = numpy.mgrid[0:height, 0:width].astype(float)
    waves = [numpy.sin(x / 3 + y / 5), numpy.sin(y / 4 - x / 7 + 1), numpy.cos((x + y) / 6)]
    samples = numpy.stack([127.5 + 100 * wave for wave in waves], axis=-1)
    samples[(x + 2 * y) % 23 < 6] = [230, 40, 60]
    return samples.round().astype(numpy.uint8)


def cjpeg(samples, *options, scans=None):
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.ppm"
        Image.fromarray(samples).save(source)
        if scans is not None:
            script = Path(folder) / "scans"
            script.write_text("".join(f"{scan};\n" for scan in scans))
            options += ("-scans", script)
        done = subprocess.run(["cjpeg", *options, source], capture_output=True, check=True)
        return done.stdout


def progressive(components):
    """A script: first coefficients as `components` say, the others after, the last bit of each apart."""
    first = [f"{each}: 0-0, 0, 1" for each in components]
    others = [f"{each}: {band}, 0, 1" for band in ("1-5", "6-63") for each in (2, 0, 1)]
    bits = [f"{each}: 0-0, 1, 0" for each in components] + [f"{each}: 1-63, 1, 0" for each in (0, 1, 2)]
    return first + others + bits


def saved(samples, mode=None, **options):
    bytes_ = io.BytesIO()
    Image.fromarray(samples, mode).save(bytes_, "JPEG", **options)
    return bytes_.getvalue()


def corpus():
    sizes = iter(SIZES * 100)
    for name, sampling in SAMPLINGS.items():
        for order, components in SCANS.items():
            for coding, script in (("baseline", components), ("progressive", progressive(components))):
                size = next(sizes)
                options = ("-quality", "85", "-sample", sampling)
                yield f"{name} {order} {coding}", cjpeg(scene(*size), *options, scans=script)
    for size in SIZES:
        yield f"gray {size[0]}x{size[1]}", cjpeg(scene(*size), "-grayscale")
    odd, even = scene(35, 21), scene(48, 32)
    yield "rgb", cjpeg(odd, "-rgb")
    yield "two scans", cjpeg(odd, "-sample", "2x2", scans=["0", "1,2"])
    yield "restart in each block row", cjpeg(odd, "-sample", "2x2", "-restart", "1")
    yield "restart at each block", cjpeg(odd, "-sample", "2x1", "-restart", "1B")
    yield "restart in separate scans", cjpeg(odd, "-sample", "2x2", "-restart", "3B", scans=SCANS["separate"])
    yield "restart progressive", cjpeg(odd, "-sample", "2x2", "-progressive", "-restart", "2B")
    yield "coarse", cjpeg(odd, "-quality", "5", "-sample", "2x2")
    yield "16-bit quantisation", cjpeg(odd, "-quality", "1", "-sample", "2x2")
    yield "optimised", cjpeg(odd, "-optimize", "-sample", "1x2")
    yield "arithmetic", cjpeg(odd, "-arithmetic", "-sample", "2x2")
    yield "arithmetic progressive", cjpeg(odd, "-arithmetic", "-progressive", "-sample", "2x2")
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"Pillow {sampling}", saved(odd, quality=75, subsampling=sampling)
        yield f"Pillow {sampling} progressive", saved(even, quality=95, subsampling=sampling, progressive=True)
    # Never sharpened: libjpeg-turbo smooths what is left out.
    for name, scans in (("first coefficients", 1), ("few coefficients", 4), ("all but the last bits", 7)):
        yield f"progressive, {name}", cjpeg(odd, "-sample", "2x2", scans=progressive(SCANS["interleaved"])[:scans])
    ink = Image.fromarray(numpy.concatenate([odd, odd[::-1, :, :1]], axis=-1), "CMYK")
    for sampling in ("4:4:4", "4:2:0"):
        yield f"Pillow CMYK {sampling}", saved(numpy.asarray(ink), "CMYK", quality=90, subsampling=sampling)
    yield "Pillow gray", saved(even[:, :, 0], quality=75)


def main():
    tensors = {}
    for name, file in corpus():
        pixels = numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
        tensors[name] = [len(file)], file
        tensors[f"{name}.rgb"] = list(pixels.shape), pixels.tobytes()
    header, offset = {}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    OUTPUT.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values()))
    print(len(tensors) // 2, "files,", OUTPUT.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
