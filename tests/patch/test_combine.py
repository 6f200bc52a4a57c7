"""Uniting patches, and what a patch holds in numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditor.cli.main import run
from auditor.core.errors import DataError, UsageError
from auditor.patch.combine import merge_patches, summary
from auditor.patch.files import read_patch, write_patch
from auditor.patch.records import Patch, PatchHeader, PatchRecord

A, B, C = ("sha256:" + c * 64 for c in "abc")
HEADER = PatchHeader("pets", "test", 10, A, "sha256-rgb-bytes", ("cat", "dog", "horse"))
ONE = Patch(HEADER, (PatchRecord(A, "relabel", "cat", ("dog",)), PatchRecord(B, "drop", "dog", reason="neither")))
TWO = Patch(HEADER, (PatchRecord(A, "relabel", "cat", ("dog",)), PatchRecord(C, "multi", "cat", ("cat", "horse"))))


def test_the_union() -> None:
    merged = merge_patches([ONE, TWO], ["one", "two"])
    assert [r.id for r in merged.patch.records] == [A, B, C]
    assert merged.repeated == 1
    assert merged.patch.header == HEADER


def test_the_order_of_several_labels_does_not_matter() -> None:
    turned = Patch(HEADER, (replace(TWO.records[1], to=("horse", "cat")),))
    assert merge_patches([TWO, turned], ["a", "b"]).repeated == 1


CONFLICTS = {
    "another label": PatchRecord(A, "relabel", "cat", ("horse",)),
    "another operation": PatchRecord(A, "drop", "cat", reason="neither"),
    "other labels": PatchRecord(A, "multi", "cat", ("cat", "dog")),
    "another reason does not conflict with a drop, a relabel does": PatchRecord(B, "relabel", "dog", ("cat",)),
    "a chain": PatchRecord(A, "relabel", "dog", ("horse",)),
}


@pytest.mark.parametrize("record", CONFLICTS.values(), ids=CONFLICTS.keys())
def test_conflicts_are_reported_and_nothing_is_written(
    record: PatchRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{k}.labelpatch.jsonl" for k in range(3)]
    write_patch(ONE, files[0])
    write_patch(Patch(HEADER, (record,)), files[1])
    with pytest.raises(SystemExit) as end:
        run(["patch", "merge", str(files[0]), str(files[1]), "--out", str(files[2])])
    assert end.value.code == 3
    err = capsys.readouterr().err
    assert "1 conflict(s); nothing was written" in err
    assert files[0].name in err
    assert files[1].name in err
    assert not files[2].exists()


def test_merging_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(tmp_path / f"{k}.labelpatch.jsonl") for k in range(3)]
    write_patch(ONE, files[0])
    write_patch(TWO, files[1])
    with pytest.raises(SystemExit) as end:
        run(["patch", "merge", files[0], files[1], "--out", files[2], "--json"])
    assert end.value.code == 0
    assert len(read_patch(files[2]).records) == 3
    assert '"repeated": 1' in capsys.readouterr().out


def test_what_cannot_be_united() -> None:
    for change in ({"hash_scheme": "sha256-file-bytes"}, {"label_column": "y"}, {"classes": ("cat", "dog", "cow")}):
        with pytest.raises(DataError):
            merge_patches([ONE, Patch(replace(HEADER, **change), ())], ["one", "two"])  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        merge_patches([ONE], ["one"])


def test_classes_in_another_order_and_other_splits_are_told() -> None:
    turned = Patch(replace(HEADER, classes=("horse", "dog", "cat"), split="train", n=5, license="CC-BY-4.0"), ())
    merged = merge_patches([ONE, turned], ["one", "two"])
    assert (merged.patch.header.split, merged.patch.header.n) == (None, 15)
    assert merged.patch.header.classes == HEADER.classes
    assert merged.patch.header.license == "CC-BY-4.0"
    assert len(merged.notes) == 2


def test_the_summary_counts() -> None:
    voted = replace(ONE.records[0], votes={"suggested": 3, "given": 2}, n=5, verdict="suggested")
    facts = summary(Patch(HEADER, (voted, ONE.records[1])))
    assert facts["operations"] == {"relabel": 1, "multi": 0, "drop": 1}
    assert facts["pairs"][0] == {"from": "cat", "to": "dog", "records": 1}
    assert facts["votes"] == {"suggested": 3, "given": 2}
    assert (facts["with_human_verdict"], facts["reviewers_per_record"]) == (1, {0: 1, 5: 1})
    assert facts["share_of_rows"] == 0.2
