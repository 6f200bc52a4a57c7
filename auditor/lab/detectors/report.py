"""The results as one Markdown page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.detect.findings import STREAMED_FLAG_RULE
from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, method_name
from auditor.lab.experiment.verdicts import page

COLUMNS = ("AP", "AUROC", "P@N", "P@50", "P@100", "best F1", "F1", "flagged", "precision", "recall", "seconds")


def report_text(result: Mapping[str, Any]) -> str:
    """The page: conditions, short tables over all sets, differences, then every figure per set."""
    sets = [
        {
            **of_set,
            "name": name,
            "about": result["about"][name],
            "rows": {method_name(row["tool"], row["what"]): row for row in of_set["rows"]},
            "vote": next(row for row in of_set["rows"] if row["tool"] == KNN),
            "differences": {(row["figure"], row["note"]): row for row in result["comparisons"] if row["set"] == name},
        }
        for name, of_set in result["sets"].items()
    ]
    ours = {"combined": COMBINED, "default": DEFAULT, "margin": "log_odds_margin", "streamed": STREAMED_FLAG_RULE}
    names = {key: method_name(OURS, what) for key, what in ours.items()}
    # Reports made before a figure was there do without it.
    columns = [name for name in COLUMNS if all(name in row for each in sets for row in each["rows"].values())]
    return page("detection", result, sets=sets, columns=columns, **names)
