"""Real out-of-fold probabilities of five networks on CIFAR-10N aggre, loaded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.detect.base import Evidence

NETWORKS = ("resnet18", "resnet50d", "efficientnet_b1", "twins_pcpvt_base", "swin_base_patch4_window7_224")


class Aggre:
    """Human labels of 50,000 images, their truth, and probabilities of five networks (float16)."""

    def __init__(self, folder: Path) -> None:
        self.labels = np.load(folder / "cifar10n" / "aggre.npy").astype(np.int64)
        self.wrong = self.labels != np.load(folder / "cifar10n" / "clean.npy")
        self.ids = np.char.zfill(np.arange(len(self.labels)).astype(str), 5)
        self.p = {}
        for name in NETWORKS:
            with np.load(folder / "oof" / "cifar10n_aggre" / f"{name}.npz") as file:
                assert np.array_equal(file["labels"], self.labels)
                self.p[name] = file["pred_probs"]

    def evidence(self, *networks: str) -> Evidence:
        """Evidence from the networks named."""
        return Evidence(self.ids, self.labels, 10, probabilities=[self.p[n] for n in networks], networks=networks)

    def uniform(self) -> np.ndarray:
        """Uniform mean of the five, after normalising each."""
        exact = [p.astype(np.float64) for p in self.p.values()]
        return np.mean([p / p.sum(axis=1, keepdims=True) for p in exact], axis=0)


@pytest.fixture(scope="session")
def aggre(data_dir: Path) -> Aggre:
    return Aggre(data_dir)
