"""Real margins with their truth: CIFAR-10N aggre, stored probabilities of two networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Margins = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def aggre(data_dir: Path) -> Callable[[str], Margins]:
    """(log-odds margin, label is wrong) of a network, both (50000,)."""
    from auditor.detect.base import Evidence
    from auditor.detect.registry import run_detector

    labels = np.load(data_dir / "cifar10n" / "aggre.npy").astype(np.int64)
    wrong = labels != np.load(data_dir / "cifar10n" / "clean.npy")

    def load(network: str) -> Margins:
        with np.load(data_dir / "oof" / "cifar10n_aggre" / f"{network}.npz") as file:
            evidence = Evidence(np.arange(len(labels)), labels, 10, probabilities=file["pred_probs"])
        found = run_detector("log_odds_margin", evidence)
        return found.score, wrong

    return load
