"""The label kinds tokens and annotators beside cleanlab and crowd-kit, on the same predictions and votes.

    python benchmarks/tokens_and_annotators.py [--kinds tokens annotators] [--seeds 3] [--only TEXT] [--out FILE]

Tokens: the errors of CoNLL-2003 that CrossWeigh corrected, in probabilities of `token_predictions.py`, which are made
in `folder` if they are not there. Average precision over tokens and sentences; the peer's score is its best, by truth.

Annotators: accuracy of the consensus, and average precision of 1 - P(label) over items whose label is wrong: the
majority's, and of published votes the label that the data set gives. Simulated annotators of CIFAR-10 items beside the
stored probabilities of a network; in "CIFAR-10N" one vote an item is the real one (random1), and the others are drawn
from how such votes confuse the classes. Published: two or three of the five votes on suspected errors, where the class
that three of five named is the truth (items without are left out). The peer is the best, by truth, of CROWDLAB (its
formula, which the tests hold equal to cleanlab's), the majority and, where crowd-kit is installed, its Dawid-Skene and
one-coin models (its Wawa does not run with scikit-learn 1.9).

What is unseen here: the draws of the simulated annotators and their network (constants were chosen on seed 0 and other
networks). What is not: the published votes are other draws, but of the items for which distrust of a model was added;
and of the rules tried for tokens on errors injected into the training sentences, two that helped there (evidence shared
along a span, the same word elsewhere) were dropped because they cost precision on these very test sentences.

Differences have a 95 % interval: a paired bootstrap over items (sentences), seeds averaged.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from token_predictions import FEATURES, build

from auditor.core.config import load_settings
from auditor.core.files import atomic_write, load_npy, load_npz, read_json
from auditor.core.machine import conditions
from auditor.core.seeds import generator
from auditor.kinds.registry import flag_kind
from auditor.kinds.tokens import worst_token
from auditor.lab.detectors.sets import find_data
from auditor.report.markdown import table
from auditor.review.annotator_model import fit_annotators
from auditor.review.crowdlab import Votes, crowdlab, majority_labels
from auditor.review.dawid_skene import vote_counts

DRAWS = 200
#: Network whose stored probabilities the simulated annotators stand beside, and one whose doubts are shared by people.
MODEL, DOUBTS = "twins_pcpvt_base", "efficientnet_b1"
#: Seeds begin here: below lie the draws on which constants were chosen.
FIRST_SEED = 10
ITEMS, ANNOTATORS, CLASSES = 600, 30, 10
SIMULATED = ("uniform", "few", "one label", "spammers", "adversaries", "by class", "hard items", "blocks", "CIFAR-10N")


def find(name: str) -> Path:
    path = find_data(load_settings(), name)
    if path is None:
        raise SystemExit(f"{name} is not below the data folders.")
    return path


def interval(draws: list[float]) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def tokens(seeds: int, folder: Path) -> Iterator[dict[str, Any]]:
    """One row a model and level."""
    from cleanlab.token_classification.filter import find_label_issues
    from cleanlab.token_classification.rank import get_label_quality_scores

    for model in FEATURES:
        build(folder, model, seeds)
        runs = []
        for seed in range(seeds):
            data = load_npz(folder / f"{model}-test-{seed}.npz")
            p, labels, offsets = data["pred_probs"].astype(np.float64), data["labels"], data["offsets"]
            p /= p.sum(axis=1, keepdims=True)
            wrong = labels != data["corrected"]
            flags = flag_kind("tokens", pred_probs=p, labels=labels, offsets=offsets)
            nested = [np.split(a, offsets[1:-1]) for a in (labels, p)]
            peers: dict[str, dict[str, np.ndarray]] = {"tokens": {}, "sentences": {}}
            for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
                for pooled in ("min", "softmin"):
                    scored = get_label_quality_scores(*nested, token_score_method=method, sentence_score_method=pooled)
                    peers["sentences"][f"{method}, {pooled}"] = -scored[0]
                peers["tokens"][method] = -np.concatenate([s.to_numpy() for s in scored[1]])
            listed = find_label_issues(*nested, n_jobs=1)
            theirs = np.isin(np.arange(len(labels)), [offsets[i] + j for i, j in listed])
            mine = np.isin(np.arange(len(labels)), flags.flagged[:, 0])
            f1 = [2 * (f & wrong).sum() / (f.sum() + wrong.sum()) for f in (mine, theirs)]
            ours = {"tokens": flags.scores, "sentences": flags.facts["sentence_scores"]}
            runs.append((wrong, offsets, ours, peers, f1, wrong[np.argsort(-flags.scores)[:100]].sum()))
        for level in ("tokens", "sentences"):
            yield _token_row(model, level, runs)


def _token_row(model: str, level: str, runs: list[Any]) -> dict[str, Any]:
    truths = [w if level == "tokens" else worst_token(w, offsets) for w, offsets, *_ in runs]
    ap = lambda name: float(  # noqa: E731
        np.mean([average_precision_score(w, r[3][level][name]) for w, r in zip(truths, runs, strict=True)])
    )
    by_peer = {name: ap(name) for name in runs[0][3][level]}
    best = max(by_peer, key=by_peer.__getitem__)
    ours = float(np.mean([average_precision_score(w, r[2][level]) for w, r in zip(truths, runs, strict=True)]))
    draws = []
    for draw in range(DRAWS):
        differences = []
        for truth, (_, offsets, mine, peers, *_) in zip(truths, runs, strict=True):
            at = np.random.default_rng(draw).integers(0, len(offsets) - 1, len(offsets) - 1)
            if level == "tokens":
                at = np.concatenate([np.arange(offsets[i], offsets[i + 1]) for i in at])
            scores = (mine[level][at], peers[level][best][at])
            differences.append(np.subtract(*(average_precision_score(truth[at], s) for s in scores)))
        draws.append(float(np.mean(differences)))
    row = {
        "case": model,
        "of": level,
        "ours": ours,
        "peer": best,
        "peer_value": by_peer[best],
        "interval": interval(draws),
    }
    if level == "tokens":
        f1 = np.mean([r[4] for r in runs], axis=0)
        row |= {"f1": float(f1[0]), "peer_f1": float(f1[1]), "right_of_first_100": float(np.mean([r[5] for r in runs]))}
    return row


#: Labels (n, annotators), probabilities, truth, and the labels of the data set where it is these that are judged.
Drawn = tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray | None]


@dataclass(frozen=True)
class Crowd:
    """What everybody would say of every item, (n, annotators); whom is asked at first; a model (n, K); the truth."""

    answers: np.ndarray
    asked: np.ndarray
    p: np.ndarray
    truth: np.ndarray


def crowd(kind: str, seed: int) -> Crowd:
    """Annotators of CIFAR-10 items beside a network."""
    rng = generator(seed, "annotators", kind)
    clean, real = (load_npy(find(f"cifar10n/{name}.npy")).astype(np.int64) for name in ("clean", "random1"))
    rows = rng.choice(len(clean), ITEMS, replace=False)
    p, doubts = (
        load_npz(find(f"oof/cifar10n_aggre/{n}.npz"))["pred_probs"][rows].astype(float) for n in (MODEL, DOUBTS)
    )
    truth, p = clean[rows], p / p.sum(axis=1, keepdims=True)
    doubts = np.sqrt(doubts + 1e-3)
    doubts /= doubts.sum(axis=1, keepdims=True)
    skill = np.clip(rng.beta(8, 2, ANNOTATORS), 0.3, 0.99)
    eye, anywhere = np.eye(CLASSES), (1 - np.eye(CLASSES)) / (CLASSES - 1)
    alike = rng.gamma(0.3, size=(CLASSES, CLASSES)) * (1 - eye) + 1e-9 * anywhere
    alike /= alike.sum(axis=1, keepdims=True)
    says = np.stack([a * eye + (1 - a) * (alike + anywhere) / 2 for a in skill])
    if kind == "spammers":
        says[: ANNOTATORS * 2 // 5] = rng.dirichlet(np.full(CLASSES, 0.5), (ANNOTATORS * 2 // 5, 1))
    if kind == "adversaries":
        for a in range(ANNOTATORS // 5):
            says[a] = 0.8 * np.roll(eye, rng.integers(1, CLASSES), axis=1) + 0.2 * anywhere
    if kind == "by class":
        for a in range(ANNOTATORS):
            for k in rng.choice(CLASSES, 4, replace=False):
                right = rng.uniform(0.1, 0.5)
                says[a, k] = right * eye[k] + (1 - right) * alike[k]
    if kind == "CIFAR-10N":
        confused = np.zeros((CLASSES, CLASSES))
        np.add.at(confused, (clean, real), 1.0)
        confused /= confused.sum(axis=1, keepdims=True)
        says = confused ** rng.uniform(0.6, 1.6, (ANNOTATORS, 1, 1))  # some more careful than others
    chances = says[:, truth].transpose(1, 0, 2)
    if kind == "hard items":
        own, fair = skill[:, None], doubts[:, None]
        chances = own * (0.6 * eye[truth][:, None] + 0.4 * fair) + (1 - own) * (fair / 2 + 0.05)
    up_to = np.cumsum(chances / chances.sum(axis=2, keepdims=True), axis=2)
    answers = np.minimum((rng.random((ITEMS, ANNOTATORS, 1)) > up_to).sum(axis=2), CLASSES - 1)
    asked = np.zeros((ITEMS, ANNOTATORS), bool)
    for i in range(ITEMS):
        each = {"few": rng.integers(1, 3), "one label": 1}.get(kind, rng.integers(2, 5))
        whom = [i * ANNOTATORS // ITEMS] if kind == "blocks" else rng.choice(ANNOTATORS, each, replace=False)
        asked[i, whom] = True
        if kind == "CIFAR-10N":
            answers[i, whom[0]] = real[rows[i]]
    return Crowd(answers, asked, p, truth)


def simulated(kind: str, seed: int) -> Drawn:
    """What those say who are asked at first."""
    drawn = crowd(kind, seed)
    return np.where(drawn.asked, drawn.answers, -1), drawn.p, drawn.truth, None


def published(name: str, each: int, seed: int) -> Drawn:
    """`each` of the five votes on every suspected error, in columns of nobody; probabilities where they are stored."""
    rng = generator(seed, "annotators", name, each)
    number: dict[Any, int] = {}
    if name in ("imdb", "amazon"):
        number = {
            tag: k
            for k, tag in enumerate(("Negative", "Positive") if name == "imdb" else ("Negative", "Neutral", "Positive"))
        }
    labels, truth, at, own = [], [], [], []
    row_of = {}
    if name == "imdb":
        row_of = {
            f"test/{f.removesuffix('.txt')}": i for i, f in enumerate(read_json(find("label_errors/imdb/index.json")))
        }
    for item in read_json(find(f"label_errors/{name}/mturk.json")):
        given, guessed, votes = item["given_original_label"], item["our_guessed_label"], item["mturk"]
        if name == "amazon":
            cast = [k for tag, k in number.items() for _ in range(votes[tag.lower()])]
        else:
            cast = [number.get(given, given)] * votes["given"] + [number.get(guessed, guessed)] * votes["guessed"]
        five = rng.permutation(np.array((cast + [-1] * 5)[:5]))
        classes, counts = np.unique(five[five >= 0], return_counts=True)
        shown = np.full(5, -1)
        shown[rng.permutation(5)[:each]] = five[:each]
        if len(counts) and counts.max() >= 3 and (shown >= 0).any():
            labels.append(shown)
            truth.append(classes[counts.argmax()])
            own.append(number.get(given, given))
            at.append(row_of.get(item["id"], item["id"]))
    p = None
    if name in ("cifar10", "imdb"):
        p = load_npy(find(f"label_errors/{name}/pyx.npy"))[np.array(at)].astype(float)
        p /= p.sum(axis=1, keepdims=True)
    return np.array(labels), p, np.array(truth), np.array(own)


#: The consensus and P(class) of one method, (n,) and (n, K).
Consensus = tuple[np.ndarray, np.ndarray]


def consensus_of_peers(labels: np.ndarray, p: np.ndarray | None, n_classes: int) -> dict[str, Consensus]:
    """By the peer's name; the majority first."""
    items, who = np.nonzero(labels >= 0)
    said = labels[items, who]
    counts = vote_counts(items, said, len(labels), n_classes)
    flat = np.full(counts.shape, 1 / n_classes) if p is None else p
    shares = counts / counts.sum(axis=1, keepdims=True)
    out = {"majority": (majority_labels(Votes(items, who, said, labels.shape[1], counts), flat), shares)}
    if p is not None:
        fit = crowdlab(items, who, said, p, labels.shape[1])
        out["CROWDLAB"] = fit.labels, fit.posterior
    try:
        from crowdkit.aggregation import DawidSkene, OneCoinDawidSkene
    except ImportError:
        return out
    votes = pd.DataFrame({"task": items, "worker": who, "label": said})
    for model in (DawidSkene(n_iter=50), OneCoinDawidSkene(n_iter=50)):
        chances = model.fit_predict_proba(votes).reindex(index=range(len(labels)), columns=range(n_classes)).fillna(0.0)
        out[type(model).__name__] = chances.to_numpy().argmax(axis=1), chances.to_numpy()
    return out


def cases_of_annotators() -> Iterator[tuple[str, Callable[[int], Drawn], bool]]:
    """What each is called, how it is drawn, and whether the model is given."""
    for kind in SIMULATED:
        yield kind, partial(simulated, kind), True
        if kind in ("spammers", "adversaries", "by class", "hard items", "CIFAR-10N"):
            yield kind, partial(simulated, kind), False
    for name in ("cifar10", "imdb", "cifar100", "caltech256", "amazon"):
        for each in (2, 3):
            for with_model in (True, False) if name in ("cifar10", "imdb") else (False,):
                yield f"{name}, {each} of 5 votes", partial(published, name, each), with_model


def annotators(seeds: int, only: str) -> Iterator[dict[str, Any]]:
    """Two rows a kind of annotators, or a set of published votes, with and without the model."""
    for case, draw, with_model in cases_of_annotators():
        if only not in case:
            continue
        runs = []
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            labels, p, truth, own = draw(seed)
            voted = (labels >= 0).any(axis=1)
            labels, p, truth = labels[voted], p[voted] if with_model and p is not None else None, truth[voted]
            n_classes = p.shape[1] if p is not None else int(max(labels.max(), truth.max(), *own_or(own, voted))) + 1
            items, who = np.nonzero(labels >= 0)
            fit = fit_annotators(items, who, labels[items, who], (*labels.shape, n_classes), p)
            every = consensus_of_peers(labels, p, n_classes)
            judged = every["majority"][0] if own is None else own[voted]
            every = {"ours": (fit.labels, fit.posterior), **every}
            right = {name: found == truth for name, (found, _) in every.items()}
            doubt = {name: 1 - chances[np.arange(len(truth)), judged] for name, (_, chances) in every.items()}
            runs.append((right, doubt, judged != truth))
        for of, measure in (("accuracy", accuracy), ("AP of wrong labels", precision)):
            shown = f"{of}, {'with model' if with_model else 'no model'}"
            yield {"case": case, "of": shown, **beside_best(runs, measure)}


def own_or(own: np.ndarray | None, voted: np.ndarray) -> list[int]:
    return [-1] if own is None else [int(own[voted].max())]


#: Whether each consensus is right, the doubt about each judged label, and which of these are wrong; the first two by
#: method.
Outcome = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]


def accuracy(run: Outcome, name: str, at: np.ndarray | slice) -> float:
    return float(run[0][name][at].mean())


def precision(run: Outcome, name: str, at: np.ndarray | slice) -> float:
    wrong = run[2][at]
    return float(average_precision_score(wrong, run[1][name][at])) if wrong.any() else float("nan")


def beside_best(runs: list[Outcome], measure: Callable[[Outcome, str, Any], float]) -> dict[str, Any]:
    """Ours beside the peer that is best by truth."""
    everything = slice(None)
    by_name = {name: float(np.mean([measure(run, name, everything) for run in runs])) for name in runs[0][0]}
    ours = by_name.pop("ours")
    best = max(by_name, key=by_name.__getitem__)
    draws = []
    for number in range(DRAWS):
        differences = []
        for run in runs:
            at = np.random.default_rng(number).integers(0, len(run[2]), len(run[2]))
            differences.append(measure(run, "ours", at) - measure(run, best, at))
        draws.append(float(np.mean(differences)))
    facts = {"n": int(np.mean([len(run[2]) for run in runs])), "wrong": float(np.mean([run[2].sum() for run in runs]))}
    return facts | {
        "ours": ours,
        "peer": best,
        "peer_value": by_name[best],
        "interval": interval(draws),
        "peers": by_name,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=("tokens", "annotators"), default=["tokens", "annotators"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases of annotators whose names hold this text")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "token-predictions")
    parser.add_argument("--out", type=Path, help="without suffix: a .md and a .json are written")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    asked.folder.mkdir(parents=True, exist_ok=True)
    where = conditions("auditor", "numpy", "scikit-learn", "cleanlab")
    if find_spec("crowdkit") is not None:
        where += f", crowd-kit {version('crowd-kit')}"
    lines = ["# Tokens and annotators beside cleanlab and crowd-kit", ""]
    called = f"--kinds {' '.join(asked.kinds)} --seeds {asked.seeds}"
    lines += [f"`python benchmarks/tokens_and_annotators.py {called}`. {where}."]
    lines += [f"In per cent. Interval: paired bootstrap, {DRAWS} draws. The peer is the best one, by truth."]
    results: dict[str, list[dict[str, Any]]] = {}
    for kind in asked.kinds:
        results[kind], rows = [], []
        for r in tokens(asked.seeds, asked.folder) if kind == "tokens" else annotators(asked.seeds, asked.only):
            results[kind].append(r)
            low, high = r["interval"]
            difference = f"{100 * (r['ours'] - r['peer_value']):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
            last = (
                f"{100 * r['f1']:.1f} / {100 * r['peer_f1']:.1f}"
                if "f1" in r
                else f"{r['n']:,} / {r['wrong']:.0f}"
                if "n" in r
                else ""
            )
            rows.append(
                [
                    r["case"],
                    r["of"],
                    f"{100 * r['ours']:.1f}",
                    f"{100 * r['peer_value']:.1f}",
                    r["peer"],
                    difference,
                    last,
                ]
            )
            print(*rows[-1], sep=" | ", file=sys.stdout, flush=True)
        first = ["AP", "AP peer", "its score"] if kind == "tokens" else ["ours", "peer", "which"]
        header = ["case", "of", *first, "difference", "F1 / F1 peer" if kind == "tokens" else "items / wrong"]
        lines += ["", f"## {kind}", "", *table(header, rows)]
    if asked.out:
        for suffix, text in (
            (".md", "\n".join([*lines, ""])),
            (".json", json.dumps({"where": where, **results}, indent=1)),
        ):
            with atomic_write(asked.out.with_suffix(suffix)) as handle:
                handle.write(text.encode())


if __name__ == "__main__":
    main()
