"""A stage is skipped because of hashes, never because a file exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.core.files import atomic_write, read_json
from auditor.runs.stages import Stages


class _Work:
    def __init__(self, folder: Path, text: bytes = b"result") -> None:
        self.folder, self.text, self.calls = folder, text, 0

    def __call__(self) -> dict[str, int]:
        self.calls += 1
        with atomic_write(self.folder / "out.bin") as handle:
            handle.write(self.text)
        return {"n": self.calls}


def test_second_run_reuses_and_keeps_the_first_record(tmp_path: Path) -> None:
    work = _Work(tmp_path)
    first = Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)
    stages = Stages(tmp_path)
    second = stages.run("s", {"x": 1}, ["out.bin"], work)
    assert work.calls == 1
    assert second == first
    assert stages.reused == {"s"}


def test_other_inputs_compute_again(tmp_path: Path) -> None:
    work = _Work(tmp_path)
    Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)
    assert Stages(tmp_path).run("s", {"x": 2}, ["out.bin"], work).info == {"n": 2}


@pytest.mark.parametrize("damage", ["change", "remove", "record"])
def test_damaged_outputs_or_records_compute_again(tmp_path: Path, damage: str) -> None:
    work = _Work(tmp_path)
    Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)
    if damage == "change":
        (tmp_path / "out.bin").write_bytes(b"resulT")
    elif damage == "remove":
        (tmp_path / "out.bin").unlink()
    else:
        (tmp_path / "stages" / "s.json").write_text("{")
    Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)
    assert work.calls == 2
    assert (tmp_path / "out.bin").read_bytes() == b"result"


def test_a_file_alone_does_not_count_as_done(tmp_path: Path) -> None:
    (tmp_path / "out.bin").write_bytes(b"from elsewhere")
    work = _Work(tmp_path)
    Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)
    assert work.calls == 1


def test_a_failed_stage_leaves_no_record(tmp_path: Path) -> None:
    work = _Work(tmp_path)
    Stages(tmp_path).run("s", {"x": 1}, ["out.bin"], work)

    def fail() -> None:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        Stages(tmp_path).run("s", {"x": 2}, ["out.bin"], fail)
    assert not (tmp_path / "stages" / "s.json").exists()


def test_record_names_its_outputs(tmp_path: Path) -> None:
    Stages(tmp_path).run("s", {}, ["out.bin"], _Work(tmp_path))
    assert read_json(tmp_path / "stages" / "s.json")["outputs"]["out.bin"].startswith("sha256:")
