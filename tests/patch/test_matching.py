"""The refusal rules, one by one, as the command reports them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.cli.main import run
from auditor.core.config import Settings
from auditor.core.errors import DataError
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, verify_patch
from auditor.patch.copies import copy_state
from auditor.patch.files import write_patch
from auditor.patch.records import Patch
from tests.patch.conftest import Source, header_for, patch_for, png, record_for

Make = Callable[[str], Source]


def _cli(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    try:
        run([*map(str, arguments)])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    out = capsys.readouterr()
    return code, out.out, out.err


def test_rule_1_an_unknown_hash(make: Make, settings: Settings) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    patch = Patch(header_for(data), (replace(record_for(data, 0, "relabel", "dog"), id="sha256:" + "0" * 64),))
    with pytest.raises(DataError, match=r"rule 1: .*is not in the data"):
        verify_patch(patch, source.reference, settings)


def test_rule_2_another_label(make: Make, settings: Settings) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    wrong = replace(record_for(data, 4, "relabel", "cat"), from_label="horse")
    name = data.class_names[data.labels[4]]
    assert name != "horse"
    with pytest.raises(DataError, match=rf"rule 2: .*is labelled '{name}', not 'horse'"):
        verify_patch(Patch(header_for(data), (wrong,)), source.reference, settings)


def test_rule_3_class_names_and_their_order(make: Make, settings: Settings) -> None:
    source = make("hub")
    data = open_dataset(source.reference, settings)
    header = header_for(data)
    patch = Patch(replace(header, classes=("dog", "cat", "horse")), ())
    with pytest.raises(DataError, match="another order: class 0 is 'dog' in the patch and 'cat' in the data"):
        verify_patch(patch, source.reference, settings)
    with pytest.raises(DataError, match="'cow' only in the patch"):
        verify_patch(Patch(replace(header, classes=("cat", "cow", "dog", "horse")), ()), source.reference, settings)


def test_rule_4_hash_scheme_and_column(make: Make, settings: Settings) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    with pytest.raises(DataError, match=r"'sha256-rgb-bytes' .image., but 'x' holds text items"):
        verify_patch(Patch(replace(header_for(data), hash_scheme="sha256-rgb-bytes"), ()), source.reference, settings)
    patch = Patch(replace(header_for(data), label_column="y"), (record_for(data, 4, "relabel", "cat"),))
    with pytest.raises(DataError, match=r"'y'.*are in 'label'"):
        verify_patch(patch, source.reference, settings)
    assert verify_patch(patch, source.reference, settings, label_column="label").changed["relabel"] == 1


def test_image_patches_fit_by_either_hash(make: Make, settings: Settings) -> None:
    from auditor.core.hashing import hash_bytes

    source = make("folder")
    data = open_dataset(source.reference, settings)
    assert data.hash_scheme == "sha256-rgb-bytes"
    record = replace(record_for(data, 4, "relabel", "cat"), id=hash_bytes((source.root / data.ids[4]).read_bytes()))
    patch = Patch(replace(header_for(data), hash_scheme="sha256-file-bytes"), (record,))
    outcome = verify_patch(patch, source.reference, settings)
    assert outcome.changed["relabel"] == 1
    assert outcome.warnings  # another fingerprint


def test_a_patch_of_one_split_leaves_the_others_alone(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("hub")
    data = open_dataset(source.reference, settings)
    test = open_dataset(source.reference + "?split=test", settings)
    # Item 7 of the test split is a copy of item 3 of the train split.
    patch = Patch(header_for(test, "test"), (record_for(test, len(test) - 1, "relabel", "cat"),))
    done = apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    assert done.changed["relabel"] == 1
    assert not done.warnings
    copy = open_dataset(f"hf://{tmp_path / 'copy'}", settings)
    assert np.flatnonzero(copy.labels != data.labels).tolist() == [7]
    with pytest.raises(DataError, match="asks for 'train'"):
        verify_patch(patch, source.reference + "?split=train", settings)


def test_other_rows_are_a_warning_only(make: Make, settings: Settings) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    patch = patch_for(data)
    (source.root / "cat" / "new.png").write_bytes(png(99))
    outcome = verify_patch(patch, source.reference, settings)
    assert "9 rows, the patch was made for 8" in outcome.warnings[0]


def test_messages_name_the_rows_the_number_and_the_way_out(
    make: Make, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    hashes = ["sha256:" + f"{k:064x}" for k in range(9)]
    patch = Patch(
        header_for(data),
        tuple(replace(record_for(data, 4, "relabel", "dog"), id=h, index=k) for k, h in enumerate(hashes)),
    )
    write_patch(patch, tmp_path / "p.labelpatch.jsonl")
    code, out, err = _cli(capsys, "patch", "verify", tmp_path / "p.labelpatch.jsonl", source.reference, "--json")
    assert code == 3
    assert out == ""
    assert "9 record(s), 9 of them not found" in err
    assert "line 2, row 0" in err
    assert "and 4 more" in err
    assert "--force-index" in err
    assert "Traceback" not in err


def test_the_commands_one_after_the_other(
    make: Make, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make("parquet")
    patch = tmp_path / "p.labelpatch.jsonl"
    write_patch(patch_for(open_dataset(source.reference, settings)), patch)
    code, out, err = _cli(capsys, "patch", "show", patch, "--json")
    assert (code, json.loads(out)["operations"]) == (0, {"relabel": 2, "multi": 1, "drop": 1})
    assert err.splitlines()[-1].startswith("Next:")
    for command in (
        ["verify", patch, source.reference],
        ["apply", patch, source.reference, "--out", tmp_path / "copy"],
        ["verify", patch, tmp_path / "copy"],
        ["revert", patch, tmp_path / "copy", "--out", tmp_path / "back"],
    ):
        code, out, err = _cli(capsys, "patch", *command, "--json", "--offline")
        assert code == 0, err
        assert json.loads(out)["schema"] == f"auditor.patch-{command[0]}/1"
        assert err.splitlines()[-1].startswith("Next:")
    code, _, err = _cli(capsys, "patch", "apply", patch, source.reference, "--out", tmp_path / "copy")
    assert (code, "exists already" in err) == (2, True)
    code, _, err = _cli(capsys, "patch", "apply", patch, source.reference)
    assert (code, "--mapping" in err) == (2, True)


HOSTILE_NAMES = ("<img src=x onerror=alert(1)>", "[red]bold[/red]", "a\u202eb", "..", "'; DROP TABLE x", "=1+1")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_class_names_are_text_and_nothing_else(
    name: str, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"text": f"a text of some length, number {k}", "label": [name, "dog"][k % 2]} for k in range(6)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_dataset(str(tmp_path / "x.jsonl"), settings)
    k = int(np.flatnonzero(data.labels == data.class_names.index("dog"))[0])
    patch = Patch(header_for(data), (record_for(data, k, "relabel", name),))
    write_patch(patch, tmp_path / "p.labelpatch.jsonl")
    code, _, err = _cli(capsys, "patch", "show", tmp_path / "p.labelpatch.jsonl")
    assert code == 0
    assert name.replace("\u202e", r"\u202e") in err
    apply_patch(patch, str(tmp_path / "x.jsonl"), settings, out=tmp_path / "copy")
    changed = [json.loads(line)["label"] for line in (tmp_path / "copy" / "x.jsonl").read_text().splitlines()]
    assert changed.count(name) == 4


def test_paths_in_a_patch_are_never_followed(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(50))
    record = replace(record_for(data, 4, "relabel", "cat"), path="../../secret.png")
    apply_patch(Patch(header_for(data), (record,)), source.reference, settings, out=tmp_path / "copy")
    assert secret.read_bytes() == png(50)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["copy", "secret.png", "source"]


@pytest.mark.parametrize("where", ["moved", "open_as", "dropped"])
def test_a_forged_copy_cannot_reach_outside_itself(where: str, make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("folder")
    data = open_dataset(source.reference, settings)
    patch = patch_for(data)
    apply_patch(patch, source.reference, settings, out=tmp_path / "copy")
    path = tmp_path / "copy" / ".labelpatch" / "state.json"
    state = json.loads(path.read_text())
    if where == "moved":
        state["extra"]["moved"] = dict.fromkeys(state["extra"]["moved"], "../../evil.png")
    elif where == "open_as":
        state["open_as"]["path"] = "../source"
    for change in state["changes"]:
        if where == "dropped" and change["op"] == "drop":
            change["key"] = "../../../secret.png"
    path.write_text(json.dumps(state))
    with pytest.raises(DataError):
        from auditor.patch.applying import revert_patch

        revert_patch(patch, str(tmp_path / "copy"), settings, out=tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "evil.png").exists()


def test_a_damaged_memory_is_an_error(make: Make, settings: Settings, tmp_path: Path) -> None:
    source = make("csv")
    data = open_dataset(source.reference, settings)
    apply_patch(patch_for(data), source.reference, settings, out=tmp_path / "copy")
    path = tmp_path / "copy" / ".labelpatch" / "state.json"
    for text in ('{"schema": "auditor.labelpatch-copy/9"}', '{"schema": "auditor.labelpatch-copy/1"}', "[]"):
        path.write_text(text)
        with pytest.raises(DataError):
            copy_state(tmp_path / "copy")
