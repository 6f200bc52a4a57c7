"""Deletion and insertion curves of maps and their controls, one panel each. Plain SVG, no library."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["curves_svg"]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 900, 360, 50, 60, 50, 50
#: Colours differ in brightness too; controls are dashed.
COLOURS = {"FAKE": "#d1495b", "REAL": "#0b5fa5"}
PANELS = (("deletion", "Deletion: greyed, highest first"), ("insertion", "Insertion: onto grey, highest first"))


def curves_svg(curves: Mapping[str, Any]) -> str:
    """The picture as SVG text; `curves` as `auditor.lab.cifake.background.look` gives them."""
    side = (WIDTH - LEFT - 20 - GAP) / 2
    height = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_legend([name for name in COLOURS if name in curves]),
    ]
    for number, (kind, title) in enumerate(PANELS):
        left = LEFT + number * (side + GAP)
        parts.append(f'<text x="{left:.1f}" y="{TOP - 12}">{escape(title)}</text>')
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
            y, x, low = TOP + (1 - tick) * height, left + tick * side, TOP + height + 16
            parts += [
                f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{left + side:.1f}" y2="{y:.1f}" stroke="#dddddd"/>',
                f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end" font-size="11">{tick:g}</text>',
                f'<text x="{x:.1f}" y="{low}" text-anchor="middle" font-size="11">{100 * tick:.0f}</text>',
            ]
        parts.append(
            f'<text x="{left + side / 2:.1f}" y="{HEIGHT - 12}" text-anchor="middle" font-size="12">pixels, %</text>'
        )
        for name, colour in COLOURS.items():
            for key, dashes in ((f"control_{kind}", ' stroke-dasharray="5 4"'), (kind, "")):
                if name not in curves:
                    continue
                points = " ".join(
                    f"{left + s * side:.1f},{TOP + (1 - p) * height:.1f}"
                    for s, p in zip(curves["share"], curves[name][key], strict=True)
                )
                parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: list[str]) -> list[str]:
    parts, x = ['<text x="10" y="20">Mean P(predicted class)</text>'], 180
    for name in names:
        for text, dashes in ((f"{name}, map", ""), (f"{name}, shuffled map", ' stroke-dasharray="5 4"')):
            parts.append(
                f'<line x1="{x}" y1="16" x2="{x + 26}" y2="16" stroke="{COLOURS[name]}" stroke-width="2"{dashes}/>'
                f'<text x="{x + 32}" y="20">{escape(text)}</text>'
            )
            x += 48 + 8 * len(text)
    return parts
