"""The curves of maps and their controls."""

from __future__ import annotations

from auditor.lab.saliency.report import curves_svg


def test_curves_are_drawn_where_they_are() -> None:
    one = {
        "deletion": [1.0, 0.5],
        "insertion": [0.5, 1.0],
        "control_deletion": [1.0, 0.6],
        "control_insertion": [0.5, 0.9],
    }
    both = curves_svg({"share": [0.0, 1.0], "FAKE": one, "REAL": one})
    only = curves_svg({"share": [0.0, 1.0], "REAL": one})
    for text, colours in ((both, {"#d1495b": True, "#0b5fa5": True}), (only, {"#d1495b": False, "#0b5fa5": True})):
        for colour, drawn in colours.items():
            assert (f"stroke: {colour}" in text) == drawn
    assert "FAKE, shuffled map" in both
    assert "FAKE" not in only
    # Two panels, each with a map and its control, dashed; and a legend of both.
    assert only.count("stroke: #0b5fa5; stroke-width: 1.5; stroke-linecap: square") == 3
    assert only.count("stroke-dasharray: 5.55,2.4") >= 2
