"""No command replaces a file that it did not write, and none that reads verdicts makes a store."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import UsageError
from auditor.quality.document import refuse_others
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from tests.conftest import DigitsRun
from tests.review.cases import verdict
from tests.running import call

MINE = "of somebody else"


@pytest.fixture
def reviewed(digits_run: DigitsRun) -> Path:
    run = open_run(digits_run.path)
    with VerdictStore.open(run.path) as store:
        store.load_run(run)
        store.submit("ann", [verdict(item, "suggested") for item in store.page(limit=5).items])
    return run.path


def commands(run: Path, there: Path) -> dict[str, tuple[object, ...]]:
    """Name of a file that exists, and the command that is to write it."""
    return {
        "p.labelpatch.jsonl": ("patch", "create", run, "--out", there / "p.labelpatch.jsonl"),
        "f.csv": ("flag", run, "--out", there / "f.csv"),
        "s.npy": ("flag", run, "--scores", there / "s.npy"),
        "r.md": ("report", run, "--format", "md", "--out", there / "r.md"),
        "i.png": ("show", run, "--item", open_run(run).ids[0], "--save", there / "i.png"),
        "report.json": ("report", run, "--format", "json"),
        "patch.labelpatch.jsonl": ("patch", "create", run),
    }


def test_a_file_that_exists_is_replaced_only_when_asked_for(reviewed: Path, tmp_path: Path) -> None:
    for name, command in commands(reviewed, tmp_path).items():
        path = tmp_path / name if any(str(part).endswith(name) for part in command) else reviewed / name
        path.write_text(MINE)
        assert "exists already" in call(*command, check=2).stderr
        assert path.read_text() == MINE, name
        call(*command, "--overwrite")
        assert path.read_bytes() != MINE.encode(), name


def test_patches_mappings_and_merges_are_not_replaced(reviewed: Path, tmp_path: Path) -> None:
    patch, other = tmp_path / "a.labelpatch.jsonl", tmp_path / "b.labelpatch.jsonl"
    call("patch", "create", reviewed, "--out", patch)
    shutil.copy2(patch, other)
    for command in (
        ("patch", "convert", patch, tmp_path / "c.csv", "--to", "csv"),
        ("patch", "apply", patch, "digits", "--mapping", tmp_path / "c.csv"),
        ("patch", "merge", patch, other, "--out", other),
    ):
        (tmp_path / "c.csv").write_text(MINE)
        assert "exists already" in call(*command, check=2).stderr
        assert (tmp_path / "c.csv").read_text() == MINE
        call(*command, "--overwrite")


def test_what_a_command_wrote_itself_it_writes_again_unless_somebody_changed_it(reviewed: Path) -> None:
    for _ in range(2):
        call("patch", "create", reviewed)
        call("report", reviewed, "--format", "md")
    for name, command in (
        ("patch.labelpatch.jsonl", ("patch", "create", reviewed)),
        ("report.md", ("report", reviewed, "--format", "md")),
    ):
        with open(reviewed / name, "a") as handle:
            handle.write("\n")
        assert "exists already" in call(*command, check=2).stderr


def test_the_quality_of_a_run_is_not_replaced(digits_run: DigitsRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        refuse_others(digits_run.path, overwrite=False)
    (tmp_path / "q").mkdir()
    shutil.copy2(digits_run.path / "quality.json", tmp_path / "q")
    refuse_others(tmp_path / "q", overwrite=False)
    (tmp_path / "q" / "quality.json").write_text("{}")
    with pytest.raises(UsageError, match="exists already"):
        refuse_others(tmp_path / "q", overwrite=False)


def test_a_benchmark_replaces_no_report_of_others(reviewed: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "model.npy", open_run(reviewed).pred_probs)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "report.md").write_text(MINE)
    command = ("benchmark", "--run", reviewed, "--predictions", tmp_path / "model.npy", "--out", tmp_path / "thesis")
    assert "exists already" in call(*command, check=2).stderr
    assert (tmp_path / "thesis" / "report.md").read_text() == MINE


READ = ("status", "estimate", "verify", "flag --fdr 0.1", "patch create", "benchmark", "check")


@pytest.mark.parametrize("command", READ)
@pytest.mark.parametrize("name", ["typo.sqlite", "nowhere/typo.sqlite"])
def test_reading_from_a_store_that_is_not_there_makes_none(
    command: str, name: str, digits_run: DigitsRun, tmp_path: Path
) -> None:
    store, arguments = tmp_path / name, [*command.split(), digits_run.path]
    if command == "benchmark":
        arguments = ["benchmark", "--run", digits_run.path]
    if command == "check":
        (tmp_path / "auditor.toml").write_text("[check]\nmin_reviewed = 1\n")
        arguments += ["--policy", tmp_path / "auditor.toml"]
    done = call(*arguments, "--store", store, check=3)
    assert "there is no verdict store" in done.stderr
    assert not store.exists()
    assert not store.parent.exists() or not list(store.parent.glob("*.sqlite*"))


def test_reading_a_run_nobody_has_judged_makes_no_store(digits_run: DigitsRun, tmp_path: Path) -> None:
    for command in (("status",), ("estimate",), ("show",)):
        call(command[0], digits_run.path, *command[1:])
    call("import-verdicts", digits_run.path, "absent.sqlite", check=3)
    call("import-verdicts", digits_run.path, "absent.json", check=3)
    vote = '{"id": 0, "given_original_label": 5, "given_original_label_name": "5", "our_guessed_label": 1, '
    vote += '"our_guessed_label_name": "1", "mturk": {"given": 1, "guessed": 3, "neither": 0, "both": 1}}'
    for name, text in (("damaged.json", "[{"), ("other.json", f"[{vote}]"), ("empty.db", "")):
        (tmp_path / name).write_text(text)
        call("import-verdicts", digits_run.path, tmp_path / name, "--store", tmp_path / "new.sqlite", check=3)
    VerdictStore.open(tmp_path / "nobody.sqlite").close()
    call("import-verdicts", digits_run.path, tmp_path / "nobody.sqlite", "--store", tmp_path / "new.sqlite", check=3)
    assert not (tmp_path / "new.sqlite").exists()
    assert not list(digits_run.path.glob("review*"))
