"""Do the intervals and guarantees hold? Replays on real noise with known truth, and on synthetic noise.

    python benchmarks/statistics_coverage.py [--replays 1000] [--run FOLDER]

The reviewer is the truth (perfect). Margins: stored probabilities of two networks on CIFAR-10N aggre; synthetic
class-conditional noise of the same size; with --run, a finished `find-errors` run over the CIFAR-10 train split with
CIFAR-10N random1 labels. Writes benchmarks/results/statistics.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import RESULTS, conditions

from auditor.core.files import load_npy
from auditor.detect.base import Evidence
from auditor.detect.registry import run_detector
from auditor.stats.fdr import select_fdr
from auditor.stats.precision import select_precision
from auditor.stats.sampling import audit_probabilities, draw_audit
from auditor.stats.stopping import remaining_errors
from auditor.stats.totals import estimate_total, uniform_total

DRAWS = (200, 500, 1000)
Case = tuple[str, np.ndarray, np.ndarray]


def margin(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The default ranking score."""
    evidence = Evidence(np.arange(len(labels)), labels, probabilities.shape[1], probabilities=probabilities)
    return np.asarray(run_detector("log_odds_margin", evidence).score)


def cases(data: Path, run: Path | None) -> list[Case]:
    """(name, score, label is wrong)."""
    clean = np.load(data / "cifar10n" / "clean.npy").astype(np.int64)
    aggre = np.load(data / "cifar10n" / "aggre.npy").astype(np.int64)
    found: list[Case] = []
    for network in ("resnet18", "swin_base_patch4_window7_224"):
        with np.load(data / "oof" / "cifar10n_aggre" / f"{network}.npz") as file:
            found.append((f"aggre, {network}", margin(aggre, file["pred_probs"]), aggre != clean))
    found.append(("synthetic, class-conditional", *class_conditional(clean)))
    if run is not None:
        import auditor

        opened = auditor.open_run(run)
        labels, random1 = np.asarray(opened.labels), np.load(data / "cifar10n" / "random1.npy").astype(np.int64)
        if not np.array_equal(labels, random1):
            raise SystemExit(f"{run}: its labels are not CIFAR-10N random1")
        score = margin(labels, load_npy(opened.path / "pred_probs.npy"))
        found.append(("random1, own networks", score, labels != clean))
    return found


def class_conditional(clean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """10 % of each class moved to the next one; probabilities of a 90 % accurate model of the true class."""
    rng = np.random.default_rng(0)
    wrong = rng.random(len(clean)) < 0.1
    labels = np.where(wrong, (clean + 1) % 10, clean)
    logits = rng.normal(0, 1.6, (len(clean), 10))
    logits[np.arange(len(clean)), clean] += 5
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return margin(labels, p / p.sum(axis=1, keepdims=True)), wrong


def totals(case: Case, replays: int) -> list[dict[str, Any]]:
    name, score, wrong = case
    truth, probabilities, rows = int(wrong.sum()), audit_probabilities(score), []
    for draws in DRAWS:
        ours, plain = [], []
        for replay in range(replays):
            rng = np.random.default_rng((draws, replay))
            sample = draw_audit(probabilities, draws, rng)
            ours.append(estimate_total(score, sample, wrong[sample.positions], rng).estimate)
            plain.append(uniform_total(wrong[rng.integers(0, len(wrong), draws)], len(wrong)).estimate)
        rows.append({
            "case": name, "B": draws, "truth": truth,
            "coverage": float(np.mean([t.low <= truth <= t.high for t in ours])),
            "width": float(np.mean([t.high - t.low for t in ours])),
            "bias": float(np.mean([t.value for t in ours]) / truth - 1),
            "uniform_coverage": float(np.mean([t.low <= truth <= t.high for t in plain])),
            "uniform_width": float(np.mean([t.high - t.low for t in plain])),
        })  # fmt: skip
    return rows


def fdr(case: Case, replays: int) -> list[dict[str, Any]]:
    name, score, wrong = case
    rows = []
    for verdicts in (100, 300, 1000):
        outcome: dict[float, list[tuple[float, float]]] = {0.05: [], 0.1: [], 0.2: []}
        for replay in range(replays):
            reviewed = np.random.default_rng((verdicts, replay)).choice(len(score), verdicts, replace=False)
            for q, seen in outcome.items():
                flagged = select_fdr(score, reviewed, wrong[reviewed], q).flagged
                hits, n = int((wrong & flagged).sum()), int(flagged.sum())
                seen.append((1 - hits / n if n else 0.0, hits / wrong.sum()))
        for q, seen in outcome.items():
            shares = np.array([s for s, _ in seen])
            rows.append({
                "case": name, "verdicts": verdicts, "q": q, "fdr": float(shares.mean()),
                "monte_carlo_error": float(shares.std() / math.sqrt(replays)),
                "power": float(np.mean([p for _, p in seen])),
            })  # fmt: skip
    return rows


def precision(case: Case, replays: int) -> list[dict[str, Any]]:
    name, score, wrong = case
    candidates = np.flatnonzero(score > 0)
    errors = wrong[candidates]
    rank = np.empty(len(candidates), np.int64)
    rank[np.argsort(-score[candidates], kind="stable")] = np.arange(len(candidates))
    rows = []
    for target in (0.8, 0.9, 0.95):
        for draws in (100, 200, 500):
            violations, recall = 0, []
            for replay in range(replays):
                reviewed = np.random.default_rng((draws, replay)).integers(0, len(candidates), draws)
                flagged = select_precision(rank, reviewed, errors[reviewed], target, 0.95).flagged
                violations += bool(flagged.any() and errors[flagged].mean() < target)
                recall.append(errors[flagged].sum() / wrong.sum())
            rows.append({
                "case": name, "precision": target, "confidence": 0.95, "B": draws,
                "violated": violations / replays, "recall": float(np.mean(recall)),
            })  # fmt: skip
    return rows


def stopping(replays: int, looks: int) -> list[dict[str, Any]]:
    """Pools with known numbers of errors; the bound is looked at after every verdict up to `looks`."""
    rows = []
    for pool, errors in ((45_000, 0), (45_000, 5), (45_000, 236), (45_000, 5000), (500, 3)):
        outside = 0
        known: dict[tuple[int, int], tuple[int, int]] = {}
        for replay in range(replays):
            found = np.cumsum(np.random.default_rng((pool, replay)).permutation(pool) < errors)
            for look in range(1, min(pool, looks) + 1):
                key = (look, int(found[look - 1]))
                if key not in known:
                    bound = remaining_errors(pool, *key)
                    known[key] = (bound.low, bound.high)
                low, high = known[key]
                if not low <= errors - key[1] <= high:
                    outside += 1
                    break
        rows.append({"pool": pool, "errors": errors, "looks": min(pool, looks), "violated": outside / replays})
    return rows


def show(value: Any) -> str:
    """A cell."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 10 else f"{value:,.0f}"


def table(rows: list[dict[str, Any]]) -> str:
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(show(r[k]) for k in head) + " |" for r in rows])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--replays", type=int, default=1000)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    result: dict[str, Any] = {"totals": [], "fdr": [], "precision": []}
    for case in cases(options.data, options.run):
        for part, measure in (("totals", totals), ("fdr", fdr), ("precision", precision)):
            result[part] += measure(case, options.replays)
            print(f"{case[0]}: {part}, {time.perf_counter() - started:.0f} s", flush=True)
    result["stopping"] = stopping(options.replays, 300)
    seconds = round(time.perf_counter() - started)
    document = {"what": __doc__, "conditions": conditions(), "replays": options.replays, "seconds": seconds, **result}
    (RESULTS / "statistics.json").write_text(json.dumps(document, indent=1) + "\n")
    text = [
        "# Statistics: do intervals and guarantees hold?", "",
        f"`python benchmarks/statistics_coverage.py --replays {options.replays}`; the reviewer is the truth. "
        f"Monte-Carlo error of a coverage of .95: {math.sqrt(0.95 * 0.05 / options.replays):.3f}.", "",
        "## Total number of errors, nominal 95 %", "", table(result["totals"]), "",
        "## Flag lists with a bounded false discovery rate", "", table(result["fdr"]), "",
        "## Flag lists with a guaranteed precision, confidence .95", "", table(result["precision"]), "",
        "## Stop rule, looked at after every verdict, nominal 95 %", "", table(result["stopping"]), "",
    ]  # fmt: skip
    (RESULTS / "statistics.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
