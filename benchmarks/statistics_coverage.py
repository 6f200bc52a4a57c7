"""Do the intervals and guarantees hold? Replays on real noise with known truth, and on synthetic noise.

    python benchmarks/statistics_coverage.py [--replays 1000] [--run FOLDER]

The reviewer is the truth but where mistakes are simulated. Probabilities: stored ones of two networks on CIFAR-10N
aggre; synthetic class-conditional noise of the same size; with --run, a finished run over the CIFAR-10 train images
with CIFAR-10N random1 labels, which `auditor benchmark-detection cifar10n-random1-two --budget standard --seeds 1
--out OUT` leaves in OUT/work/runs. Totals, lists and stop rule are computed by the functions the commands call.
Writes benchmarks/results/statistics.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import DATA, RESULTS, conditions
from statistics_cases import Case, Reviews, random1_case, stored_cases

from auditor.core.errors import DataError
from auditor.estimation.estimate import frame_total
from auditor.estimation.expectation import candidate_share
from auditor.estimation.flag_lists import flag_at_fdr, flag_at_precision
from auditor.stats.fdr import select_fdr
from auditor.stats.precision import select_precision
from auditor.stats.stopping import log_ratio, remaining_errors
from auditor.stats.totals import accuracy_from_pairs, correct_for_reviewer, uniform_total

DRAWS = (200, 500, 1000)
Row = dict[str, Any]


def totals(case: Case, replays: int) -> list[Row]:
    """Coverage and width of the interval `auditor estimate` reports, beside as many uniform draws."""
    reviews, n, rows = Reviews(case), len(case.wrong), []
    for draws in DRAWS:
        ours, plain = [], []
        for replay in range(replays):
            rng = np.random.default_rng((draws, replay))
            ours.append(frame_total(reviews.state(draws, rng), case.wrong, replay).estimate)
            plain.append(uniform_total(case.wrong[rng.integers(0, n, draws)], n).estimate)
        width, uniform = (float(np.mean([t.high - t.low for t in some])) for some in (ours, plain))
        rows.append(
            {
                "case": case.name,
                "B": draws,
                "truth": case.errors,
                "coverage": float(np.mean([t.low <= case.errors <= t.high for t in ours])),
                "too_low": float(np.mean([t.high < case.errors for t in ours])),
                "too_high": float(np.mean([t.low > case.errors for t in ours])),
                "width": width,
                "bias": float(np.mean([t.value for t in ours]) / case.errors - 1),
                "uniform_coverage": float(np.mean([t.low <= case.errors <= t.high for t in plain])),
                "uniform_width": uniform,
                "width_ratio": uniform / width,
            }
        )
    return rows


def fdr(case: Case, replays: int) -> list[Row]:
    """Realised false discovery rate and power with uniform verdicts."""
    rows = []
    for verdicts in (100, 300, 1000):
        outcome: dict[float, list[tuple[float, float]]] = {0.05: [], 0.1: [], 0.2: []}
        for replay in range(replays):
            reviewed = np.random.default_rng((verdicts, replay)).choice(len(case.score), verdicts, replace=False)
            for q, seen in outcome.items():
                seen.append(_shares(case, select_fdr(case.score, reviewed, case.wrong[reviewed], q).flagged))
        rows += [{"case": case.name, "verdicts": verdicts, "q": q, **_realised(seen)} for q, seen in outcome.items()]
    return rows


def _shares(case: Case, flagged: np.ndarray) -> tuple[float, float]:
    """(share of right labels in the list, share of the wrong labels in it); `flagged` is a mask or positions."""
    found = case.wrong[flagged]
    return (1 - found.mean() if len(found) else 0.0), found.sum() / case.errors


def _realised(seen: list[tuple[float, float]]) -> Row:
    shares = np.array([share for share, _ in seen])
    return {
        "fdr": float(shares.mean()),
        "monte_carlo_error": float(shares.std() / math.sqrt(len(seen))),
        "power": float(np.mean([power for _, power in seen])),
    }


def precision(case: Case, replays: int) -> list[Row]:
    """How often the precision promised with 95 % confidence is missed, with uniform verdicts on the candidates."""
    candidates = np.flatnonzero(case.margin > 0)
    errors, rank, rows = case.wrong[candidates], np.arange(len(candidates)), []
    for target in (0.8, 0.9, 0.95):
        for draws in (100, 200, 500):
            violations, recall = 0, []
            for replay in range(replays):
                reviewed = np.random.default_rng((draws, replay)).integers(0, len(candidates), draws)
                hits = errors[select_precision(rank, reviewed, errors[reviewed], target, 0.95).flagged]
                violations += bool(len(hits) and hits.mean() < target)
                recall.append(hits.sum() / case.errors)
            rows.append(
                {
                    "case": case.name,
                    "precision": target,
                    "confidence": 0.95,
                    "verdicts": draws,
                    "violated": violations / replays,
                    "recall": float(np.mean(recall)),
                }
            )
    return rows


def one_stream(case: Case, replays: int) -> list[Row]:
    """Both lists from one importance stream, as `auditor flag --fdr 0.1` and `--precision 0.9` make them.

    The stream is that of `auditor sample --budget B`, without and with `--target-precision 0.9`.
    """
    rows = []
    for draws, target in ((300, None), (300, 0.9), (1000, None), (1000, 0.9)):
        share = 0.0 if target is None else candidate_share(case.margin, draws, target, 0.95)
        reviews = Reviews(case, share)
        seen, sure, cover = [], [], []
        for replay in range(replays):
            state = reviews.state(draws, np.random.default_rng((draws, replay)))
            total = frame_total(state, case.wrong, replay).estimate
            cover.append((total.low <= case.errors <= total.high, total.high - total.low))
            seen.append(_shares(case, flag_at_fdr(state, 0.1).positions))
            sure.append(_shares(case, flag_at_precision(state, 0.9, 0.95).positions))
        rows.append(
            {
                "case": case.name,
                "B": draws,
                "target_precision": target,
                **_realised(seen),
                "precision_violated": float(np.mean([share > 0.1 for share, _ in sure])),
                "precision_recall": float(np.mean([recall for _, recall in sure])),
                "total_coverage": float(np.mean([c for c, _ in cover])),
                "total_width": float(np.mean([w for _, w in cover])),
            }
        )
    return rows


def noisy(case: Case, replays: int) -> list[Row]:
    """Reviewers who are mistaken on 10 % of all items: coverage with and without the correction from double reviews.

    `pairs` are items judged twice, outside the audit stream.
    """
    reviews, n, rows = Reviews(case), len(case.wrong), []
    for draws, pairs in ((500, 50), (500, 300), (1000, 100)):
        plain = covered = impossible = 0
        widths = []
        for replay in range(replays):
            rng = np.random.default_rng((draws, pairs, replay))
            said = case.wrong ^ (rng.random(n) < 0.1)
            seen = frame_total(reviews.state(draws, rng), said, replay)
            plain += seen.estimate.low <= case.errors <= seen.estimate.high
            differ = int(rng.binomial(pairs, 2 * 0.1 * 0.9))
            accuracy = accuracy_from_pairs(differ, pairs)
            try:
                corrected = correct_for_reviewer(seen, n, accuracy).estimate
            except DataError:
                impossible += 1
                continue
            covered += corrected.low <= case.errors <= corrected.high
            widths.append(corrected.high - corrected.low)
        rows.append(
            {
                "case": case.name,
                "B": draws,
                "pairs": pairs,
                "covered_uncorrected": plain / replays,
                "covered_corrected": covered / max(1, replays - impossible),
                "width": float(np.mean(widths)),
                "refused": impossible / replays,
            }
        )
    return rows


def stopping(pools: list[tuple[int, int]], replays: int, most: int) -> list[Row]:
    """Pools with known numbers of errors, looked at after every verdict, small ones to their end."""
    rows = []
    for pool, errors in pools:
        looks = min(pool, most)
        t = np.arange(1, looks + 1)
        outside = low_bound = 0
        bounds: dict[int, list[int]] = {300: [], 1000: [], 3000: []}
        for replay in range(replays):
            rng = np.random.default_rng((pool, errors, replay))
            # Where the errors stand in a random order, without shuffling the whole pool.
            places = np.sort(rng.choice(pool, errors, replace=False)) if errors else np.empty(0, np.int64)
            found = np.searchsorted(places, t, side="left")
            ratio = log_ratio(np.full(looks, errors), pool, t, found)
            outside += bool((ratio >= math.log(20)).any())
            for look in [b for b in bounds if b <= looks and replay < 200]:
                bound = remaining_errors(pool, look, int(found[look - 1]))
                low_bound += bound.high < errors - found[look - 1]
                bounds[look].append(bound.high)
        rows.append(
            {
                "pool": pool,
                "errors": errors,
                "looks": looks,
                "violated": outside / replays,
                **{f"bound_at_{look}": float(np.median(b)) if b else None for look, b in bounds.items()},
            }
        )
    return rows


def show(value: Any) -> str:
    """A cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.0f}"


def table(rows: list[Row]) -> str:
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(show(r[k]) for k in head) + " |" for r in rows])


#: Key of the result, heading of its table, what it must hold, function of a case.
PARTS: list[tuple[str, str, Callable[[Case, int], list[Row]]]] = [
    ("totals", "Total number of wrong labels, nominal 95 %", totals),
    ("fdr", "Lists with a bounded false discovery rate, from uniform verdicts", fdr),
    ("precision", "Lists with a precision promised at 95 % confidence, from uniform verdicts", precision),
    ("one_stream", "Both lists from one importance stream, FDR 0.1 and precision 0.9", one_stream),
    ("noisy", "Reviewers mistaken on 10 % of the items", noisy),
]


def verdicts_on(result: dict[str, list[Row]]) -> list[Row]:
    """What the figures must hold, and whether they do."""
    error = {(row["case"], row["verdicts"], row["q"]): 2 * row["monte_carlo_error"] for row in result["fdr"]}
    cover = [row["coverage"] for row in result["totals"]]
    ratio = [row["width_ratio"] for row in result["totals"] if row["B"] == 500 and "swin" in row["case"]]
    excess = [row["fdr"] - row["q"] - error[row["case"], row["verdicts"], row["q"]] for row in result["fdr"]]
    broken = [row["violated"] for row in result["precision"]]
    stopped = [row["violated"] for row in result["stopping"]]
    return [
        {
            "must hold": "coverage of the total 93 to 97 %",
            "found": f"{min(cover):.3f} to {max(cover):.3f}",
            "holds": bool(min(cover) >= 0.93 and max(cover) <= 0.97),
        },
        {
            "must hold": "at most 1/3 of the width of uniform sampling, swin, B = 500",
            "found": f"1/{min(ratio):.2f}",
            "holds": bool(min(ratio) >= 3),
        },
        {
            "must hold": "FDR <= q + 2 Monte-Carlo errors in every cell",
            "found": f"largest excess {max(excess):+.4f}",
            "holds": bool(max(excess) <= 0),
        },
        {
            "must hold": "precision missed in at most 5 % of the replays",
            "found": f"at most {max(broken):.3f}",
            "holds": bool(max(broken) <= 0.05),
        },
        {
            "must hold": "stop rule violated at any look in at most 5 % of the replays",
            "found": f"at most {max(stopped):.3f}",
            "holds": bool(max(stopped) <= 0.05),
        },
    ]


def pools_of(cases: list[Case]) -> list[tuple[int, int]]:
    """(items, errors): extreme pools, and those the stop rule audits in each case."""
    real = [(int((c.margin <= 0).sum()), int(c.wrong[c.margin <= 0].sum())) for c in cases]
    return [(45_000, 0), (45_000, 5), (45_000, 5000), (500, 3), *real]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--replays", type=int, default=1000)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=[key for key, *_ in PARTS], help="measure this part again, keep the others")
    options = parser.parse_args()
    started = time.perf_counter()
    cases = stored_cases(options.data)
    if options.run is not None:
        cases.append(random1_case(options.data, options.run))
    stored = json.loads((options.out / "statistics.json").read_text()) if options.only else {}
    result: dict[str, list[Row]] = {key: [] if options.only in (None, key) else stored[key] for key, *_ in PARTS}
    for case in cases:
        for key, _, measure in [part for part in PARTS if options.only in (None, part[0])]:
            result[key] += measure(case, options.replays)
            print(f"{case.name}: {key}, {time.perf_counter() - started:.0f} s", flush=True)
    if options.only is None:
        result["stopping"] = stopping(pools_of(cases), options.replays, 3000)
    else:
        result["stopping"] = stored["stopping"]
    seconds = round(time.perf_counter() - started) if options.only is None else stored["seconds"]
    held = verdicts_on(result)
    document = {
        "what": __doc__,
        "conditions": conditions(),
        "replays": options.replays,
        "seconds": seconds,
        "held": held,
        **result,
    }
    (options.out / "statistics.json").write_text(json.dumps(document, indent=1) + "\n")
    command = f"python benchmarks/statistics_coverage.py --replays {options.replays}"
    text = [
        "# Statistics: do intervals and guarantees hold?",
        "",
        f"`{command}{' --run RUN' if options.run else ''}`, {options.replays:,} replays a cell, {seconds} s. The "
        "reviewer is the truth but in the last but one table. Monte-Carlo error of a coverage of .95: "
        f"{math.sqrt(0.95 * 0.05 / options.replays):.3f}. Conditions are in `statistics.json`; the columns are "
        "explained in `docs/numbers.md`.",
        "",
        table(held),
        "",
    ]
    for key, title, _ in PARTS:
        text += [f"## {title}", "", table(result[key]), ""]
    text += ["## Stop rule, looked at after every verdict, nominal 95 %", "", table(result["stopping"]), ""]
    (options.out / "statistics.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
