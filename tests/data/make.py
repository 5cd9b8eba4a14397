"""Makes the pictures of this folder, and what PIL's convert("RGB") makes of them. Needs Pillow; run it here."""

from PIL import Image

SIDE = 12


def gradient(mode, *channels):
    image = Image.new(mode, (SIDE, SIDE))
    image.putdata([tuple(f(x, y) for f in channels) for y in range(SIDE) for x in range(SIDE)])
    return image


across = lambda x, y: 21 * x
down = lambda x, y: 21 * y
both = lambda x, y: 10 * (x + y)
ink = lambda x, y: 6 * (x + y)

pictures = {
    "cmyk.jpg": (gradient("CMYK", across, down, both, ink), dict(quality=90)),
    "palette.png": (gradient("RGB", across, down, both).quantize(16), dict(transparency=3)),
    "alpha.webp": (gradient("RGBA", across, down, both, across), dict(lossless=True, exact=True)),
    "lossy.webp": (gradient("RGB", across, down, both), dict(quality=80)),
    "progressive.jpg": (gradient("RGB", across, down, both), dict(quality=90, progressive=True)),
}
colours = gradient("RGB", across, down, both)
pictures |= {
    "palette.bmp": (colours.quantize(16), {}),
    "rgba.bmp": (gradient("RGBA", across, down, both, across), {}),
    "frames.gif": (colours.quantize(16), dict(save_all=True, append_images=[colours.rotate(90).quantize(16)])),
    "transparent.gif": (colours.quantize(16), dict(transparency=3)),
    "lzw.tiff": (colours, dict(compression="tiff_lzw")),
    "bits.tiff": (colours.convert("1"), dict(compression="group4")),
    "jpeg.tiff": (colours, dict(compression="jpeg")),
}
for name, (image, options) in pictures.items():
    image.save(name, **options)
    Image.open(name).convert("RGB").save(name + ".rgb.png", optimize=True)

# Large where it is decoded, in few bytes: nobody else here writes lossy WebP.
Image.new("RGB", (2000, 1500), (90, 140, 200)).save("large.webp", quality=50, method=6)
