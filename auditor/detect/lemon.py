"""Do an image, the name of its class, and what lies near each of them agree?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from auditor.core.errors import ConfigError
from auditor.detect.base import Detection, Evidence
from auditor.detect.neighbours import unit_rows

#: Bytes of one block of float64 values.
_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Lemon:
    """Distance of an image from the name of its class, and what their neighbours say about it.

    LEMoN (Zhang et al. 2024, arXiv 2407.18941), written from its formulas. With d the cosine distance in the space of
    images x and names y, and its text distance for classes, 0 for the same class and 1 for another::

        s(x, y) = d(x, y) + beta s_n(x, y) + gamma s_m(x, y)
        s_n = mean over the nearest images x_j:  exp(-tau1 d(x, x_j)) exp(-tau2 d(x_j, y_j)) 1[y_j != y]
        s_m = mean over the images x_j labelled y:                    exp(-tau2 d(x_j, y_j)) d(x, x_j)

    The paper takes for s_m as many images as for s_n, those whose labels are nearest to y. Those of one class are all
    equally near, at distance 0, so that the order of the file would choose among them; here it is the mean over all of
    them, which is what a random choice gives on average. A (near) copy of the item is no neighbour of it. An item that
    has no neighbours, or whose class has no other items, gets the median of that part.

    Nothing is fitted. The constants are the paper's for use without any known label; their authors found them on data
    with planted noise of 40 %, CIFAR-10 and 100 among it. It suggests the class of the smallest score.

    Parameters
    ----------
    neighbours : int
    beta, gamma : float
        Weights of the neighbours of the image and of those of the name.
    tau1, tau2 : float
        How fast a neighbour counts less with its distance, and with the distance from its own name.
    """

    neighbours: int = 30
    beta: float = 5.0
    gamma: float = 5.0
    tau1: float = 0.1
    tau2: float = 5.0
    needs: ClassVar[tuple[str, ...]] = ("embeddings", "class_embeddings")

    def detect(self, evidence: Evidence) -> Detection:
        if self.neighbours < 1 or min(self.beta, self.gamma, self.tau1, self.tau2) < 0:
            raise ConfigError("lemon takes at least one neighbour, and no negative weight or tau.")
        labels, n_classes, n = evidence.labels, evidence.n_classes, len(evidence)
        images, names = unit_rows(np.asarray(evidence.embeddings)), unit_rows(np.asarray(evidence.class_embeddings))
        own = np.empty(n)
        for rows in _blocks(n, images.shape[1]):
            own[rows] = 1.0 - np.einsum("nd,nd->n", images[rows], names[labels[rows]], dtype=np.float64)
        trust = np.exp(-self.tau2 * own)

        positions, cosines = evidence.neighbours(self.neighbours)
        near = np.exp(-self.tau1 * (1.0 - cosines.astype(np.float64))) * trust[positions]
        near[positions < 0] = 0.0
        near /= np.maximum(1, (positions >= 0).sum(axis=1, keepdims=True))
        near_image = (near * (labels[positions] != labels[:, None])).sum(axis=1)

        # The mean of w (1 - cos(x, x_j)) over a class takes the sum of w and that of w x_j, less those of the copies.
        sizes, weights = np.bincount(labels, minlength=n_classes), np.bincount(labels, trust, n_classes)
        sums = _sums(images, labels, trust, n_classes)
        copies, copy_weights, copy_products = _copies(evidence, images, trust)
        near_name = np.empty(n)
        for rows in _blocks(n, images.shape[1]):
            near_name[rows] = weights[labels[rows]] - np.einsum("nd,nd->n", images[rows], sums[labels[rows]])
        others = sizes[labels] - copies
        near_name = (near_name - copy_weights + copy_products) / np.maximum(others, 1)

        for part, alone in ((near_image, positions[:, 0] < 0), (near_name, others == 0)):
            part[alone] = 0.0 if alone.all() else np.median(part[~alone])
        score = own + self.beta * near_image + self.gamma * near_name

        suggested = np.empty(n, np.int64)
        for rows in _blocks(n, n_classes):
            x, count = images[rows].astype(np.float64), rows.stop - rows.start
            cells = np.arange(count)[:, None] * n_classes + labels[positions[rows]]
            of_class = np.bincount(cells.ravel(), near[rows].ravel(), count * n_classes).reshape(count, n_classes)
            every = 1.0 - x @ names.T + self.beta * (near[rows].sum(axis=1, keepdims=True) - of_class)
            every += self.gamma * (weights - x @ sums.T) / np.maximum(sizes, 1)
            every[:, sizes == 0] = np.inf
            every[np.arange(count), labels[rows]] = score[rows]
            suggested[rows] = every.argmin(axis=1)
        return Detection(score, None, suggested, {"neighbours": self.neighbours})


def _blocks(n: int, width: int) -> Iterator[slice]:
    """Rows whose float64 values, `width` each, fit into one block."""
    step = max(1, _BLOCK_BYTES // (8 * width))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def _sums(images: np.ndarray, codes: np.ndarray, weights: np.ndarray, n_codes: int) -> np.ndarray:
    """Weighted sum of the rows of each code, float64 (n_codes, d)."""
    total = np.zeros((n_codes, images.shape[1]))
    for rows in _blocks(len(images), images.shape[1]):
        columns = np.arange(rows.stop - rows.start)
        total += csr_array((weights[rows], (codes[rows], columns)), (n_codes, len(columns))) @ images[rows]
    return total


def _copies(evidence: Evidence, images: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each item and its copies of the same label: how many, their trust, and the sum of trust times cosine."""
    count = np.ones(len(images), np.int64)
    total, products = trust.copy(), trust * np.einsum("nd,nd->n", images, images)
    if evidence.duplicate_groups is None:
        return count, total, products
    groups = np.unique(evidence.duplicate_groups, return_inverse=True)[1].ravel()
    _, codes, sizes = np.unique(groups * evidence.n_classes + evidence.labels, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(sizes[codes] > 1)
    if len(rows):
        several = np.unique(codes[rows], return_inverse=True)[1].ravel()
        sums = _sums(images[rows], several, trust[rows], several.max() + 1)
        count[rows], total[rows] = sizes[codes[rows]], np.bincount(several, trust[rows])[several]
        products[rows] = np.einsum("nd,nd->n", images[rows], sums[several])
    return count, total, products
