"""What a benchmark found, in sentences."""

from __future__ import annotations

from auditor.benchmark.result import BenchmarkResult


def headline(result: BenchmarkResult) -> str:
    """One sentence a manager understands."""
    best = min(result.models, key=lambda m: (m.rank["corrected"], m.name))
    if len(result.models) < 2:
        return f"{best.name}: {best.pruned_corrected:.2%} on corrected labels; with one model there is no ranking."
    changed, real = len(result.flips), result.n_flips_real
    tied = [name for name in result.tie_groups["corrected"][0] if name != best.name]
    ties = f", which cannot be told apart from {_list(tied)}" if tied else ""
    what = f"Correcting {result.n_correctable:,} labels changes the order of"
    if not changed:
        return f"{what} none of the {result.n_pairs} pairs of models. Pick {best.name}{ties}."
    return (
        f"{what} {changed} of {result.n_pairs} pairs of models; {real} of {changed} rank "
        f"{'change is' if real == changed == 1 else 'changes are'} real (beyond chance). Pick {best.name}{ties}."
    )


def _list(names: list[str], most: int = 3) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def benchmark_lines(result: BenchmarkResult) -> list[str]:
    """The result for a terminal."""
    counts = result.counts
    lines = [
        f"{counts['checked']:,} rows judged, {result.agreement} equal votes needed: {counts['errors']:,} wrong labels"
        + ("." if counts["correctable"] is None else f", {counts['correctable']:,} of them correctable.")
    ]
    if result.n_pruned is None:
        return lines + [f"Note: {note}" for note in result.notes]
    lines.append(
        f"{result.n_benign:,} benign + {result.n_correctable:,} correctable rows kept of {result.n_rows:,}; "
        f"{result.n_unknown:,} unknown ones removed. Prevalence {100 * (result.prevalence or 0):.4f} %."
    )
    if not result.models:
        return lines
    lines.append(result.headline)
    significant = sum(bool(c["significant"]) for c in result.crossovers)
    lines.append(
        f"{len(result.crossovers)} of {result.n_pairs} pairs cross at a higher prevalence of wrong labels; "
        f"{significant} significantly so."
    )
    circular = result.selection.get("circular", [])
    if circular:
        lines.append(f"Circular: {_list(circular)} answers like the model that found the errors; see the report.")
    return lines + [f"Note: {note}" for note in result.notes]


def caveats(result: BenchmarkResult) -> list[str]:
    """What a reader must know before quoting a number."""
    n = result.n_correctable or 0
    lines = [
        f"Everything corrected rests on {n:,} rows. "
        + (
            "With so few, one row moves the accuracy on them by several points; no crossover below can be relied on "
            "unless it is marked significant."
            if n < 100
            else "Crossovers are marked where they are significant."
        ),
        "Only rows that a detector doubted were judged. All others count as right, so the number of wrong labels is a "
        "lower bound.",
        f"'Prevalence' is correctable / (benign + correctable) = {100 * (result.prevalence or 0):.4f} %; '% error' is "
        f"wrong labels / all rows = {result.percent_error:.4f} %. A crossover at a higher prevalence is reached by "
        "removing benign rows, usually nearly all of them; it does not say what happens on other data.",
        f"A verdict holds with {result.agreement} equal votes. The table by agreement shows how far the result depends "
        "on that.",
    ]
    if result.verdicts.get("kind") == "published":
        lines.append(
            "The corrected labels are guesses of one model that people agreed with: a ranked model that resembles it "
            "is favoured on these rows (see selection effect)."
        )
    if any(m.platform for m in result.models):
        lines.append("Platform and model together name a model: the same architecture differs between frameworks.")
    return lines
