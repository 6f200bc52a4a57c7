"""Tables of a Markdown report, and the numbers in their cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: Shown where there is no figure.
ABSENT = "-"
_NUMBER = re.compile(r"[*`]*[+\-−±<>]?\s*\d")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequences
        A cell is shown as `str` shows it, `None` as ``-``; a pipe or a line break in it cannot end the cell. A column
        that holds numbers, and else only absent figures, stands to the right.

    Raises
    ------
    ValueError
        If a row is longer or shorter than the header.
    """
    cells = [[cell(value) for value in row] for row in rows]
    rule = ["---:" if _is_numeric(column) else "---" for column in zip(*cells, strict=True)] or ["---"] * len(header)
    if len(rule) != len(header):
        raise ValueError(f"{len(header)} columns in the header, {len(rule)} in the rows")
    return [_line(map(cell, header)), f"|{'|'.join(rule)}|", *map(_line, cells)]


def cell(value: object) -> str:
    """A value as text of one cell, as `table` says."""
    text = ABSENT if value is None else str(value)
    return re.sub(r"(?<!\\)\|", r"\\|", text).replace("\r", " ").replace("\n", " ")


def _is_numeric(column: Sequence[str]) -> bool:
    figures = [figure for figure in column if figure not in ("", ABSENT)]
    return bool(figures) and all(_NUMBER.match(figure) for figure in figures)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float | None, form: str = ",.0f", scale: float = 1.0) -> str:
    """`scale` times `value` by a format specification; ``-`` where it is absent or not a number."""
    return ABSENT if value is None or value != value else f"{scale * value:{form}}"


def percent(value: float | None, form: str = ".2f") -> str:
    """A share in per cent, without the sign ``%``."""
    return number(value, form, 100)


def interval(
    value: float | None, limits: Sequence[float | None] | None, form: str = ".2f", scale: float = 100.0
) -> str:
    """``value [low, high]``, in per cent unless `scale` says otherwise; limits that are absent are left out."""
    if value is None or limits is None or None in limits:
        return number(value, form, scale)
    low, high = (number(limit, form, scale) for limit in limits)
    return f"{number(value, form, scale)} [{low}, {high}]"
