"""A finished run in a tracker: what is logged, where to, and what is said where the tracker is absent."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import auditor
from auditor.audit.tracking import TRACKERS, run_files, run_numbers, run_settings, tracking
from auditor.core.errors import MissingExtraError, UnknownNameError, UsageError
from auditor.runs.run import open_run
from tests.conftest import DigitsRun
from tests.running import call


class _MLflow(types.ModuleType):
    """The functions of MLflow that are called, with what they were given."""

    def __init__(self, active: bool) -> None:
        super().__init__("mlflow")
        self.active, self.begun = active, []
        self.logged: dict[str, Any] = {"files": []}

    def active_run(self) -> object | None:
        return object() if self.active else None

    def start_run(self, run_name: str) -> Any:
        self.begun.append(run_name)
        return mock.MagicMock()

    def log_params(self, params: dict[str, str]) -> None:
        assert all(len(value) <= 500 for value in params.values())
        self.logged["params"] = params

    def log_metrics(self, metrics: dict[str, float]) -> None:
        assert all(type(value) is float for value in metrics.values())
        self.logged["metrics"] = metrics

    def log_artifact(self, path: str, folder: str) -> None:
        assert Path(path).is_file()
        self.logged["files"].append(f"{folder}/{Path(path).name}")


def _use(monkeypatch: pytest.MonkeyPatch, name: str, module: Any) -> None:
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("auditor.audit.tracking.require", lambda *_: None)


@pytest.mark.parametrize("active", [False, True])
def test_mlflow_gets_settings_numbers_and_files(
    active: bool, digits_run: DigitsRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, run = _MLflow(active), open_run(digits_run.path)
    _use(monkeypatch, "mlflow", module)
    tracking("mlflow")(run)
    assert module.begun == ([] if active else [run.path.name]), "into the run that is open"
    assert module.logged["params"]["data"] == "digits"
    assert module.logged["params"]["version_numpy"]
    assert module.logged["metrics"]["n_flagged"] == run.counts["n_flagged"]
    assert 0 < module.logged["metrics"]["out_of_sample_accuracy"] <= 1
    assert {"auditor/manifest.json", "auditor/report.html"} <= set(module.logged["files"])


@pytest.mark.parametrize("ours", [True, False])
def test_wandb_gets_the_same_and_only_its_own_run_is_ended(
    ours: bool, digits_run: DigitsRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, theirs = open_run(digits_run.path), mock.MagicMock(id="x")
    module = mock.MagicMock(run=None if ours else theirs)
    module.init.return_value = theirs
    _use(monkeypatch, "wandb", module)
    tracking("wandb")(run)
    assert module.init.called == ours
    assert theirs.finish.called == ours
    assert theirs.config.update.call_args.args[0] == run_settings(run)
    assert theirs.summary.update.call_args.args[0] == run_numbers(run)
    added = [call.kwargs["name"] for call in module.Artifact.return_value.add_file.call_args_list]
    assert added == [path.name for path in run_files(run)]
    assert theirs.log_artifact.called


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_absent_is_said_before_anything_is_computed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.core.errors.find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=rf"auditor\[{name}\]"):
        auditor.find_errors("digits", out=tmp_path / "run", track=name)
    assert not (tmp_path / "run").exists()


def test_what_is_no_tracker_is_refused() -> None:
    assert TRACKERS.names()[:2] == ["mlflow", "wandb"]
    with pytest.raises(UnknownNameError, match="mlflow"):
        tracking("mlflo")
    with pytest.raises(UsageError, match="neither a name nor a function"):
        tracking(3)  # type: ignore[arg-type]
    assert call("find-errors", "digits", "--track", "nobody", check=2).stderr


def test_a_function_gets_the_finished_run(tmp_path: Path) -> None:
    seen: list[auditor.Run] = []
    options = {"budget": "smoke", "folds": 2, "workers": 1, "quality": False, "progress": False}
    run = auditor.find_errors("digits", out=tmp_path / "run", track=seen.append, **options)
    assert [one.path for one in seen] == [run.path]
    assert (tmp_path / "run" / "manifest.json").is_file()


def test_mlflow_itself_keeps_a_run(digits_run: DigitsRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    tracking("mlflow")(open_run(digits_run.path))
    (kept,) = mlflow.search_runs(output_format="list")
    assert kept.data.metrics == run_numbers(open_run(digits_run.path))
    assert "report.html" in {
        Path(file.path).name
        for file in mlflow.artifacts.list_artifacts(run_id=kept.info.run_id, artifact_path="auditor")
    }


def test_wandb_itself_keeps_a_run(digits_run: DigitsRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="W&B is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracking("wandb")(open_run(digits_run.path))
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
