"""Does cleaning help where the truth is known? `auditor improve` on human and injected label noise.

Run from a checkout::

    python benchmarks/improvement.py [--data ../shared/data] [--seeds 3] [--items 2000] [--cases cifar10n texts table]

writes benchmarks/results/improvement.json and .md. Cases: CIFAR-10 train images with the human labels of CIFAR-10N
(aggre and random1), frozen EfficientNet-Lite0 features at 64 px with a linear head; NoisyAG-News, TF-IDF;
scikit-learn's digits as a table of 64 numbers, boosting, with 0 and 20 % of the labels moved to the next class. Each is
audited by `find_errors`; somebody who is always right judges the suspects, and their patch is the corrected labels. The
models are compared on all items, held out in five turns, by the published right labels. Small sets and models: not a
reproduction of any paper.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from engine_data import DATA
from sklearn.datasets import load_digits

import auditor
from auditor.core.config import load_settings
from auditor.core.machine import describe_machine, package_versions
from auditor.core.seeds import generator
from auditor.data.base import Dataset, ItemTable
from auditor.data.kinds import TableDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.patch.create import create_patch
from auditor.patch.files import write_patch
from auditor.report.markdown import interval, percent, table
from auditor.review.consensus import ItemConsensus
from auditor.runs.run import Run

RESULTS = Path(__file__).parent / "results"


def cifar10n(data: Path, items: int) -> Iterator[tuple[str, Dataset, np.ndarray, dict[str, Any]]]:
    whole = open_dataset("cifar10?split=train", load_settings({"data_dir": data}))
    rows = np.sort(generator(0, "improvement", "cifar10n").permutation(len(whole))[:items])
    clean = np.load(data / "cifar10n" / "clean.npy")[rows].astype(np.int64)
    for kind in ("aggre", "random1"):
        given = np.load(data / "cifar10n" / f"{kind}.npy")[rows].astype(np.int64)
        part = whole.subset(rows)
        part.items = replace(part.items, labels=given)
        yield f"CIFAR-10N {kind}", part, clean, {"model": "frozen", "budget": "quick"}


def _items(labels: np.ndarray) -> ItemTable:
    n = len(labels)
    return ItemTable(np.array([f"{k:05d}" for k in range(n)]), labels, np.full(n, "all"), np.arange(n))


def texts(data: Path, items: int) -> Iterator[tuple[str, Dataset, np.ndarray, dict[str, Any]]]:
    rows = pd.read_csv(data / "text" / "noisy_agnews_10k.csv").iloc[:items]
    names, codes = np.unique(rows[["label", "gt"]].astype(str).to_numpy(), return_inverse=True)
    given, truth = codes.reshape(-1, 2).astype(np.int64).T
    column = rows["text"].astype(str).to_numpy(dtype=object)
    dataset = TextDataset(
        name="noisy-agnews", reference="noisy-agnews", class_names=tuple(names), items=_items(given), column=column
    )
    yield "NoisyAG-News", dataset, truth, {"model": "tfidf"}


def tables(data: Path, items: int) -> Iterator[tuple[str, Dataset, np.ndarray, dict[str, Any]]]:
    bunch = load_digits(as_frame=True)
    truth = bunch.target.to_numpy(np.int64)
    for rate in (0.0, 0.2):
        wrong = generator(0, "improvement", "table").random(len(truth)) < rate
        dataset = TableDataset(
            name="digits-table",
            reference="digits-table",
            class_names=tuple(map(str, range(10))),
            items=_items(np.where(wrong, (truth + 1) % 10, truth)),
            frame=bunch.data.astype(np.float64),
        )
        yield f"digits as a table, {rate:.0%} wrong", dataset, truth, {"model": "boosting", "budget": "smoke"}


CASES = {"cifar10n": cifar10n, "texts": texts, "table": tables}


def patch_of_suspects(run: Run, truth: np.ndarray, path: Path) -> None:
    """What somebody who is always right makes of the suspects."""
    names, consensus = run.class_names, []
    right = dict(zip(run.items["id"], truth.tolist(), strict=True))
    suspects = run.findings[run.findings["code"] == "LE001"]
    for row in suspects.itertuples():
        label = names[right[row.id]]
        verdict = "given" if label == row.given else "suggested" if label == row.suggested else f"other:{label}"
        consensus.append(ItemConsensus(row.id, verdict, label, {verdict: 1}, 1, None))
    # The reference of these runs opens nothing; the label column is that of the data in memory.
    run.manifest["data"]["reference"] = "digits"
    write_patch(create_patch(run, consensus, load_settings(), leave_out_conflicts=True).patch, path)


def measure(
    name: str, dataset: Dataset, truth: np.ndarray, model: dict[str, Any], seeds: int, work: Path
) -> dict[str, Any]:
    begin = time.perf_counter()
    run = auditor.find_errors(dataset, out=work / "run", audit="all", quality=False, workers=1, **model)
    audit_seconds = time.perf_counter() - begin
    np.save(work / "truth.npy", truth)
    patch_of_suspects(run, truth, work / "suspects.labelpatch.jsonl")
    done = auditor.improve(
        auditor.open_run(work / "run"),
        data=dataset,
        labels=work / "truth.npy",
        patch=work / "suspects.labelpatch.jsonl",
        seeds=seeds,
        workers=1,
    )
    wrong = run.items["label"].to_numpy() != truth
    flagged = run.items["id"].isin(run.findings["id"]).to_numpy()
    return {
        "case": name,
        "items": len(truth),
        "wrong": int(wrong.sum()),
        "suspects": int(flagged.sum()),
        "wrong_suspects": int((flagged & wrong).sum()),
        "audit_seconds": round(audit_seconds, 1),
        **{key: done.document[key] for key in ("model", "seeds", "folds", "arms", "comparisons", "conclusion")},
        "improve_seconds": done.document["conditions"]["seconds"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "improvement.json"
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    rows: list[dict[str, Any]] = []
    for case in options.cases:
        for name, dataset, truth, model in CASES[case](options.data, options.items):
            with tempfile.TemporaryDirectory() as work:
                rows.append(measure(name, dataset, truth, model, options.seeds, Path(work)))
            print(name, rows[-1]["conclusion"], rows[-1]["improve_seconds"], flush=True)
            # After each case, beside cases that another call measured: an interrupted one keeps what it has.
            here = {row["case"] for row in rows}
            result = {
                "schema": "auditor.benchmark.improvement/1",
                "rows": [row for row in before if row["case"] not in here] + rows,
                "machine": describe_machine(),
                "versions": package_versions(),
            }
            path.write_text(json.dumps(result, indent=1) + "\n")
            path.with_suffix(".md").write_text(markdown(result))


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "# Does cleaning help where the truth is known?",
        "",
        "Made by `python benchmarks/improvement.py`. Accuracy in % on all items, each held out in turn, by the "
        "published right labels; *difference* in points from training on the given labels, with intervals over "
        "items and seeds that hold together at 95 %. Corrected: the suspects, judged by somebody who is always "
        "right. Small sets and models: **not a reproduction** of any paper.",
        "",
    ]
    rows = []
    for r in result["rows"]:
        found = f"{r['wrong_suspects']:,} of {r['suspects']:,}"
        about = [r["case"], r["model"]["name"], f"{r['items']:,}", f"{r['wrong']:,}", found]
        by_arm = {row["arm"]: row for row in r["comparisons"]}
        for arm in r["arms"]:
            told = by_arm.get(arm["name"])
            difference = None if told is None else interval(told["difference"], told["interval"])
            verdict = arm["reason"] or (told["verdict"] if told else None)
            rows.append([*about, arm["name"], percent(arm["accuracy"]), difference, verdict, r["seeds"]])
    header = ["case", "model", "items", "wrong", "wrong among suspects", "labels", "accuracy", "difference", "cleaning"]
    seconds = ", ".join(f"{r['case']} {r['audit_seconds']} + {r['improve_seconds']} s" for r in result["rows"])
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {result['versions'][key]}" for key in ("auditor", "scikit-learn", "torch"))
    lines += table([*header, "seeds"], rows)
    return "\n".join([*lines, "", f"Audit + comparison, one worker: {seconds}.", "", f"{machine}; {versions}", ""])


if __name__ == "__main__":
    main()
