"""What items are worth: exact KNN-Shapley beside cleanlab's, and whether leaving out the least worthy helps.

Run from a checkout::

    OMP_NUM_THREADS=1 python benchmarks/data_valuation.py [--data ../shared/data] [--seeds 3] [--items 2000]
        [--cases cifar10n texts table] [--sizes 1000 2000 5000 10000 20000]

writes benchmarks/results/data-valuation.json and .md. The cases are those of `benchmarks/improvement.py`: human label
errors on CIFAR-10 (frozen features) and AG-News (sentence encoder), digits as a table with 0 and 20 % moved labels.

- **Order**: average precision of the wrong labels among the items of low value. cleanlab's `data_shapley_knn` (k = 10)
  and auditor's `knn_shapley` (k = 10) have the same features; beside them the run's own ranking.
- **Pruning**: a model is trained without the lowest 5 and 20 % by each order and at random, and compared with all items
  on the published right labels of all items, held out in five turns: the measure of `auditor improve`.
- **Time**: both on random features of 64 columns and 10 classes; cleanlab holds n x n numbers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.data_valuation import data_shapley_knn
from improvement import CASES
from peers import training_data

import auditor
from auditor.core.machine import conditions
from auditor.core.progress import SilentProgress
from auditor.core.seeds import generator
from auditor.data.base import Dataset
from auditor.data.kinds import TableDataset, TextDataset
from auditor.detect.knn_shapley import knn_shapley
from auditor.improvement.arms import GIVEN, Arm
from auditor.improvement.compare import compare_arms, split_parts, train_arms
from auditor.lab.detectors.metrics import Ranked
from auditor.quality.distances import column_vectors
from auditor.report.markdown import interval, percent, table
from auditor.train.choose import make_trainer
from auditor.train.choose_embedding import fit_for_cosine
from auditor.train.embeddings import embed
from auditor.train.encoders import make_encoder

RESULTS = Path(__file__).parent / "results"
SHARES, K, FOLDS = (0.05, 0.2), 10, 5


def vectors_of(dataset: Dataset, cache: Path) -> np.ndarray:
    """Features that neighbours are sought in."""
    if isinstance(dataset, TableDataset):
        return column_vectors(dataset.frame)
    text = isinstance(dataset, TextDataset)
    encoder = make_encoder("minilm") if text else make_encoder("efficientnet-lite0", 48)
    items: Any = dataset.texts if text else dataset.load_images()[0]  # type: ignore[attr-defined]
    return fit_for_cosine(np.asarray(embed(encoder, items, cache, "cpu", 1, SilentProgress(), "embed")), encoder)


def pruned(labels: np.ndarray, suspicion: np.ndarray, share: float) -> np.ndarray:
    """Items that stay when the most suspicious go."""
    stays = np.ones(len(labels), bool)
    stays[np.argsort(-suspicion, kind="stable")[: round(share * len(labels))]] = False
    return stays


def measure(
    name: str, dataset: Dataset, truth: np.ndarray, model: dict[str, Any], seeds: int, work: Path
) -> dict[str, Any]:
    labels, wrong, n = dataset.labels, dataset.labels != truth, len(truth)
    run = auditor.find_errors(dataset, out=work / "run", audit="all", quality=False, workers=1, **model)
    scores = run.scores.set_index("id").loc[dataset.ids.astype(str)]["score"].to_numpy()
    features = vectors_of(dataset, work)
    orders = {
        "knn_shapley": -knn_shapley(features, labels, K),
        "cleanlab": -data_shapley_knn(labels, features=features, k=K),
        "ranking of the run": scores,
        "at random": generator(0, "data valuation", "random").random(n),
    }
    found = [Arm(GIVEN, labels, np.ones(n, bool))]
    found += [
        Arm(f"{order}, {share:.0%}", labels, pruned(labels, suspicion, share))
        for order, suspicion in orders.items()
        for share in SHARES
    ]
    trainer = make_trainer(model["model"], model.get("budget", "standard"), cache_dir=work)
    data = training_data(dataset, dataset.ids)
    rows = np.arange(n)
    parts = [split_parts(np.ones(n, bool), rows, rows, FOLDS, 0, number) for number in range(seeds)]
    quiet = SilentProgress()
    trained = train_arms(trainer, data, found, truth, parts, seed=0, folder=None, workers=1, progress=quiet)
    return {
        "case": name,
        "items": n,
        "wrong": int(wrong.sum()),
        "model": model["model"],
        "seeds": seeds,
        "AP": {
            order: round(100 * Ranked.of(wrong, suspicion, dataset.ids).average_precision(), 2)
            for order, suspicion in orders.items()
            if wrong.any()
        },
        "accuracy": {arm: round(float(one.right.mean()), 4) for arm, one in trained.items()},
        "compared": compare_arms(trained),
    }


def seconds(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(n, 64)).astype(np.float32), rng.integers(0, 10, n)
    row: dict[str, Any] = {"items": n}
    for method, work in (
        ("knn_shapley", lambda: knn_shapley(X, labels, K)),
        ("cleanlab", lambda: data_shapley_knn(labels, features=X, k=K)),
    ):
        if method == "cleanlab" and n > 10_000:
            continue  # 8 n^2 bytes
        begin = time.perf_counter()
        work()
        row[method] = round(time.perf_counter() - begin, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--sizes", nargs="*", type=int, default=[1000, 2000, 5000, 10_000, 20_000])
    options = parser.parse_args()
    path = RESULTS / "data-valuation.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"rows": [], "seconds": []}
    knn_shapley(np.eye(3), np.arange(3))  # compiled before it is timed
    if options.sizes:
        result["seconds"] = [seconds(n) for n in options.sizes]
    for case in options.cases:
        for name, dataset, truth, model in CASES[case](options.data, options.items):
            with tempfile.TemporaryDirectory() as work:
                row = measure(name, dataset, truth, model, options.seeds, Path(work))
            print(row, flush=True)
            result["rows"] = [r for r in result["rows"] if r["case"] != name] + [row]
            write(path, result)
    write(path, result)


def write(path: Path, result: dict[str, Any]) -> None:
    result |= {"schema": "auditor.benchmark.data-valuation/1"}
    result["conditions"] = conditions("auditor", "numpy", "numba", "scikit-learn", "torch", "cleanlab")
    path.write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(result))


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "# What items are worth",
        "",
        "Made by `python benchmarks/data_valuation.py`, which describes cases and orders. AP in % of the wrong labels.",
        "",
    ]
    orders = ("knn_shapley", "cleanlab", "ranking of the run", "at random")
    rows = [
        [r["case"], f"{r['items']:,}", f"{r['wrong']:,}", *(r["AP"].get(o) for o in orders)] for r in result["rows"]
    ]
    lines += [*table(["case", "items", "wrong", *orders], rows), "", "## Pruning", ""]
    lines += [
        "Accuracy in % by the published right labels; differences in points from all items, with intervals over items "
        "and seeds that hold together at 95 %. Small sets and models: not a reproduction of any paper.",
        "",
    ]
    rows = []
    for r in result["rows"]:
        told = {row["arm"]: row for row in r["compared"]}
        for arm, accuracy in r["accuracy"].items():
            row = told.get(arm)
            difference = interval(row["difference"], row["interval"]) if row else None
            rows.append([r["case"], r["model"], arm, percent(accuracy), difference, row["verdict"] if row else None])
    lines += [*table(["case", "model", "left out", "accuracy", "difference", "pruning"], rows), "", "## Seconds", ""]
    timed = [[f"{r['items']:,}", r.get("knn_shapley"), r.get("cleanlab")] for r in result["seconds"]]
    lines += table(["items", "knn_shapley, all ranks", "cleanlab, the k nearest"], timed)
    return "\n".join([*lines, "", f"One process; {result['conditions']}.", ""])


if __name__ == "__main__":
    main()
