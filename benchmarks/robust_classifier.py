"""RobustClassifier beside cleanlab's CleanLearning, both around the same estimator, on injected label noise.

Run from a checkout::

    python benchmarks/robust_classifier.py [--data ../shared/data] [--seeds 3] [--cases texts digits cancer]

writes benchmarks/results/robust-classifier.json and .md. Training labels are moved to another class, evenly
(``symmetric``) or to the next (``pair``); accuracy is measured on clean held-out labels. Cases: AG-News texts with
their right labels, TF-IDF and logistic regression; scikit-learn's digits as a table, boosting; breast cancer, scaled
logistic regression. Every method gets five folds and the same seeds.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cleanlab.classification import CleanLearning
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from auditor import RobustClassifier
from auditor.core.machine import describe_machine, package_versions
from auditor.lab.detectors.noise import inject
from auditor.report.markdown import interval, percent, table
from auditor.stats.seeds import paired

RESULTS = Path(__file__).parent / "results"
NOISE = (("symmetric", 0.2), ("symmetric", 0.4), ("pair", 0.3))
Case = tuple[Any, np.ndarray, Any]


def texts(data: Path) -> Case:
    rows = pd.read_csv(data / "text" / "noisy_agnews_10k.csv").iloc[:3000]
    terms = TfidfVectorizer(max_features=1500, sublinear_tf=True, stop_words="english")
    X = terms.fit_transform(rows["text"].astype(str)).toarray()
    return X, np.unique(rows["gt"], return_inverse=True)[1], LogisticRegression(C=2, max_iter=300)


def digits(data: Path) -> Case:
    X, y = load_digits(return_X_y=True)
    return X, y, HistGradientBoostingClassifier(max_iter=40, random_state=0)


def cancer(data: Path) -> Case:
    X, y = load_breast_cancer(return_X_y=True)
    return X, y, make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


CASES: dict[str, Callable[[Path], Case]] = {"texts": texts, "digits": digits, "cancer": cancer}
METHODS: dict[str, Callable[[Any, int], Any]] = {
    "estimator alone": lambda estimator, seed: clone(estimator),
    "RobustClassifier, weight": lambda estimator, seed: RobustClassifier(estimator, random_state=seed),
    "RobustClassifier, drop": lambda estimator, seed: RobustClassifier(estimator, policy="drop", random_state=seed),
    "CleanLearning": lambda estimator, seed: CleanLearning(clone(estimator), seed=seed),
}


def measure(case: str, X: Any, truth: np.ndarray, estimator: Any, seeds: int) -> Iterator[dict[str, Any]]:
    for kind, rate in NOISE:
        if kind == "pair" and truth.max() < 2:
            continue  # of two classes this is the symmetric noise
        for seed in range(seeds):
            rows = np.arange(len(truth))
            train, test = train_test_split(rows, test_size=0.4, random_state=seed, stratify=truth)
            noisy = inject(kind, train.astype(str), truth[train], int(truth.max()) + 1, rate, seed)
            for name, make in METHODS.items():
                begin = time.perf_counter()
                model = make(estimator, seed).fit(X[train], noisy)
                seconds = time.perf_counter() - begin
                right = float((model.predict(X[test]) == truth[test]).mean())
                row = {"case": case, "noise": f"{kind} {rate:.0%}", "seed": seed, "method": name}
                yield row | {
                    "accuracy": right,
                    "seconds": round(seconds, 3),
                    "n_train": len(train),
                    "n_test": len(test),
                }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "robust-classifier.json"
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    rows: list[dict[str, Any]] = []
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CleanLearning warns of every DataFrame it makes
        for case in options.cases:
            rows += measure(case, *CASES[case](options.data), options.seeds)
            result = {
                "schema": "auditor.benchmark.robust-classifier/1",
                "rows": [row for row in before if row["case"] not in {r["case"] for r in rows}] + rows,
                "machine": describe_machine(),
                "versions": package_versions(),
            }
            path.write_text(json.dumps(result, indent=1) + "\n")
            path.with_suffix(".md").write_text(markdown(result))
            print(path.with_suffix(".md").read_text(), flush=True)


def markdown(result: dict[str, Any]) -> str:
    frame = pd.DataFrame(result["rows"])
    rows = []
    for (case, noise), part in frame.groupby(["case", "noise"], sort=False):
        rival = part[part["method"] == "CleanLearning"].sort_values("seed")["accuracy"].tolist()
        for name in METHODS:
            own = part[part["method"] == name].sort_values("seed")
            told = paired(own["accuracy"].tolist(), rival)
            against = None if name == "CleanLearning" else interval(told["difference"], told["interval"])
            sizes = f"{own['n_train'].iloc[0]:,} / {own['n_test'].iloc[0]:,}"
            numbers = [percent(own["accuracy"].mean()), against, f"{own['seconds'].mean():.2f}", len(own)]
            rows.append([case, noise, sizes, name, *numbers])
    header = ["case", "noise", "train / test", "method", "accuracy", "against CleanLearning", "seconds", "seeds"]
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {result['versions'][key]}" for key in ("auditor", "cleanlab", "scikit-learn"))
    return "\n".join(
        [
            "# RobustClassifier beside CleanLearning",
            "",
            "Made by `python benchmarks/robust_classifier.py`. Accuracy in % on clean held-out labels, mean over "
            "seeds; the difference in points, paired by seed, with a 95 % t interval over seeds. Seconds of `fit`.",
            "",
            *table(header, rows),
            "",
            f"{machine}; {versions}",
            "",
        ]
    )


if __name__ == "__main__":
    main()
