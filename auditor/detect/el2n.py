"""EL2N from three stored numbers per item and epoch: exact for up to three classes, bounded for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.dynamics_scores import dynamics_detection, mean_visited
from auditor.detect.item_dynamics import ItemDynamics


def el2n_bounds(dynamics: ItemDynamics, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest possible mean of ``|| p - onehot(given) ||`` over the first third of the epochs, and no less
    than two, in sample.

    The logit of the given class, the largest other logit and the log-sum-exp give p(given) and the largest other
    probability q exactly. The remaining mass R lies on K - 2 classes with at most q each; its sum of squares is
    least where it is spread evenly, ``R^2 / (K - 2)``, and largest where it fills as many classes as it can to q.
    With two classes there is no rest, with three it is one class: the bounds coincide.

    Returns
    -------
    least, largest : float64 arrays (n,)
        NaN where an item was never visited in those epochs.
    """
    # At least two: a head that starts at 0 says the same of all items of its first batch, which may be all there are.
    epochs = max(2, dynamics.train_given.shape[1] // 3)
    given, other, lse = (
        getattr(dynamics, f"train_{kind}")[:, :epochs].astype(np.float64) for kind in ("given", "other", "logsumexp")
    )
    # float16 logits may lie one rounding step above their log-sum-exp.
    p, q = np.minimum(np.exp(given - lse), 1.0), np.minimum(np.exp(other - lse), 1.0)
    q = np.minimum(q, 1.0 - p)
    rest = np.maximum(1.0 - p - q, 0.0)
    known = (1.0 - p) ** 2 + q**2
    if n_classes == 2:
        least = largest = np.zeros_like(rest)
    else:
        least = rest**2 / (n_classes - 2)
        full = np.minimum(np.floor(np.divide(rest, q, out=np.zeros_like(rest), where=q > 0)), n_classes - 2)
        # Rounded logits may leave more mass than K - 2 classes can hold; it is then spread evenly.
        largest = np.maximum(full * q**2 + np.maximum(rest - full * q, 0.0) ** 2, least)
        largest = least if n_classes == 3 else largest
    return mean_visited(np.sqrt(known + least)), mean_visited(np.sqrt(known + largest))


@dataclass(frozen=True)
class El2n:
    """Error norm early in training (EL2N; Paul et al. 2021, arXiv 2107.07075), mean over the first third of epochs,
    and no less than two.

    The score is the middle of `el2n_bounds`; ``meta`` holds the largest and the mean distance between the bounds
    (0 up to three classes). The published score averages ten initialisations; here it is as many models as
    trained on the item.
    """

    needs: ClassVar[tuple[str, ...]] = ("dynamics",)

    def detect(self, evidence: Evidence) -> Detection | NotApplicable:
        gaps: list[np.ndarray] = []

        def score(dynamics: ItemDynamics) -> np.ndarray:
            least, largest = el2n_bounds(dynamics, evidence.n_classes)
            gaps.append((largest - least)[np.isfinite(least)])
            return (least + largest) / 2

        detection = dynamics_detection("el2n", evidence, score)
        if isinstance(detection, Detection):
            detection.meta.update(largest_gap=float(gaps[0].max()), mean_gap=float(gaps[0].mean()))
        return detection
