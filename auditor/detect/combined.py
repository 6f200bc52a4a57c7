"""All label-free evidence in one ranking. Every part earns its weight without any truth.

Why this form (figures in docs/detectors.md): no single assumption about the noise holds everywhere. The pool of
predictions knows nothing of the noise, EM assumes that it depends on the class only, and the in-sample margin (AUM)
that wrong labels are learned late. Each is best somewhere and poor elsewhere, so each counts as far as the given
labels bear it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit

from auditor.detect.base import Detection, Evidence
from auditor.detect.dynamics_scores import Aum
from auditor.detect.em_posterior import EMFit, fit_em
from auditor.detect.knn import neighbour_posterior
from auditor.detect.margins import LOG_FLOOR, best_other, given_probability, log_odds, log_odds_margin, preferred_class
from auditor.detect.noise_models import NoiseEvidence, compare_noise_models, log_pool
from auditor.detect.thresholds import best_expected_f1

#: Added to shares among neighbours before the logarithm; their grain is 1 / neighbours, not 1e-4.
SHARE_FLOOR = 1e-3
#: Sharpening for EM's ranking, the exponent that the likelihood chose most often on calibrated pools.
RANKING_BETA = 1.5
#: Sharpening for EM's count of wrong labels, the flags and the comparison of noise models, as in `em_posterior`. With
#: less, EM leaves what the network is unsure of as it is, and counts too few.
BETA = 2.0
#: Share of "which wrong class" that pairs explain, from which on EM alone ranks. Pairs explain up to .3 of it under
#: human noise, where both hypotheses are of use, and .35 and more where labels went wrong by pair.
EXPLAINED = 1 / 3
#: Where EM takes most labels of a class for wrong, the share that pairs explain tells noise from a class that the
#: network never learned. Confusions of small and weak models explained up to .06 of it, labels gone wrong by pair .09
#: and more.
CONFUSIONS, NOISE = 0.06, 0.1
#: Nats for each wrong label by which the pool predicts better than pairs, from which on EM ranks less, down to half its
#: weight: hardly any label is wrong then, and a good part of the matrix are confusions.
HARDLY_WRONG = 0.75
#: Least weight of the pool in the flags, and what it can gain. Where pairs of classes predict as well as the pool, EM
#: sees the errors, and where they predict a nat for each wrong label worse, hardly any are there: least. In between EM
#: sees only a part of them, as in texts and under heavy noise by pair, and counts too few: up to a sixth more.
LEAST_POOL_WEIGHT, HALF_SEEN = 0.25, 1 / 6
#: Its largest weight where pairs of classes predict held-out labels better than the pool does. Injected noise is best
#: flagged with .2, human noise with .4.
LARGEST_POOL_WEIGHT = 0.3
#: Nats for each wrong label by which pairs predict better than the pool, between which EM at beta 1.5 takes over the
#: flags, if it is also the likelier. Human labels reached .3; above it errors are few and by class, and beta 2 counts
#: doubts of the network among them.
BY_CLASS, SURELY_BY_CLASS = 0.3, 0.4
#: Share of wrong labels below which "so much for each wrong label" is not formed: a division by next to nothing.
LEAST_WRONG = 0.002
#: Correlation of in-sample margins with the score up to which they do not count, and from which on they count fully.
#: Where they helped it was .95 and more (up to 1.2 AP, frozen encoders under noise of any class), about nothing at .90
#: (a network alone), and where it was .83 to .87 they cost 2 to 5 AP (pair noise, texts, two models).
OTHERWISE, ALIKE = 0.88, 0.95
#: Neighbours are at most one item in so many: of 178 wines 50 neighbours are no neighbourhood, and cost .6 AP.
LOCAL = 40
#: Probabilities are kept this far from 0 and 1 before their logit.
EDGE = 1e-9


@dataclass(frozen=True)
class Combined:
    """Margin and EM on the calibrated pool of networks and neighbours, plus AUM as far as it agrees.

    1. **Pool** (`pooled`). Networks are weighted (`convex_weights`). With embeddings, the neighbours' posterior is
       pooled with them (`log_pool`): log-probabilities add up, with exponents fitted to the given labels, so that
       neighbours which tell nothing new get exponent 0. Without embeddings this is temperature scaling.
    2. **Score.** ``(1 - w) ((1 - w) m(pool) + w l(pool)) + w m(EM posterior) / beta``: m the log-odds margin, l the
       log-odds against the given label, both with floor 1e-4; EM at beta 1.5, which stretched its margins. w says
       how far the given labels speak for noise that depends on the pair of classes (`pair_weight`): so far it is
       EM's to say which other class is best, and the pool's that the given one is bad.
    3. **Dynamics.** ``z(score) + v z(-AUM)``, v by the correlation of the two (`aum_weight`). In-sample margins of a
       network that memorised everything are unrelated to what held-out predictions say, and vanish; so do those that
       miss what a second model, neighbours or pairs of classes have told the score.

    **Flags.** Two probabilities that the given label is wrong are averaged in the logit: the pool's, 1 - P(given), and
    EM's, at beta 2 or, by `mild_weight`, 1.5. The pool's counts with `pool_weight`. Among the items where the pool
    prefers another class, as many are flagged as make the expected F1 largest. Wherever the pool prefers another
    class, the suggestion is the best other class of pool and EM together.

    Parameters
    ----------
    neighbours : int
        At most; fewer of fewer than `LOCAL` times as many items.
    """

    neighbours: int = 50
    needs: ClassVar[tuple[str, ...]] = ("probabilities",)

    def detect(self, evidence: Evidence) -> Detection:
        labels = evidence.labels
        pool, meta = pooled(evidence, self.neighbours)
        models = compare_noise_models(pool, labels, evidence.ids, BETA)
        em = fit_em(pool, labels, BETA)
        wrong = max(em.count / len(labels), LEAST_WRONG)
        preferred = preferred_class(pool, labels)[1]

        ranking = fit_em(pool, labels, RANKING_BETA)
        weight = pair_weight(models, wrong, ranking, labels)
        given = given_probability(pool, labels)
        by_pool = (1 - weight) * log_odds_margin(pool, labels) + weight * log_odds(1 - given, given)
        by_pairs = log_odds_margin(ranking.posterior, labels) / RANKING_BETA
        mild = mild_weight(models, em, ranking)
        right = [given, given_probability(em.posterior, labels), given_probability(ranking.posterior, labels)]
        del ranking
        score = (1 - weight) * by_pool + weight * by_pairs
        parts = ["log_odds_margin", "em_posterior"]
        meta |= {"pair_weight": weight}
        aum = Aum().detect(evidence) if evidence.dynamics is not None else None
        if isinstance(aum, Detection) and aum.score.std() > 0 and score.std() > 0:
            extra = aum_weight(float(np.corrcoef(score, aum.score)[0, 1]))
            score = _z(score) + extra * _z(aum.score)
            meta |= {"aum_weight": extra}
            parts.append("aum")

        trust = pool_weight(models, em.count, preferred)
        flagged, expected = _flags(right, (trust, (1 - trust) * (1 - mild), (1 - trust) * mild), preferred)
        meta |= {"pool_weight": trust, "mild_weight": mild, "expected_f1": expected}
        suggested = np.where(preferred, best_other((pool + em.posterior) / 2, labels)[0], labels)
        if evidence.embeddings is not None:
            parts.append("knn_posterior")
        return Detection(score, flagged, suggested, {"parts": parts, **meta})


def pooled(evidence: Evidence, neighbours: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Calibrated pool of the networks and, with embeddings, of the neighbours' labels.

    Returns
    -------
    probabilities : float64 array (n, K)
        Rows sum to 1.
    facts : dict
        Weights and exponents of the parts.
    """
    labels = evidence.labels
    meta: dict[str, Any] = {}
    if len(evidence.network_weights) > 1:
        meta["network_weights"] = evidence.network_weights
    parts, floors = [evidence.mean_probabilities], [LOG_FLOOR]
    if evidence.embeddings is not None:
        positions, cosines = evidence.neighbours(max(1, min(neighbours, len(labels) // LOCAL)))
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


def pair_weight(models: NoiseEvidence, wrong: float, em: EMFit, labels: np.ndarray) -> float:
    """How far noise by pairs of classes counts in the ranking, in [0, 1].

    0 where one rate predicts the given labels as well as a matrix: what the matrix holds then is the network's own
    confusions. One half where it predicts better at all, since both hypotheses stand then, and more with how much it
    explains: enough items make any gain significant, but none large. The measure is the share of "which wrong class"
    that pairs explain: a label that is wrong names one of K - 1 other classes, and knowing which gains at most
    log(K - 1) nats. From `EXPLAINED` on, EM alone ranks. Where EM takes most labels of a class for wrong, either they
    are wrong, or the network never learned that class, as happens to rare ones, and EM takes its confusions for noise:
    it counts only from `CONFUSIONS` on, and fully from `NOISE` on. Where the pool predicts far better than pairs, see
    `HARDLY_WRONG`.

    Parameters
    ----------
    models : NoiseEvidence
    wrong : float
        Share of wrong labels, above 0.
    em : EMFit
        The one that ranks.
    labels : int array (n,)
    """
    gain = models.over_one_rate
    n_classes = em.posterior.shape[1]
    explained = (gain.nats - gain.error) / (wrong * np.log(max(n_classes - 1, 1.5)))
    share = float(np.clip(explained / EXPLAINED, 0.0, 1.0))
    weight = gain.sureness * (share + 0.5 * (1 - share))
    left = np.bincount(labels, weights=given_probability(em.posterior, labels), minlength=n_classes)
    if (2 * left < np.bincount(labels, minlength=n_classes)).any():
        weight *= float(np.clip((explained - CONFUSIONS) / (NOISE - CONFUSIONS), 0.0, 1.0))
    return weight * (1 - float(np.clip(-models.over_pool.nats / wrong - HARDLY_WRONG, 0.0, 0.5)))


def aum_weight(correlation: float) -> float:
    """How far in-sample margins count beside a score with which they have this correlation, in [0, 1]."""
    share = float(np.clip((correlation - OTHERWISE) / (ALIKE - OTHERWISE), 0.0, 1.0))
    return share * correlation**2


def mild_weight(models: NoiseEvidence, em: EMFit, milder: EMFit) -> float:
    """How far EM with the lower exponent takes the place of the other in the flags, in [0, 1].

    Parameters
    ----------
    models : NoiseEvidence
    em, milder : EMFit
        At beta 2 and 1.5.
    """
    if milder.log_likelihood <= em.log_likelihood:
        return 0.0
    ahead = models.over_pool.nats / max(em.count / len(em.posterior), LEAST_WRONG)
    return float(np.clip((ahead - BY_CLASS) / (SURELY_BY_CLASS - BY_CLASS), 0.0, 1.0))


def pool_weight(models: NoiseEvidence, count: float, preferred: np.ndarray) -> float:
    """How far the pool's own P(label wrong) counts beside EM's in the flags, in [0, 1].

    rho, EM's count of errors as a share of the pool's disagreements with labels, says how good the pool is: a network
    that knows its data disagrees with wrong labels, a weak one with right ones too. The weight is rho squared, but not
    below `LEAST_POOL_WEIGHT` plus as much of `HALF_SEEN` as the comparison of the two says; and at most
    `LARGEST_POOL_WEIGHT` where pairs of classes predict held-out labels better than the pool does: noise is then what
    EM assumes, and the pool counts too many.

    Parameters
    ----------
    models : NoiseEvidence
    count : float
        Wrong labels by EM.
    preferred : bool array (n,)
        Where the pool prefers another class.
    """
    rho = min(1.0, count / max(float(preferred.sum()), 1.0))
    behind = float(np.clip(-models.over_pool.nats / max(count / len(preferred), LEAST_WRONG), 0.0, 1.0))
    trust = max(rho**2, LEAST_POOL_WEIGHT + HALF_SEEN * 4 * behind * (1 - behind))
    better = models.over_pool.sureness
    return float((1 - better) * trust + better * min(trust, LARGEST_POOL_WEIGHT))


def _flags(right: list[np.ndarray], weights: Sequence[float], preferred: np.ndarray) -> tuple[np.ndarray, float]:
    """Flags, bool (n,), and their expected F1, from several probabilities (n,) that the given label is right."""
    odds = sum(w * logit(np.clip(1 - p, EDGE, 1 - EDGE)) for w, p in zip(weights, right, strict=True))
    wrong = np.where(preferred, expit(odds), 0.0)
    ranked = np.sort(wrong)[::-1]
    count, expected = best_expected_f1(ranked)
    return preferred & (wrong >= ranked[count - 1]), expected


def _z(score: np.ndarray) -> np.ndarray:
    return (score - score.mean()) / score.std()
