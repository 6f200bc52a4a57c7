"""The search curve, and the files of all pictures of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from auditor.core.files import atomic_write
from auditor.lab.search.pictures import architecture_svg
from auditor.lab.search.svg import COLOURS, Canvas
from auditor.models.genotype import Genotype

__all__ = ["curve_svg", "write_figures"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 460, 70, 170, 56, 56
_ARMS = (("search", "search"), ("control", "random control"))


def write_figures(folder: Path, document: dict[str, Any], genotypes: Mapping[str, Genotype]) -> dict[str, str]:
    """Write the pictures.

    Returns
    -------
    dict of str to str
        What a picture shows -> its file name.
    """
    texts = {"search curve": ("search-curve.svg", curve_svg(document))}
    for role, genotype in genotypes.items():
        title = f"{document['space']}, {role}, budget {document['budget']}: {document['reproduction']}"
        texts[f"{role} architecture"] = (f"{role}.svg", architecture_svg(genotype, title))
    for name, text in texts.values():
        with atomic_write(Path(folder) / name) as handle:
            handle.write(text.encode())
    return {what: name for what, (name, _) in texts.items()}


def curve_svg(document: dict[str, Any]) -> str:
    """Best validation accuracy so far over the MACs spent, with the random control at equal cost; bands are 95 % Wilson
    intervals over validation items, dots single children."""
    curves = [
        (number, label, search[arm]["curve"])
        for search in document["searches"]
        for number, (arm, label) in enumerate(_ARMS)
    ]
    points = [point for _, _, curve in curves for point in curve]
    low = 100 * min(min(p["low"], p["accuracy"]) for p in points) - 1
    high = 100 * max(p["high"] for p in points) + 1
    most = max(p["spent"] for p in points) * 1.02
    x = lambda spent: LEFT + spent / most * (WIDTH - LEFT - RIGHT)  # noqa: E731
    y = lambda share: TOP + (high - 100 * share) / (high - low) * (HEIGHT - TOP - BOTTOM)  # noqa: E731
    seeds = document["seeds"]
    canvas = Canvas(
        WIDTH,
        HEIGHT,
        f"{document['space']}, {document['data']['name']}, {seeds} search(es), budget {document['budget']}: "
        f"{document['reproduction']}",
    )
    canvas.text(14, TOP - 10, f"validation accuracy, % ({document['data']['validation']:,} images of the train split)")
    canvas.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "training cost so far, 10^12 MACs", "middle")
    _grid(canvas, low, high, most, x, y)
    for number, _, curve in curves:
        _draw(canvas, curve, COLOURS[number], x, y, 0.18 / seeds)
    for number, (_, label) in enumerate(_ARMS):
        canvas.dot(WIDTH - RIGHT + 20, TOP + 20 + 22 * number, 5, COLOURS[number])
        canvas.text(WIDTH - RIGHT + 32, TOP + 24 + 22 * number, label)
    canvas.text(WIDTH - RIGHT + 14, TOP + 70, "line: best so far", size=11)
    canvas.text(WIDTH - RIGHT + 14, TOP + 86, "band: 95 % Wilson", size=11)
    canvas.text(WIDTH - RIGHT + 14, TOP + 102, "dot: one child", size=11)
    return canvas.done()


Scale = Callable[[float], float]


def _draw(canvas: Canvas, curve: list[dict[str, float]], colour: str, x: Scale, y: Scale, opacity: float) -> None:
    """Best so far as steps, its band, and the children."""

    def steps(key: str) -> list[str]:
        found = [f"{x(curve[0]['spent']):.1f},{y(curve[0][key]):.1f}"]
        for before, point in pairwise(curve):
            found += [f"{x(point['spent']):.1f},{y(before[key]):.1f}", f"{x(point['spent']):.1f},{y(point[key]):.1f}"]
        return found

    canvas.path(f"M{' L'.join([*steps('low'), *reversed(steps('high'))])} Z", "none", colour, opacity)
    canvas.path(f"M{' L'.join(steps('best'))}", colour, width=2)
    for point in curve:
        canvas.dot(x(point["spent"]), y(point["accuracy"]), 3, colour, 0.6)


def _grid(canvas: Canvas, low: float, high: float, most: float, x: Scale, y: Scale) -> None:
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 8)
    tick = step * (low // step + 1)
    while tick < high:
        canvas.line(LEFT, y(tick / 100), WIDTH - RIGHT, y(tick / 100), "#dddddd")
        canvas.text(LEFT - 8, y(tick / 100) + 4, f"{tick:g}", "end")
        tick += step
    span = most / 1e12
    step = next(s for s in (m * 10.0**e for e in range(-9, 12) for m in (1, 2, 5)) if span / s <= 8)
    tick = 0.0
    while tick <= span:
        canvas.text(x(tick * 1e12), HEIGHT - BOTTOM + 20, f"{tick:g}", "middle")
        tick = round(tick + step, 12)
