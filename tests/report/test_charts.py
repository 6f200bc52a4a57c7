"""Charts: the same bytes for the same data, text that stays text, intervals where they belong."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import pytest

from auditor.core.errors import MissingExtraError
from auditor.report.charts import PALETTE, chart_svg, points


def _draw(axes) -> None:  # type: ignore[no-untyped-def]
    points(axes, [1, 2], [0.2, 0.4], [(0.1, 0.3), (0.5, 0.6)], label="rd <5> $x_1$", gid="first")
    points(axes, [1, 2], [0.3, 0.5], label="second")
    axes.legend()


def test_equal_data_give_equal_bytes_without_a_date() -> None:
    first, second = chart_svg(_draw, "a < b"), chart_svg(_draw, "a < b")
    assert first == second
    assert "dc:date" not in first
    assert "Matplotlib v" not in first


def test_names_stand_in_the_picture_as_text() -> None:
    root = ElementTree.fromstring(chart_svg(_draw, "cost in $ < 5 $", description="what it says"))
    texts = {"".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("}text")}
    assert {"rd <5> $x_1$", "second", "cost in $ < 5 $"} <= texts
    assert root.find("{http://www.w3.org/2000/svg}title").text == "what it says"  # type: ignore[union-attr]


def test_no_name_breaks_the_picture() -> None:
    text = chart_svg(_draw, "a", description="\x1b[2J \x00 \ufffe ]]> </title>")
    assert "\ufffd[2J \ufffd \ufffd ]]> </title>" in {e.text for e in ElementTree.fromstring(text).iter()}


def test_size_is_in_pixels_and_colours_are_those_of_the_palette() -> None:
    text = chart_svg(_draw, "x", size=(480, 240))
    assert 'width="360pt" height="180pt"' in text  # 96 pixels to 72 points
    assert PALETTE[0] in text
    assert PALETTE[1] in text
    assert PALETTE[2] not in text


def test_one_axes_for_every_panel() -> None:
    drawn = []
    chart_svg(lambda *axes: drawn.extend(axes), "x", panels=3)
    assert len(drawn) == 3


def test_without_matplotlib_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="matplotlib"):
        chart_svg(_draw, "x")
