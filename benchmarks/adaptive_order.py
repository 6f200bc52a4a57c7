"""What does the learned order of the review queue bring, and do the estimates stay valid beside it?

    python benchmarks/adaptive_order.py --run FOLDER [--replays 100] [--items 6000] [--verdicts 1600]

FOLDER: a finished run over the CIFAR-10 train images with CIFAR-10N random1 labels (see statistics_coverage.py); each
replay reviews another random part of its items. A quarter of the verdicts goes to the audit stream, the rest down the
ranked list; the order is learned anew after every 50 by `numbers.adaptive.learned_order`, as the app does. The reviewer
is the truth. Beside it the same review in the run's order, and both over a poorer ranking, the margin alone.
Writes benchmarks/results/adaptive-order.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import DATA, RESULTS, conditions
from statistics_cases import Case, Reviews, random1_case
from statistics_coverage import table

import auditor
from auditor.audit.evidence import run_evidence
from auditor.detect.base import Evidence
from auditor.detect.margins import log_odds_margin
from auditor.estimation.adaptive import EVERY, learned_order
from auditor.estimation.estimate import frame_total

AUDIT_SHARE = 0.25


def review(
    evidence: Evidence, base: np.ndarray, wrong: np.ndarray, audit: np.ndarray, verdicts: int, adaptive: bool
) -> tuple[int, int]:
    """Wrong labels found by the ranked stream, and how often an order was learned.

    The audit draws come in their order, one after every three ranked items; items judged by either stream are known.
    """
    judged = np.zeros(len(base), bool)
    order, learned, found, next_draw = np.argsort(-base, kind="stable"), 0, 0, 0
    for done in range(verdicts):
        if adaptive and done and done % EVERY == 0:
            at = np.flatnonzero(judged)
            score, _ = learned_order(evidence, base, at, wrong[at])
            learned += score is not None
            order = np.argsort(-(base if score is None else score), kind="stable")
        if done % 4 == 3:
            item = audit[next_draw]
            next_draw += 1
        else:
            item = order[~judged[order]][0]
            found += bool(wrong[item])
        judged[item] = True
    return found, learned


def replay(case: Case, evidence: Evidence, seed: int, verdicts: int) -> dict[str, Any]:
    """One review in each order, on the same items and with the same audit draws; what the audit stream then says."""
    margin = log_odds_margin(evidence.mean_probabilities, evidence.labels)
    rng = np.random.default_rng(seed)
    draws = round(verdicts * AUDIT_SHARE)
    state = Reviews(replace(case, margin=margin)).state(draws, rng)
    row: dict[str, Any] = {"truth": case.errors}
    for name, base in (("run", case.score), ("margin", margin)):
        for adaptive in (False, True):
            found, learned = review(evidence, base, case.wrong, state.draws, verdicts, adaptive)
            row[f"{name}, {'adaptive' if adaptive else 'fixed'}"] = found
            if adaptive:
                row[f"{name}, learned"] = learned
    total = frame_total(state, case.wrong, seed).estimate
    return row | {"covered": total.low <= case.errors <= total.high, "value": total.value}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--items", type=int, default=16000)
    parser.add_argument("--verdicts", type=int, default=1600)
    options = parser.parse_args()
    started = time.perf_counter()
    whole, run = random1_case(options.data, options.run), auditor.open_run(options.run)
    evidence = run_evidence(run)
    place = {str(i): k for k, i in enumerate(evidence.ids)}
    ranked = np.array([place[i] for i in run.scores["id"]])
    rows = []
    for seed in range(options.replays):
        part = np.sort(np.random.default_rng((seed, 1)).choice(len(ranked), options.items, replace=False))
        case = Case(whole.name, whole.score[part], whole.margin[part], whole.wrong[part])
        rows.append(replay(case, evidence.take(ranked[part]), seed, options.verdicts))
    names = ("run, fixed", "run, adaptive", "margin, fixed", "margin, adaptive")
    summary = [
        {
            "order": name,
            "wrong labels found": float(np.mean([r[name] for r in rows])),
            "gain over fixed": float(np.mean(gain := [r[name] - r[f"{name.partition(',')[0]}, fixed"] for r in rows])),
            "standard error": float(np.std(gain) / math.sqrt(len(rows))),
        }
        for name in names
    ]
    learned = {n: float(np.mean([r[f"{n}, learned"] for r in rows])) for n in ("run", "margin")}
    truth = np.array([r["truth"] for r in rows])
    bias = float(np.mean([r["value"] for r in rows]) / truth.mean() - 1)
    estimate = {"coverage": float(np.mean([r["covered"] for r in rows])), "bias": bias, "learned": learned}
    seconds = round(time.perf_counter() - started)
    RESULTS.joinpath("adaptive-order.json").write_text(
        json.dumps(
            {
                "what": __doc__,
                "conditions": conditions(),
                "seconds": seconds,
                "replays": options.replays,
                "items": options.items,
                "verdicts": options.verdicts,
                "summary": summary,
                "estimate": estimate,
                "rows": rows,
            },
            indent=1,
            default=float,
        )
        + "\n"
    )
    text = [
        "# Adaptive order of the review queue",
        "",
        f"`python benchmarks/adaptive_order.py --run RUN --replays {options.replays} --items {options.items} "
        f"--verdicts {options.verdicts}`, {seconds} s. CIFAR-10N random1, own network (quick budget, not a "
        f"reproduction), with its training dynamics; {options.items:,} items a replay, "
        f"{round(options.verdicts * (1 - AUDIT_SHARE))} of the {options.verdicts} verdicts down the list. The reviewer "
        "is the truth.",
        "",
        table(summary),
        "",
        f"Total from the audit stream beside it: coverage {estimate['coverage']:.3f}, bias {bias:+.3f}. An order was "
        f"learned {learned['run']:.1f} times of {options.verdicts // EVERY - 1} over the run's ranking, "
        f"{learned['margin']:.1f} times over the margin; else the guard kept the order.",
        "",
    ]
    RESULTS.joinpath("adaptive-order.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
