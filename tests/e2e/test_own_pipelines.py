"""Pipelines that train: at the smoke budget, on real CIFAR-10."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

from auditor.benchmark.training import make_entry, parse_names
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import read_json

ROOT = Path(__file__).resolve().parents[2]


def _pipeline(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", ROOT / "pipelines" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_of_both_pipelines_are_entries() -> None:
    own, again = _pipeline("cifar10"), _pipeline("rebenchmark")
    assert len(parse_names(own.NETWORKS)) >= 6
    options = argparse.Namespace(
        rd="resnet20", ftwt="vgg16_bn:w0.25", sparsity=(0.8, 0.9, 0.95), budget="cpu", seeds=3, device="cpu", found=[]
    )
    names = parse_names(again.entries(options))
    for name in [*parse_names(own.NETWORKS), *names]:
        make_entry(name, "cpu", "cpu")
    assert [n for n in names if n.startswith("rd:")] == [f"rd:resnet20@{s:g}" for s in options.sparsity]
    assert {*again.pruning(options), "ranking"} == set(again.STEPS)
    with pytest.raises(UsageError, match="Known: rd, ftwt, ranking"):
        again.main(["--steps", "rd,rank"])


def test_a_ranking_of_accurate_networks_has_more_than_twelve(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_DATA_DIR", str(data_dir))
    again, asked = _pipeline("rebenchmark"), {}
    monkeypatch.setattr(again, "run_benchmark", lambda *_, **given: asked.update(given) or sys.exit())
    with pytest.raises(SystemExit):
        again.main(["--budget-class", "hour", "--seeds", "1", "--steps", "ranking"])
    names = parse_names(asked["train"])
    assert len(names) > 12
    trainers = {name: make_entry(name, "hour", "cpu") for name in names}
    published = {name for name, trainer in trainers.items() if getattr(trainer, "fixed", False)}
    assert {name.partition("@")[0] for name in published} == set(again.PUBLISHED)
    # RD and FTWT start from published weights, and trained networks take their own number of epochs.
    assert all("@" in name.partition(":")[2].rpartition("@")[0] for name in names if name.startswith(("rd:", "ftwt")))
    epochs = {name: trainers[name].network.training.stages for name in again.TRAINED}
    assert len({str(stages) for stages in epochs.values()}) == len(again.TRAINED)


def test_found_networks_are_entries_and_searches_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditor.core.errors import UnreadableError
    from auditor.models.genotype import write_genotype
    from auditor.models.nasnet import NASNET_A

    again, search = _pipeline("rebenchmark"), _pipeline("search")
    monkeypatch.chdir(tmp_path)
    write_genotype(tmp_path / "nasnet" / "found.json", NASNET_A.model_copy(update={"cells": 1, "filters": 4}))
    name = again.searched(tmp_path / "nasnet" / "found.json")
    assert name == "nasnet:nasnet/found.json"
    assert make_entry(name, "cpu", "cpu").name == name
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(UnreadableError, match="not a genotype"):
        again.searched(tmp_path / "other.json")

    asked = {"budget": "smoke", "seeds": 1, "train_seeds": 3, "device": "cpu", "transfer": None}
    options = argparse.Namespace(systems=search.SYSTEMS, **asked)
    found = search.searches(options)
    assert list(found) == [asked.space_name for asked in found.values()] == search.SYSTEMS.split(",")
    options.systems = "nasnet,easy"
    with pytest.raises(UnknownNameError, match="eas"):
        search.searches(options)


@pytest.mark.slow
def test_own_cifar10_benchmark(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_DATA_DIR", str(data_dir))
    work, out = tmp_path / "work", tmp_path / "out"
    arguments = [
        "--budget",
        "smoke",
        "--networks",
        "fastnet,resnet20",
        "--seeds",
        "1",
        "--draws",
        "200",
        "--workers",
        "1",
        "--work",
        str(work),
        "--out",
        str(out),
    ]
    _pipeline("cifar10").main(arguments)
    found = read_json(out / "benchmark.json")
    assert found["counts"]["checked"] == 275
    assert (found["n_benign"], found["n_correctable"], found["n_pruned"]) == (9946, 18, 9964)
    assert sorted(m["name"] for m in found["models"]) == ["fastnet", "resnet20"]
    assert found["conditions"]["reproduction"] == "not a reproduction"
    assert "not a reproduction" in (out / "report.html").read_text()
    assert (out / "cifar10.labelpatch.jsonl").is_file()
    before = [row["sha256"] for row in read_json(out / "networks.json")["networks"]]
    _pipeline("cifar10").main(arguments)  # everything is stored
    assert [row["sha256"] for row in read_json(out / "networks.json")["networks"]] == before


@pytest.mark.slow
def test_rebenchmark(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_DATA_DIR", str(data_dir))
    work, out = tmp_path / "work", tmp_path / "out"
    _pipeline("search").main(
        [
            "--budget",
            "smoke",
            "--systems",
            "nasnet",
            "--train-seeds",
            "1",
            "--workers",
            "1",
            "--fits",
            str(work / "fits"),
            "--work",
            str(tmp_path / "search"),
            "--out",
            str(tmp_path / "reports"),
        ]
    )
    found = tmp_path / "reports" / "nasnet" / "found.json"
    trained = {path.name: path.stat().st_mtime_ns for path in (work / "fits" / "results").glob("nasnet-found*.npz")}
    _pipeline("rebenchmark").main(
        [
            "--budget",
            "smoke",
            "--seeds",
            "1",
            "--draws",
            "200",
            "--sparsity",
            "0.8",
            "--workers",
            "1",
            "--found",
            str(found),
            "--work",
            str(work),
            "--out",
            str(out),
        ]
    )
    after = {name: (work / "fits" / "results" / name).stat().st_mtime_ns for name in trained}
    assert len(trained) == 1
    assert after == trained  # the final training of the search is not repeated
    names = {m["name"] for m in read_json(out / "benchmark.json")["models"]}
    searched = next(iter(trained)).removesuffix("__seed0.npz")
    assert {"resnet20", "rd-resnet20-0.8", "ftwt-vgg16_bn-w0.25-f0.4", searched} <= names
    capacity = read_json(out / "capacity.json")
    assert {row["name"] for row in capacity["networks"]} == names
    assert capacity["relations"]["macs"]["slope"]["items"] == 18
    assert "not a reproduction" in (out / "capacity.md").read_text()
    _pipeline("rebenchmark").main(
        [
            "--budget",
            "smoke",
            "--seeds",
            "1",
            "--draws",
            "200",
            "--sparsity",
            "0.8",
            "--workers",
            "1",
            "--steps",
            "ranking",
            "--found",
            str(found),
            "--work",
            str(work),
            "--out",
            str(tmp_path / "alone"),
        ]
    )
    assert {m["name"] for m in read_json(tmp_path / "alone" / "benchmark.json")["models"]} == names
    assert not (tmp_path / "alone" / "rd").exists(), "only what was asked for"
    for part in ("rd", "ftwt"):
        assert read_json(out / part / "results.json")["reproduction"] == "not a reproduction"
        assert (out / part / "rate-accuracy.svg").is_file()


@pytest.mark.slow
def test_cifake(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three audits of 60,000 to 120,000 images at the smoke budget: some minutes."""
    monkeypatch.setenv("AUDITOR_DATA_DIR", str(data_dir))
    work, out = tmp_path / "work", tmp_path / "out"
    _pipeline("cifake").main(
        [
            "--budget",
            "smoke",
            "--audit-budget",
            "smoke",
            "--folds",
            "2",
            "--final-train",
            "1000",
            "--final-epochs",
            "1",
            "--looked-at",
            "60",
            "--work",
            str(work),
            "--out",
            str(out),
        ]
    )
    found = read_json(out / "results.json")
    assert found["copies"]["test_fake_in_train"] == 378
    assert {c["name"]: c["n_items"] for c in found["quality"]["checks"]} == {"exact_duplicates": 2672, "leakage": 378}
    assert [row["source"] for row in found["labels"]["REAL or FAKE"]["sources"]] == ["REAL", "FAKE"]
    assert found["labels"]["ten classes of FAKE, trained on REAL"]["sources"][0]["n"] == 60_000
    assert found["looks"]["groups"]["all"]["n"] == 60
    assert read_json(out / "manifest.json")["reproduction"] == "not a reproduction"
    assert "Not a reproduction" in (out / "report.html").read_text()


@pytest.mark.slow
def test_human_labels(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITOR_DATA_DIR", str(data_dir))
    pipeline = _pipeline("human_labels")
    with pytest.raises(UnknownNameError, match="published"):
        pipeline.main(["--steps", "publish"])
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    small = ["--budget", "smoke", "--networks", "fastnet,resnet20,resnet32", "--seeds", "1", "--draws", "200"]
    pipeline.main([*folders, *small, "--labels", "aggre", "--workers", "1"])
    published, own = (read_json(tmp_path / "out" / f"{step}-aggre" / "benchmark.json") for step in ("published", "own"))
    assert (published["n_correctable"], published["n_pruned"]) == (4505, 50_000)
    assert {m["name"] for m in published["models"]} >= {"resnet18", "swin_base_patch4_window7_224"}
    # A random half has about half the wrong labels, and no network saw a row that it is ranked on.
    assert own["n_pruned"] == 25_000
    assert 2100 < own["n_correctable"] < 2400
    assert own["conditions"]["reproduction"] == "not a reproduction"
    assert (tmp_path / "out" / "own-aggre" / "capacity.md").read_text()
    import pyarrow.parquet as pq

    halves = tmp_path / "work" / "own-aggre" / "data" / "cifar10n-aggre-halves"
    images = [
        {cell["bytes"] for cell in pq.read_table(halves / f"{split}-00000-of-00001.parquet")["img"].to_pylist()}
        for split in ("train", "test")
    ]
    assert not images[0] & images[1]
