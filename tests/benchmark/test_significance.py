"""A flip is called real only by the rule; equal models flip by chance, and that is not called real."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.benchmark.draws import draw
from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.inputs import Inputs
from auditor.benchmark.models import compare_models
from auditor.benchmark.pairs import CHANGE, change_p, compare_pairs, real_flips
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.run import benchmark
from auditor.benchmark.selection import agreement_with_guesses, audit_ranking, stands_out
from auditor.benchmark.sets import Sets, make_sets
from auditor.benchmark.verdicts.judged import GUESSED, AuditDraws, Decision, Judged
from auditor.core.errors import DataError
from benchmarks.corrected_benchmark_equal_models import declared, equal_models


@pytest.mark.parametrize(("models", "seeds"), [(2, 1), (6, 1), (4, 3)])
def test_equal_models_are_rarely_told_apart(models: int, seeds: int) -> None:
    """At most 5 %, here over 80 simulations (1,000 in benchmarks/corrected_benchmark_equal_models.py)."""
    rng = np.random.default_rng(models)
    hits = sum(declared(equal_models(rng, models, 500, 60, 0.7, seeds), 60) > 0 for _ in range(80))
    assert hits <= 80 * 0.05 + 3 * np.sqrt(80 * 0.05 * 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("models", [2, 6, 13])
def test_equal_models_a_thousand_times(models: int) -> None:
    rng = np.random.default_rng(100 + models)
    assert sum(declared(equal_models(rng, models, 500, 60, 0.7), 60) > 0 for _ in range(1000)) <= 50


def field_of(given: np.ndarray, corrected: np.ndarray, names: list[str] | None = None):  # type: ignore[no-untyped-def]
    """Predictions that are right as told: class 0 is given, 1 corrected, 2 neither."""
    top = np.where(given, 0, np.where(corrected & ~given, 1, 2))
    labels = np.zeros(given.shape[1], np.int64)
    both = given & corrected
    fixed = ~both.any(axis=0) & corrected.any(axis=0)
    sets = Sets(3, np.where(fixed, GUESSED, 0).astype(np.int8), np.where(fixed, 1, 0), {})
    names = names or [f"m{k}" for k in range(len(given))]
    predictions = [Prediction(n, t, "") for n, t in zip(names, top, strict=True)]
    return compare_models(predictions, GivenLabels(labels, "labels"), sets), sets


def clear_flip(n_benign: int = 1000, n_c: int = 200):  # type: ignore[no-untyped-def]
    """b is better on benign rows, a on corrected ones, beyond doubt."""
    given = np.zeros((2, n_benign + n_c), bool)
    given[0, : n_benign - 100], given[1, : n_benign - 20] = True, True
    given[1, n_benign : n_benign + 50] = True
    corrected = given.copy()
    corrected[:, n_benign:] = False
    corrected[0, n_benign:] = True
    return field_of(given, corrected, ["a", "b"])


def test_a_clear_flip_is_real() -> None:
    compared, sets = clear_flip()
    before, after = (
        compare_pairs(compared, compared.given, sets.pruned),
        compare_pairs(compared, compared.corrected, sets.pruned),
    )
    flips, real = real_flips(before, after, change_p(compared, sets.correctable))
    assert real == len(flips) == 1
    assert compared.names[flips[0]["a"]] == "b"
    assert flips[0]["p_original"] < 1e-6 > flips[0]["p_corrected"]


def test_the_change_alone_can_make_a_flip_real() -> None:
    """Order before: one row; after: the other way round by 30 corrected rows, which is significant."""
    given = np.zeros((2, 1040), bool)
    given[0, :901], given[1, :900] = True, True
    corrected = given.copy()
    given[0, 1000:1002] = True
    corrected[:, 1000:] = False
    corrected[1, 1000:1040] = True
    corrected[0, 1000:1025] = True
    given[0, 1002:1025] = False
    compared, sets = field_of(given, corrected)
    before, after = (
        compare_pairs(compared, compared.given, sets.pruned),
        compare_pairs(compared, compared.corrected, sets.pruned),
    )
    flips, real = real_flips(before, after, change_p(compared, sets.correctable))
    assert (real, flips[0]["reason"]) == (1, CHANGE)


def test_ties_are_no_flips() -> None:
    given = np.ones((2, 20), bool)
    corrected = given.copy()
    given[1, 0] = corrected[0, 0] = False
    compared, sets = field_of(given, given)
    before = compare_pairs(compared, compared.given, sets.pruned)
    same = compare_pairs(compared, np.ones((2, 20), bool), sets.pruned)
    assert real_flips(before, same, np.array([1.0])) == ([], 0)


def test_the_bootstrap_flips_as_often_as_plain_resampling(opened: tuple[Inputs, list[Prediction]]) -> None:
    inputs, predictions = opened
    sets = make_sets(inputs.judged, inputs.given_labels, 3)
    compared = compare_models(predictions, inputs.given_labels, sets)
    found = draw(compared, sets, inputs.judged, 4000, 0)
    rng = np.random.default_rng(0)
    plain = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        kept = rows[sets.pruned[rows]]
        plain.append(compared.mixing @ compared.corrected[:, kept].mean(axis=1))
    ours, theirs = found.corrected.mean(axis=0), np.mean(plain, axis=0)
    assert ours == pytest.approx(theirs, abs=0.006)
    assert found.corrected.std(axis=0) == pytest.approx(np.std(plain, axis=0), rel=0.06)
    assert found.corrected_drawn is not None
    assert (found.corrected_drawn.std(axis=0) > 0).all()


def test_seeds_are_one_model_with_a_spread(opened: tuple[Inputs, list[Prediction]]) -> None:
    inputs, predictions = opened
    renamed = [Prediction(f"net__seed{k}", p.top1, p.source) for k, p in enumerate(predictions)]
    other = Prediction("solo", predictions[0].top1, "x")
    result = benchmark([*renamed, other], inputs.judged, inputs.given_labels, draws=500)
    found = {m.name: m for m in result.models}
    assert found["net"].seeds == (0, 1, 2)
    assert found["net"].full_original == pytest.approx(
        np.mean([(p.top1 == inputs.given_labels.labels).mean() for p in renamed])
    )
    assert [s["seed"] for s in found["net"].by_seed] == [0, 1, 2]
    assert found["solo"].by_seed == ()
    low, high = found["net"].intervals["pruned_corrected"] or (0, 0)
    assert low < found["net"].pruned_corrected < high
    with pytest.raises(DataError, match="same seed twice"):
        benchmark([*renamed, Prediction("net", other.top1, "x")], inputs.judged, inputs.given_labels, draws=100)


def test_one_relative_stands_out_and_near_equals_do_not() -> None:
    rng = np.random.default_rng(0)
    shares = np.r_[rng.normal(0.40, 0.02, 20), 0.75]
    assert stands_out(shares)[0].tolist() == [False] * 20 + [True]
    assert not stands_out(np.r_[np.full(20, 0.4), 0.41])[0].any()
    assert stands_out(np.r_[np.full(20, 0.4), 0.8])[0].tolist() == [False] * 20 + [True]
    assert not stands_out(np.array([0.1, 0.9]))[0].any()


def judged_with_audit(audit: AuditDraws | None, n: int, state: np.ndarray) -> Judged:
    rows = np.arange(n)
    label = np.where(state == GUESSED, 1, 0)
    return Judged("run", "", rows, np.ones(n, np.int64), lambda k: Decision(state, label), {}, audit=audit)


def test_the_guess_model_is_named_circular() -> None:
    rng = np.random.default_rng(1)
    top = rng.integers(0, 3, (6, 400))
    top[5] = 1
    judged = judged_with_audit(None, 400, np.zeros(400, np.int8))
    predictions = [Prediction(f"m{k}", t, "") for k, t in enumerate(top)]
    given_labels = GivenLabels(np.zeros(400, np.int64), "labels")
    compared = compare_models(predictions, given_labels, make_sets(judged, given_labels, 3))
    found = agreement_with_guesses(compared, judged)
    assert found["circular"] == ["m5"]
    assert audit_ranking(compared, make_sets(judged, given_labels, 3), judged, 100, 0)["applicable"] is False


def test_the_audit_stream_alone_is_unbiased() -> None:
    """400 rows, 80 correctable: mean of many audits equals the accuracy with all corrections known."""
    rng = np.random.default_rng(2)
    n = 400
    state = np.where(np.arange(n) < 80, GUESSED, 0).astype(np.int8)
    given_labels = GivenLabels(np.zeros(n, np.int64), "labels")
    top = rng.integers(0, 2, (3, n))
    top[0, :80] = 1
    predictions = [Prediction(f"m{k}", t, "") for k, t in enumerate(top)]
    weight = np.where(np.arange(n) < 80, 4.0, 1.0)
    probability = weight / weight.sum()
    frame = np.ones(n, bool)
    known = judged_with_audit(None, n, state)
    sets = make_sets(known, given_labels, 3)
    compared = compare_models(predictions, given_labels, sets)
    wanted = {m.name: (compared.mixing @ compared.corrected.mean(axis=1))[k] for k, m in enumerate(compared.models)}
    sums = dict.fromkeys(wanted, 0.0)
    for _ in range(300):
        position = rng.choice(n, 100, p=probability)
        judged = judged_with_audit(AuditDraws(position, 1 / probability[position], frame), n, state)
        for m in audit_ranking(compared, sets, judged, 10, 0)["models"]:
            sums[m["name"]] += m["corrected"] / 300
    assert sums == pytest.approx(wanted, abs=0.01)
