"""Detectors on stored out-of-sample probabilities of five networks, CIFAR-10N aggre, beside cleanlab.

Same probabilities for every tool (float64, rows renormalised). Run from a checkout::

    python benchmarks/detection_oof.py [--data ../shared/data] [--draws 200]

writes benchmarks/results/detection-oof.json and .md. The truth is the CIFAR-10 label, itself wrong for about
0.5 % of the items: AP above 98 is at its noise floor.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from auditor.core.machine import describe_machine, package_versions
from auditor.detect.base import Detection, Evidence
from auditor.detect.metrics import Ranked, flag_counts, paired_bootstrap
from auditor.detect.registry import run_detector

NETWORKS = ("resnet18", "resnet50d", "efficientnet_b1", "twins_pcpvt_base", "swin_base_patch4_window7_224")
OURS = (
    "log_odds_margin", "self_confidence", "normalized_margin", "confidence_weighted_entropy", "entropy",
    "class_adjusted", "confident_joint", "em_posterior", "combined",
)  # fmt: skip
FILTERS = (
    "prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given",
    "low_normalized_margin", "low_self_confidence",
)  # fmt: skip
SCORES = (
    ("self_confidence", False), ("normalized_margin", False), ("confidence_weighted_entropy", False),
    ("self_confidence", True), ("normalized_margin", True),
)  # fmt: skip
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    started = time.perf_counter()
    labels = np.load(options.data / "cifar10n" / "aggre.npy").astype(np.int64)
    wrong = labels != np.load(options.data / "cifar10n" / "clean.npy")
    rows: list[dict] = []
    intervals: list[dict] = []
    for name, given in evidences(options.data, labels):
        rows += measure(name, given, wrong)
        intervals += compare(name, given, wrong, options.draws)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    result = {
        "schema": "auditor.benchmark.detection-oof/1", "labels": "CIFAR-10N aggre", "n": len(labels),
        "errors": int(wrong.sum()), "draws": options.draws, "machine": describe_machine(),
        "versions": package_versions(), "seconds": round(time.perf_counter() - started, 1),
        "rows": rows, "intervals": intervals,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "detection-oof.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "detection-oof.md").write_text(table(result))


def evidences(data: Path, labels: np.ndarray) -> list[tuple[str, Evidence]]:
    """Each network, their uniform mean, and all five together (convex weights)."""
    ids = np.char.zfill(np.arange(len(labels)).astype(str), 5)
    p = {}
    for name in NETWORKS:
        with np.load(data / "oof" / "cifar10n_aggre" / f"{name}.npz") as file:
            if not np.array_equal(file["labels"], labels):
                raise SystemExit(f"{name}: labels differ from aggre.npy")
            p[name] = file["pred_probs"]
    found = [(n, Evidence(ids, labels, 10, probabilities=p[n])) for n in NETWORKS]
    every = Evidence(ids, labels, 10, probabilities=list(p.values()), networks=NETWORKS)
    uniform = np.mean(list(every.network_probabilities.values()), axis=0)
    return [*found, ("uniform", Evidence(ids, labels, 10, probabilities=uniform)), ("convex", every)]


def of_ranking(wrong: np.ndarray, score: np.ndarray) -> dict[str, float]:
    ranked = Ranked.of(wrong, score)
    return {
        "AP": ranked.average_precision(), "AUROC": ranked.auroc(), "P@N": ranked.precision_at(),
        "P@100": ranked.precision_at(100), "best F1": ranked.best_f1(),
    }  # fmt: skip


def of_flags(wrong: np.ndarray, flagged: np.ndarray) -> dict[str, float]:
    counts = flag_counts(wrong, flagged)
    return {"F1": counts.f1, "flagged": counts.flagged, "precision": counts.precision, "recall": counts.recall}


def measure(network: str, given: Evidence, wrong: np.ndarray) -> list[dict]:
    rows = []
    for name in OURS:
        begun = time.perf_counter()
        found = run_detector(name, given)
        if not isinstance(found, Detection):
            raise SystemExit(f"{name}: {found.reason}")
        row = {"network": network, "tool": "auditor", "what": name, **of_ranking(wrong, found.score)}
        if found.flagged is not None:
            row |= of_flags(wrong, found.flagged)
        rows.append(row | {"seconds": time.perf_counter() - begun})
    for rule in FILTERS:
        begun = time.perf_counter()
        flagged = find_label_issues(given.labels, given.mean_probabilities, filter_by=rule, n_jobs=1)
        row = {"network": network, "tool": "cleanlab", "what": f"filter {rule}", **of_flags(wrong, flagged)}
        rows.append(row | {"seconds": time.perf_counter() - begun})
    for method, adjust in SCORES:
        begun = time.perf_counter()
        quality = get_label_quality_scores(
            given.labels, given.mean_probabilities, method=method, adjust_pred_probs=adjust
        )  # fmt: skip
        what = f"score {method}{', adjusted' if adjust else ''}"
        row = {"network": network, "tool": "cleanlab", "what": what, **of_ranking(wrong, -quality)}
        rows.append(row | {"seconds": time.perf_counter() - begun})
    return rows


def compare(network: str, given: Evidence, wrong: np.ndarray, draws: int) -> list[dict]:
    """AP of ours over cleanlab's best known score, and F1 of our default flags over two of its rules."""
    n = len(wrong)
    margin = run_detector("log_odds_margin", given)
    flags = run_detector("class_adjusted", given)
    combined = run_detector("combined", given)
    if not (isinstance(margin, Detection) and isinstance(flags, Detection) and isinstance(combined, Detection)):
        raise SystemExit("a detector was not applicable")
    quality = get_label_quality_scores(given.labels, given.mean_probabilities, method="self_confidence")
    base = Ranked.of(wrong, -quality).average_precision
    pairs = [
        ("AP", "log_odds_margin - self_confidence", Ranked.of(wrong, margin.score).average_precision, base),
        ("AP", "combined - self_confidence", Ranked.of(wrong, combined.score).average_precision, base),
    ]
    mine = flags.flagged
    for rule in ("prune_by_noise_rate", "predicted_neq_given"):
        peer = find_label_issues(given.labels, given.mean_probabilities, filter_by=rule, n_jobs=1)
        pairs.append((
            "F1", f"class_adjusted - {rule}",
            lambda w: flag_counts(wrong, mine, w).f1,
            lambda w, peer=peer: flag_counts(wrong, peer, w).f1,
        ))  # fmt: skip
    rows = []
    for metric, what, first, second in pairs:
        found = paired_bootstrap(n, first, second, draws)
        rows.append({
            "network": network, "metric": metric, "what": what,
            "difference": found.difference, "low": found.low, "high": found.high,
        })  # fmt: skip
    return rows


def table(result: dict) -> str:
    machine, versions = result["machine"], result["versions"]
    lines = [
        "# Detectors on stored probabilities: CIFAR-10N aggre", "",
        f"{result['n']} items, {result['errors']} wrong labels. Probabilities: five ImageNet-pretrained networks, "
        "5-fold, fine-tuned on the same labels; not trained here. One realisation of annotators and of training. "
        "The truth is itself wrong for about 0.5 % of the items: AP above 98 is at its noise floor. "
        "`best F1` chooses its cut with the truth: an upper bound.",
        "", f"{machine['cpu']}, {machine['cores']} cores (shared with other jobs: seconds are rough); "
        + ", ".join(f"{k} {v}" for k, v in versions.items() if k in ("auditor", "numpy", "scipy", "cleanlab"))
        + f"; whole run {result['seconds']:.0f} s.", "",
    ]  # fmt: skip
    columns = ("AP", "AUROC", "P@N", "P@100", "best F1", "F1", "flagged", "precision", "recall", "seconds")
    for network in dict.fromkeys(row["network"] for row in result["rows"]):
        lines += [f"## {network}", "", "| tool | what | " + " | ".join(columns) + " |", "|---|---|" + "---|" * 10]
        for row in result["rows"]:
            if row["network"] == network:
                cells = [cell(column, row.get(column)) for column in columns]
                lines.append(f"| {row['tool']} | {row['what']} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [
        f"## Differences, in points, with 95 % paired bootstrap intervals over items ({result['draws']} draws)", "",
        "| network | metric | difference of | points | interval |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in result["intervals"]:
        low, high = 100 * row["low"], 100 * row["high"]
        points = f"{100 * row['difference']:+.2f} | [{low:+.2f}, {high:+.2f}]"
        lines.append(f"| {row['network']} | {row['metric']} | {row['what']} | {points} |")
    return "\n".join(lines) + "\n"


def cell(column: str, value: float | None) -> str:
    if value is None:
        return ""
    if column == "flagged":
        return f"{value:.0f}"
    return f"{value:.2f}" if column == "seconds" else f"{100 * value:.2f}"


if __name__ == "__main__":
    main()
