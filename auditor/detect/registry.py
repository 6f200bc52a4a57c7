"""The table of detectors and the one way to run them."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.core.errors import ConfigError, DataError
from auditor.core.registry import Registry
from auditor.detect.base import Detection, Detector, Evidence, NotApplicable

#: Detector classes by name. Third parties add theirs through the entry-point group ``auditor.detectors``.
DETECTORS: Registry[type[Detector]] = Registry(
    "detector",
    {
        "log_odds_margin": "auditor.detect.probability_scores:LogOddsMargin",
        "self_confidence": "auditor.detect.probability_scores:SelfConfidence",
        "normalized_margin": "auditor.detect.probability_scores:NormalizedMargin",
        "confidence_weighted_entropy": "auditor.detect.probability_scores:ConfidenceWeightedEntropy",
        "entropy": "auditor.detect.probability_scores:Entropy",
        "class_adjusted": "auditor.detect.class_adjusted:ClassAdjusted",
        "confident_joint": "auditor.detect.confident_joint:ConfidentJoint",
        "combined": "auditor.detect.combined:Combined",
        "verdict": "auditor.detect.verdict:Verdict",
        "long_list": "auditor.detect.long_list:LongList",
        "em_posterior": "auditor.detect.em_posterior:EMPosterior",
        "aum": "auditor.detect.dynamics_scores:Aum",
        "oof_aum": "auditor.detect.dynamics_scores:OofAum",
        "gap": "auditor.detect.dynamics_scores:Gap",
        "data_maps": "auditor.detect.dynamics_scores:DataMaps",
        "forgetting": "auditor.detect.dynamics_scores:Forgetting",
        "el2n": "auditor.detect.el2n:El2n",
        "knn_posterior": "auditor.detect.knn:KnnPosterior",
        "knn_vote": "auditor.detect.knn:KnnVote",
        "knn_rank": "auditor.detect.knn_rank:KnnRank",
        "knn_shapley": "auditor.detect.knn_shapley:KnnShapley",
        "selfclean_ratio": "auditor.detect.selfclean_ratio:SelfcleanRatio",
        "lemon": "auditor.detect.lemon:Lemon",
    },
    entry_point_group="auditor.detectors",
)

#: What a detector may put into `needs`, in words.
INPUTS = {
    "probabilities": "out-of-sample probabilities",
    "dynamics": "logits per epoch of the cross-validated training",
    "embeddings": "embeddings of the items",
    "class_embeddings": "the names of the classes embedded with the images (find-errors --embeddings clip:MODEL)",
    "verdicts": "verdicts of reviewers",
}


def caution(rule: str) -> str | None:
    """What whoever asks for a detector by name should know first, or None; None for rules of other kinds, too."""
    return getattr(DETECTORS.load(rule), "caution", None) if rule in DETECTORS else None


def run_detector(name: str, evidence: Evidence, **options: Any) -> Detection | NotApplicable:
    """Run one detector.

    Items are handed to the detector in the order of their ids and the result is put back into the order of
    `evidence`. So sums are taken in one order, and permuting the rows permutes the result exactly.

    Parameters
    ----------
    name : str
        A name in `DETECTORS`.
    evidence : Evidence
    **options
        Fields of the detector's dataclass.

    Returns
    -------
    Detection or NotApplicable

    Raises
    ------
    UnknownNameError
        No such detector.
    ConfigError
        An option the detector does not have.
    DataError
        The detector broke its contract: shape, not finite, or a flag that suggests the given label.
    """
    cls = DETECTORS.load(name)
    missing = [need for need in cls.needs if getattr(evidence, need) is None]
    if missing:
        return NotApplicable(name, "needs " + " and ".join(INPUTS[need] for need in missing))
    try:
        detector = cls(**options)
    except TypeError as error:
        raise ConfigError(f"detector {name!r}: {error}.") from error
    ordered, order = evidence.by_id
    detection = detector.detect(ordered)
    if isinstance(detection, NotApplicable):
        return detection
    _check(name, detection, ordered.labels)
    return detection if ordered is evidence else detection.take(np.argsort(order))


def _check(name: str, detection: Detection, labels: np.ndarray) -> None:
    n, score, suggested, flagged = len(labels), detection.score, detection.suggested, detection.flagged
    if score.shape != (n,) or score.dtype != np.float64 or not np.isfinite(score).all():
        raise DataError(f"detector {name!r} gave no finite float64 score for each of the {n} items.")
    if suggested.shape != (n,) or suggested.dtype != np.int64:
        raise DataError(f"detector {name!r} gave no int64 suggestion for each of the {n} items.")
    if flagged is not None:
        if flagged.shape != (n,) or flagged.dtype != np.bool_:
            raise DataError(f"detector {name!r} gave no boolean flag for each of the {n} items.")
        if (suggested[flagged] == labels[flagged]).any():
            raise DataError(f"detector {name!r} flags an item and suggests its given label.")
