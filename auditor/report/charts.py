"""Charts as SVG, drawn by matplotlib in one style: the same data give the same file, byte for byte."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from auditor.core.errors import require
from auditor.core.escaping import xml_text
from auditor.core.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The colours differ in brightness too, for those who see no colours.
PALETTE: Final = ("#0b5fa5", "#d1495b", "#e3a018", "#5b8c5a", "#7a4fa3", "#3c3c3c", "#8d8d8d")
BLUE, RED, YELLOW, GREEN, PURPLE, DARK, GREY = PALETTE
#: CSS pixels in an inch.
_DPI: Final = 96
_STYLE: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": DARK,
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.titlesize": 11,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": "#dddddd",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "auditor",
    "text.parse_math": False,  # a dollar sign in a name is one
}
#: No date and no version, which would change the file of equal data.
_METADATA: Final = {"Creator": None, "Date": None, "Format": None, "Type": None}
#: matplotlib's settings are global; a web app draws from several threads.
_LOCK = Lock()


def chart_svg(
    draw: Callable[..., None],
    title: str,
    *,
    size: tuple[int, int] = (860, 460),
    panels: int = 1,
    description: str | None = None,
) -> str:
    """One chart as SVG text.

    Parameters
    ----------
    draw : callable
        Gets the axes, one argument a panel, and draws on them; new lines take the colours of `PALETTE` in turn.
    title : str
        Stands above all panels.
    size : tuple of int
        Width and height in pixels.
    panels : int
        Side by side.
    description : str, optional
        What a screen reader says instead of the title.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require("matplotlib", "report", "drawing a chart")
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    style: Any = {**_STYLE, "axes.prop_cycle": cycler(color=PALETTE)}
    with _LOCK, rc_context(style):
        figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left")
        draw(*figure.subplots(1, panels, squeeze=False)[0])
        figure.savefig(buffer, format="svg", metadata={**_METADATA, "Title": description or title})
    return xml_text(buffer.getvalue())


def write_chart(path: Path, draw: Callable[..., None], title: str, **options: Any) -> None:
    """Write `chart_svg` to `path`, atomically."""
    write_text(path, chart_svg(draw, title, **options))


def points(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    limits: Sequence[tuple[float, float]] | None = None,
    **style: Any,
) -> None:
    """Marks, each with its interval as a vertical bar; an interval need not hold the value.

    Parameters
    ----------
    axes : matplotlib Axes
    x, y : sequences of float
    limits : sequence of (low, high), optional
    **style
        Of matplotlib's ``plot`` (``color``, ``label``, ``linestyle``, ``marker``...).
    """
    (line,) = axes.plot(x, y, **{"marker": "o", "linestyle": "none", **style})
    if limits:
        low, high = zip(*limits, strict=True)
        axes.vlines(x, low, high, color=line.get_color(), linewidth=1.5)
