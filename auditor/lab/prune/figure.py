"""Accuracy against what is left: one line per method, bars for the interval over seeds. Plain SVG, no library."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["rate_accuracy_svg"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 460, 70, 190, 50, 60
#: Colours differ in brightness too, for those who see no colours.
COLOURS = ("#0b5fa5", "#d1495b", "#e3a018", "#5b8c5a", "#7a4fa3", "#3c3c3c", "#8d8d8d")


def _kept(row: dict[str, Any], dynamic: bool) -> float:
    """What is left, per cent: weights, or executable MACs."""
    if dynamic:
        return 100 * row["macs_executable"] / row["macs_dense"]
    return 100 * (1 - (row["sparsity"] or 0.0))


def rate_accuracy_svg(document: dict[str, Any]) -> str:
    """The picture as SVG text."""
    dynamic = document["dynamic"]
    rows = [row for row in document["rows"] if row["method"] != "dense"]
    dense = next(row for row in document["rows"] if row["method"] == "dense")
    values = [v for row in document["rows"] for v in (*row["interval"], row["accuracy"])]
    low, high = 100 * min(values) - 1, 100 * max(values) + 1
    most = max(_kept(row, dynamic) for row in rows) * 1.08
    x = lambda kept: LEFT + kept / most * (WIDTH - LEFT - RIGHT)  # noqa: E731
    y = lambda share: TOP + (high - 100 * share) / (high - low) * (HEIGHT - TOP - BOTTOM)  # noqa: E731
    what = "executable MACs left, %" if dynamic else "weights left, %"
    bars = " (bars: 95 % interval over seeds)" if document["seeds"] > 1 else " (one seed: no interval)"
    title = f"{document['network']}, {document['data']}, {document['seeds']} seeds: {document['reproduction']}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="10" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{what}{bars}</text>',
        f'<text x="14" y="{TOP - 8}">accuracy, %</text>',
        *_grid(low, high, most, x, y),
        f'<line x1="{LEFT}" y1="{y(dense["accuracy"]):.1f}" x2="{WIDTH - RIGHT}" y2="{y(dense["accuracy"]):.1f}" '
        'stroke="#000000" stroke-dasharray="5 4"/>',
        f'<text x="{WIDTH - RIGHT + 8}" y="{y(dense["accuracy"]) + 4:.1f}">dense</text>',
    ]
    for number, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        colour = COLOURS[number % len(COLOURS)]
        points = sorted(
            ((_kept(row, dynamic), row) for row in rows if row["method"] == method), key=lambda point: point[0]
        )
        # A little aside per method, so that bars at the same rate can be told apart.
        aside = 2.5 * number
        line = " ".join(f"{x(k) + aside:.1f},{y(row['accuracy']):.1f}" for k, row in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for kept, row in points:
            at, (bottom, top) = x(kept) + aside, row["interval"]
            parts.append(
                f'<line x1="{at:.1f}" y1="{y(bottom):.1f}" x2="{at:.1f}" y2="{y(top):.1f}" stroke="{colour}"/>'
                f'<circle cx="{at:.1f}" cy="{y(row["accuracy"]):.1f}" r="4" fill="{colour}"/>'
            )
        label = TOP + 20 + 20 * number
        parts.append(f'<circle cx="{WIDTH - RIGHT + 60}" cy="{label}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 72}" y="{label + 4}">{escape(method)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(low: float, high: float, most: float, x: Any, y: Any) -> list[str]:
    parts = []
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 8)
    tick = step * (low // step + 1)
    while tick < high:
        at = y(tick / 100)
        parts.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
        tick += step
    step = next(s for s in (1, 2, 5, 10, 20, 50) if most / s <= 10)
    tick = 0
    while tick <= most:
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{tick:g}</text>')
        tick += step
    return parts
