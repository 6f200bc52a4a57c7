"""The result of a benchmark: frozen data whose field names are the keys of the JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import pandas as pd

from auditor.core.escaping import printable
from auditor.core.files import json_value
from auditor.report.rendering import render_view

SCHEMA: Final = "auditor.benchmark/1"
#: Models, corrected items, and characters of a text, that a notebook shows.
MODELS, PICTURES, CUT = 30, 12, 120


@dataclass(frozen=True)
class ModelResult:
    """One model. Accuracies are means over its seeds; `n_correct` are whole numbers for one network.

    Attributes
    ----------
    name, platform, seeds :
    full_original : float
        All rows, given labels.
    pruned_original, pruned_corrected : float
        Benign and correctable rows.
    correctable_original, correctable_corrected : float or None
        None without correctable rows.
    benign : float
    n_correct : dict
        ``full, benign, correctable_original, correctable_corrected``.
    intervals : dict
        95 % limits by the name of the accuracy.
    rank, rank_interval, rank_bootstrap : dict
        ``original`` and ``corrected``: rank on pruned rows (1 = best), ranks that Holm-adjusted tests leave possible
        (simultaneous), and percentile limits of the bootstrap.
    rank_change : int
        Places won by correcting.
    lenient : dict
        ``original, corrected`` on pruned and ambiguous rows, where any accepted label counts.
    top_k : dict or None
        ``k`` and ``full``: rows whose label is among the k stored classes (one network).
    by_seed : tuple of dict
    """

    name: str
    platform: str | None
    seeds: tuple[int, ...]
    full_original: float
    pruned_original: float
    pruned_corrected: float
    correctable_original: float | None
    correctable_corrected: float | None
    benign: float
    n_correct: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float] | None]
    rank: Mapping[str, int]
    rank_interval: Mapping[str, tuple[int, int]]
    rank_bootstrap: Mapping[str, tuple[int, int]]
    rank_change: int
    lenient: Mapping[str, float]
    top_k: Mapping[str, int] | None
    by_seed: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class BenchmarkResult:
    """Everything a benchmark found; see `docs/benchmark.md` for every key. Sizes are None without labels."""

    dataset: str
    labels: str
    verdicts: Mapping[str, Any]
    agreement: int
    counts: Mapping[str, int | None]
    n_rows: int | None = None
    n_benign: int | None = None
    n_correctable: int | None = None
    n_unknown: int | None = None
    n_pruned: int | None = None
    n_lenient: int | None = None
    prevalence: float | None = None
    percent_error: float | None = None
    models: tuple[ModelResult, ...] = ()
    headline: str = ""
    crossovers: tuple[Mapping[str, Any], ...] = ()
    crossovers_original: tuple[Mapping[str, Any], ...] = ()
    kendall_tau: float | None = None
    kendall_tau_interval: tuple[float, float] | None = None
    rank_correlation: Mapping[str, Any] = field(default_factory=dict)
    flips: tuple[Mapping[str, Any], ...] = ()
    flips_correctable: tuple[Mapping[str, Any], ...] = ()
    n_pairs: int = 0
    n_flips_real: int = 0
    n_flips_correctable_real: int = 0
    pairs: tuple[Mapping[str, Any], ...] = ()
    tie_groups: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] | None = None
    simulation: Mapping[str, Any] | None = None
    by_agreement: tuple[Mapping[str, Any], ...] = ()
    selection: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    label_uncertainty: Mapping[str, Any] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"Benchmark of {self.dataset}: {len(self.models)} models, {self.counts['errors']:,} wrong labels"]
        best = sorted(self.models, key=lambda m: (m.rank["corrected"], m.name))[:3]
        ranks = (
            f"{m.name} {m.pruned_corrected:.2%} (rank {m.rank['original']} -> {m.rank['corrected']})" for m in best
        )
        return "\n  ".join(map(printable, [*lines, *([self.headline] if self.headline else []), *ranks]))

    def html(self, examples: Sequence[Mapping[str, Any]] = ()) -> str:
        """The view of a notebook, with some of the corrected items (`auditor.benchmark.examples`)."""
        models = sorted(self.models, key=lambda m: (m.rank["corrected"], m.name))
        sizes = {"most": MODELS, "pictures": PICTURES, "cut": CUT}
        return render_view("benchmark", r=self, models=models, examples=examples, **sizes)

    def _repr_html_(self) -> str:
        return self.html()


def records(**columns: Any) -> list[dict[str, Any]]:
    """Rows of a table that is given by its columns, each value one of Python's own."""
    return cast("list[dict[str, Any]]", pd.DataFrame(columns).to_dict("records"))


def to_document(result: BenchmarkResult) -> dict[str, Any]:
    """The JSON document: what is not defined is null."""
    return {"schema": SCHEMA, **json_value(result)}
