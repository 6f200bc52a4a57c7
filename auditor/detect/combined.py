"""All label-free evidence in one ranking. Every part earns its weight without any truth.

Why this form (figures in docs/detectors.md): no single assumption about the noise holds everywhere. The margin
knows nothing of the noise, EM assumes that it depends on the class only, and the in-sample margin (AUM) that
wrong labels are learned late. Each is best somewhere and poor elsewhere, so each counts as far as the given
labels bear it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from auditor.detect.base import Detection, Evidence
from auditor.detect.dynamics_scores import Aum
from auditor.detect.em_posterior import EMFit, fit_em, likelihood_fit
from auditor.detect.knn import neighbour_posterior
from auditor.detect.margins import LOG_FLOOR, best_other, given_probability, log_odds_margin, preferred_class
from auditor.detect.noise_models import compare_noise_models, log_pool

#: Added to shares among neighbours before the logarithm; their grain is 1 / neighbours, not 1e-4.
SHARE_FLOOR = 1e-3
#: Sharpening of the calibrated mixture for EM. Calibration has removed most of the over-confidence that makes
#: 2 the better exponent on raw probabilities; the likelihood chose 1.5 most often. For the ranking.
BETA = 1.5
#: Least exponent of EM for the flags. Where noise does not depend on the class only, the likelihood takes a smaller one
#: and EM then finds next to nothing, although its count is a lower bound already.
FLAG_BETA = 2.0
#: Share of a class's labels that EM has to leave as they are. Below it, either most labels of that class are wrong or
#: the network never learned it, as happens to rare classes, and EM takes its confusions for noise.
LEAST_RETAINED = 0.5
#: Share of "which wrong class" that pairs of classes explain: up to .08 where a network confuses rare classes, from .11
#: on where labels went wrong by pair (tables, digits and drawn clouds with classes of 1 to 65 %). Enough items make any
#: z significant, but not this share large.
CONFUSIONS, NOISE = 0.08, 0.12


@dataclass(frozen=True)
class Combined:
    """Margin and EM on the calibrated pool of networks and neighbours, plus AUM as far as it agrees.

    1. Networks are weighted (`convex_weights`). With embeddings, the neighbours' posterior is pooled with them
       (`log_pool`): log-probabilities add up, with exponents fitted to the given labels, so that neighbours which
       tell nothing new get exponent 0. Without embeddings this is temperature scaling.
    2. ``b = 2 ((1 - w) m(pool) + w m(EM posterior of the pool))``, log-odds margins with floor 1e-4; w in
       [0, 3/4] says how far the given labels speak for noise that depends on the pair of classes
       (`noise_models.NoiseEvidence.pair_weight`). EM alone takes a network's own confusions for such noise. Where it
       holds most labels of a class for wrong, w counts as far only as pairs explain which class a wrong label names.
    3. With dynamics: ``z(b) + r^2 z(-AUM)``, r the correlation of the two (0 where negative). In-sample margins
       of a network that memorised everything are unrelated to what held-out predictions say, and vanish.

    Flags: two hypotheses are averaged, one half each, the weight of not knowing. Either the pool predicts the label
    that should be there, or labels went wrong by class as EM fitted it, here with the exponent the likelihood chooses
    from 2 on: under heavy noise a pool is unsure of every label, and a fixed exponent would take that for what the
    network does not know. An item is flagged where its given label has less than half of the averaged probability and
    the pool itself prefers another class. Wherever the pool prefers another class, the suggestion is the best other
    class.

    Parameters
    ----------
    neighbours : int
    """

    neighbours: int = 50
    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection:
        labels = evidence.labels
        pool, meta = self._pool(evidence)
        em = fit_em(pool, labels, BETA)
        weight = _pair_weight(pool, labels, evidence.ids, em)
        score = 2 * ((1 - weight) * log_odds_margin(pool, labels) + weight * log_odds_margin(em.posterior, labels))
        meta |= {"pair_weight": weight}
        parts = ["log_odds_margin", "em_posterior"]
        aum = Aum().detect(evidence) if evidence.dynamics is not None else None
        if isinstance(aum, Detection) and aum.score.std() > 0 and score.std() > 0:
            agreement = max(0.0, float(np.corrcoef(score, aum.score)[0, 1]))
            score = _z(score) + agreement**2 * _z(aum.score)
            meta |= {"aum_weight": agreement**2}
            parts.append("aum")
        by_class = likelihood_fit(pool, labels, FLAG_BETA)
        meta |= {"flag_beta": by_class.beta}
        averaged = (pool + by_class.posterior) / 2
        preferred = preferred_class(pool, labels)[1]
        flagged = preferred & (given_probability(averaged, labels) < 0.5)
        suggested = np.where(preferred, best_other(averaged, labels)[0], labels)
        if evidence.embeddings is not None:
            parts.append("knn_posterior")
        return Detection(score, flagged, suggested, {"parts": parts, **meta})

    def _pool(self, evidence: Evidence) -> tuple[np.ndarray, dict[str, Any]]:
        labels = evidence.labels
        meta: dict[str, Any] = {}
        if len(evidence.network_weights) > 1:
            meta["network_weights"] = evidence.network_weights
        parts, floors = [evidence.mean_probabilities], [LOG_FLOOR]
        if evidence.embeddings is not None:
            positions, cosines = evidence.neighbours(self.neighbours)
            # One pass: with a second one an item would vote for its own label through its neighbours' trust.
            parts.append(neighbour_posterior(positions, cosines, labels, evidence.n_classes, passes=1))
            floors.append(SHARE_FLOOR)
        pool, exponents = log_pool(parts, floors, labels)
        meta["exponent"] = float(exponents[0])
        if len(parts) > 1:
            # What a part adds to the spread of the margins: an exponent means nothing where all shares are alike.
            spread = [a * log_odds_margin(p, labels, f).std() for a, p, f in zip(exponents, parts, floors, strict=True)]
            weight = float(spread[1] / sum(spread)) if sum(spread) > 0 else 0.0
            meta |= {"knn_exponent": float(exponents[1]), "knn_weight": weight}
        return pool, meta


def _pair_weight(pool: np.ndarray, labels: np.ndarray, ids: np.ndarray, em: EMFit) -> float:
    """How far noise by pairs of classes counts in the ranking, in [0, 3/4]."""
    weight, n_classes = compare_noise_models(pool, labels, ids, BETA).pair_weight, pool.shape[1]
    left = np.bincount(labels, weights=given_probability(em.posterior, labels), minlength=n_classes)
    counts = np.bincount(labels, minlength=n_classes)
    if weight == 0 or (left[counts > 0] >= LEAST_RETAINED * counts[counts > 0]).all():
        return weight
    wrong = max(fit_em(pool, labels, FLAG_BETA).count / len(labels), 0.002)
    # In nats, a label that is wrong names one of the other classes: knowing which gains at most log(K - 1).
    explained = compare_noise_models(pool, labels, ids, FLAG_BETA).gain / (wrong * np.log(max(n_classes - 1, 1.5)))
    return weight * float(np.clip((explained - CONFUSIONS) / (NOISE - CONFUSIONS), 0.0, 1.0))


def _z(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()
