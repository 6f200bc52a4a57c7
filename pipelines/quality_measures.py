"""Outliers, slices, cues and classes, planted and measured many times, for pipelines/quality.py."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pipeline import data_file
from quality_cases import table_subject, tables
from quality_peers import datalab, out_of_distribution, spurious_correlations, unsure
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.core.seeds import generator
from auditor.data.base import ItemTable
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.data.sources import FileSource
from auditor.quality.base import Outcome
from auditor.quality.distances import column_vectors
from auditor.quality.open_subject import make_subject, neighbours_of, table_neighbours
from auditor.quality.outliers import distances_to_reference
from auditor.quality.registry import run_checks
from auditor.quality.subject import Predictions, Subject
from auditor.train.choose_embedding import fit_for_cosine
from auditor.train.embeddings import embed
from auditor.train.encoders import make_encoder

#: The case of `slice_rows` in which nothing is there to be found.
SHUFFLED = "a tenth of each class wrong, anywhere"


def _encoded(name: str, items: Any, size: int | None = None) -> np.ndarray:
    encoder = make_encoder(name, size)
    with tempfile.TemporaryDirectory() as cache:
        rows = embed(encoder, items, Path(cache), "cpu", 1, SilentProgress(), "embed")
        # Not in the float16 that they are kept in: sums over many would overflow.
        return fit_for_cosine(np.asarray(rows, np.float32), encoder)


def _digits_as_pictures(rng: np.random.Generator, n: int) -> np.ndarray:
    """Handwritten digits in a colour on another, 32 px."""
    images = load_digits().images[rng.permutation(1797)[:n]].repeat(4, axis=1).repeat(4, axis=2) / 16
    ink, paper = rng.integers(0, 256, (2, n, 1, 1, 3))
    return (images[..., None] * ink + (1 - images[..., None]) * paper).astype(np.uint8)


def _outlier_sets(settings: Settings) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Name, features of training and test items, labels of the training items, and which test items are planted."""
    rng = generator(0, "quality", "outliers")
    data = open_dataset("cifar10", settings)
    rows = np.r_[rng.choice(50_000, 1000, replace=False), 50_000 + rng.choice(10_000, 500, replace=False)]
    strange = np.concatenate([_digits_as_pictures(rng, 60), rng.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)])
    pixels = np.concatenate([data.load_images(rows)[0], strange])  # type: ignore[attr-defined]
    planted = np.arange(600) >= 500
    vectors = _encoded("efficientnet-lite0", pixels, 48)
    yield "CIFAR-10, 60 digits and 40 noise", vectors[:1000], vectors[1000:], data.labels[rows[:1000]], planted
    digits = load_digits()
    order = rng.permutation(1797)
    noise = rng.integers(0, 17, (60, 64)).astype(float)
    test = np.concatenate([digits.data[order[1200:]], noise])
    yield "digits, 60 noise", digits.data[order[:1200]], test, digits.target[order[:1200]], np.arange(len(test)) >= 597
    news = pd.read_csv(data_file(settings, "text/noisy_agnews_10k.csv")).sample(1500, random_state=0)
    lines = pd.read_parquet(data_file(settings, "tokens/conll2003_train.parquet"))["tokens"].sample(
        2000, random_state=0
    )
    other = [" ".join(tokens) for tokens in lines if len(tokens) >= 12][:100]
    vectors = _encoded("minilm", [*news["text"].astype(str), *other])
    yield (
        "AG-News, 100 lines of a newswire",
        vectors[:1000],
        vectors[1000:],
        news["gt"].to_numpy()[:1000],
        np.arange(600) >= 500,
    )
    name, frame, label = next(t for t in tables(0) if t[0] == "weather")
    frame = frame.sample(frac=1, random_state=0, ignore_index=True)
    mixed = frame.iloc[-60:].reset_index(drop=True)
    for place, column in enumerate(c for c in frame.columns if c != label):
        mixed[column] = mixed[column].sample(frac=1, random_state=place, ignore_index=True)
    subject = table_subject(pd.concat([frame, mixed], ignore_index=True), label)
    vectors = column_vectors(subject.frame)  # type: ignore[arg-type]
    yield (
        f"{name}, 60 rows of mixed columns",
        vectors[:900],
        vectors[900:],
        subject.labels[:900],
        np.arange(len(vectors) - 900) >= len(frame) - 900,
    )


def outlier_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Planted items among test items, with and without the training items to compare with."""
    rows = []
    for name, train, test, labels, planted in _outlier_sets(settings):
        n, m, cosine = len(train), len(test), not name.startswith("weather")
        splits = np.r_[np.full(n, "train"), np.full(m, "test")]
        frame = pd.DataFrame({"a": np.arange(n + m, dtype=float), "label": np.arange(n + m) % 2})
        subject, both = table_subject(frame, "label", splits), np.concatenate([train, test]).astype(np.float32)
        subject.neighbours = neighbours_of("given", both, np.arange(n + m), n + m) if cosine else None
        if not cosine:
            columns = pd.DataFrame(both).rename(columns=str)
            subject.frame = columns
            subject.neighbours = table_neighbours(subject)
        assert subject.neighbours is not None
        _, distance = distances_to_reference(subject, subject.neighbours, np.arange(n), np.arange(n, n + m))
        scaler = StandardScaler().fit(train)
        model = LogisticRegression(max_iter=300, C=0.1)
        p_train = cross_val_predict(model, scaler.transform(train), labels, cv=3, method="predict_proba")
        p_test = model.fit(scaler.transform(train), labels).predict_proba(scaler.transform(test))
        logs = np.log(np.concatenate([p_train, p_test]) + 1e-6)
        told = table_subject(frame, "label", splits)
        told.neighbours = neighbours_of("log-probabilities", logs.astype(np.float32), np.arange(n + m), n + m)
        _, by_logs = distances_to_reference(told, told.neighbours, np.arange(n), np.arange(n, n + m))
        alone, flags = datalab("outlier", np.zeros(m, int), features=test)
        scores = {
            "auditor, DQ302": distance,
            "cleanlab, OutOfDistribution(features)": out_of_distribution(train, test),
            "Datalab, outlier(test features)": alone,
            "auditor, DQ302 of log-probabilities": by_logs,
            "cleanlab, OutOfDistribution(pred_probs)": unsure(p_train, labels, p_test),
        }
        named = {"Datalab, outlier(test features)": flags}
        for method, one in (("auditor, DQ302", subject), ("auditor, DQ302 of log-probabilities", told)):
            (outcome,) = run_checks(one, ["out_of_distribution"])
            named[method] = np.isin(np.arange(n, n + m), outcome.findings.items if outcome.findings else [])
        for method, score in scores.items():
            row = {"set": name, "train": n, "test": m, "planted": int(planted.sum()), "method": method}
            row |= {"AP": round(100 * average_precision_score(planted, score), 1)}
            row |= {"AUROC": round(100 * roc_auc_score(planted, score), 1)}
            if method in named:
                hits = named[method]
                row |= {"named": int(hits.sum()), "recall": round(float(hits[planted].mean()), 3)}
                row["precision"] = round(float(planted[hits].mean()), 3) if hits.any() else None
            rows.append(row)
    return rows


def _digits_predicted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    digits = load_digits()
    X = digits.data.astype(np.float32)
    p = cross_val_predict(LogisticRegression(max_iter=400), X / 16, digits.target, cv=5, method="predict_proba")
    return X, digits.target.astype(np.int64), p


def _as_subject(X: np.ndarray, labels: np.ndarray, p: np.ndarray | None, flagged: np.ndarray | None = None) -> Subject:
    """Embedded items with predictions, without columns that could be sliced."""
    subject = table_subject(pd.DataFrame({"a": np.arange(len(X)) / 7, "label": labels}), "label")
    subject.frame = None
    subject.neighbours = neighbours_of("given", X, np.arange(len(X)), len(X))
    if p is not None:
        subject.predictions = Predictions(np.arange(len(X)), p, flagged)
    return subject


def _found(outcome: Outcome) -> bool:
    """Whether a check that could look has found something; that it could not look is no result here."""
    if outcome.findings is None:
        raise SystemExit(f"{outcome.name} could not look: {outcome.reason}")
    return outcome.status == "found"


def slice_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Digits with a model: predictions spoilt in one region of the features, as they are, and wrong anywhere alike."""
    X, labels, p = _digits_predicted()
    counts: dict[tuple[str, str], list[int]] = {}
    for repeat in range(options.repeats):
        rng = generator(repeat, "quality", "slices")
        centre = X[rng.integers(len(X))]
        near = np.argsort(((X - centre) ** 2).sum(axis=1))[:150]
        spoilt = {
            "a third of 150 neighbouring items wrong": near[rng.random(150) < 0.33],
            "the model as it is": np.empty(0, np.int64),
        }
        for name, rows in spoilt.items():
            changed = p.copy()
            changed[rows] = changed[rows][:, np.r_[1:10, 0]]
            (outcome,) = run_checks(_as_subject(X, labels, changed), ["weak_slices"])
            counts.setdefault((name, "auditor, DQ701"), []).append(int(_found(outcome)))
            flags = datalab("underperforming_group", labels, features=X, pred_probs=changed)[1]
            counts.setdefault((name, "Datalab, underperforming_group"), []).append(int(flags.any()))
        spread = _of_same_rate(p, labels, rng)
        (outcome,) = run_checks(_as_subject(X, labels, spread), ["weak_slices"])
        counts.setdefault((SHUFFLED, "auditor, DQ701"), []).append(int(_found(outcome)))
        flags = datalab("underperforming_group", labels, features=X, pred_probs=spread)[1]
        counts.setdefault((SHUFFLED, "Datalab, underperforming_group"), []).append(int(flags.any()))
    return [
        {"case": case, "method": method, "repeats": len(found), "found": int(sum(found))}
        for (case, method), found in counts.items()
    ]


def _of_same_rate(p: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Probabilities of which a tenth of each class is wrong, whatever the features."""
    wrong = rng.random(len(p)) < 0.1
    likely = np.where(wrong, (labels + 1) % 10, labels)
    return np.where(likely[:, None] == np.arange(10), 0.9, 0.1 / 9)


def cue_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Pictures of two classes of CIFAR-10, with a cue planted in one of them, in half of both, or nowhere."""
    from PIL import Image, ImageFilter

    data = open_dataset("cifar10?split=test", settings)
    marks = {
        "darker": lambda picture: picture.point(lambda v: int(v * 0.35)),
        "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.6)),
        "grey": lambda picture: picture.convert("L").convert("RGB"),
        "40 px": lambda picture: picture.resize((40, 40)),
        "black border": lambda picture: _framed(picture),
        "nothing": lambda picture: picture,
    }
    rows, jobs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, mark) in enumerate(marks.items()):
            for planted in (True, False):
                rng = generator(number, "quality", "cues")
                at = np.concatenate([rng.choice(np.flatnonzero(data.labels == k), 200, replace=False) for k in (3, 5)])
                labels = np.repeat([0, 1], 200)
                marked = (labels == 1) if planted else rng.random(400) < 0.5
                broken = rng.choice(np.flatnonzero(marked), 10, replace=False) if planted else []
                marked[broken] = False
                place = Path(folder) / f"{number}-{planted}"
                place.mkdir()
                files = []
                for k in range(400):
                    picture: Image.Image = data.item(int(at[k]))
                    files.append(place / f"{k:04d}.png")
                    (mark(picture) if marked[k] else picture).save(files[-1])
                items = ItemTable(np.arange(400).astype(str), labels, np.full(400, "all"), np.arange(400))
                made = ImageDataset("cues", "cues", ("cat", "dog"), items, source=FileSource(list(map(str, files))))
                (outcome,) = run_checks(make_subject(made, None, SilentProgress(), workers=1), ["spurious_cues"])
                found = outcome.findings.facts["rules"] if outcome.findings else []
                named = outcome.findings.items if outcome.findings else np.empty(0)
                row = {
                    "mark": name,
                    "in": "one class" if planted else "half of both",
                    "found": outcome.status == "found",
                }
                row["properties"] = list(dict.fromkeys(f"{r['property']} {r['informedness']:.2f}" for r in found))
                row["breaking"] = (
                    f"{np.isin(broken, named).sum()} of {len(broken)}" if planted and name != "nothing" else None
                )
                rows.append(row)
                jobs.append((files, labels))
        if options.peer_python:
            for row, scores in zip(rows, spurious_correlations(options.peer_python, jobs), strict=True):
                row["Datalab"] = [f"{key.removesuffix('_score')} {v:.2f}" for key, v in scores.items() if v < 0.3]
    return rows


def _framed(picture: Any) -> Any:
    pixels = np.array(picture)
    pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = 0, 0, 0, 0
    return type(picture).fromarray(pixels) if hasattr(type(picture), "fromarray") else _image(pixels)


def _image(pixels: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(pixels)


def class_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Digits: two under one name, one under two names, one whose labels are drawn anew; and as they are."""
    X, truth, _ = _digits_predicted()
    checks = ("overlapping_classes", "divided_classes", "unlearnable_classes")
    right: dict[tuple[str, str], list[bool]] = {}
    for repeat in range(options.repeats):
        rng = generator(repeat, "quality", "classes")
        a, b = rng.choice(10, 2, replace=False).tolist()
        everything, without_b = np.arange(len(truth)), np.flatnonzero(truth != b)
        merged, halved, lost = truth.copy(), truth[without_b].copy(), truth.copy()
        merged[truth == b] = a
        halved[(halved == a) & (rng.random(len(halved)) < 0.5)] = b
        own = np.flatnonzero(truth == a)
        swapped = rng.choice(np.flatnonzero(truth != a), len(own), replace=False)
        lost[own], lost[swapped] = truth[swapped], a
        for name, labels, rows, expected in (
            ("as they are", truth, everything, None),
            ("two digits under one name", merged, everything, "divided_classes"),
            ("a digit under two names at random", halved, without_b, "overlapping_classes"),
            ("a class of random items", lost, everything, "unlearnable_classes"),
        ):
            present = np.unique(labels)
            codes = np.searchsorted(present, labels)
            model = LogisticRegression(max_iter=100)
            p = cross_val_predict(model, X[rows] / 16, codes, cv=3, method="predict_proba")
            for outcome in run_checks(_as_subject(X[rows], codes, p), list(checks)):
                key = (name, outcome.name + (" (planted)" if outcome.name == expected else ""))
                found = _found(outcome)
                if outcome.name == "divided_classes" and outcome.findings:
                    # The nines are of two kinds as they are, with a foot and without.
                    named = {row["class"] for row in outcome.findings.facts["divided"]}
                    merged_name = str(np.searchsorted(present, a))
                    found = merged_name in named if outcome.name == expected else bool(named - {str(len(present) - 1)})
                right.setdefault(key, []).append(found)
    return [{"case": c, "check": k, "repeats": len(f), "found": int(sum(f))} for (c, k), f in right.items()]
