"""What an item looks like where there is little room."""

from __future__ import annotations

import numpy as np

from auditor.report.pictures import excerpt


def test_values_of_a_row_are_short() -> None:
    row = {"size": -0.019877011042093756, "count": 12345678, "half": np.float32(0.1), "kind": "cat", "none": None}
    assert excerpt(row, 200) == "size = -0.019877, count = 12345678, half = 0.1, kind = cat, none = None"
    assert excerpt({"share": float("nan"), "large": 1e300}, 200) == "share = nan, large = 1e+300"
