"""What the pipelines share: where things lie, and how a report is published."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from auditor.benchmark.capacity import capacity_markdown, relate_capacity
from auditor.benchmark.command import BenchmarkDone
from auditor.benchmark.inputs import Inputs
from auditor.benchmark.training import PREDICTIONS, read_manifest
from auditor.core.config import Settings, load_settings
from auditor.core.errors import OfflineError
from auditor.core.files import atomic_write, read_json, write_json
from auditor.lab.detectors.sets import find_data
from auditor.lab.experiment.shell import MANIFEST
from auditor.models.weights import names_weights

__all__ = [
    "CAPACITY",
    "ROOT",
    "data_file",
    "find_settings",
    "publish",
    "publish_capacity",
    "publish_experiment",
    "published_network",
    "published_verdicts",
]

ROOT = Path(__file__).resolve().parents[1]
CAPACITY = ("capacity.json", "capacity.md")


def find_settings() -> Settings:
    """The settings, with the data beside the checkout where nothing else is said."""
    settings = load_settings()
    return settings if settings.data_dirs else load_settings({"data_dir": ROOT.parent / "shared" / "data"})


def published_verdicts(settings: Settings) -> Path:
    """The crowd's verdicts on CIFAR-10."""
    return data_file(settings, "label_errors/cifar10/mturk.json")


def data_file(settings: Settings, name: str) -> Path:
    """A file or folder below the data folders."""
    if (path := find_data(settings, name)) is None:
        raise OfflineError(f"{name} is in no data folder.", "Set AUDITOR_DATA_DIR.")
    return path


def published_network(settings: Settings, name: str) -> str:
    """``NAME@FILE`` with the published weights of `name` for CIFAR-10; `name` itself where it names weights."""
    return name if names_weights(name) else f"{name}@{data_file(settings, f'weights/cifar10/{name}.safetensors')}"


def publish(work: Path, out: Path, names: Iterable[str]) -> None:
    """Copy those of `names` that are there, in this order: the manifest is named last."""
    for name in names:
        if (work / name).is_file():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(out / name) as handle, open(work / name, "rb") as source:
                shutil.copyfileobj(source, handle)


def publish_experiment(work: Path, out: Path) -> None:
    """Copy the report of an experiment: the files of its manifest, and the manifest."""
    publish(work, out, [*read_json(work / MANIFEST)["files"], MANIFEST])


def publish_capacity(work: Path, inputs: Inputs, done: BenchmarkDone, draws: int) -> list[str]:
    """Write the answer to the label errors paper's question beside a benchmark of networks trained here; its
    sentences."""
    manifest = read_manifest(work)
    answer = relate_capacity(work / PREDICTIONS, inputs, done.result.agreement, manifest["networks"], draws, 0)
    write_json(work / CAPACITY[0], answer)
    with atomic_write(work / CAPACITY[1]) as handle:
        handle.write(capacity_markdown(answer, manifest["reproduction"]).encode())
    return list(answer["answer"])
