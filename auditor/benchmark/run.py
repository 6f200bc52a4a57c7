"""The one way from predictions and verdicts to a result: `benchmark`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.benchmark.curves import check_by_simulation, crossovers, curves, exact_counts, find_crossovers
from auditor.benchmark.draws import Draws, draw, interval, rank_interval, summary_of_signs
from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.label_draws import drawn_claims
from auditor.benchmark.models import ComparedModels, compare_models
from auditor.benchmark.pairs import PairTests, change_p, compare_pairs, pair_rows, real_flips
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.result import BenchmarkResult, ModelResult, records
from auditor.benchmark.selection import agreement_with_guesses, audit_ranking
from auditor.benchmark.sentences import caveats, headline
from auditor.benchmark.sets import Sets, make_sets
from auditor.benchmark.verdicts.judged import Judged
from auditor.core.errors import UsageError
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import Progress, SilentProgress
from auditor.data.labels import listed
from auditor.stats.intervals import clopper_pearson
from auditor.stats.ranks import kendall_tau, min_ranks, pair_signs, rank_bounds, spearman, tie_groups

#: Draws of the simulation that checks the closed form.
SIMULATED = 500


def count_sets(judged: Judged, given_labels: GivenLabels, k: int | None = None) -> BenchmarkResult:
    """Counts and sets alone, without any predictions.

    Parameters
    ----------
    judged : Judged
    given_labels : GivenLabels
    k : int, optional
        Votes a verdict needs; by default the source's own.

    Raises
    ------
    UsageError
        If the threshold makes no sense for this source.
    """
    k = judged.thresholds[0] if k is None else k
    if k not in judged.thresholds and judged.kind in ("published", "run"):
        known = ", ".join(map(str, judged.thresholds))
        raise UsageError(f"--agreement {k}: these verdicts can be read at {known}.")
    sets = make_sets(judged, given_labels, k)
    counts = judged.counts(k)
    return BenchmarkResult(
        given_labels.source,
        given_labels.source,
        {"kind": judged.kind, "how": judged.how},
        k,
        counts,
        len(given_labels),
        **sets.sizes(),
        n_unknown=len(given_labels) - sets.n_pruned,
        n_lenient=int(sets.lenient.sum()),
        percent_error=100 * counts["errors"] / len(given_labels),
        notes=tuple(judged.notes),
    )


def benchmark(
    predictions: Sequence[Prediction],
    judged: Judged,
    given_labels: GivenLabels,
    *,
    agreement: int | None = None,
    draws: int = 10_000,
    seed: int = 0,
    dataset: str = "",
    conditions: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Accuracies, ranks and crossovers of models before and after labels are corrected, with their significance.

    Parameters
    ----------
    predictions : sequence of Prediction
        One per network, from `readers.registry.read_predictions`.
    judged : Judged
        Verdicts on rows.
    given_labels : GivenLabels
        Given labels.
    agreement : int, optional
        Votes a verdict needs; by default the source's own (3 of 5 for published verdicts).
    draws : int
        Of the bootstrap.
    seed : int
    dataset : str
        Name for people.
    conditions : mapping, optional
        Added to those of the machine: command, budget class.
    progress : Progress, optional

    Raises
    ------
    DataError, UsageError
    """
    began = time.perf_counter()
    tell = progress or SilentProgress()
    counted = count_sets(judged, given_labels, agreement)
    if not counted.n_pruned:
        raise UsageError("no row is left after removing the unknown ones: there is nothing to rank on.")
    sets = make_sets(judged, given_labels, counted.agreement)
    compared = compare_models(predictions, given_labels, sets)
    tell.stage(
        "compare", f"{len(compared.models)} models, {len(given_labels):,} rows, {sets.n_correctable:,} correctable"
    )
    tests = _Tests(compared, sets)
    tell.stage("resample", f"{draws:,} draws")
    resampled = draw(compared, sets, judged, draws, seed)
    result = replace(
        counted,
        dataset=dataset or given_labels.source,
        models=tuple(_models(compared, sets, tests.before, tests.after, resampled)),
        **_order_changes(compared, sets, judged, tests, resampled, seed),
    )
    tell.stage("curves")
    correlation = _correlations(compared, sets)
    result = replace(
        result,
        crossovers=tuple(crossovers(compared, sets, tests.on_benign, tests.after_on_correctable, draws, seed)),
        crossovers_original=tuple(
            {"a": compared.names[i], "b": compared.names[j], "prevalence": float(at.prevalence)}
            for (i, j), at in find_crossovers(compared, sets, compared.given).items()
        ),
        kendall_tau=correlation["pruned"]["kendall"],
        rank_correlation=correlation,
        curves=curves(compared, sets, draws, seed),
        simulation=check_by_simulation(compared, sets, SIMULATED, seed),
        by_agreement=tuple(_at(judged, given_labels, predictions, k) for k in judged.thresholds),
        selection=agreement_with_guesses(compared, judged),
        audit=audit_ranking(compared, sets, judged, draws, seed),
        label_uncertainty=_uncertainty(resampled, judged, len(compared.models)),
    )
    environment = {"machine": describe_machine(), "versions": package_versions()}
    spent = {"seconds": round(time.perf_counter() - began, 2)}
    conditions = {**(conditions or {}), "draws": draws, "seed": seed, **environment, **spent}
    said: dict[str, list[str]] = {}
    for prediction in predictions:
        for note in prediction.notes:
            said.setdefault(note, []).append(prediction.name)
    notes = (*result.notes, *(f"{note}: {listed(names, 5)}" for note, names in said.items()))
    lines, limits = headline(result), tuple(caveats(result))
    return replace(result, headline=lines, caveats=limits, notes=notes, conditions=conditions)


class _Tests:
    """Tests of all pairs: on pruned rows with both labels, on benign and on correctable rows, and of the change."""

    def __init__(self, compared: ComparedModels, sets: Sets) -> None:
        given, corrected = compared.given, compared.corrected
        self.before = compare_pairs(compared, given, sets.pruned)
        self.after = compare_pairs(compared, corrected, sets.pruned)
        self.on_benign = compare_pairs(compared, given, sets.benign)
        self.before_on_correctable = compare_pairs(compared, given, sets.correctable)
        self.after_on_correctable = compare_pairs(compared, corrected, sets.correctable)
        self.change = change_p(compared, sets.correctable)


def _order_changes(
    compared: ComparedModels, sets: Sets, judged: Judged, tests: _Tests, resampled: Draws, seed: int
) -> dict[str, Any]:
    """Flips and ties: the fields of the result that speak of pairs."""
    names = compared.names
    flips, real = real_flips(tests.before, tests.after, tests.change)
    flips_c, real_c = real_flips(tests.before_on_correctable, tests.after_on_correctable, tests.change)
    probability, taus = summary_of_signs(resampled.original, resampled.corrected)
    uncertain = drawn_claims(compared, sets, judged, [f["pair"] for f in flips], seed)
    defined = taus[np.isfinite(taus)]
    return {
        "flips": tuple(_flip_row(f, names, probability, uncertain) for f in flips),
        "n_flips_real": real,
        "flips_correctable": tuple(_flip_row(f, names, None, {}) for f in flips_c),
        "n_flips_correctable_real": real_c,
        "n_pairs": len(tests.before.a),
        "pairs": tuple(pair_rows(names, tests.before, tests.after, tests.change, probability)),
        "kendall_tau_interval": tuple(interval(defined).tolist()) if len(defined) else None,
        "tie_groups": {
            "original": _ties(compared, compared.given, sets, tests.before),
            "corrected": _ties(compared, compared.corrected, sets, tests.after),
        },
    }


def _models(
    compared: ComparedModels, sets: Sets, before: PairTests, after: PairTests, resampled: Draws
) -> list[ModelResult]:
    m = len(compared.models)
    n = {"full": compared.given.shape[1], "benign": sets.n_benign, "correctable": sets.n_correctable}
    everything = np.ones(n["full"], bool)
    counts = {
        "full": exact_counts(compared, compared.given, everything),
        "benign": exact_counts(compared, compared.given, sets.benign),
        "correctable_original": exact_counts(compared, compared.given, sets.correctable),
        "correctable_corrected": exact_counts(compared, compared.corrected, sets.correctable),
    }
    whole = {key: [int(c) if c.denominator == 1 else float(c) for c in of_models] for key, of_models in counts.items()}
    pruned = {
        side: np.array([float((b + c) / sets.n_pruned) for b, c in zip(counts["benign"], counts[key], strict=True)])
        for side, key in (("original", "correctable_original"), ("corrected", "correctable_corrected"))
    }
    ranks = {side: min_ranks(values) for side, values in pruned.items()}
    bounds = {"original": rank_bounds(before.better(m)), "corrected": rank_bounds(after.better(m))}
    boot = {"original": rank_interval(resampled.original), "corrected": rank_interval(resampled.corrected)}
    limits = {
        "full_original": interval(resampled.full_original),
        "pruned_original": interval(resampled.original),
        "pruned_corrected": interval(resampled.corrected),
    }
    lenient = {
        side: compared.mixing @ (compared.counts(right, sets.lenient) / max(1, int(sets.lenient.sum())))
        for side, right in (("original", compared.given), ("corrected", compared.accepted))
    }
    on_correctable = ("correctable_original", "correctable_corrected")
    rows = []
    for k, model in enumerate(compared.models):
        shares = [whole[key][k] / n["correctable"] if n["correctable"] else None for key in on_correctable]
        exact = {key: _exact_limits(counts[key][k], n["correctable"], len(model.networks)) for key in on_correctable}
        rows.append(
            ModelResult(
                model.name,
                model.platform,
                model.seeds,
                float(counts["full"][k] / n["full"]),
                float(pruned["original"][k]),
                float(pruned["corrected"][k]),
                shares[0],
                shares[1],
                float(counts["benign"][k] / n["benign"]) if n["benign"] else 0.0,
                {key: whole[key][k] for key in counts},
                {**{key: tuple(v[:, k].tolist()) for key, v in limits.items()}, **exact},
                {side: int(r[k]) for side, r in ranks.items()},
                {side: (int(low[k]), int(high[k])) for side, (low, high) in bounds.items()},
                {side: (int(b[0, k]), int(b[1, k])) for side, b in boot.items()},
                int(ranks["original"][k] - ranks["corrected"][k]),
                {side: float(v[k]) for side, v in lenient.items()},
                _top_k(compared, model.networks),
                tuple(_seeds(compared, sets, k)),
            )
        )
    return rows


def _exact_limits(count: Any, n: int, networks: int) -> tuple[float, float] | None:
    """Clopper-Pearson for one network; means over seeds are no counts and get none."""
    if not n or networks > 1:
        return None
    limits = clopper_pearson(int(count), n)
    return limits.low, limits.high


def _top_k(compared: ComparedModels, networks: tuple[int, ...]) -> dict[str, int] | None:
    top = compared.predictions[networks[0]].top
    if top is None or len(networks) > 1:
        return None
    return {"k": top.shape[1], "full": int((top == compared.labels[:, None]).any(axis=1).sum())}


def _seeds(compared: ComparedModels, sets: Sets, k: int) -> list[dict[str, Any]]:
    model = compared.models[k]
    if len(model.networks) < 2:
        return []
    networks = list(model.networks)
    return records(
        seed=model.seeds,
        full_original=compared.given[networks].mean(axis=1),
        pruned_original=compared.counts(compared.given, sets.pruned)[networks] / sets.n_pruned,
        pruned_corrected=compared.counts(compared.corrected, sets.pruned)[networks] / sets.n_pruned,
    )


def _flip_row(
    flip: dict[str, Any], names: list[str], probability: np.ndarray | None, uncertain: Mapping[int, float]
) -> dict[str, Any]:
    k = flip.pop("pair")
    row = {**flip, "a": names[flip["a"]], "b": names[flip["b"]]}
    if probability is not None:
        row |= {"p_flip": float(probability[k]), "share_of_label_draws_declared": uncertain.get(k)}
    return row


def _ties(compared: ComparedModels, right: np.ndarray, sets: Sets, tests: PairTests) -> list[list[str]]:
    better = tests.better(len(compared.models))
    values = compared.mixing @ compared.counts(right, sets.pruned)
    return [[compared.names[k] for k in group] for group in tie_groups(values, better | better.T)]


def _correlations(compared: ComparedModels, sets: Sets) -> dict[str, Any]:
    correlations = {}
    for name, rows in (("pruned", sets.pruned), ("correctable", sets.correctable)):
        first, second = (compared.mixing @ compared.counts(r, rows) for r in (compared.given, compared.corrected))
        tau = float(kendall_tau(pair_signs(first), pair_signs(second)))
        correlations[name] = {"spearman": spearman(first, second), "kendall": tau}
    return correlations


def _at(judged: Judged, given_labels: GivenLabels, predictions: Sequence[Prediction], k: int) -> dict[str, Any]:
    """Sets and rankings at another threshold: how far the result rests on the choice."""
    sets = make_sets(judged, given_labels, k)
    compared = compare_models(predictions, given_labels, sets)
    before, after = (compared.mixing @ compared.counts(r, sets.pruned) for r in (compared.given, compared.corrected))
    return {
        "agreement": k,
        "counts": judged.counts(k),
        **sets.sizes(),
        "crossovers": len(find_crossovers(compared, sets, compared.corrected)),
        "order_changes": int((pair_signs(before) * pair_signs(after) < 0).sum()),
        "rank_correlation": _correlations(compared, sets),
    }


def _uncertainty(resampled: Draws, judged: Judged, n_models: int) -> dict[str, Any]:
    """Accuracies, ranks and tau where the labels of judged rows are drawn too."""
    if resampled.original_drawn is None or resampled.corrected_drawn is None:
        return {"applicable": False, "reason": judged.why_no_posterior}
    probability, taus = summary_of_signs(resampled.original_drawn, resampled.corrected_drawn)
    defined = taus[np.isfinite(taus)]
    limits, ranks = interval(resampled.corrected_drawn), rank_interval(resampled.corrected_drawn)
    return {
        "applicable": True,
        "how": "state of every judged row drawn from its posterior (Dawid-Skene on the votes) in every resample",
        "kendall_tau_interval": interval(defined).tolist() if len(defined) else None,
        "pruned_corrected": limits.T.tolist(),
        "rank_corrected": ranks.T.tolist(),
        "p_flip": probability.tolist() if n_models > 1 else [],
    }
