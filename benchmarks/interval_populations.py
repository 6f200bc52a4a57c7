"""Populations with known wrong labels: synthetic networks of several kinds, and real probabilities, weak and strong.

`DEVELOPMENT` chose the interval of the total and how its sample is drawn, `HELD_OUT` only measured both; annotators,
random1 and digits were held out too until they showed what the drawing lacked. Every population has the size and the
share of wrong labels that was asked for: real sets are drawn from their wrong and their right items, with replacement
where they have too few.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from statistics_cases import log_odds

from auditor.detect.base import Evidence
from auditor.detect.registry import run_detector
from auditor.lab.detectors.planted import LABEL, weather

DATA = Path(os.environ.get("AUDITOR_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
STRONG, WEAK = "strong", "weak"


@dataclass(frozen=True, eq=False)
class Population:
    """Items with their ranking score, log-odds margin and given label, and whether the label is wrong; arrays (n,)."""

    score: np.ndarray
    margin: np.ndarray
    given: np.ndarray
    wrong: np.ndarray


Maker = Callable[[int, float, bool, np.random.Generator], Population]


def _wrong(n: int, share: float, rng: np.random.Generator, weight: np.ndarray | None = None) -> np.ndarray:
    wrong = np.zeros(n, bool)
    chance = None if weight is None else weight / weight.sum()
    wrong[rng.choice(n, max(1, round(share * n)), replace=False, p=chance)] = True
    return wrong


def _population(given: np.ndarray, logits: np.ndarray, wrong: np.ndarray) -> Population:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    margin = log_odds(given, p / p.sum(axis=1, keepdims=True))
    return Population(margin, margin, given, wrong)


def symmetric(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """Ten classes; labels moved to any other; a calibrated kind of network."""
    truth, wrong = rng.integers(0, 10, n), _wrong(n, share, rng)
    given = np.where(wrong, (truth + rng.integers(1, 10, n)) % 10, truth)
    logits = rng.normal(0, 1.6, (n, 10))
    logits[np.arange(n), truth] += 6 if strong else 2.5
    return _population(given, logits, wrong)


def memorised(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """Five classes of unequal size; labels moved to the next; a network that has learned part of the wrong labels."""
    truth, wrong = rng.choice(5, n, p=[0.4, 0.25, 0.2, 0.1, 0.05]), _wrong(n, share, rng)
    given = np.where(wrong, (truth + 1) % 5, truth)
    logits = rng.normal(0, 1.2, (n, 5))
    logits[np.arange(n), truth] += 5 if strong else 2
    logits[np.arange(n), given] += (2 if strong else 4) * rng.random(n)
    return _population(given, 1.5 * logits, wrong)


def blind(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """A fifth (strong) or three fifths of the wrong labels look right to the network, which is sure of itself."""
    truth, wrong = rng.integers(0, 10, n), _wrong(n, share, rng)
    given = np.where(wrong, (truth + rng.integers(1, 10, n)) % 10, truth)
    overlooked = wrong & (rng.random(n) >= (0.8 if strong else 0.4))
    logits = rng.normal(0, 1, (n, 10))
    logits[np.arange(n), np.where(overlooked, given, truth)] += 6 if strong else 4
    return _population(given, logits, wrong)


def annotators(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """Twenty classes; hard items are mislabelled most, to what the network confuses them with; too sure or too shy."""
    truth, difficulty = rng.integers(0, 20, n), rng.beta(0.6, 2, n)
    logits = rng.normal(0, 1.3, (n, 20))
    logits[np.arange(n), truth] += (8 if strong else 4) * (1 - difficulty) ** 1.5
    wrong = _wrong(n, share, rng, difficulty**2 + 1e-4)
    seen = logits + rng.normal(0, 1, (n, 20))
    seen[np.arange(n), truth] = -np.inf
    return _population(np.where(wrong, seen.argmax(axis=1), truth), (2.0 if strong else 0.7) * logits, wrong)


def _ranked(given: np.ndarray, p: np.ndarray, wrong: np.ndarray) -> Population:
    """Of real probabilities, ranked by `combined` as a run ranks them."""
    p = np.asarray(p, np.float64) / p.sum(axis=1, keepdims=True, dtype=np.float64)
    evidence = Evidence(np.arange(len(given)), given, p.shape[1], probabilities=p)
    ranked: Any = run_detector("combined", evidence)
    return Population(np.asarray(ranked.score), log_odds(given, p), given, wrong)


def _resampled(base: Population, n: int, share: float, rng: np.random.Generator) -> Population:
    k = max(1, round(share * n))
    wrong, right = np.flatnonzero(base.wrong), np.flatnonzero(~base.wrong)
    at = np.concatenate([rng.choice(wrong, k, k > len(wrong)), rng.choice(right, n - k, n - k > len(right))])
    return Population(base.score[at], base.margin[at], base.given[at], base.wrong[at])


@cache
def _cifar10n(labels: str, network: str) -> Population:
    clean, given = (np.load(DATA / "cifar10n" / f"{name}.npy").astype(np.int64) for name in ("clean", labels))
    with np.load(DATA / "oof" / "cifar10n_aggre" / f"{network}.npz") as file:
        return _ranked(given, file["pred_probs"], given != clean)


def aggre(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """CIFAR-10N aggre, probabilities of Swin or of ResNet-18."""
    return _resampled(_cifar10n("aggre", "swin_base_patch4_window7_224" if strong else "resnet18"), n, share, rng)


def random1(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """CIFAR-10N random1, probabilities of Twins or of EfficientNet-B1 (both trained on the aggre labels)."""
    return _resampled(_cifar10n("random1", "twins_pcpvt_base" if strong else "efficientnet_b1"), n, share, rng)


@cache
def _texts(strong: bool) -> Population:
    import pandas as pd
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import MultinomialNB

    table = pd.read_csv(DATA / "text" / "noisy_agnews_10k.csv")
    names, given = np.unique(table["label"], return_inverse=True)
    words = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(table["text"])
    model = LogisticRegression(C=3.0) if strong else MultinomialNB(alpha=1e-3)
    p = cross_val_predict(model, words, given, cv=5, method="predict_proba")
    return _ranked(given.astype(np.int64), p, given != np.searchsorted(names, table["gt"]))


def texts(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """NoisyAG-News, logistic regression or naive Bayes (which is far too sure) on TF-IDF."""
    return _resampled(_texts(strong), n, share, rng)


@cache
def _digits(share: float, strong: bool) -> Population:
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(round(1000 * share))
    wrong = _wrong(len(truth), max(share, 0.02), rng)
    given = np.where(wrong, (truth + rng.choice([1, 5], len(truth))) % 10, truth).astype(np.int64)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02)) if strong else GaussianNB(var_smoothing=1e-3)
    return _ranked(given, cross_val_predict(model, pixels, given, cv=5, method="predict_proba"), wrong)


def digits(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """Handwritten digits with injected noise of two kinds, logistic regression or naive Bayes on the pixels."""
    return _resampled(_digits(share, strong), n, share, rng)


@cache
def _weather(share: float, strong: bool) -> Population:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB

    table = weather(10_000)
    names, truth = np.unique(table.pop(LABEL), return_inverse=True)
    values = np.column_stack([c if c.dtype.kind in "fiu" else c.astype("category").cat.codes for _, c in table.items()])
    rng = np.random.default_rng(round(1000 * share))
    wrong = _wrong(len(truth), max(share, 0.02), rng)
    others = rng.integers(1, len(names), len(truth))
    given = np.where(wrong, (truth + others) % len(names), truth).astype(np.int64)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0) if strong else GaussianNB()
    values = np.nan_to_num(values.astype(float))
    return _ranked(given, cross_val_predict(model, values, given, cv=5, method="predict_proba"), wrong)


def days(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """Days of weather, five unequal classes, labels moved to any other; boosted trees or naive Bayes."""
    return _resampled(_weather(share, strong), n, share, rng)


@cache
def _scene(share: float, strong: bool) -> Population:
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = pd.read_parquet(DATA / "multilabel" / "scene.parquet")
    tags = [name for name in table if name.startswith("label:")]
    # Of the six tags the first: whether it is one of the picture's.
    truth = table[tags[0]].to_numpy(np.int64)
    values = table.drop(columns=tags).select_dtypes("number").to_numpy(float)
    rng = np.random.default_rng(round(1000 * share))
    wrong = _wrong(len(truth), max(share, 0.02), rng)
    given = np.where(wrong, 1 - truth, truth)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01) if strong else GaussianNB())
    return _ranked(given, cross_val_predict(model, values, given, cv=5, method="predict_proba"), wrong)


def scene(n: int, share: float, strong: bool, rng: np.random.Generator) -> Population:
    """A tag of the scene pictures, yes or no, moved to the other; logistic regression or naive Bayes."""
    return _resampled(_scene(share, strong), n, share, rng)


DEVELOPMENT: dict[str, Maker] = {
    "symmetric": symmetric,
    "memorised": memorised,
    "blind": blind,
    "aggre": aggre,
    "texts": texts,
    "annotators": annotators,
    "random1": random1,
    "digits": digits,
}
HELD_OUT: dict[str, Maker] = {"weather": days, "scene": scene}


def population(name: str, n: int, share: float, strength: str) -> Population:
    """The population of a cell, always the same, most suspicious first."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), n, round(share * 1e4), strength == STRONG])
    made = (DEVELOPMENT | HELD_OUT)[name](n, share, strength == STRONG, rng)
    order = np.argsort(-made.score, kind="stable")
    return Population(*(values[order] for values in (made.score, made.margin, made.given, made.wrong)))
