"""The whole search on a few synthetic images: account, snapshots, interruption, what it may look at."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from auditor.core.progress import SilentProgress  # noqa: E402
from auditor.lab.search.arms import SearchOutcome  # noqa: E402
from auditor.lab.search.children import ChildRecipe  # noqa: E402
from auditor.lab.search.data import SearchData  # noqa: E402
from auditor.lab.search.proxyless.cost import path_cost  # noqa: E402
from auditor.lab.search.proxyless.measure import stored_table  # noqa: E402
from auditor.lab.search.proxyless.search import make_supernet, search  # noqa: E402
from auditor.lab.search.proxyless.settings import BUDGETS, MOBILE_BUDGETS, MobileSize, ProxylessSettings, TreeSize  # noqa: E402
from auditor.lab.search.proxyless.steps import NOISE_RUNS  # noqa: E402
from auditor.lab.search.proxyless.training import ValidationBatches, snapshot_steps, train_supernet  # noqa: E402
from auditor.models.genotype import MobileGenotype, TreeGenotype, read_genotype, write_genotype  # noqa: E402
from auditor.train.base import TrainingData  # noqa: E402
from auditor.train.batches import ImageTensor  # noqa: E402
from auditor.train.device import torch_threads  # noqa: E402
from auditor.train.loop import TrainingLoop  # noqa: E402

MOBILE = ProxylessSettings(
    48,
    24,
    ChildRecipe(1, 16, 0.05, 5e-4, 5.0),
    MobileSize(4, 4, ((6, 2, 2), (8, 1, 2)), 8),
    1,
    2,
    16,
    architecture_rate=0.3,
    snapshots=2,
    latency_images=1,
    latency_repeats=3,
    latency_networks=2,
)
TREE = replace(MOBILE, size=TreeSize(1, 4, 6))


@pytest.fixture(scope="module")
def found() -> SearchData:
    random = np.random.default_rng(0)
    labels = np.arange(72) % 3
    pixels = random.integers(0, 120, (72, 16, 16, 3)) + 60 * labels[:, None, None, None]
    data = TrainingData("image", pixels.astype(np.uint8), labels, 3)
    return SearchData(data, np.arange(48), np.arange(48, 72), np.array([f"train/{k}" for k in range(72)]))


@pytest.fixture(scope="module")
def run(found: SearchData, tmp_path_factory: pytest.TempPathFactory) -> tuple[SearchOutcome, Path]:
    folder = tmp_path_factory.mktemp("search")
    with torch_threads(1):
        return search(found, MOBILE, folder, 0, "cpu", SilentProgress()), folder


def _rows(outcome: SearchOutcome) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in outcome.rows]


def test_the_search_has_a_curve_and_pays_for_the_supernet(run: tuple[SearchOutcome, Path]) -> None:
    outcome, _ = run
    own = [row for row in outcome.rows if row["arm"] == "search"]
    assert [row["step"] for row in own] == [0, 1, 2]
    assert own[-1]["spent"] == pytest.approx(sum(row["cost"] for row in own) + outcome.facts["supernet"]["macs"])
    assert outcome.facts["supernet"]["architecture_steps"] == 2 * 3
    # At least the weight steps: 9 of 16 images, three forward passes each of no less than the smallest child.
    assert outcome.facts["supernet"]["macs"] > 9 * 16 * 3 * min(row["macs"] for row in outcome.rows)


def test_the_start_is_what_was_derived_before_the_first_step(run: tuple[SearchOutcome, Path]) -> None:
    outcome, _ = run
    own, control = ([row for row in outcome.rows if row["arm"] == arm] for arm in ("search", "control"))
    assert outcome.start is not None
    assert outcome.start.key() == own[0]["key"]
    latency = outcome.facts["latency"]
    assert latency["start_ms"] == own[0]["latency_ms"]
    assert latency["found_ms"] == own[-1]["latency_ms"]
    assert latency["control_mean_ms"] == pytest.approx(np.mean([row["latency_ms"] for row in control]))
    measured = latency["measured"]
    assert set(measured["ms"]) == {"found", "start", "control", "noise"}
    assert all(ms > 0 for ms in measured["ms"].values())
    for role, gap in measured["found_less"].items():
        assert gap["low"] < gap["value"] < gap["high"]
        assert gap["value"] == pytest.approx(measured["ms"]["found"] - measured["ms"][role], abs=0.5)


def test_random_paths_cost_as_much_as_the_search(run: tuple[SearchOutcome, Path]) -> None:
    outcome, _ = run
    own = [row for row in outcome.rows if row["arm"] == "search"]
    control = [row for row in outcome.rows if row["arm"] == "control"]
    assert len(control) > len(own), "more children, for the supernet's cost"
    assert control[-1]["spent"] >= own[-1]["spent"]
    assert control[-1]["spent"] - control[-1]["cost"] < own[-1]["spent"], "and not one more than that"
    assert len({row["key"] for row in control}) == len(control)
    assert all(row["n"] == 24 for row in outcome.rows)


def test_found_and_control_are_architectures_of_the_space(run: tuple[SearchOutcome, Path], tmp_path: Path) -> None:
    outcome, _ = run
    last = [row for row in outcome.rows if row["arm"] == "search"][-1]
    best = max((row for row in outcome.rows if row["arm"] == "control"), key=lambda row: row["accuracy"])
    assert outcome.found.key() == last["key"]
    assert outcome.control.key() == best["key"]
    for genotype in (outcome.found, outcome.control):
        assert isinstance(genotype, MobileGenotype)
        write_genotype(tmp_path / "g.json", genotype)
        assert read_genotype(tmp_path / "g.json", "proxyless") == genotype


def test_facts_name_the_conditions(run: tuple[SearchOutcome, Path]) -> None:
    outcome, folder = run
    latency = outcome.facts["latency"]
    assert latency["target_ms"] == pytest.approx(0.9 * latency["expected_before_ms"])
    assert latency["validation"]["rmse_ms"] >= 0
    assert latency["repeats"] == 3
    entropy = outcome.facts["entropy"]
    assert entropy["before"] == pytest.approx(entropy["largest"], abs=1e-3)
    # Falling says nothing: noise through the same updates lets it fall too, and stands beside it.
    assert len(entropy["noise"]) == len(latency["noise_ms"]) == len(latency["expected_noise_ms"]) == NOISE_RUNS
    assert all(0 < value < entropy["before"] for value in (entropy["after"], *entropy["noise"]))
    assert len(set(entropy["noise"])) == NOISE_RUNS
    assert isinstance(outcome.noise, MobileGenotype)
    assert outcome.facts["baseline"] is None
    json.dumps(outcome.facts)
    notes = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["snapshot"] for row in notes if row["event"] == "supernet"] == [0, 1, 2]


class _Stop(Exception):
    pass


def test_an_interrupted_search_ends_as_an_uninterrupted_one_with_the_same_table(
    found: SearchData, run: tuple[SearchOutcome, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, folder = run
    for name in ("latency.json", "latencies.json"):
        shutil.copy(folder / name, tmp_path / name)
    save, saved = TrainingLoop._save, [0]

    def interrupt(loop: TrainingLoop, epochs_done: int) -> None:
        save(loop, epochs_done)
        saved[0] += 1
        if saved[0] in (2, 4):  # in the middle of the search, and behind the supernet
            raise _Stop

    monkeypatch.setattr(TrainingLoop, "_save", interrupt)
    for _ in range(2):
        with pytest.raises(_Stop):
            search(found, MOBILE, tmp_path, 0, "cpu", SilentProgress())
        torch.rand(3)
    again = search(found, MOBILE, tmp_path, 0, "cpu", SilentProgress())
    assert _rows(again) == _rows(whole)
    assert (again.found, again.control, again.facts) == (whole.found, whole.control, whole.facts)


def _supernet_state(found: SearchData, settings: ProxylessSettings, table: Path, folder: Path) -> dict:
    """State of a supernet after its training."""
    supernet = make_supernet(settings, 3, 16, 0)
    measured = stored_table(table, supernet, 3, 16, 1, 3, 2, "cpu")
    cost = path_cost(supernet, 3, 16)
    train_supernet(found, settings, supernet, measured.table, cost, folder, 0, "cpu", SilentProgress())
    return supernet.state_dict()


def test_validation_labels_reach_alpha_only(found: SearchData, run: tuple[SearchOutcome, Path], tmp_path: Path) -> None:
    table = run[1] / "latency.json"
    labels = found.data.labels.copy()
    labels[found.validation] = (labels[found.validation] + 1) % 3
    other = replace(found, data=replace(found.data, labels=labels))
    # With architecture steps at rate 0 nothing of the validation part may be left, in no weight and no statistic.
    still = replace(MOBILE, architecture_rate=0.0)
    first, second = (_supernet_state(d, still, table, tmp_path / n) for n, d in (("a", found), ("b", other)))
    assert all(torch.equal(first[key], second[key]) for key in first)
    moved = _supernet_state(other, MOBILE, table, tmp_path / "c")
    usual = torch.load(run[1] / "supernet" / "supernet.pt", weights_only=True)["model"]
    assert any(not torch.equal(moved[key], usual[key]) for key in moved if key.endswith(".alpha"))


@pytest.mark.parametrize("kind", ["full", "reinforce"])
def test_the_other_kinds_of_step_search_too(found: SearchData, tmp_path: Path, kind: str) -> None:
    settings = replace(
        TREE if kind == "full" else MOBILE, kind=kind, samples=2, epochs=1, snapshots=1, controls=1, baseline="official"
    )
    outcome = search(found, settings, tmp_path, 1, "cpu", SilentProgress())
    assert isinstance(outcome.found, TreeGenotype if kind == "full" else MobileGenotype)
    entropy = outcome.facts["entropy"]
    assert entropy["after"] != entropy["before"]
    assert len(entropy["noise"]) == NOISE_RUNS
    wanted = {"kind": "official", "decay": 0.99} if kind == "reinforce" else None
    assert outcome.facts["baseline"] == wanted


def test_validation_batches_pass_all_items_before_one_comes_again(found: SearchData) -> None:
    images = ImageTensor(found.data.features, "cpu", found.train)
    labels, rows = torch.from_numpy(found.data.labels), torch.from_numpy(found.validation)
    batches = ValidationBatches(images, labels, rows, (16, 16), 8, 0)
    first = [batches.take(k) for k in range(3)]
    plain = images.plain(rows, (16, 16))
    shown = torch.cat([x for x, _ in first])
    order = [int((plain == x).flatten(1).all(1).nonzero()[0]) for x in shown]
    assert sorted(order) == list(range(24))
    assert torch.equal(torch.cat([y for _, y in first]), labels[rows][order])
    assert not torch.equal(batches.take(3)[0], first[0][0])
    assert torch.equal(batches.take(1)[0], first[1][0])


def test_snapshots_are_spread_over_the_search() -> None:
    assert snapshot_steps(10, 50, 4) == [10, 20, 30, 40, 50]
    assert snapshot_steps(2, 9, 3) == [2, 4, 7, 9]


@pytest.mark.parametrize("budgets", [BUDGETS, MOBILE_BUDGETS], ids=["tree", "mbconv"])
def test_every_budget_is_complete(budgets: dict[str, ProxylessSettings]) -> None:
    assert list(budgets) == ["smoke", "cpu", "gpu10", "paper"]
    for settings in budgets.values():
        assert settings.as_dict()["space"] == ("tree" if budgets is BUDGETS else "mbconv")
        json.dumps(settings.as_dict())
        settings.size.template()
        assert settings.latency_repeats >= 50
        assert settings.latency_networks >= 20
