"""One theme: colours stand in one file, each can be read on the page, and Streamlit's own widgets have the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.ui import SCRIPT
from auditor.ui.server import _THEME

BROWSER = Path(SCRIPT).parent / "browser"
#: By name: in light, in dark.
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--au-(\w+): light-dark\((#\w{6}), (#\w{6})\)", (BROWSER / "theme.css").read_text(encoding="utf-8")
    )
}


def _contrast(a: str, b: str) -> float:
    """Of WCAG 2.2: 1 to 21."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read(theme: int) -> None:
    assert len(COLOURS) == 12
    for ground in ("page", "soft"):
        for name in ("text", "quiet", "accent", "right", "other", "mine", "wait", "bad"):
            assert _contrast(COLOURS[name][theme], COLOURS[ground][theme]) >= 4.5, (name, ground)
        assert _contrast(COLOURS["edge"][theme], COLOURS[ground][theme]) >= 3, ground


def test_a_component_has_no_colour_of_its_own() -> None:
    sheets = sorted(BROWSER.glob("*.css"))
    assert len(sheets) >= 5
    for sheet in sheets:
        if sheet.name != "theme.css":
            text = sheet.read_text(encoding="utf-8")
            assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|--st-(?!font|code-font)[\w-]+", text) == [], sheet.name
            unknown = set(re.findall(r"var\(--au-(\w+)", text)) - {*COLOURS, "radius", "veil", "shadow"}
            assert unknown == set(), sheet.name


def test_the_widgets_have_the_same_colours() -> None:
    same = {"background": "page", "secondaryBackground": "soft", "text": "text", "border": "line", "link": "accent"}
    for k, theme in enumerate(("light", "dark")):
        for theirs, ours in same.items():
            assert _THEME[f"{theme}.{theirs}Color"] == COLOURS[ours][k], (theme, theirs)
