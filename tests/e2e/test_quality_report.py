"""pipelines/quality.py: the stored page is that of the stored results, and planted faults are counted as said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from quality import MANIFEST, REPORT, RESULTS, counted
from quality_cases import Case, table_subject, tables
from quality_report import markdown

from auditor.core.files import read_json
from auditor.core.hashing import hash_file

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "quality"


def test_the_stored_page_is_that_of_the_stored_results() -> None:
    assert (FOLDER / REPORT).read_text() == markdown(read_json(FOLDER / RESULTS))
    files = read_json(FOLDER / MANIFEST)["files"]
    assert set(files) == {RESULTS, REPORT}
    assert [name for name, digest in files.items() if hash_file(FOLDER / name) != digest] == []


def test_a_clean_set_has_no_error() -> None:
    rows = read_json(FOLDER / RESULTS)["parts"]["clean"]["rows"]
    assert [row for row in rows if row["severity"] == "error"] == []


def test_what_is_counted() -> None:
    name, frame, label = next(iter(tables(0)))
    subject = table_subject(frame.iloc[:20], label)
    planted, hard = {"dark": np.array([0, 1])}, {"dark": np.array([2, 3])}
    ignored = np.zeros(20, bool)
    ignored[4:6] = True
    named = np.isin(np.arange(20), [0, 2, 4, 7])  # one of two, one that looks like it, one ignored, one other
    row = counted(Case(name, subject, planted, hard, {"dark": ignored}), "dark", named)
    assert row == {"recall": 0.5, "precision": round(1 / 3, 4), "hard_named": 1, "others_named": 1}
