"""What a model is trained on once labels are suspect: which items stay, and how much each label counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.detect.em_posterior import fit_em
from auditor.detect.margins import LOG_FLOOR, given_probability
from auditor.detect.noise_models import log_pool

#: Share of its weight that a class keeps in a refit at least. With none (trust alone) classes of 2 to 7 % of a table
#: were lost from refit to refit; where every class kept all of it, labels that went wrong by pair kept too much.
LEAST_LEFT = 0.5
#: A class whose labels are trusted less than this on the whole keeps that half evenly, the less it is trusted the more
#: so: a few labels would else speak for all of it, and where most of a class is labelled as another one they are wrong.
LEAST_TRUST = 0.05
#: Labels of a class are trusted at least so far on the whole where a refit is worth it. Below, EM takes most of the
#: class for wrong: confusions that the model never learned, or a class that is labelled as another one, and refits made
#: of it what is worse (benchmarks/refits.py). Where 40 % of a class really were wrong, trust was .41 to .56.
LEAST_BELIEVED = 0.4
#: Least trust in a label: a weight of 0 some models refuse, and with others a class could vanish.
EDGE = 1e-6


def trust_in_labels(p: np.ndarray, labels: np.ndarray, beta: float = 2.0) -> np.ndarray:
    """P(the given label is right), float64 (n,) in [0, 1], by the noise that `fit_em` finds.

    Parameters
    ----------
    p : float64 array (n, K)
        Out-of-sample probabilities, rows sum to 1.
    labels : int array (n,)
        Columns of `p`.
    beta : float
        Sharpening, see `fit_em`.
    """
    return given_probability(fit_em(p, labels, beta).posterior, labels)


@dataclass(frozen=True, eq=False)
class RefitWeights:
    """What the labels count in the next fit.

    Attributes
    ----------
    weights : float64 array (n,)
        Above 0; the mean over a class is at least `LEAST_LEFT`.
    trust : float64 array (n,)
        P(the given label is right), see `trust_in_labels`.
    """

    weights: np.ndarray
    trust: np.ndarray


def refit_weights(p: np.ndarray, labels: np.ndarray) -> RefitWeights:
    """Weights of the labels for the next fit: how far each can be trusted, beside the others of its class.

    A label weighs as much as it is trusted, but no class loses more than half its weight: EM takes the confusions of a
    class that the model never learned, as rare ones, for noise, and weighed by trust alone such a class would all but
    vanish, and each refit would know less of it than the one before. Trust then still says which of its labels carry
    the half that is left, unless it is below `LEAST_TRUST` on average.

    Parameters
    ----------
    p : float array (n, K)
        **Out-of-sample** probabilities, rows sum to 1. Calibrated here on the given labels.
    labels : int array (n,)
        Columns of `p`.
    """
    calibrated, _ = log_pool([np.asarray(p, dtype=np.float64)], [LOG_FLOOR], labels)
    trust = np.maximum(trust_in_labels(calibrated, labels), EDGE)
    of_class = np.bincount(labels, trust) / np.maximum(np.bincount(labels), 1)
    left, by_trust = np.maximum(of_class, LEAST_LEFT), np.minimum(of_class / LEAST_TRUST, 1.0)
    relative = trust / of_class[labels]
    return RefitWeights(left[labels] * (1 - by_trust[labels] + by_trust[labels] * relative), trust)


def without_suspects(labels: np.ndarray, flagged: np.ndarray) -> np.ndarray:
    """Items that stay when the suspects go, bool (n,). A class of which every item is suspect stays whole: a model that
    never saw it could not name it.

    Parameters
    ----------
    labels : int array (n,)
        From 0 on.
    flagged : bool array (n,)
    """
    stays = ~np.asarray(flagged, bool)
    return stays | (np.bincount(labels, stays)[labels] == 0)
