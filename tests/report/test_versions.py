"""The page of two versions, what is written beside it, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import AuditorError
from auditor.report.versions import CHANGES, DOCUMENT, PAGE, compare
from auditor.runs.tables import read_table
from tests.running import call


@pytest.fixture
def versions(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    old = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120), "label": rng.choice(["<x>", "y"], 120)})
    new = old.drop([4, 9]).assign(b=lambda d: d["b"])
    new.loc[20, "label"] = "y" if new.loc[20, "label"] == "<x>" else "<x>"
    new.loc[30, "a"] = 77.0
    old.to_csv(tmp_path / "old.csv", index=False)
    new.to_csv(tmp_path / "new.csv", index=False)
    return f"{tmp_path / 'old.csv'}?label=label", f"{tmp_path / 'new.csv'}?label=label"


def test_the_page_and_the_files(versions: tuple[str, str], tmp_path: Path) -> None:
    found = compare(*versions, out=tmp_path / "out", progress=False)
    assert found.document["counts"] == {
        "added": 0, "removed": 2, "edited": 1, "relabelled": 1, "moved": 0, "unchanged": 116
    }  # fmt: skip
    assert found.document["drift"]["status"] == "passed"
    assert json.loads((tmp_path / "out" / DOCUMENT).read_text()) == found.document
    assert read_table(tmp_path / "out" / CHANGES)["change"].tolist() == ["removed", "removed", "edited", "relabelled"]
    page = (tmp_path / "out" / PAGE).read_text()
    assert "<x>" not in page
    assert "&lt;x&gt;" in page
    assert all(f"<h2>{title}</h2>" in page for title in ("Distribution", "Classes", "Labels", "Removed", "Edited"))
    with pytest.raises(AuditorError, match=DOCUMENT):
        compare(*versions, out=tmp_path / "out", progress=False)


def test_a_shifted_column_is_named(versions: tuple[str, str], tmp_path: Path) -> None:
    frame = pd.read_csv(tmp_path / "new.csv")
    frame.assign(b=frame["b"] + 3).to_csv(tmp_path / "new.csv", index=False)
    found = compare(*versions, progress=False)
    assert found.document["drift"]["status"] == "found"
    assert "b (" in found.document["drift"]["reason"]


def test_the_command(versions: tuple[str, str], tmp_path: Path) -> None:
    done = call("compare", *versions, "--out", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["counts"]["removed"] == 2
    assert "2 removed, 1 edited, 1 relabelled" in call("compare", *versions).stderr
