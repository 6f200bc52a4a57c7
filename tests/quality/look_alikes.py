"""Drawn pictures that look alike and mean different things, and changed copies of pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


@cache
def font(size: int, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    """A font of matplotlib's package."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"), size)


def blank(side: int, colour: object = "white") -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (side, side), colour)  # type: ignore[arg-type]
    return image, ImageDraw.Draw(image)


def glyphs(side: int, characters: str = "CGEFbdpqOQ0I1l|PRUVnhuecoa<>()+-=6983,.;:") -> list[Image.Image]:
    made = []
    for character in characters:
        image, draw = blank(side)
        draw.text((side / 2, side / 2), character, "black", font(round(side * 0.7)), anchor="mm")
        made.append(image)
    return made


def lights(side: int) -> list[Image.Image]:
    """Three lamps in a box, one of them lit; and one lamp in three colours."""
    made, s = [], side / 32
    colours = ("red", "orange", "lime")
    for lit in range(3):
        image, draw = blank(side, (120, 170, 220))
        draw.rectangle((10 * s, 2 * s, 22 * s, 30 * s), (30, 30, 30))
        for k in range(3):
            y = (4 + 9 * k) * s
            draw.ellipse((12 * s, y, 20 * s, y + 8 * s), colours[k] if k == lit else (60, 60, 60))
        made.append(image)
    for colour in ("red", "green", "blue", "yellow"):
        image, draw = blank(side, (120, 170, 220))
        draw.rectangle((10 * s, 2 * s, 22 * s, 30 * s), (30, 30, 30))
        draw.ellipse((12 * s, 12 * s, 20 * s, 20 * s), colour)
        made.append(image)
    return made


def flags(side: int) -> list[Image.Image]:
    stripes = [
        ("blue", "white", "red"), ("green", "white", "red"), ("green", "white", "orange"), ("black", "yellow", "red"),
        ("blue", "yellow", "red"), ("red", "yellow", "green"), ("green", "yellow", "red"), ("red", "white", "red"),
    ]  # fmt: skip
    made = []
    for upright in (True, False):
        for colours in stripes:
            image, draw = blank(side)
            for k, colour in enumerate(colours):
                edge = (side * k / 3, side * (k + 1) / 3)
                box = (edge[0], 0, edge[1], side) if upright else (0, edge[0], side, edge[1])
                draw.rectangle(box, colour)
            made.append(image)
    return made


def arrows(side: int) -> list[Image.Image]:
    image, draw = blank(side)
    s = side / 32
    draw.polygon(
        [(x * s, y * s) for x, y in ((4, 13), (18, 13), (18, 6), (29, 16), (18, 26), (18, 19), (4, 19))], "navy"
    )
    return [image.rotate(45 * k, fillcolor="white") for k in range(8)]


def signs(side: int) -> list[Image.Image]:
    """Speed limits, and a triangle with a mark."""
    made, s = [], side / 32
    for text in ("20", "30", "50", "60", "70", "80", "90"):
        image, draw = blank(side, (110, 150, 110))
        draw.ellipse((2 * s, 2 * s, 30 * s, 30 * s), "white", "red", round(4 * s))
        draw.text((16 * s, 16 * s), text, "black", font(round(13 * s), "DejaVuSans-Bold"), anchor="mm")
        made.append(image)
    for text in ("!", "?", "i", "T", "Y", "X"):
        image, draw = blank(side, (110, 150, 110))
        draw.polygon([(16 * s, 2 * s), (30 * s, 29 * s), (2 * s, 29 * s)], "white", "red", round(2 * s))
        draw.text((16 * s, 21 * s), text, "black", font(round(13 * s), "DejaVuSans-Bold"), anchor="mm")
        made.append(image)
    return made


def swatches(side: int) -> list[Image.Image]:
    """Plain colours, ramps, and pictures with next to nothing on them."""
    made = [Image.new("RGB", (side, side), c) for c in ("red", "green", "blue", "gray", "black", "white", "pink")]
    ramp = np.linspace(0, 255, side)
    for channel in range(3):
        for turned in (False, True):
            pixels = np.zeros((side, side, 3))
            pixels[..., channel] = ramp[:, None] if turned else ramp[None]
            made.append(Image.fromarray(pixels.astype(np.uint8)))
    for reach in (80, 160, 255):
        made.append(
            Image.fromarray(np.repeat((ramp * reach / 255)[None, :, None], side, 0).repeat(3, 2).astype(np.uint8))
        )
    for place in ((0.2, 0.2), (0.5, 0.5), (0.8, 0.2), (0.25, 0.7)):
        image, draw = blank(side)
        x, y = place[0] * side, place[1] * side
        draw.ellipse((x - side / 16, y - side / 16, x + side / 16, y + side / 16), "black")
        made.append(image)
    return made


def charts(side: int, n: int = 10) -> list[Image.Image]:
    """Bars and lines on the same axes, gauges."""
    made = []
    for k in range(n):
        image, draw = blank(side)
        s = side / 64
        draw.line((8 * s, 4 * s, 8 * s, 56 * s, 60 * s, 56 * s), "black", max(1, round(s)))
        heights = np.array([20, 35, 15, 42, 28]) + np.eye(5, dtype=int)[k % 5] * (12 if k < 5 else -10)
        if k % 2:
            for j, height in enumerate(heights):
                draw.rectangle(((12 + 9 * j) * s, (56 - height) * s, (18 + 9 * j) * s, 56 * s), "steelblue")
        else:
            points = [((14 + 9 * j) * s, (56 - height) * s) for j, height in enumerate(heights)]
            draw.line(points, "firebrick", max(1, round(1.5 * s)))
        made.append(image)
    for k in range(5):
        image, draw = blank(side)
        s, angle = side / 64, np.pi * k / 4
        draw.ellipse((4 * s, 4 * s, 60 * s, 60 * s), "white", "black", max(1, round(2 * s)))
        tip = (32 + 24 * np.cos(angle)) * s, (32 - 24 * np.sin(angle)) * s
        draw.line((32 * s, 32 * s, *tip), "red", max(1, round(3 * s)))
        made.append(image)
    return made


def forms(side: int, n: int = 8, noise: float = 3.0) -> list[Image.Image]:
    """One printed form, filled in differently, scanned."""
    made = []
    words = ["approved", "rejected", "pending", "Smith", "Jones", "14 May", "21 June", "Berlin", "Madrid", "yes", "no"]
    for k in range(n):
        rng = np.random.default_rng(k)
        image, draw = blank(side)
        s = side / 256
        draw.text((128 * s, 22 * s), "APPLICATION FORM", "black", font(round(20 * s)), anchor="mm")
        for j, name in enumerate(("Name", "Date", "Place", "Decision", "Signature")):
            y = (60 + 38 * j) * s
            draw.text((14 * s, y), name, "black", font(round(13 * s)), anchor="lm")
            draw.rectangle((100 * s, y - 13 * s, 240 * s, y + 13 * s), None, "black", max(1, round(s)))
            draw.text((108 * s, y), str(rng.choice(words)), "navy", font(round(14 * s)), anchor="lm")
        pixels = np.asarray(image) + rng.normal(0, noise, (side, side, 3))
        made.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
    return made


def screenshots(side: int) -> list[Image.Image]:
    """One window, with different words in its dialog and another button marked."""
    made = []
    for k, text in enumerate(("File saved", "File lost!", "Try again?", "Log in now", "Update 3.1", "Update 3.7")):
        image, draw = blank(side, (225, 225, 230))
        s = side / 128
        draw.rectangle((0, 0, 128 * s, 12 * s), (40, 60, 110))
        draw.text((6 * s, 6 * s), "Editor", "white", font(round(8 * s)), anchor="lm")
        for j in range(7):
            draw.line(
                (6 * s, (22 + 6 * j) * s, (40 + 9 * (j * 5 % 7)) * s, (22 + 6 * j) * s), (130, 130, 130), round(2 * s)
            )
        draw.rectangle((20 * s, 66 * s, 108 * s, 118 * s), "white", "gray")
        draw.text((64 * s, 80 * s), text, "black", font(round(11 * s)), anchor="mm")
        for j in range(2):
            box = ((28 + 40 * j) * s, 98 * s, (60 + 40 * j) * s, 112 * s)
            draw.rectangle(box, (70, 120, 220) if j == k % 2 else (200, 200, 200))
        made.append(image)
    return made


def codes(side: int, n: int = 8) -> list[Image.Image]:
    """Random modules with the three finder squares of a QR code."""
    made = []
    for k in range(n):
        grid = np.random.default_rng(k).integers(0, 2, (21, 21))
        finder = np.zeros((8, 8), int)
        finder[:7, :7] = 1
        finder[1:6, 1:6] = 0
        finder[2:5, 2:5] = 1
        grid[:8, :8], grid[:8, -8:], grid[-8:, :8] = finder, finder[:, ::-1], finder[::-1]
        pixels = np.pad(1 - grid, 2, constant_values=1) * 255
        made.append(Image.fromarray(pixels.astype(np.uint8)).resize((side, side), Image.Resampling.BOX).convert("RGB"))
    return made


#: Families of pictures that all mean different things.
LOOK_ALIKES: dict[str, Callable[[int], list[Image.Image]]] = {
    "glyphs": glyphs, "lights": lights, "flags": flags, "arrows": arrows, "signs": signs, "swatches": swatches,
    "charts": charts, "forms": forms, "screenshots": screenshots, "codes": codes,
}  # fmt: skip


def saved(quality: int) -> Change:
    def save(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return save


def crop(share: float) -> Change:
    def cut(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (max(1, round(side * share)) for side in image.size)
        x, y = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(image.size, (width, height), strict=True))
        return image.crop((x, y, x + width, y + height)).resize(image.size, Image.Resampling.BICUBIC)

    return cut


def scaled(share: float) -> Change:
    def scale(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (max(16, round(side * share)) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS)

    return scale


def jittered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Colours, brightness and contrast changed as in training."""
    image = ImageEnhance.Color(image).enhance(float(rng.uniform(0.6, 1.4)))
    image = ImageEnhance.Brightness(image).enhance(float(rng.uniform(0.8, 1.2)))
    return ImageEnhance.Contrast(image).enhance(float(rng.uniform(0.8, 1.2)))


def watermarked(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half transparent words over the lower part."""
    layer = Image.new("RGBA", image.size)
    size = max(8, image.size[1] // 5)
    ImageDraw.Draw(layer).text(
        (image.size[0] / 2, image.size[1] * 0.75), "(c) photo", (255, 255, 255, 140), font(size), anchor="mm"
    )
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A border of a twelfth of the width, black or white, around the whole."""
    edge = max(1, image.size[0] // 12)
    out = Image.new("RGB", (image.size[0] + 2 * edge, image.size[1] + 2 * edge), str(rng.choice(["black", "white"])))
    out.paste(image, (edge, edge))
    return out


def grainy(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image).astype(float) + rng.normal(0, 8, np.asarray(image).shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def times(factor: float) -> Change:
    return lambda image, rng: image.point(lambda v: min(255, v * factor))


def turned(degrees: float) -> Change:
    return lambda image, rng: image.rotate(degrees, Image.Resampling.BICUBIC)


#: Kinds of change after which a picture is a copy of the one before.
CHANGES: dict[str, Change] = {
    "JPEG, quality 75": saved(75),
    "JPEG, quality 30": saved(30),
    "JPEG, quality 10": saved(10),
    "scaled to 75 %": scaled(0.75),
    "16 px and back": lambda image, rng: image.resize((16, 16), Image.Resampling.BOX).resize(image.size),
    "brightness x 0.6": times(0.6),
    "brightness x 1.3": times(1.3),
    "contrast x 0.5": lambda image, rng: image.point(lambda v: 128 + (v - 128) * 0.5),
    "colour jitter": jittered,
    "grey": lambda image, rng: image.convert("L").convert("RGB"),
    "noise, sd 8": grainy,
    "blur, radius 1": lambda image, rng: image.filter(ImageFilter.GaussianBlur(1)),
    "rotated by 3 degrees": turned(3),
    "rotated by 5 degrees": turned(5),
    "watermark": watermarked,
    "border": framed,
    "crop of 94 %": crop(0.94),
    "crop of 90 %": crop(0.9),
    "crop of 80 %": crop(0.8),
    "crop of 70 %": crop(0.7),
    "crop of 60 %": crop(0.6),
}
#: What is a kind of its own, or is not looked for.
OTHER_CHANGES: dict[str, Change] = {
    "mirrored": lambda image, rng: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image, rng: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
}
