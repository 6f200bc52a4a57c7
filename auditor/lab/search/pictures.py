"""Architectures as pictures: NASNet cells, tree cells, MBConv stages, EAS's plain and dense networks.

Boxes and words at given pixels, no chart: a chart library would add axes to be hidden again, and three times the bytes.
"""

from __future__ import annotations

import math
from functools import singledispatch
from html import escape

from auditor.core.errors import UsageError
from auditor.models.genotype import (
    TREE_OPS,
    DenseGenotype,
    Genotype,
    MobileGenotype,
    NasnetBlock,
    NasnetGenotype,
    PlainGenotype,
    TreeGenotype,
)

Blocks = tuple[NasnetBlock, ...]
#: By the cost of what a box does: nothing, pooling, and convolutions from light to dark.
FREE, POOL, LIGHT, MIDDLE, DARK, FRAME = "#ffffff", "#e8e8e8", "#d6e6f4", "#9cc3e2", "#5a9bd0", "#f6efe0"
TREE_NAMES = {
    "i": "identity",
    "3": "depthwise-separable 3x3",
    "5": "depthwise-separable 5x5",
    "7": "depthwise-separable 7x7",
    "d": "depthwise-separable 3x3, dilation 2",
    "a": "average pooling 3x3",
    "m": "max pooling 3x3",
}
TREE_FILL = dict(zip("i357dam", (FREE, LIGHT, MIDDLE, DARK, LIGHT, POOL, POOL), strict=True))


class Canvas:
    """White, in pixels, with a title."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        ]
        self.text(10, 22, title, size=15)

    def text(
        self, x: float, y: float, words: str, anchor: str = "start", size: int = 13, fill: str = "#000000"
    ) -> None:
        """One line of text; `anchor` is start, middle or end."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">'
            f"{escape(words)}</text>"
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *words: tuple[float, str, int],
        dashed: bool = False,
    ) -> None:
        """A rectangle with round corners, grey and dashed for what is left out; `words` stand in its middle, each so
        far below its upper edge and of that size."""
        stroke = '#8d8d8d" stroke-dasharray="4 4' if dashed else "#3c3c3c"
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" fill="{fill}" '
            f'stroke="{stroke}"/>'
        )
        for below, text, size in words:
            self.text(x + width / 2, y + below, text, "middle", size, "#6b6b6b" if dashed else "#000000")

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A straight line."""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self.parts.append(f'<line {ends} stroke="#3c3c3c" stroke-width="1"/>')

    def path(self, points: str, stroke: str) -> None:
        """SVG path data."""
        self.parts.append(f'<path d="{points}" stroke="{stroke}" fill="none" stroke-width="1.5"/>')

    def done(self) -> str:
        """The picture."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"


@singledispatch
def architecture_svg(genotype: Genotype, title: str) -> str:
    """The picture of a genotype as SVG text.

    Raises
    ------
    UsageError
        For a kind of genotype without a picture.
    """
    raise UsageError(f"there is no picture of a {type(genotype).__name__}.")


@architecture_svg.register
def _nasnet(genotype: NasnetGenotype, title: str) -> str:
    normal, reduction = _depths(genotype.normal), _depths(genotype.reduction)
    columns = 2 + max(*normal, *reduction)
    heights = [90 * max(2, *(depths.count(d) for d in depths)) + 60 for depths in (normal, reduction)]
    canvas = Canvas(180 * columns + 40, sum(heights) + 60, f"{title}; N = {genotype.cells}, F0 = {genotype.filters}")
    top = 40.0
    halving = "reduction cell (stride 2 on what reads an input)"
    for name, blocks, depths, concat, height in (
        ("normal cell", genotype.normal, normal, genotype.normal_concat, heights[0]),
        (halving, genotype.reduction, reduction, genotype.reduction_concat, heights[1]),
    ):
        canvas.text(10, top + 12, name)
        _cell(canvas, blocks, depths, concat, top + 20, height - 40, columns)
        top += height
    return canvas.done()


def _depths(blocks: Blocks) -> list[int]:
    """Longest way from an input to each block."""
    depths = [0, 0]
    for block in blocks:
        depths.append(1 + max(depths[block.left[1]], depths[block.right[1]]))
    return depths[2:]


def _cell(
    canvas: Canvas, blocks: Blocks, depths: list[int], concat: tuple[int, ...], top: float, height: float, columns: int
) -> None:
    width, tall = 120, 62
    places = {1: (20.0, top + height * 0.25), 0: (20.0, top + height * 0.7)}
    for number, depth in enumerate(depths):
        alike = [k for k, d in enumerate(depths) if d == depth]
        row = (alike.index(number) + 0.5) / len(alike)
        places[2 + number] = (20.0 + 180 * depth, top + height * row)
    end = (20.0 + 180 * (columns - 1), top + height / 2)

    def arc(start: tuple[float, float], stop: tuple[float, float], colour: str) -> None:
        x1, y1, x2, y2 = start[0] + width, start[1], stop[0], stop[1]
        bend = max(30.0, (x2 - x1) / 2)
        canvas.path(f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x2 - bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}", colour)

    for number, block in enumerate(blocks):
        x, y = places[2 + number]
        for offset, (_, state) in ((-12, block.left), (12, block.right)):
            arc(places[state], (x, y + offset), "#8d8d8d")
    for state in concat:
        arc(places[state], end, "#e3a018")
    for state, name in ((1, "previous cell"), (0, "this input")):
        x, y = places[state]
        canvas.box(x, y - 16, width, 32, FRAME, (20, name, 13))
    for number, block in enumerate(blocks):
        x, y = places[2 + number]
        canvas.box(x, y - tall / 2, width, tall, "#ffffff")
        for offset, (op, _) in ((-26, block.left), (-4, block.right)):
            canvas.box(x + 6, y + offset, width - 12, 19, _op_fill(op), (14, op, 12))
        canvas.text(x + width / 2, y + 27, block.combine, "middle", 10)
    canvas.box(end[0], end[1] - 16, width, 32, FRAME, (20, "joined", 13))


def _op_fill(op: str) -> str:
    if op == "identity":
        return FREE
    if op[:3] in ("avg", "max"):
        return POOL
    return {"sep": MIDDLE, "dil": LIGHT}.get(op[:3], DARK if "7" in op else LIGHT)


@architecture_svg.register
def _tree(genotype: TreeGenotype, title: str) -> str:
    size, left, top = 24, 90, 96
    canvas = Canvas(left + 14 * size + 330, max(top + len(genotype.cells) * (size + 3) + 20, 300), title)
    canvas.text(left, 48, "branch 1", size=12)
    canvas.text(left + 6.6 * size, 48, "branch 2", size=12)
    for branch in range(2):
        for words, place in (("node", 0), ("leaves of 1st", 2), ("of 2nd", 4)):
            canvas.text(left + (6.6 * branch + place) * size, 66 if place != 2 else 82, words, size=10)
    stage = len(genotype.cells) // 3
    for number, cell in enumerate(genotype.cells):
        y = top + number * (size + 3)
        halved = " (stride 2)" if number and not number % stage else ""
        canvas.text(left - 8, y + 17, f"{number + 1}{halved}", "end", 11)
        for edge, letter in enumerate(cell):
            x = left + edge * size + (0.6 * size if edge >= 6 else 0)
            canvas.box(x, y, size - 2, size - 2, TREE_FILL[letter], (16, letter, 12))
    for row, letter in enumerate(TREE_OPS):
        x, y = left + 13.6 * size, 56 + 28 * row
        canvas.box(x, y, size - 2, size - 2, TREE_FILL[letter], (16, letter, 12))
        canvas.text(x + size + 6, y + 16, TREE_NAMES[letter], size=12)
    canvas.text(left + 13.6 * size, 272, f"stem {genotype.stem} channels, last width {genotype.end}", size=12)
    return canvas.done()


@architecture_svg.register
def _mobile(genotype: MobileGenotype, title: str) -> str:
    wide, tall = 92, 64
    most = max(len(stage.blocks) for stage in genotype.stages)
    canvas = Canvas(190 + most * (wide + 10) + 20, 110 + len(genotype.stages) * (tall + 12), title)
    canvas.text(10, 50, f"stem {genotype.stem} channels, stride {genotype.stem_stride}; first block {genotype.first}")
    for row, stage in enumerate(genotype.stages):
        y = 66 + row * (tall + 12)
        canvas.text(10, y + 28, f"{stage.width} channels")
        canvas.text(10, y + 46, f"stride {stage.stride}", size=11)
        for column, block in enumerate(stage.blocks):
            x = 190 + column * (wide + 10)
            if block == "zero":
                canvas.box(x, y, wide, tall, FREE, (36, "left out", 12), dashed=True)
                continue
            words = (27, f"{block[3]}x{block[3]}", 15), (48, f"expands x{block[1]}", 11)
            canvas.box(x, y, wide, tall, {"3": LIGHT, "5": MIDDLE, "7": DARK}[block[3]], *words)
    canvas.text(10, 66 + len(genotype.stages) * (tall + 12) + 22, f"1x1 to {genotype.head}, mean, linear")
    return canvas.done()


def _height(width: int) -> float:
    """Of a bar: equal steps for doublings."""
    return 18 + 16 * math.log2(max(1, width))


def _bar(canvas: Canvas, x: float, base: float, wide: float, width: int, fill: str, words: str) -> None:
    """A layer of `width` channels or units standing on `base`."""
    tall = _height(width)
    canvas.box(x, base - tall, wide, tall, fill, (-6, str(width), 11), (tall + 17, words, 10))


@architecture_svg.register
def _plain(genotype: PlainGenotype, title: str) -> str:
    wide, gap = 58, 10
    base = 70 + max((_height(layer.width) for layer in genotype.layers), default=0)
    canvas = Canvas(max(560, 90 + (len(genotype.layers) + 2) * (wide + gap)), base + 50, title)
    x = 20.0
    for layer in genotype.layers:
        if layer.kind in ("pool", "mean"):
            canvas.box(x, base - 40, wide, 40, POOL, (57, "max 2x2" if layer.kind == "pool" else "mean", 10))
        else:
            fill = FRAME if layer.kind == "fc" else {1: LIGHT, 3: MIDDLE, 5: DARK}[layer.kernel]
            words = "linear" if layer.kind == "fc" else f"{layer.kernel}x{layer.kernel}"
            _bar(canvas, x, base, wide, layer.width, fill, words)
        x += wide + gap
    canvas.text(x + 4, base - 14, "linear, classes", size=11)
    canvas.text(20, base + 40, "height: channels or units, a step per doubling", size=11)
    return canvas.done()


@architecture_svg.register
def _dense(genotype: DenseGenotype, title: str) -> str:
    wide, gap = 34, 6
    base = 90 + _height(max(genotype.stem, *genotype.transitions, *(g for block in genotype.blocks for g in block)))
    count = sum(len(block) for block in genotype.blocks) + len(genotype.blocks) + 1
    canvas = Canvas(max(620, 60 + count * (wide + gap) + 30 * len(genotype.blocks)), base + 64, title)
    _bar(canvas, 20.0, base, wide, genotype.stem, FRAME, "stem")
    x = 20.0 + wide + gap
    for number, block in enumerate(genotype.blocks):
        x += 8
        start = x
        for growth in block:
            _bar(canvas, x, base, wide, growth, MIDDLE, "3x3")
            x += wide + gap
        canvas.line(start, base + 24, x - gap, base + 24)
        canvas.text((start + x - gap) / 2, base + 38, f"block {number + 1}", "middle", 11)
        x += 8
        if number < len(genotype.transitions):
            _bar(canvas, x, base, wide, genotype.transitions[number], POOL, "halve")
            x += wide + gap
    reads = "each 3x3 reads all maps before it through a 1x1 of four times its channels"
    canvas.text(20, base + 56, f"height: new channels, a step per doubling; {reads}", size=11)
    return canvas.done()
