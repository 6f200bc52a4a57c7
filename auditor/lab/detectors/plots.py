"""One picture per figure: a line per set, a mark per method. Plain SVG, no library."""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, PEER

__all__ = ["figure_svg", "write_plots"]

#: Label, colour and shape of each mark. Colours differ in brightness too, shapes for those who see no colours.
MARKS = {
    "default": ("#0b5fa5", "circle"),
    "combined": ("#d1495b", "diamond"),
    "cleanlab's default": ("#8d8d8d", "square"),
    "cleanlab's best": ("#3c3c3c", "square"),
    "kNN vote": ("#e3a018", "circle"),
}
LEFT, RIGHT, TOP, ROW = 250, 30, 60, 24
WIDTH = 900


def write_plots(folder: Path, result: dict[str, Any]) -> None:
    """``average-precision.svg`` and ``f1.svg``; an earlier folder is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    if not result["sets"]:
        return
    for figure, name, title in (
        ("AP", "average-precision", "Average precision of the ranking, %"),
        ("F1", "f1", "F1 of the flags, each tool's own rule, %"),
    ):
        with atomic_write(folder / f"{name}.svg") as handle:
            handle.write(figure_svg(result, figure, title).encode())


def _values(one: dict[str, Any], figure: str) -> dict[str, float]:
    """Mark to its figure on one set."""
    by_name = {(row["tool"], row["what"]): row[figure] for row in one["rows"]}
    usual = "score self_confidence" if figure == "AP" else "filter prune_by_noise_rate"
    peers = [value for (tool, _), value in by_name.items() if tool == PEER and value is not None]
    found = {
        "default": by_name[OURS, DEFAULT],
        "combined": by_name[OURS, COMBINED] if figure == "AP" else None,
        "cleanlab's default": by_name[PEER, usual],
        "cleanlab's best": max(peers),
        "kNN vote": next(value for (tool, _), value in by_name.items() if tool == KNN),
    }
    return {name: value for name, value in found.items() if value is not None}


def figure_svg(result: dict[str, Any], figure: str, title: str) -> str:
    """The picture as SVG text."""
    sets = {name: _values(one, figure) for name, one in result["sets"].items()}
    lowest = min(min(values.values()) for values in sets.values())
    start = max(0, int(lowest * 20) * 5)  # per cent, in steps of five
    height = TOP + ROW * len(sets) + 40
    place = lambda share: LEFT + (100 * share - start) / (100 - start) * (WIDTH - LEFT - RIGHT)  # noqa: E731
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="20" font-size="15">{escape(title)}</text>',
    ]
    x = 10.0
    for name, (colour, shape) in MARKS.items():
        if any(name in values for values in sets.values()):
            parts += [_mark(x + 6, 38, colour, shape), f'<text x="{x + 16}" y="42">{escape(name)}</text>']
            x += 36 + 7.5 * len(name)
    bottom = TOP + ROW * len(sets)
    for tick in range(start, 101, 10 if start < 60 else 5):
        at = place(tick / 100)
        parts.append(f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{tick}</text>')
    for row, (name, values) in enumerate(sets.items()):
        y = TOP + ROW * row + 8
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end" font-size="12">{escape(name)}</text>')
        # Ours last, so that they lie on top.
        for mark in reversed([m for m in MARKS if m in values]):
            parts.append(_mark(place(values[mark]), y, *MARKS[mark]))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _mark(x: float, y: float, colour: str, shape: str) -> str:
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y}" r="5" fill="{colour}"/>'
    if shape == "square":
        return f'<rect x="{x - 4.5:.1f}" y="{y - 4.5}" width="9" height="9" fill="{colour}"/>'
    return f'<path d="M{x:.1f} {y - 6}l6 6-6 6-6-6z" fill="{colour}"/>'
