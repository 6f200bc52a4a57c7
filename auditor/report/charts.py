"""Charts drawn by matplotlib in one style: as SVG, where the same data give the same file byte for byte, or on axes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

from auditor.core.errors import require
from auditor.core.escaping import xml_text
from auditor.core.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with _style():
        figure = Figure(figsize=(size[0] / _DPI, size[1] / _DPI), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left")
        draw(*figure.subplots(1, panels, squeeze=False)[0])
        figure.savefig(buffer, format="svg", metadata={**_METADATA, "Title": description or title})
    return xml_text(buffer.getvalue())


@contextmanager
def _style() -> Iterator[None]:
    from cycler import cycler
    from matplotlib import rc_context

    style: Any = {**_STYLE, "axes.prop_cycle": cycler(color=PALETTE)}
    with _LOCK, rc_context(style):
        yield


def draw_on(
    ax: Axes | None, draw: Callable[[Axes], None], title: str, size: tuple[float, float] = (640, 400)
) -> Figure:
    """One chart on the caller's axes, or on those of a new figure of pyplot.

    Parameters
    ----------
    ax : matplotlib Axes, optional
    draw : callable
        Draws on the axes.
    title : str
        Stands above the axes.
    size : tuple of float
        Width and height of a new figure in pixels of 1/96 inch.

    Returns
    -------
    matplotlib Figure
        A notebook that draws figures below their cell shows it once, as the value of the cell.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    require("matplotlib", "report", "drawing a plot")
    import matplotlib
    from matplotlib.text import Text

    new = ax is None
    if new:
        from matplotlib import pyplot

        matplotlib.get_backend()  # a notebook's settings, which come with it, are not those of the style
    with _style():
        if ax is None:
            ax = pyplot.subplots(figsize=(size[0] / _DPI, size[1] / _DPI), layout="constrained")[1]
        draw(ax)
        ax.set_title(title, loc="left")
        for text in ax.findobj(Text):  # those of the caller's axes are older than the style
            text.set_parse_math(False)
    figure = cast("Figure", ax.get_figure(root=True))
    if new and "inline" in matplotlib.get_backend():
        pyplot.close(figure)  # else the notebook shows all open figures after the cell, this one a second time
    return figure


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
