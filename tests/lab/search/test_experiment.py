"""A whole search: killed and resumed, its record, its final training, its pictures; the command on real images."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.cli.main import run
from auditor.core.config import load_settings
from auditor.core.errors import UnknownNameError, UsageError
from auditor.core.files import read_json
from auditor.lab.experiment.shell import MANIFEST, RESULTS, Workplace
from auditor.lab.experiment.verdicts import page
from auditor.lab.search.experiment import LOG, SearchExperiment
from auditor.lab.search.report import SUMMARY
from auditor.lab.search.systems import SPACES, SYSTEMS, SearchOptions
from auditor.models.genotype import read_genotype
from auditor.train.image_network import ImageNetwork
from tests.lab.search.conftest import write_colours


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS._targets, "tiny", "tests.lab.search.tiny:search")
    monkeypatch.setitem(SPACES._targets, "tiny", "tests.lab.search.tiny:BUDGETS")


def _run(folder: Path, out: Path, workers: int = 1, **options: Any) -> dict[str, Any]:
    asked = SearchOptions("tiny", budget="smoke", data=str(folder), device="cpu", **options)
    return SearchExperiment(asked).run(Workplace(out, load_settings(), workers=workers))


def _timeless(value: Any) -> Any:
    """Without what differs between two equal runs."""
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in ("seconds", "image_ms")}
    return [_timeless(v) for v in value] if isinstance(value, list) else value


def _log(out: Path) -> list[Any]:
    return [_timeless(json.loads(line)) for line in (out / LOG).read_text().splitlines()]


@pytest.mark.usefixtures("_tiny")
def test_killed_and_resumed_is_the_same_search(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(folder, tmp_path / "whole" / "s", seeds=2, train_seeds=2)
    fit, trained = ImageNetwork.fit_network, []

    def counted(self: ImageNetwork, *arguments: Any, **options: Any) -> Any:
        if len(trained) in (3, 9):  # in the middle of the search, and of the final training
            trained.append("killed")
            raise KeyboardInterrupt
        trained.append(arguments[1].name)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(ImageNetwork, "fit_network", counted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            _run(folder, tmp_path / "killed" / "s", seeds=2, train_seeds=2)
        assert not (tmp_path / "killed" / "s" / MANIFEST).exists()
    again = _run(folder, tmp_path / "killed" / "s", seeds=2, train_seeds=2)
    finished = [name for name in trained if name != "killed"]
    unique = sum(s[arm]["trained"] for s in again["searches"] for arm in ("search", "control"))
    assert len(finished) == len(set(finished))  # none twice
    rows = [*again["final"]["networks"], *(row for group in again["final"]["groups"] for row in group["networks"])]
    finals = 2 * len({row["name"] for row in rows})
    assert unique - 2 <= len(finished) - finals <= unique  # an architecture both arms tried is trained once
    assert _timeless(again) == _timeless(whole)
    assert _log(tmp_path / "killed" / "s") == _log(tmp_path / "whole" / "s")
    _check_record(tmp_path / "killed" / "s", again)
    del trained[:]
    assert _timeless(_run(folder, tmp_path / "killed" / "s", seeds=2, train_seeds=2)) == _timeless(again)
    assert not trained


@pytest.mark.usefixtures("_tiny")
def test_a_finished_search_is_not_started_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _run(folder, tmp_path, train_seeds=1)
    monkeypatch.setattr("tests.lab.search.tiny.search", None)  # its result is stored
    monkeypatch.setattr(ImageNetwork, "fit_network", None)
    assert _timeless(_run(folder, tmp_path, train_seeds=1)) == _timeless(first)


def _check_record(out: Path, found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found)) == read_json(out / RESULTS)
    assert found["schema"] == "auditor.search/1"
    assert found["reproduction"] == "not a reproduction"
    assert found["split_note"] == "Validation data come from the training split only."
    rows = found["final"]["networks"]
    assert [row["role"] for row in rows] == ["found", "control", "start"]
    grouped = [row for group in found["final"]["groups"] for row in group["networks"]]
    looks = {f"{row['name']}__seed{k}": 1 for row in [*rows, *grouped] for k in range(2)}
    assert found["test_label_accesses"] == {"searches": 0, **looks}
    _check_groups(out, found, best=rows[0]["name"])
    assert all(row["test_looks"] == [1, 1] for row in rows)
    less = found["final"]["found_less"]
    one, other = (row["accuracy_by_seed"] for row in rows[:2])
    assert less["control"]["difference"] == pytest.approx(sum(a - b for a, b in zip(one, other, strict=True)) / 2)
    assert set(less) == {"control", "start"}
    assert (found["data"]["train"], found["data"]["validation"]) == (60, 30)
    assert [s["search"]["children"] for s in found["searches"]] == [4, 4]
    best = max(range(2), key=lambda k: (found["pooled"]["best_search"][k], -k))
    assert found["chosen"]["found"]["search_seed"] == best
    assert found["searches"][best]["found"] == read_genotype(out / "found.json", "eas").key()
    for role in ("found", "control", "start"):
        genotype = read_genotype(out / f"{role}.json", "eas")
        assert genotype.model_dump(mode="json") == found["chosen"][role]["genotype"]
        assert "not a reproduction" in (out / f"{role}.svg").read_text()
    text = (out / SUMMARY).read_text()
    for words in (
        "not a reproduction",
        found["expectation"],
        found["pooled"]["verdict"],
        found["split_note"],
        *found["final"]["verdict"],
        "mean over the image and its mirror image",
        "which all networks share and no paper uses",
    ):
        assert words in text
    assert {(row["views"], row["reproduction"]) for row in rows} == {(2, "not a reproduction")}
    manifest = read_json(out / MANIFEST)["files"]
    assert {"found.json", "control.json", RESULTS, SUMMARY, LOG, "search-curve.svg"} <= set(manifest)
    for name, digest in manifest.items():
        assert digest == "sha256:" + hashlib.sha256((out / name).read_bytes()).hexdigest()


def _check_groups(out: Path, found: dict[str, Any], best: str) -> None:
    groups, less = found["final"]["groups"], found["final"]["groups_less"]
    assert [(g["search_seed"], g["group"]) for g in groups] == [
        (k, name) for k in range(2) for name in ("search", "equal", "published")
    ]
    assert best in {g["networks"][0]["name"] for g in groups if g["group"] == "search"}  # trained once for both
    means = {
        name: [row["accuracy"] for g in groups if g["group"] == name for row in g["networks"]]
        for name in ("search", "equal", "published")
    }
    for name in ("equal", "published"):
        other = set(means[name]) if name == "published" else means[name]
        wanted = sum(means["search"]) / 2 - sum(other) / len(other)
        assert less[name]["difference"] == pytest.approx(wanted)
        own, others = ([g for g in groups if g["group"] == group] for group in ("search", name))
        mean = lambda g: sum(row["accuracy"] for row in g["networks"]) / len(g["networks"])  # noqa: E731
        by_search = [mean(a) - mean(b) for a, b in zip(own, others, strict=True)]
        assert less[name]["by_search"] == pytest.approx(by_search)
        assert less[name]["networks"] == [2, len(other)]
    manifest, text = read_json(out / MANIFEST)["files"], (out / SUMMARY).read_text()
    for search in found["searches"]:
        equal = search["facts"]["equal"]
        assert all(abs(width / equal["found"] - 1) <= equal["tolerance"] for width in equal["networks"])
        assert f"{len(equal['networks'])} of 2 wanted" in text
    for group in groups:
        assert {row["file"] for row in group["networks"]} <= set(manifest)
        for row in group["networks"]:
            assert read_genotype(out / row["file"], "eas").layers
    assert "On average networks that the search chose (2) are" in text


@pytest.mark.usefixtures("_tiny")
def test_what_was_found_is_trained_on_other_data_too(folder: Path, tmp_path: Path) -> None:
    other = write_colours(tmp_path / "other", 24)
    found = _run(folder, tmp_path / "out" / "s", train_seeds=2, transfer=str(other))
    moved = found["transfer"]
    assert moved["data"] == str(other)
    assert [row["role"] for row in moved["networks"]] == [row["role"] for row in found["final"]["networks"]]
    assert moved["networks"][0]["macs"] != found["final"]["networks"][0]["macs"]  # of larger images
    assert moved["found_less"]["control"]["seeds"] == 2
    assert set(moved["test_label_accesses"].values()) == {1}
    text = (tmp_path / "out" / "s" / SUMMARY).read_text()
    assert f"## On other data: {other}" in text
    assert all(sentence in text for sentence in moved["verdict"])


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (None, "made without the noise null"),
        ([1.31, 1.35], "ends more certain than every run of noise"),
        ([1.29, 1.35], "Noise makes it as certain"),
        ([1.10, 1.20], "Noise makes it as certain"),
    ],
)
def test_a_found_network_never_stands_without_its_noise_null(noise: list[float] | None, words: str) -> None:
    document = read_json(Path(__file__).parents[3] / "reports" / "search" / "proxyless-mbconv" / RESULTS)
    (search,) = document["searches"]
    assert search["facts"]["entropy"]["after"] == pytest.approx(1.3007, abs=1e-4)
    if noise:
        search["facts"]["entropy"]["noise"] = noise
        search["facts"]["latency"]["noise_ms"] = [2.5, 2.75]
    text = page("search", document, curve="curve.svg")
    assert words in text
    assert ("1.301 at the end" in text) == (noise is not None), "no entropy without the null"
    if noise:
        assert f"{min(noise):.3f} to {max(noise):.3f} (2 runs)" in text
        assert "2.50 to 2.75 ms" in text


def test_a_final_network_carries_its_own_label_and_what_is_open() -> None:
    document = read_json(Path(__file__).parents[3] / "reports" / "search" / "nasnet" / RESULTS)
    for row in document["final"]["networks"]:
        row |= {"reproduction": "the paper's recipe", "paper": "NASNet (Zoph et al. 2018)", "open": ["this", "that"]}
    document["final"]["recipe"]["average_mirrored"] = False
    text = page("search", document, curve="curve.svg")
    assert text.startswith("# Architecture search: nasnet, cifar10: **not a reproduction**")
    assert text.count("| the paper's recipe |") == len(document["final"]["networks"])
    assert "as in NASNet (Zoph et al. 2018)" in text
    assert "but: this; that" in text
    assert "of the image alone, as published ones are" in text


def test_images_that_the_final_training_cannot_take_are_refused_before_the_search(tmp_path: Path) -> None:
    folder = write_colours(tmp_path / "large", 40)
    asked = SearchOptions("nasnet", budget="paper", data=str(folder), device="cpu")
    with pytest.raises(UsageError, match="at most 32 px; these have 40 px"):
        SearchExperiment(asked).run(Workplace(tmp_path / "out", load_settings(), workers=1))


@pytest.fixture
def part_of_cifar10(data_dir: Path, tmp_path: Path) -> Path:
    """A data folder with the first 600 training and 200 test images of CIFAR-10."""
    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    for split, n in (("train", 600), ("test", 200)):
        name = f"cifar10/{split}-00000-of-00001.parquet"
        batch = next(pq.ParquetFile(data_dir / name).iter_batches(n))
        pq.write_table(pa.Table.from_batches([batch]), tmp_path / "data" / name)
    return tmp_path / "data"


@pytest.mark.slow
def test_the_command_on_real_images(part_of_cifar10: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "search nasnet --budget smoke --train-seeds 1 --device cpu --workers 1 --json --quiet"
    out = tmp_path / "out"
    arguments = [*line.split(), "--data-dir", str(part_of_cifar10), "--out", str(out)]
    with pytest.raises(SystemExit) as done:
        run(arguments)
    assert done.value.code == 0
    results = json.loads(capsys.readouterr().out)
    assert results["schema"] == "auditor.search/1"
    assert results["data"] == {"name": "cifar10", "train": 100, "validation": 50, "classes": 10}
    assert all(0 < row["accuracy"] < 1 for row in results["final"]["networks"])
    assert "one seed" in results["final"]["verdict"][0]
    assert "NASNet-A" in (out / SUMMARY).read_text()
    assert results == read_json(out / RESULTS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nasnett"], "nasnet"),
        (["nasnet", "--budget", "huge"], "budget class"),
        (["eas", "--budget", "hour"], "Known: smoke, cpu, gpu10, paper"),
        (["nasnet", "--family", "dense"], "--family is for eas"),
        (["eas", "--family", "wide"], "plain, dense"),
        (["nasnet", "--seeds", "0"], "--seeds"),
    ],
)
def test_wrong_calls_end_with_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        run(["search", *arguments])
    assert done.value.code == 2
    assert words in capsys.readouterr().err


def test_every_space_has_a_system_and_every_budget() -> None:
    for name in SPACES.names():
        assert name.partition("-")[0] in SYSTEMS
    assert list(SPACES.load("nasnet")) == ["smoke", "cpu", "gpu10", "paper"]
    with pytest.raises(UnknownNameError, match="nasnet"):
        SearchOptions("nasnat")
    with pytest.raises(UsageError, match="--kind is for proxyless"):
        SearchOptions("nasnet", kind="two")
