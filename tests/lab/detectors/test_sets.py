"""Sets: names, absent data, and the truth that nobody sees."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.lab.detectors.benchmark import measure_case
from auditor.lab.detectors.methods import run_methods
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkOptions, Case, list_sets, select_sets


def names(*wanted: str) -> list[str]:
    return [one.name for one in select_sets(wanted)]


def test_first_parts_name_all_that_begin_with_them() -> None:
    assert names("digits") == ["digits+symmetric", "digits+pair", "digits+instance"]
    assert len(names("oof-aggre")) == 7
    assert names("oof") == names("oof-aggre")
    assert names("text") == ["text"]
    assert names("cifar10") == ["cifar10+symmetric", "cifar10+pair", "cifar10+instance"]
    tables = ["table-weather", "table-penguins", "table-wine", "table-cancer"]
    assert names("table") == [*tables, *(f"{name}-two" for name in tables)]
    assert names("digits+pair", "digits") == ["digits+pair", "digits+symmetric", "digits+instance"]
    assert names() == list_sets()


def test_other_labels_and_networks_in_the_same_layout_can_be_named() -> None:
    assert names("oof-worst:vit-b.16", "cifar10n-worst") == ["oof-worst:vit-b.16", "cifar10n-worst"]
    assert len(names("oof-worst")) == 7


def test_an_unknown_name_shows_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="digits\\+symmetric"):
        names("digit+symmetric")


@pytest.mark.parametrize("name", list_sets())
def test_every_set_says_what_it_is_and_what_is_missing(name: str, tmp_path: Path, context: BenchmarkContext) -> None:
    (one,) = select_sets([name])
    empty = replace(context, settings=replace(context.settings, data_dirs=(tmp_path / "nothing",)))
    assert len(one.summary) > 20
    assert len(one.limits) > 20
    why = one.absent(empty)
    assert (why is None) == name.startswith(("digits", "table"))
    if why:
        assert "\n" not in one.summary
        assert len(why) > 20


def case_of(name: str, context: BenchmarkContext) -> Case:
    (one,) = select_sets([name])
    assert one.absent(context) is None
    return one.case(context, 0)


def rows(case: Case) -> dict[str, dict[str, Any]]:
    return {f"{row['tool']}/{row['what']}": row for row in measure_case(case, 20)[0]["rows"]}


@pytest.mark.parametrize("name", ["oof-aggre:resnet18", "oof-aggre:convex"])
def test_scrambled_truth_on_disk_changes_no_score(name: str, context: BenchmarkContext, stored: Path) -> None:
    before = rows(case_of(name, context))
    clean = stored / "cifar10n" / "clean.npy"
    np.save(clean, np.random.default_rng(9).permutation(np.load(clean)))
    after = rows(case_of(name, context))
    assert {n: r["scores"] for n, r in before.items()} == {n: r["scores"] for n, r in after.items()}
    assert after["auditor/combined"]["AP"] != before["auditor/combined"]["AP"]  # so it was really read


def test_scrambled_truth_of_a_trained_set_changes_no_score(training_context: BenchmarkContext) -> None:
    case = case_of("digits+symmetric", training_context)
    scrambled = replace(case, truth=np.random.default_rng(9).permutation(case.truth))
    before, after = rows(case), rows(scrambled)
    assert {n: r["scores"] for n, r in before.items()} == {n: r["scores"] for n, r in after.items()}
    assert before["auditor/default"]["AUROC"] > 0.95
    assert after["auditor/default"]["AUROC"] < 0.6


def test_planted_tables_are_imbalanced_audited_and_hide_their_truth(training_context: BenchmarkContext) -> None:
    case = case_of("table-weather", training_context)
    shares = np.bincount(case.truth) / len(case.truth)
    assert len(shares) == 5
    assert shares.min() < 0.03 < 0.4 < shares.max()
    assert 0.15 < case.wrong.mean() < 0.25
    before = rows(case)
    after = rows(replace(case, truth=np.random.default_rng(9).permutation(case.truth)))
    assert {n: r["scores"] for n, r in before.items()} == {n: r["scores"] for n, r in after.items()}
    # Confusions of the rare classes are not taken for noise by class, as `em_posterior` takes them.
    assert before["auditor/combined"]["AP"] > before["auditor/em_posterior"]["AP"] + 0.03
    assert before["auditor/combined"]["AP"] > before["auditor/log_odds_margin"]["AP"] - 0.01


def test_stored_probabilities_of_other_labels_are_refused(context: BenchmarkContext, stored: Path) -> None:
    path = stored / "cifar10n" / "aggre.npy"
    np.save(path, (np.load(path) + 1) % 10)
    with pytest.raises(DataError, match="other labels"):
        case_of("oof-aggre:resnet18", context)


def test_uniform_is_the_mean_and_convex_weights_the_networks(context: BenchmarkContext) -> None:
    uniform, convex = case_of("oof-aggre:uniform", context), case_of("oof-aggre:convex", context)
    assert len(uniform.evidence.network_probabilities) == 1
    assert list(convex.evidence.network_probabilities) == ["resnet18", "resnet50d"]
    mean = np.mean(list(convex.evidence.network_probabilities.values()), axis=0)
    np.testing.assert_allclose(uniform.evidence.mean_probabilities, mean, atol=1e-12)
    assert convex.evidence.network_weights["resnet50d"] > 0.5


def test_every_peer_and_detector_takes_part(context: BenchmarkContext) -> None:
    outcomes = run_methods(case_of("oof-aggre:resnet18", context).evidence)
    tools = [o.tool for o in outcomes]
    assert tools.count("cleanlab") == 7 + 5
    assert tools.count("kNN") == 1
    assert {o.what for o in outcomes if o.tool == "auditor"} >= {"default", "combined", "aum", "verdict"}
    absent = {o.what: o.reason for o in outcomes if o.reason}
    assert set(absent) >= {"aum", "verdict", "knn_posterior"}
    assert all(absent.values())


def test_nonsense_options_are_refused() -> None:
    for wrong in ({"noise_rate": 0.0}, {"subset": 10}, {"audit_budget": "huge"}):
        with pytest.raises(UsageError):
            BenchmarkOptions(**wrong)  # type: ignore[arg-type]


def test_a_missing_network_is_named(context: BenchmarkContext, stored: Path) -> None:
    shutil.rmtree(stored / "oof")
    (one,) = select_sets(["oof-aggre:resnet18"])
    assert "resnet18" in str(one.absent(context))
