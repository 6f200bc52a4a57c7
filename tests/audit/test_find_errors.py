"""The lists of stages: by what each stage is keyed, so that older run folders are continued; and the manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.audit.config import make_config
from auditor.audit.context import Context
from auditor.audit.find_errors import find_errors
from auditor.audit.manifest import Manifest, StageResult, done
from auditor.audit.plan import plan_audit
from auditor.audit.stages.quality import EARLIER
from auditor.core.config import Settings
from auditor.core.errors import UnknownNameError
from auditor.core.files import load_npy, read_json
from auditor.core.hashing import hash_array, hash_json
from auditor.core.progress import SilentProgress
from auditor.core.version import __version__
from auditor.data.open import open_dataset
from auditor.quality.registry import CHECKS
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from auditor.runs.stages import Stages
from tests.audit.softmax_trainer import WeighingTrainer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Digits in two folds, with every stage."""
    return find_errors(
        "digits",
        trainer=WeighingTrainer(),
        out=tmp_path_factory.mktemp("runs") / "run",
        workers=1,
        folds=2,
        refits=1,
        embeddings="log-probabilities",
    )


def test_stages_are_keyed_by_what_older_run_folders_were_keyed_by(run: Run) -> None:
    dataset, bad = open_dataset("digits", Settings()), np.zeros(len(run.items), bool)
    groups = load_npy(run.path / layout.WORK / "groups.npy")
    plan = plan_audit(dataset, groups, bad, make_config(folds=2))
    tasks = [[t.name, t.seed, hash_array(t.train), hash_array(t.predict)] for t in plan.tasks]
    usable, last = hash_array(np.arange(len(bad))), hash_array(load_npy(run.path / layout.REFIT_PROBS))
    recipe, outputs = WeighingTrainer().recipe(), {s["name"]: s["outputs"] for s in run.manifest["stages"]}
    trained = read_json(run.path / layout.STAGES / "train.json")["key"]
    inputs = {
        "decode": {},
        "duplicates": {"near": True, "bad": hash_array(bad)},
        "train": {"recipe": recipe, "tasks": hash_json(tasks), "usable": usable},
        "refits": {"trained": [trained, outputs["train"]], "refits": 1, "models": ["softmax"]},
        "embeddings": {"encoder": None, "usable": usable, "audited": hash_array(plan.audited), "probabilities": last},
        "findings": {
            "probabilities": hash_array(np.asarray(run.pred_probs)),
            "evidence": list(outputs.values())[:5],
            "rule": "default",
            "bad": [],
        },
        "quality": {"checks": CHECKS.names(), "earlier": [outputs[name] for name in outputs if name in EARLIER]},
    }
    assert list(outputs) == list(inputs)
    common = {"schema": "auditor.run/1", "version": __version__, "data": dataset.fingerprint}
    for name, more in inputs.items():
        key = hash_json({"stage": name, "inputs": {**common, **more}})
        assert read_json(run.path / layout.STAGES / f"{name}.json")["key"] == key, name


def test_a_finished_run_is_continued_without_work(run: Run, tmp_path: Path) -> None:
    again = find_errors(
        "digits", trainer=WeighingTrainer(), out=run.path, workers=2, folds=2, refits=1, embeddings="log-probabilities"
    )
    assert [s["reused"] for s in again.manifest["stages"]] == [True] * 7
    assert [s["outputs"] for s in again.manifest["stages"]] == [s["outputs"] for s in run.manifest["stages"]]


def test_supplied_probabilities_have_stages_of_their_own(tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    probabilities = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[labels]
    run = find_errors(pred_probs=probabilities, labels=labels, out=tmp_path / "run")
    assert [s["name"] for s in run.manifest["stages"]] == ["probabilities", "findings"]
    assert {o["part"]: o["status"] for o in run.manifest["outcomes"]} == {
        **dict.fromkeys(("duplicates", "training", "dynamics", "embeddings", "quality"), "not applicable"),
        "findings": "done",
    }


def test_the_context_is_frozen_and_the_manifest_keeps_every_section(tmp_path: Path) -> None:
    context = Context(open_dataset("digits", Settings()), make_config(), tmp_path, Stages(tmp_path), SilentProgress())
    with pytest.raises(AttributeError):
        context.folder = tmp_path / "other"  # type: ignore[misc]
    manifest = Manifest()
    assert manifest.take(StageResult(7, [done("training", "two folds")], ["a note"], {"model": {"name": "x"}})) == 7
    manifest.take(StageResult(None, sections={"model": {"accuracy": 0.5}, "not_auditable": [{"name": "c"}]}))
    with pytest.raises(KeyError):
        manifest.take(StageResult(None, sections={"modle": {}}))
    sections = manifest.run_so_far(replace(context, workers=3)).manifest
    assert sections["model"] == {"name": "x", "accuracy": 0.5}
    assert (sections["notes"], sections["not_auditable"]) == (["a note"], [{"name": "c"}])
    assert sections["outcomes"] == [{"part": "training", "status": "done", "detail": "two folds"}]


def test_a_run_finds_its_items_and_says_what_it_is(run: Run) -> None:
    opened = open_run(run.path)
    assert repr(opened).split("\n")[0] == f"Run({str(run.path)!r})"
    assert "1,797 audited items flagged" in repr(opened)
    for row in (0, 5, len(opened.items) - 1):
        assert opened.row(opened.items["id"].iat[row]) == row
        assert opened.audited[opened.positions[row]] == row
    with pytest.raises(UnknownNameError, match="digit-99999"):
        opened.row("digit-99999")
