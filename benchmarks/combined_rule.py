"""How the default rule does on many kinds of labels: strong and weak models, rare and many errors.

    python benchmarks/combined_rule.py [--out FILE] [--seed N] [FAMILY ...]
    python benchmarks/combined_rule.py --cost ITEMS CLASSES

A row is a family: mean AP of the ranking and F1 of the flags of `combined`, beside the plain margin's AP, the F1 of
cleanlab's default filter on the same probabilities, and the largest F1 that any cut of the ranking has (which knows the
truth). Families whose data is not on the machine are left out and named. `seed` draws other items, noise and clouds:
the constants of the rule were chosen on other draws of the same families, see docs/detectors.md. With `--cost` it times
the rule on probabilities drawn here instead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from auditor.audit.flagging import peak_memory
from auditor.core.config import load_settings
from auditor.core.errors import OfflineError
from auditor.core.files import atomic_write, load_npy, load_npz
from auditor.core.machine import conditions, describe_machine
from auditor.core.seeds import generator
from auditor.detect.base import Detection, Evidence
from auditor.detect.findings import find
from auditor.detect.margins import log_odds_margin
from auditor.detect.registry import run_detector
from auditor.engine.mixture import normalised
from auditor.lab.detectors.cleanlab_adapter import filter_mask
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.lab.detectors.sets import find_data
from auditor.report.markdown import table

NETWORKS = ("resnet18", "resnet50d", "efficientnet_b1", "twins_pcpvt_base", "swin_base_patch4_window7_224")
#: Probabilities, given labels, true labels.
Case = tuple[np.ndarray, np.ndarray, np.ndarray]


def human(name: str) -> Case:
    """Stored probabilities of a network on CIFAR-10N aggre."""
    settings = load_settings()
    files = [
        find_data(settings, f) for f in (f"oof/cifar10n_aggre/{name}.npz", "cifar10n/aggre.npy", "cifar10n/clean.npy")
    ]
    if None in files:
        raise OfflineError("CIFAR-10N and its stored probabilities are not below the data folders.")
    stored, aggre, clean = files
    return (
        normalised(load_npz(stored)["pred_probs"]),  # type: ignore[arg-type]
        load_npy(aggre).astype(np.int64),  # type: ignore[arg-type]
        load_npy(clean).astype(np.int64),  # type: ignore[arg-type]
    )


def fitted(x: np.ndarray, labels: np.ndarray, strength: float = 1.0) -> np.ndarray:
    """Cross-validated probabilities of a linear model."""
    model = LogisticRegression(C=strength, max_iter=60)
    return cross_val_predict(model, x, labels, cv=5, method="predict_proba")


def noisy(kind: str, truth: np.ndarray, n_classes: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    step = 1 if kind == "pair" else rng.integers(1, n_classes, len(truth))
    return np.where(rng.random(len(truth)) < rate, (truth + step) % n_classes, truth)


def whole(rng: np.random.Generator) -> Iterator[Case]:
    for name in NETWORKS:
        yield human(name)


def small(rng: np.random.Generator) -> Iterator[Case]:
    for name in NETWORKS:
        p, labels, truth = human(name)
        items = rng.choice(len(labels), 3000, replace=False)
        yield p[items], labels[items], truth[items]


def four_classes(rng: np.random.Generator) -> Iterator[Case]:
    for name in NETWORKS:
        p, labels, truth = human(name)
        kept = np.sort(rng.choice(10, 4, replace=False))
        items = np.isin(labels, kept) & np.isin(truth, kept)
        few = p[items][:, kept]
        yield (
            few / few.sum(axis=1, keepdims=True),
            np.searchsorted(kept, labels[items]),
            np.searchsorted(kept, truth[items]),
        )


def rare(rng: np.random.Generator) -> Iterator[Case]:
    for name in NETWORKS[::2]:
        p, labels, truth = human(name)
        items = (labels == truth) | (rng.random(len(labels)) < 0.1)
        yield p[items], labels[items], truth[items]


def weak(rng: np.random.Generator) -> Iterator[Case]:
    """Human labels, and a linear model of a network's blurred log-probabilities."""
    for name, blur in (("resnet18", 0.6), ("resnet18", 1.2), ("efficientnet_b1", 0.9)):
        p, labels, truth = human(name)
        items = rng.choice(len(labels), 6000, replace=False)
        x = np.log(p[items] + 1e-4)
        x = (x - x.mean(axis=0)) / x.std(axis=0) + blur * rng.normal(size=x.shape)
        yield fitted(x, labels[items]), labels[items], truth[items]


def injected(kind: str, rate: float) -> Callable[[np.random.Generator], Iterator[Case]]:
    """Noise made here, and a linear model of a network's log-probabilities."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        for name in ("resnet18", "swin_base_patch4_window7_224"):
            p, _, truth = human(name)
            items = rng.choice(len(truth), 6000, replace=False)
            x, labels = np.log(p[items] + 1e-4), noisy(kind, truth[items], 10, rate, rng)
            yield fitted((x - x.mean(axis=0)) / x.std(axis=0), labels), labels, truth[items]

    return cases


def digits(kind: str, long_tailed: bool) -> Callable[[np.random.Generator], Iterator[Case]]:
    def cases(rng: np.random.Generator) -> Iterator[Case]:
        x, truth = load_digits(return_X_y=True)
        for rate in (0.1, 0.2):
            share = rng.permutation(np.geomspace(1, 0.08, 10)) if long_tailed else np.ones(10)
            items = rng.random(len(truth)) < share[truth]
            labels = noisy(kind, truth[items], 10, rate, rng)
            yield fitted(x[items] / 4, labels, 0.3), labels, truth[items]

    return cases


def clouds(kind: str, rate: float, imbalanced: bool) -> Callable[[np.random.Generator], Iterator[Case]]:
    """Gaussian classes in 16 dimensions, weakly and well separated, two of them close."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        for n_classes, n, spreads in ((2, 2000, (0.25, 0.6)), (4, 2000, (0.4, 0.8)), (10, 3000, (0.5, 1.0))):
            for spread in spreads:
                share = rng.permutation(np.geomspace(1, 0.03, n_classes) if imbalanced else np.ones(n_classes))
                truth = rng.choice(n_classes, n, p=share / share.sum())
                centres = rng.normal(size=(n_classes, 16)) * spread
                if n_classes > 2:
                    centres[1] = centres[0] + 0.5 * (centres[1] - centres[0])
                x = centres[truth] + rng.normal(size=(n, 16))
                if kind == "ambiguous":
                    squares = ((x[:, None] - centres) ** 2).sum(axis=2)
                    reached = np.cumsum(softmax(-rate * squares + np.log(share / share.sum()), axis=1), axis=1)
                    labels = (reached > rng.random((n, 1))).argmax(axis=1)
                else:
                    labels = noisy(kind, truth, n_classes, rate, rng)
                yield fitted(x, labels, 0.3), labels, truth

    return cases


FAMILIES: dict[str, Callable[[np.random.Generator], Iterator[Case]]] = {
    "human labels, 50,000 items": whole,
    "human labels, 3,000 items": small,
    "human labels, 4 classes": four_classes,
    "human labels, 1 % wrong": rare,
    "human labels, weak models": weak,
    **{
        f"{kind} noise of {rate:.0%}": injected(kind, rate)
        for kind in ("symmetric", "pair")
        for rate in (0.05, 0.2, 0.4)
    },
    **{
        f"digits{', long-tailed' if tailed else ''}, {kind}": digits(kind, tailed)
        for tailed in (False, True)
        for kind in ("symmetric", "pair")
    },
    **{
        f"clouds{', imbalanced' if uneven else ''}, {kind}": clouds(kind, rate, uneven)
        for uneven in (False, True)
        for kind, rate in (("symmetric", 0.1), ("pair", 0.1), ("ambiguous", 0.25))
    },
    "clouds, nothing wrong": clouds("symmetric", 0.0, False),
}


def measured(case: Case) -> list[float]:
    """Shares of wrong and flagged items, AP of margin and default, F1 of cleanlab, default and the best cut."""
    p, labels, truth = case
    p = p / p.sum(axis=1, keepdims=True)
    wrong, findings = labels != truth, find(Evidence(np.arange(len(labels)), labels, p.shape[1], probabilities=p))
    ranked, flagged = Ranked.of(wrong, findings.score), findings.flagged
    rest = (
        [Ranked.of(wrong, log_odds_margin(p, labels)).average_precision(), ranked.average_precision()]
        + [flag_counts(wrong, mask).f1 for mask in (filter_mask(labels, p, "prune_by_noise_rate"), flagged)]
        + [ranked.best_f1()]
        if wrong.any()
        else [float("nan")] * 5
    )
    return [float(wrong.mean()), float(flagged.mean()), *rest]


def cost(n_items: int, n_classes: int, seed: int) -> None:
    """Print the time of `combined` on drawn probabilities with a tenth of the labels wrong, and the peak memory."""
    rng = generator(seed, "combined-rule-cost")
    truth = rng.integers(0, n_classes, n_items)
    p = rng.normal(size=(n_items, n_classes)).astype(np.float32)
    p[np.arange(n_items), truth] += 4
    p = softmax(p, axis=1)
    evidence = Evidence(np.arange(n_items), noisy("symmetric", truth, n_classes, 0.1, rng), n_classes, probabilities=p)
    begin = time.process_time(), time.perf_counter()
    detection = run_detector("combined", evidence)
    used, wall = time.process_time() - begin[0], time.perf_counter() - begin[1]
    assert isinstance(detection, Detection)
    print(
        f"combined, {n_items:,} x {n_classes}: {used:.1f} s of CPU, {wall:.1f} s, {peak_memory() / 2**30:.1f} GiB; "
        f"{int(detection.flagged.sum()):,} flagged. {describe_machine()['cpu']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="first words of families; all without any")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cost", type=int, nargs=2, metavar=("ITEMS", "CLASSES"))
    asked = parser.parse_args()
    if asked.cost:
        cost(*asked.cost, asked.seed)
        return
    rows, absent = [], []
    for name, cases in FAMILIES.items():
        if asked.families and not name.startswith(tuple(asked.families)):
            continue
        try:
            results = np.array([measured(case) for case in cases(generator(asked.seed, "combined-rule", name))])
        except OfflineError as error:
            absent.append(f"{name}: {error.what}")
            continue
        rows.append([name, len(results), *(f"{100 * v:.1f}" if v == v else "-" for v in results.mean(axis=0))])
        print(*rows[-1], sep=" | ", flush=True)
    header = ["family", "cases", "wrong", "flagged", "AP margin", "AP", "F1 cleanlab", "F1", "best F1"]
    where = conditions("auditor", "numpy", "scikit-learn", "cleanlab")
    lines = [
        "# The default rule on many kinds of labels",
        "",
        f"`python benchmarks/combined_rule.py --seed {asked.seed}`. {where}.",
        "In per cent, means over the cases of a family.",
        "",
        *table(header, rows),
        "",
        *absent,
    ]
    if asked.out:
        with atomic_write(asked.out) as handle:
            handle.write("\n".join(lines).encode())


if __name__ == "__main__":
    main()
