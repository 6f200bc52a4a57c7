"""Data with known wrong labels for the simulations of the statistics, and reviews of it as the commands see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

import auditor
from auditor.detect.base import Evidence
from auditor.detect.registry import run_detector
from auditor.estimation.state import ReviewState, margins
from auditor.stats.sampling import audit_probabilities, draw_audit

NETWORKS = ("resnet18", "swin_base_patch4_window7_224")


@dataclass(frozen=True)
class Case:
    """Items, most suspicious first: ranking score, log-odds margin, and whether the label is wrong."""

    name: str
    score: np.ndarray
    margin: np.ndarray
    wrong: np.ndarray

    @classmethod
    def make(cls, name: str, score: np.ndarray, margin: np.ndarray, wrong: np.ndarray) -> Case:
        order = np.argsort(-score, kind="stable")
        return cls(name, score[order], margin[order], wrong[order])

    @property
    def errors(self) -> int:
        return int(self.wrong.sum())


def log_odds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The base score, which is also what decides the audit probabilities."""
    evidence = Evidence(np.arange(len(labels)), labels, probabilities.shape[1], probabilities=probabilities)
    found: Any = run_detector("log_odds_margin", evidence)
    return np.asarray(found.score)


def stored_cases(data: Path) -> list[Case]:
    """CIFAR-10N aggre with stored probabilities of a weak and a strong network; synthetic class-conditional noise."""
    clean = np.load(data / "cifar10n" / "clean.npy").astype(np.int64)
    aggre = np.load(data / "cifar10n" / "aggre.npy").astype(np.int64)
    found = []
    for network in NETWORKS:
        with np.load(data / "oof" / "cifar10n_aggre" / f"{network}.npz") as file:
            margin = log_odds(aggre, file["pred_probs"])
        found.append(Case.make(f"aggre, {network.partition('_')[0]}", margin, margin, aggre != clean))
    return [*found, class_conditional(clean)]


def class_conditional(clean: np.ndarray) -> Case:
    """10 % of each class moved to the next one; probabilities of a model that knows the true class to 99 %."""
    rng = np.random.default_rng(0)
    wrong = rng.random(len(clean)) < 0.1
    labels = np.where(wrong, (clean + 1) % 10, clean)
    logits = rng.normal(0, 1.6, (len(clean), 10))
    logits[np.arange(len(clean)), clean] += 5
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    margin = log_odds(labels, p / p.sum(axis=1, keepdims=True))
    return Case.make("synthetic, class-conditional", margin, margin, wrong)


def random1_case(data: Path, folder: Path) -> Case:
    """A finished run over the CIFAR-10 train images with the CIFAR-10N random1 labels: its own ranking."""
    run = auditor.open_run(folder)
    index = run.items["index"].to_numpy()[run.audited]
    given, clean = (np.load(data / "cifar10n" / f"{name}.npy").astype(np.int64) for name in ("random1", "clean"))
    if not np.array_equal(np.asarray(run.labels), given[index]):
        raise SystemExit(f"{folder}: its labels are not CIFAR-10N random1")
    truth = dict(zip(run.ids.tolist(), (given != clean)[index].tolist(), strict=True))
    wrong = np.array([truth[i] for i in run.scores["id"]])
    return Case.make("random1, own models", run.scores["score"].to_numpy(np.float64), margins(run), wrong)


class Reviews:
    """Replays of the audit stream of one case as `auditor.estimation` reads it from a store."""

    def __init__(self, case: Case, candidate_share: float = 0.0) -> None:
        self.case = case
        self.p = audit_probabilities(case.margin, candidate_share=candidate_share)
        self.everyone = np.ones(len(case.wrong), bool)
        self.names = np.empty(len(case.wrong), object)

    def state(self, draws: int, rng: np.random.Generator) -> ReviewState:
        """The state after a perfect review of a new draw."""
        n, at = len(self.p), draw_audit(self.p, draws, rng).positions
        codes = np.full(n, -1, np.int8)
        codes[at] = self.case.wrong[at]
        nobody = cast(Any, None)  # votes and progress: what is measured here reads neither
        return ReviewState(
            self.case.name,
            "importance",
            (),
            self.names,
            self.names,
            self.names,
            self.case.score,
            self.case.margin,
            self.case.margin > 0,
            codes,
            codes,
            self.everyone,
            ~self.everyone,
            at,
            self.p[at],
            float(self.p.min()),
            rng.random(draws),
            self.p,
            draws,
            draws,
            nobody,
            {},
            nobody,
        )
