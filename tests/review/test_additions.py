"""What is added to a store later: controls from a file, detectors computed after the run was taken in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import AuditorError, DataError
from auditor.review.additions import read_controls
from auditor.review.readout import PageFilter
from auditor.review.store import VerdictStore
from tests.review.cases import make_run

Make = Callable[..., VerdictStore]


def test_controls_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "controls.csv"
    path.write_bytes("\ufeffid,verdict,more\na,given,1\nb,,2\nc,other:ship,3\na,given,4\n".encode())
    assert read_controls(path) == {"a": "given", "b": "given", "c": "other:ship"}
    path.write_text("id\nx\n")
    assert read_controls(path) == {"x": "given"}


@pytest.mark.parametrize(
    "raw",
    [b"item,verdict\na,given\n", b"id,verdict\na,given\na,unsure\n", b"id\n\xff\n", b'id\n"a', b"id,verdict\n,x\n"],
)
def test_files_that_are_no_controls(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(raw)
    with pytest.raises(AuditorError):
        read_controls(tmp_path / "c.csv")
    with pytest.raises(AuditorError, match="cannot read"):
        read_controls(tmp_path / "absent.csv")


def test_controls_may_be_planted_later(loaded: Make) -> None:
    store = loaded(n=400, flagged=100, audit_size=10, control_share=0.2)
    assert store.facts["n_controls"] == 0
    known = dict.fromkeys(make_run(400, 100).scores["id"][-6:], "given")
    assert store.plant(known) == 6
    first = next(iter(known))
    assert store.plant({first: "unsure"}) == 6  # corrected, not doubled
    assert store.facts["n_controls"] == 6
    assert store.controls() == known | {first: "unsure"}
    assert set(known) <= {item.item_id for item in store.next_batch("ann", 60)}


@pytest.mark.parametrize("wrong", [{"nobody": "given"}, {0: "perhaps"}, {0: "other:horse"}])
def test_impossible_controls_plant_nothing(loaded: Make, wrong: dict[object, str]) -> None:
    store = loaded()
    ids = list(make_run().scores["id"][:2])
    controls = {ids[1]: "given"} | {ids[0] if k == 0 else str(k): v for k, v in wrong.items()}
    with pytest.raises(DataError, match="control"):
        store.plant(controls)
    assert store.controls() == {}


def test_detectors_may_come_later_and_change(loaded: Make) -> None:
    store = loaded()
    ids = make_run().scores["id"].to_numpy()
    store.set_detections({"margin": ids[:5], "none": ids[:0]}, "first")
    assert store.facts["detectors"] == ["margin", "none"]
    assert {i.item_id for i in store.page(PageFilter(detector="margin")).items} == set(ids[:5])
    store.set_detections({"margin": ids[3:9]}, "second")
    assert store.facts["detections_of"] == "second"
    assert {i.item_id for i in store.page(PageFilter(detector="margin")).items} == set(ids[3:9])
    with pytest.raises(DataError, match="no item"):
        store.set_detections({"margin": np.array(["nobody"], dtype=object)}, "third")
    assert store.page(PageFilter(detector="margin")).items
