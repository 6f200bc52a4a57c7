"""A stranger adds one of each kind in a package of their own: one module and one entry point, no line of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, Plugin
from tests.running import call_process

MODULES = {
    "detector": '''
        from dataclasses import dataclass
        from typing import ClassVar
        import numpy as np
        from auditor.detect.base import Detection

        @dataclass(frozen=True)
        class Doubt:
            """1 - probability of the given label; flags where it is below one half."""

            needs: ClassVar[tuple[str, ...]] = ("probabilities",)

            def detect(self, evidence):
                p = evidence.mean_probabilities
                given = p[np.arange(len(p)), evidence.labels]
                return Detection(1 - given, given < 0.5, np.where(given < 0.5, p.argmax(axis=1), evidence.labels))
    ''',
    "check": '''
        import numpy as np
        from auditor.quality.base import Findings, check

        @check("XX001", "info", "the item stands in an odd row")
        def odd_rows(subject):
            """Every second item."""
            return Findings("odd rows", np.arange(1, len(subject.labels), 2))
    ''',
    "dataset": '''
        import numpy as np
        import pandas as pd
        from auditor.data.base import ItemTable
        from auditor.data.kinds import TableDataset

        class Blobs:
            """Two clouds of points; the last label of the first cloud is wrong."""

            summary = "60 points in two clouds"
            example = "blobs"
            options = frozenset()

            def open(self, reference, settings):
                rng = np.random.default_rng(0)
                cloud = np.repeat([0, 1], 30)
                labels = cloud.copy()
                labels[29] = 1
                items = ItemTable(
                    np.array([f"point-{i}" for i in range(60)]), labels, np.full(60, "all"), np.arange(60)
                )
                frame = pd.DataFrame(rng.normal(size=(60, 2)) + 6 * cloud[:, None], columns=["x", "y"])
                return TableDataset(
                    name="blobs", reference="blobs", class_names=("left", "right"), items=items, frame=frame
                )

            def status(self, settings):
                return "found", "made here"
    ''',
    "trainer": '''
        import time
        from dataclasses import dataclass
        import numpy as np
        from auditor.train.base import FitResult

        @dataclass(frozen=True)
        class Centroids:
            """Nearest centre of a class."""

            name: str = "centroids"

            def recipe(self):
                return {"name": self.name}

            def fit(self, data, task, progress, checkpoint_dir):
                started = time.perf_counter()
                points = data.features.to_numpy()
                known = data.labels[task.train]
                centres = np.stack([points[task.train][known == k].mean(axis=0) for k in range(data.n_classes)])
                logits = -np.linalg.norm(points[task.predict][:, None] - centres, axis=2)
                p = np.exp(logits - logits.max(axis=1, keepdims=True))
                p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
                return FitResult(p, None, [], time.perf_counter() - started)
    ''',
    "network": '''
        from torch import nn

        def linear_net(n_classes, image_size, **options):
            """One layer."""
            return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, n_classes))
    ''',
    "reader": '''
        import numpy as np
        from auditor.benchmark.readers.base import Claim, Prediction

        class Lines:
            """NAME.votes: a class number a line."""

            summary = "NAME.votes: a class number a line"

            def claim(self, files):
                return [Claim(path.stem, (path,)) for path in files if path.suffix == ".votes"]

            def read(self, claim, given):
                return [Prediction(claim.name, np.loadtxt(claim.files[0], dtype=np.int64), str(claim.files[0]))]
    ''',
    "patches": '''
        from auditor.core.files import atomic_write
        from auditor.patch.convert.base import Correction

        class Arrows:
            """Lines ``row -> label``."""

            summary = "a line ROW -> LABEL per correction"
            needs_data_to_write = False

            def read(self, path, data, options):
                lines = [line.split(" -> ") for line in path.read_text().splitlines()]
                return [Correction(int(row), (data.class_name(label, str(path)),)) for row, label in lines], []

            def write(self, patch, path, data, options):
                with atomic_write(path) as handle:
                    for record in patch.records:
                        handle.write(f"{record.index} -> {record.to[0]}\\n".encode())
                return []
    ''',
    "labels": '''
        from auditor.data.labels import encode_labels

        def stars(values, class_names, where, missing=None):
            """Ratings from 0 to 5: bad below 3, good from there on."""
            words = [None if cell is None else "good" if float(cell) >= 3 else "bad" for cell in values]
            return encode_labels(words, class_names, where, missing)
    ''',
    "command": '''
        import typer

        def shout(word: str) -> None:
            """Say it loud."""
            typer.echo(word.upper())
    ''',
}
ENTRIES = {
    "auditor.detectors": {"doubt": "detector:Doubt"},
    "auditor.checks": {"odd_rows": "check:odd_rows"},
    "auditor.datasets": {"blobs": "dataset:Blobs"},
    "auditor.trainers": {"centroids": "trainer:Centroids"},
    "auditor.models": {"linear_net": "network:linear_net"},
    "auditor.prediction_readers": {"votes": "reader:Lines"},
    "auditor.patch_formats": {"arrows": "patches:Arrows"},
    "auditor.label_kinds": {"stars": "labels:stars"},
    "auditor.commands": {"shout": "command:shout"},
}


@pytest.fixture(scope="module")
def plugin(make_plugin: Callable[..., Plugin]) -> Plugin:
    return make_plugin("strange_package", MODULES, ENTRIES)


@pytest.fixture(scope="module")
def run(plugin: Plugin) -> Path:
    """A run of the package's trainer on the package's data set."""
    plugin.run("find-errors", "blobs", "--model", "centroids", "--folds", 2, "--out", "run", "--quiet")
    return plugin.folder / "run"


def test_data_set_and_trainer(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["data"]["name"], manifest["model"]["name"]) == ("blobs", "centroids")
    assert manifest["counts"]["n_audited"] == 60


def test_check(run: Path) -> None:
    (outcome,) = [c for c in json.loads((run / "quality.json").read_text())["checks"] if c["code"] == "XX001"]
    assert (outcome["status"], outcome["n_items"]) == ("found", 30)


def test_detector(plugin: Plugin, run: Path) -> None:
    flagged = json.loads(plugin.run("flag", run, "--detector", "doubt", "--json").stdout)
    assert flagged["flagged_ids"] == ["point-29"]
    shown = json.loads(plugin.run("show", run, "--item", "point-29", "--json").stdout)
    (mine,) = [d for d in shown["explanation"]["detectors"] if d["detector"] == "doubt"]
    assert (mine["rank"], mine["flagged"], mine["suggested"]) == (1, True, "left")


def test_network(plugin: Plugin) -> None:
    pytest.importorskip("torch")
    known = json.loads(plugin.run("models", "--json").stdout)["models"]
    assert {"linear_net", "centroids"} <= {row["name"] for row in known}
    shape = plugin.python(
        """
        import torch
        from auditor.models.registry import build_model
        print(tuple(build_model("linear_net", 5, 8, 0)(torch.zeros(3, 3, 8, 8)).shape))
        """
    )
    assert shape.strip() == "(3, 5)"


def test_prediction_reader(plugin: Plugin) -> None:
    stored = plugin.folder / "predictions"
    stored.mkdir()
    np.savetxt(stored / "first.votes", np.repeat([0, 1], 30), fmt="%d")
    np.savetxt(stored / "second.votes", np.zeros(60), fmt="%d")
    models = plugin.python(
        """
        from pathlib import Path
        from auditor.benchmark.given_labels import labels_of_dataset
        from auditor.benchmark.readers.registry import read_predictions
        from auditor.core.config import load_settings
        from auditor.data.open import open_dataset
        given = labels_of_dataset(open_dataset("blobs", load_settings()))
        print([(one.name, int(one.top1.sum())) for one in read_predictions(Path("predictions"), given)])
        """
    )
    assert models.strip() == "[('first', 30), ('second', 0)]"


def test_patch_format(plugin: Plugin) -> None:
    (plugin.folder / "in.arrows").write_text("29 -> left\n")
    patch, back = "fix.labelpatch.jsonl", plugin.folder / "out.arrows"
    plugin.run("patch", "convert", "in.arrows", patch, "--from", "arrows", "--data", "blobs")
    plugin.run("patch", "convert", patch, back, "--to", "arrows")
    assert back.read_text() == "29 -> left\n"


def test_label_kind(plugin: Plugin) -> None:
    rows = [f"{k % 7}.5,{(k * 37 % 50) / 10}" for k in range(60)]
    (plugin.folder / "rated.csv").write_text("\n".join(["a,rating", *rows]))
    code = """
        from auditor.core.config import load_settings
        from auditor.data.open import open_dataset
        data = open_dataset("rated.csv?label=rating&kind=stars", load_settings())
        print(data.class_names, data.labels.sum())
        """
    assert plugin.python(code).strip() == f"('bad', 'good') {sum(k * 37 % 50 >= 30 for k in range(60))}"


def test_command(plugin: Plugin) -> None:
    """In a new interpreter: the list of commands is made once in a process."""
    path = os.pathsep.join([str(plugin.folder), str(ROOT)])
    assert call_process("shout", "hello", PYTHONPATH=path).stdout == "HELLO\n"
    assert "shout" in call_process("--help", PYTHONPATH=path).stdout
