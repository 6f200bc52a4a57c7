"""Boxes and masks beside cleanlab, on the same predictions and the same injected errors.

    python benchmarks/boxes_and_masks.py [--kinds boxes masks] [--seeds 3] [--scenes 600] [--folder FOLDER]
        [--out FOLDER]

Scenes, errors and the network's predictions are those of `scenes.py`. A row is a question: average precision of this
package, of the peer's best score, chosen by the truth, and their difference with a 95 % interval: a paired bootstrap
over the pictures, seeds averaged. Constants were chosen on seed 100 (`--first-seed 100 --seeds 1`) and on drawn boxes;
the reported seeds are 0, 1, 2. A box is listed under its likeliest error, and comes last in the rankings of the others.
A piece in which mask and model differ is a hit if half of it or more is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scenes import CLASSES, RATE, SIDE, Scenes, coco, predictions

from auditor.core.files import atomic_write, load_npy
from auditor.core.machine import conditions
from auditor.kinds.box_model import overlaps
from auditor.kinds.registry import flag_kind
from auditor.report.markdown import table

DRAWS = 200
#: Errors of given boxes, by the numbers of `Scenes.given_boxes`.
KINDS = ("badly_located", "swapped", "surplus")
#: What the peer takes for sure and for likely; the first are its own, the network here is rarely as sure.
THRESHOLDS = ((0.95, 0.5), (0.7, 0.3), (0.5, 0.2), (0.3, 0.1), (0.2, 0.05))


@dataclass(eq=False)
class Ranking:
    """Candidates of one side: picture, score (higher = more likely wrong) and whether each is a hit."""

    image: np.ndarray
    score: np.ndarray
    hit: np.ndarray


@dataclass(eq=False)
class Question:
    """What one seed answers: how many there are to find in each picture, and the rankings."""

    wanted: np.ndarray
    ours: Ranking
    peers: dict[str, Ranking] = field(default_factory=dict)


def precision_of(ranking: Ranking, wanted: np.ndarray, drawn: np.ndarray) -> float:
    """Average precision where picture k counts ``drawn[k]`` times; what is never found counts as not found. Ties are
    taken together."""
    if not len(ranking.score):
        return 0.0
    order = np.argsort(-ranking.score, kind="stable")
    weight = drawn[ranking.image[order]].astype(float)
    hits = np.cumsum(weight * ranking.hit[order])
    taken = np.cumsum(weight)
    last = np.r_[np.diff(ranking.score[order]) != 0, True]
    hits, taken = hits[last], taken[last]
    total = (wanted * drawn).sum()
    precision = np.divide(hits, taken, out=np.zeros(len(hits)), where=taken > 0)
    return float((np.diff(np.r_[0.0, hits]) * precision).sum() / total) if total else float("nan")


def rows_of(questions: list[dict[str, Question]]) -> list[dict[str, Any]]:
    """One row a question, over seeds."""
    rows = []
    for name in questions[0]:
        runs = [q[name] for q in questions]
        ones = [np.ones(len(run.wanted)) for run in runs]

        def mean(pick: Callable[[Question], Ranking], drawn: list[np.ndarray], runs: list[Question] = runs) -> float:
            return float(np.mean([precision_of(pick(r), r.wanted, d) for r, d in zip(runs, drawn, strict=True)]))

        ours = mean(lambda r: r.ours, ones)
        row = {"question": name, "wanted": int(sum(r.wanted.sum() for r in runs)), "ours": ours}
        by_peer = {peer: mean(lambda r, peer=peer: r.peers[peer], ones) for peer in runs[0].peers}
        if by_peer:
            best = max(by_peer, key=by_peer.__getitem__)
            draws = []
            for draw in range(DRAWS):
                rng = np.random.default_rng(draw)
                drawn = [np.bincount(rng.integers(0, len(o), len(o)), minlength=len(o)) for o in ones]
                draws.append(mean(lambda r: r.ours, drawn) - mean(lambda r, best=best: r.peers[best], drawn))
            low, high = np.percentile(draws, [2.5, 97.5])
            row |= {"peer": best, "peer_value": by_peer[best], "interval": [float(low), float(high)], "peers": by_peer}
        rows.append(row)
    return rows


# --- boxes -----------------------------------------------------------------------------------------------------------


def boxes(scenes: Scenes, found: list[dict[str, Any]]) -> tuple[dict[str, Question], dict[str, float]]:
    """Overlooked objects; badly located, swapped and surplus boxes; pictures with any of them."""
    n, given = len(scenes.pixels), scenes.given_boxes
    begun = time.perf_counter()
    flags = flag_kind("boxes", labels=coco(scenes), predictions=found)
    seconds = time.perf_counter() - begun
    image, error = given[:, 0].astype(int), given[:, 6].astype(int)
    lost = scenes.true_boxes[scenes.lost]
    items = [item for item in flags.facts["items"] if item["kind"] == "overlooked"]
    # as listed: a box whose likeliest error is another one, or that is not listed, comes last
    box_scores = np.full((3, len(given)), -np.inf)
    for item in flags.facts["items"]:
        if item["kind"] != "overlooked":
            box_scores[KINDS.index(item["kind"]), item["annotation"]] = item["score"]
    theirs, took = _objectlab(scenes, found)
    wrong = np.zeros(n, bool)
    wrong[image[error >= 0]] = True
    wrong[lost[:, 0].astype(int)] = True
    mine = (
        np.array([item["id"] for item in items], int),
        np.array([item["score"] for item in items], float),
        np.array([item["box"] for item in items], float).reshape(-1, 4),
    )
    questions = {"overlooked": _overlooked(lost, n, *mine)}
    for peer, (where, score, box) in theirs["overlooked"].items():
        questions["overlooked"].peers[peer] = _overlooked(lost, n, where, score, box).ours
    for number, name in enumerate(("badly located", "swapped", "surplus")):
        scored = np.maximum(box_scores[number], -1e9)
        among = (error == -1) | (error == number)
        hit = error[among] == number
        questions[name] = Question(
            np.bincount(image[error == number], minlength=n),
            Ranking(image[among], scored[among], hit),
            {peer: Ranking(image[among], score[among], hit) for peer, score in theirs.get(name, {}).items()},
        )
    every = np.arange(n)
    questions["pictures"] = Question(
        wrong.astype(int),
        Ranking(every, flags.facts["image_scores"], wrong),
        {peer: Ranking(every, score, wrong) for peer, score in theirs["pictures"].items()},
    )
    truth = set(zip(image[error >= 0].tolist(), np.flatnonzero(error >= 0).tolist(), strict=True))
    flagged = [item for item in flags.facts["items"] if item["flagged"]]
    right = sum((item["id"], item.get("annotation")) in truth for item in flagged if "annotation" in item)
    chosen = [item for item in flagged if item["kind"] == "overlooked"]
    boxes_of = np.array([item["box"] for item in chosen]).reshape(-1, 4)
    right += int(
        _overlooked(lost, n, np.array([i["id"] for i in chosen], int), -np.arange(len(chosen)), boxes_of).ours.hit.sum()
    )
    total = len(truth) + len(lost)
    told = [
        KINDS.index(i["kind"]) == error[i["annotation"]]
        for i in flagged
        if "annotation" in i and error[i["annotation"]] >= 0
    ]
    facts = {
        "F1 of the flags": 2 * right / (len(flagged) + total),
        "expected F1": float(flags.expected_f1 or 0),
        "kind told right": float(np.mean(told)) if told else float("nan"),
        "seconds": seconds,
        "seconds of the peer, one threshold": took,
    }
    return questions, facts


def _overlooked(lost: np.ndarray, n: int, image: np.ndarray, score: np.ndarray, box: np.ndarray) -> Question:
    """A candidate is a hit if it overlaps a lost object by half or more that none before it has hit."""
    wanted = np.bincount(lost[:, 0].astype(int), minlength=n)
    hit, taken = np.zeros(len(image), bool), np.zeros(len(lost), bool)
    for k in np.argsort(-score, kind="stable"):
        there = np.flatnonzero((lost[:, 0] == image[k]) & ~taken)
        if len(there):
            overlap = overlaps(box[k : k + 1], lost[there, 2:])[0]
            if overlap.max() >= 0.5:
                hit[k] = taken[there[overlap.argmax()]] = True
    return Question(wanted, Ranking(image, score, hit))


def _objectlab(scenes: Scenes, found: list[dict[str, Any]]) -> tuple[dict[str, dict[str, Any]], float]:
    """The peer's scores by question, higher = more likely wrong, for several thresholds."""
    from cleanlab.object_detection import rank

    n, given = len(scenes.pixels), scenes.given_boxes
    corners = np.column_stack([given[:, 2:4], given[:, 2:4] + given[:, 4:6]])
    labels = [{"bboxes": corners[given[:, 0] == k], "labels": given[given[:, 0] == k, 1].astype(int)} for k in range(n)]
    rows: list[list[list[list[float]]]] = [[[] for _ in range(CLASSES)] for _ in range(n)]
    for r in found:
        x, y, w, h = r["bbox"]
        rows[r["image_id"]][r["category_id"]].append([x, y, x + w, y + h, r["score"]])
    predicted = np.empty(n, object)
    for k in range(n):
        predicted[k] = [np.array(one, float).reshape(-1, 5) for one in rows[k]]
    flat = [np.concatenate(one) for one in predicted]
    where = np.repeat(np.arange(n), [len(f) for f in flat])
    every = np.concatenate(flat)
    box = np.column_stack([every[:, :2], every[:, 2:4] - every[:, :2]])
    out: dict[str, dict[str, Any]] = {name: {} for name in ("overlooked", "badly located", "swapped", "pictures")}
    took = 0.0
    for high, low in THRESHOLDS:
        called = f"ObjectLab, {high}/{low}"
        begun = time.perf_counter()
        args = {"labels": labels, "predictions": predicted}
        quality = np.concatenate(rank.compute_overlooked_box_scores(**args, high_probability_threshold=high))
        said = ~np.isnan(quality)
        out["overlooked"][called] = (where[said], 1 - quality[said], box[said])
        out["badly located"][called] = 1 - np.concatenate(
            rank.compute_badloc_box_scores(**args, low_probability_threshold=low)
        )
        out["swapped"][called] = 1 - np.concatenate(
            rank.compute_swap_box_scores(**args, high_probability_threshold=high)
        )
        if high == THRESHOLDS[0][0]:
            scores = rank.get_label_quality_scores(labels, predicted, verbose=False)
            took = time.perf_counter() - begun
        else:
            scores = rank._get_subtype_label_quality_scores(
                labels, predicted, high_probability_threshold=high, low_probability_threshold=low
            )
        out["pictures"][called] = 1 - scores
    return out, took


# --- masks -----------------------------------------------------------------------------------------------------------

#: Of the pixels every so many-th in both directions is ranked: a bootstrap sorts them often.
EVERY = 4
#: Of a piece's pixels so many are wrong where it is a hit.
HIT = 0.5


def masks(scenes: Scenes, probabilities: np.ndarray) -> tuple[dict[str, Question], dict[str, float]]:
    """Pictures and pixels beside the peer's scores of them; pieces, which it does not name, beside its pixels' mean."""
    from cleanlab.segmentation.filter import find_label_issues
    from cleanlab.segmentation.rank import get_label_quality_scores

    given, wrong = scenes.given_masks, scenes.given_masks != scenes.true_masks
    n, any_wrong = len(given), wrong.any(axis=(1, 2))
    p = probabilities.astype(np.float32)
    p /= p.sum(axis=1, keepdims=True)
    begun = time.perf_counter()
    flags = flag_kind("masks", labels=given, pred_probs=p)
    seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    softmin, quality = get_label_quality_scores(given, p, method="softmin", verbose=False)
    took_scores = time.perf_counter() - begun
    begun = time.perf_counter()
    issues = find_label_issues(given, p, n_jobs=1, verbose=False)
    took_issues = time.perf_counter() - begun
    # pixels in no piece come last, by the model's doubt, as those that are no issue do of the peer
    doubt = 1 - quality
    pieces, pixels, seen = flags.facts["items"], doubt - 2, p.argmax(axis=1)
    hits, means = np.zeros(len(pieces), bool), np.zeros(len(pieces))
    for k in range(len(pieces) - 1, -1, -1):
        item = pieces[k]
        x, y, width, height = item["box"]
        window = (item["id"], slice(y, y + height), slice(x, x + width))
        inside = (given[window] == item["given"]) & (seen[window] == item["suggested"])
        pixels[window][inside] = item["score"]
        hits[k], means[k] = wrong[window][inside].mean() >= HIT, doubt[window][inside].mean()
    part = (slice(None), slice(None, None, EVERY), slice(None, None, EVERY))
    place = np.broadcast_to(np.arange(n)[:, None, None], given.shape)[part].ravel()
    of_piece = np.array([item["id"] for item in pieces])
    every = np.arange(n)

    def ranked(score: np.ndarray) -> Ranking:
        return Ranking(place, score[part].ravel(), wrong[part].ravel())

    flagged = np.array([item["flagged"] for item in pieces])
    looked = np.isin(every, of_piece[flagged])
    facts = {
        "precision of flagged pieces": float(hits[flagged].mean()),
        "recall of them": float(hits[flagged].sum() / hits.sum()),
        "precision of pictures with one": float(any_wrong[looked].mean()),
        "recall of those": float(any_wrong[looked].sum() / any_wrong.sum()),
        "precision of the peer's pixels": float(wrong[issues].mean()),
        "recall of those pixels": float(wrong[issues].sum() / wrong.sum()),
        "precision of our flagged pixels": float(wrong[pixels >= 0.5].mean()),
        "recall of our pixels": float(wrong[pixels >= 0.5].sum() / wrong.sum()),
        "seconds": seconds,
        "seconds of softmin": took_scores,
        "seconds of the peer's issues": took_issues,
        **_peaks(given, p),
    }
    return {
        "pictures": Question(
            any_wrong.astype(int),
            Ranking(every, flags.facts["image_scores"], any_wrong),
            {
                "softmin": Ranking(every, 1 - softmin, any_wrong),
                "num_pixel_issues": Ranking(every, issues.mean(axis=(1, 2)), any_wrong),
            },
        ),
        "pixels": Question(
            wrong[part].sum(axis=(1, 2)),
            ranked(pixels),
            {"P(given)": ranked(doubt), "issues, by P(given)": ranked(issues + doubt)},
        ),
        "pieces": Question(
            np.bincount(of_piece[hits], minlength=n),
            Ranking(of_piece, np.array([item["score"] for item in pieces]), hits),
            {"P(given), mean of the piece": Ranking(of_piece, means, hits)},
        ),
    }, facts


def _peaks(given: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Peak of the memory that each allocates, in MiB, with the arrays in files at first."""
    from cleanlab.segmentation.rank import get_label_quality_scores

    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("labels.npy", "probabilities.npy")]
        for file, array in zip(files, (given, p), strict=True):
            np.save(file, array)
        asked: dict[str, Callable[[], Any]] = {
            "peak MiB": lambda: flag_kind("masks", labels=files[0], pred_probs=files[1]),
            "peak MiB of softmin": lambda: get_label_quality_scores(*map(load_npy, files), verbose=False),
        }
        for name, ask in asked.items():
            tracemalloc.start()
            ask()
            peaks[name] = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
    return peaks


QUESTIONS: dict[str, Callable[[Scenes, list[dict[str, Any]], np.ndarray], tuple[dict[str, Question], dict[str, float]]]]
QUESTIONS = {
    "boxes": lambda scenes, found, _: boxes(scenes, found),
    "masks": lambda scenes, _, probabilities: masks(scenes, probabilities),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=tuple(QUESTIONS), default=list(QUESTIONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "scenes")
    parser.add_argument("--out", type=Path, help="a folder: KIND.md and KIND.json are written")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    where = conditions("auditor", "numpy", "scikit-learn", "torch", "cleanlab")
    for kind in asked.kinds:
        answers, facts = [], []
        for seed in seeds:
            questions, said = QUESTIONS[kind](*predictions(asked.scenes, seed, asked.folder))
            answers.append(questions)
            facts.append(said)
        rows = rows_of(answers)
        called = f"--kinds {kind} --seeds {asked.seeds} --first-seed {asked.first_seed} --scenes {asked.scenes}"
        lines = [f"# {kind.capitalize()} beside cleanlab", ""]
        lines += [f"`python benchmarks/boxes_and_masks.py {called}`. {where}."]
        lines += [
            f"{asked.scenes} scenes of {SIDE}x{SIDE} pixels a seed, {RATE:.0%} of the objects with each kind of error, "
            f"predictions out of sample. Average precision in per cent; {DRAWS} bootstrap draws over pictures. "
            "The peer is the best of its scores, by the truth.",
            "",
        ]
        cells = []
        for r in rows:
            peer = ["-", "-", "-"]
            if "peer" in r:
                low, high = r["interval"]
                difference = f"{100 * (r['ours'] - r['peer_value']):+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
                peer = [f"{100 * r['peer_value']:.1f}", r["peer"], difference]
            cells.append([r["question"], f"{r['wanted']:,}", f"{100 * r['ours']:.1f}", *peer])
        lines += table(["question", "to find", "AP", "AP peer", "its score", "difference"], cells)
        means = {name: float(np.mean([one[name] for one in facts])) for name in facts[0]}
        lines += ["", "; ".join(f"{name} {value:.3g}" for name, value in means.items()) + " (means over the seeds)."]
        print("\n".join(lines), file=sys.stdout, flush=True)
        if asked.out:
            document = {"where": where, "called": called, "rows": rows, "facts": facts}
            for suffix, text in ((".md", "\n".join([*lines, ""])), (".json", json.dumps(document, indent=1))):
                with atomic_write(asked.out / f"{kind}{suffix}") as handle:
                    handle.write(text.encode())


if __name__ == "__main__":
    main()
