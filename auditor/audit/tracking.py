"""A finished run in an experiment tracker: its settings, its numbers, and the files that explain them.

Trackers are imported when one is asked for. What is not installed is said before anything is computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final, Protocol

from auditor.core.errors import UsageError, require
from auditor.core.registry import Registry
from auditor.runs import layout
from auditor.runs.run import Run


class Tracker(Protocol):
    """One tracker. Instantiated without arguments, before the audit begins."""

    def __init__(self) -> None:
        """Check that the tracker can be used. Raises `MissingExtraError` where its package is not installed."""

    def log(self, name: str, settings: Mapping[str, str], numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        """Store one run: into the tracker's run that is open in this process, else into a new one called `name`."""


#: Trackers by name.
TRACKERS: Registry[type[Tracker]] = Registry(
    "tracker", {"mlflow": "auditor.audit.tracking:MLflow", "wandb": "auditor.audit.tracking:WandB"}, "auditor.trackers"
)
#: What is asked to keep a finished run: a tracker by name, or a function of the run.
Track = str | Callable[[Run], object]
#: Files that go along, as far as the run has them.
_FILES: Final = (layout.MANIFEST, layout.FINDINGS, layout.QUALITY, layout.REPORT)
#: MLflow refuses longer values.
_LONGEST: Final = 500


def tracking(track: Track | None) -> Callable[[Run], object]:
    """The function that keeps a finished run.

    Parameters
    ----------
    track : str, callable or None
        ``"mlflow"``, ``"wandb"`` or the name of another package's tracker; a function, which is called with the run;
        None for nothing.

    Raises
    ------
    MissingExtraError
        If the tracker's package is not installed.
    UnknownNameError
    UsageError
        If it is neither a name nor callable.
    """
    if track is None:
        return lambda run: None
    if callable(track):
        return track
    if not isinstance(track, str):
        raise UsageError(f"track={track!r} is neither a name nor a function.", f"Names: {', '.join(TRACKERS)}.")
    tracker = TRACKERS.load(track)()
    return lambda run: tracker.log(run.path.name, run_settings(run), run_numbers(run), run_files(run))


def run_settings(run: Run) -> dict[str, str]:
    """What the run was made with, as texts: data, configuration, model, versions."""
    manifest = run.manifest
    values: dict[str, Any] = {
        "data": manifest["data"]["name"],
        "fingerprint": manifest["data"]["fingerprint"],
        "model_used": manifest["model"]["name"],
        **manifest["config"],
        **{f"version_{name}": version for name, version in manifest["versions"].items()},
    }
    return {name: str(value)[:_LONGEST] for name, value in values.items() if value is not None}


def run_numbers(run: Run) -> dict[str, float]:
    """What came out: counts, the accuracy out of sample, seconds, and the items of each check that looked."""
    manifest = run.manifest
    values = {**run.counts, **{n: manifest["model"].get(n) for n in ("out_of_sample_accuracy",)}}
    values |= {name: manifest.get("labels", {}).get(name) for name in ("expected_wrong", "agreement")}
    values["seconds"] = manifest["seconds"]
    for entry in (run.quality or {}).get("checks", ()):
        if entry["status"] != "not applicable":
            values[f"quality/{entry['name']}"] = entry["n_items"]
    return {n: float(v) for n, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def run_files(run: Run) -> list[Path]:
    """Manifest, findings, checks and report, as far as they are there, each compared with its hash. The report holds
    pictures or texts of the suspects."""
    return [run.file(name) for name in _FILES if (run.path / name).is_file()]


class MLflow:
    """MLflow: parameters, metrics, and the files below ``auditor/``. Where it logs to is MLflow's own setting
    (``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``). Source: mlflow.org, "MLflow Tracking APIs"."""

    def __init__(self) -> None:
        require("mlflow", "mlflow", "logging to MLflow")

    def log(self, name: str, settings: Mapping[str, str], numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        import mlflow

        with nullcontext() if mlflow.active_run() else mlflow.start_run(run_name=name):
            mlflow.log_params(dict(settings))
            mlflow.log_metrics(dict(numbers))
            for file in files:
                mlflow.log_artifact(str(file), "auditor")


class WandB:
    """Weights & Biases: configuration, summary, and an artifact of the type ``audit``. Project and mode are W&B's own
    settings (``WANDB_PROJECT``, by default ``auditor``; ``WANDB_MODE``). Source: docs.wandb.ai, "Python Library"."""

    def __init__(self) -> None:
        require("wandb", "wandb", "logging to Weights & Biases")

    def log(self, name: str, settings: Mapping[str, str], numbers: Mapping[str, float], files: Sequence[Path]) -> None:
        import wandb

        ours = wandb.run is None
        run = wandb.init(project=os.environ.get("WANDB_PROJECT", "auditor"), name=name) if ours else wandb.run
        try:
            run.config.update(dict(settings), allow_val_change=True)
            run.summary.update(dict(numbers))
            artifact = wandb.Artifact(f"auditor-{run.id}", type="audit")
            for file in files:
                artifact.add_file(str(file), name=file.name)
            run.log_artifact(artifact)
        finally:
            if ours:
                run.finish()
