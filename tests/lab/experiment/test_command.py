"""The frame of the commands: shared options, the folder, what is said."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from auditor.core.config import load_settings
from auditor.lab.cifake.command import grid
from auditor.lab.detectors.command import benchmark_detection
from auditor.lab.experiment.command import Prepared, experiment_command
from auditor.lab.experiment.shell import FITS, RESULTS, Workplace
from auditor.lab.prune.command import prune
from auditor.lab.search.command import search
from tests.lab.experiment.test_shell import Tossing

SHARED = ["out", "workers", "data_dir", "json", "quiet"]


class Placed(Tossing):
    """Says where it was run."""

    fits = "work"
    at: Workplace

    def measure(self, at: Workplace) -> dict[str, Any]:
        type(self).at = at
        return super().measure(at)


@experiment_command
def toss(
    coin: Annotated[str, typer.Argument()], times: int = 1, quiet: Annotated[bool, typer.Option("-s")] = False
) -> Prepared:
    """Toss a coin."""
    return Placed(), f"toss-{coin}-{times}-{quiet}", lambda document, folder: [f"{document['heads']} in {folder}"]


@pytest.mark.parametrize("command", [prune, search, grid, benchmark_detection])
def test_every_experiment_has_the_shared_options_once(command: Any) -> None:
    names = list(inspect.signature(command).parameters)
    assert sorted(name for name in names if name in SHARED) == sorted(SHARED)
    assert len(set(names)) == len(names) > len(SHARED)
    assert command.__doc__


def test_a_command_runs_where_it_is_told_and_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "given"
    toss("penny", times=2, out=out, workers=3, json=True)
    streams = capsys.readouterr()
    assert json.loads(streams.out)["heads"] == 3
    assert f"3 in {out}" in streams.err.replace("\n", "")
    assert (out / RESULTS).is_file()
    assert (Placed.at.folder, Placed.at.workers, Placed.at.fits) == (out, 3, out / "work")
    assert Placed.at.command.startswith("auditor")


def test_without_a_folder_it_is_named_among_the_runs_and_quiet_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDITOR_RUNS_DIR", str(tmp_path))
    toss("penny", quiet=True)
    assert capsys.readouterr() == ("", "")
    assert (load_settings().runs_dir / "toss-penny-1-True" / RESULTS).is_file(), "what a command names it gets"
    assert Tossing.fits == FITS
