"""Re-ranking by verdicts: what people found wrong tells which signals to believe on this data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from auditor.core.seeds import derive_seed
from auditor.detect.base import Detection, Evidence, NotApplicable, Verdicts
from auditor.detect.class_adjusted import ClassAdjusted
from auditor.detect.dynamics_scores import Aum, Gap, OofAum
from auditor.detect.em_posterior import EMPosterior
from auditor.detect.knn import KnnPosterior
from auditor.detect.margins import best_other, log_odds_margin
from auditor.detect.probability_scores import Entropy, NormalizedMargin, SelfConfidence
from auditor.detect.thresholds import cut_by_verdicts, errors_visible
from auditor.stats.logistic import fit_logistic, log_loss, platt_scaling

#: L2 strength of everything but the intercept and the margin.
C = 0.3
#: Penalty of the intercept and the margin: none but for rounding, see `fit_logistic`.
FREE = 1e-3
FOLDS = 5


def verdict_features(evidence: Evidence) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The base margin and the other continuous signals that the evidence allows.

    Returns
    -------
    margin : float64 array (n,)
        `log_odds_margin`.
    features : dict of float64 arrays (n,)
        By name, standardised over all items; a constant one is 0.
    """
    labels = evidence.labels
    margin = log_odds_margin(evidence.mean_probabilities, labels)
    scores = (("self_confidence", SelfConfidence), ("normalized_margin", NormalizedMargin), ("entropy", Entropy))
    signals = {name: detector().score(evidence) for name, detector in scores}
    signals["em_posterior"] = EMPosterior().detect(evidence).score
    if len(evidence.network_weights) > 1:
        for name, p in evidence.network_probabilities.items():
            signals[f"margin of {name}"] = log_odds_margin(p, labels)
    for name, detector in (("aum", Aum()), ("oof_aum", OofAum()), ("gap", Gap())):
        if isinstance(detection := detector.detect(evidence), Detection):
            signals[name] = detection.score
    if evidence.embeddings is not None:
        signals["knn_posterior"] = KnnPosterior().detect(evidence).score
    return margin, {name: _standardised(values) for name, values in signals.items()}


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


@dataclass(frozen=True)
class Verdict:
    """Logistic regression on the verdicts, kept only where it beats the margin alone.

    Intercept and margin are (all but) unpenalised, so that few verdicts change little and none change nothing;
    all other signals, the given class and the best other class are penalised (L2, C = 0.3). The new ranking is
    used only if its cross-validated log-loss on the verdicts is below that of Platt scaling of the margin.
    Boosting needs thousands of verdicts to do as well.

    With 200 verdicts the cut is learned too; before, the flags are those of `class_adjusted`.

    Parameters
    ----------
    seed : int
        Draws the folds, from the item ids.
    """

    seed: int = 0
    needs: ClassVar[tuple[str, ...]] = ("probabilities", "verdicts")

    def detect(self, evidence: Evidence) -> Detection | NotApplicable:
        verdicts = evidence.verdicts
        if verdicts is None:
            return NotApplicable("verdict", "needs verdicts of reviewers")
        margin, features = verdict_features(evidence)
        score, meta = self._rerank(evidence, verdicts, margin, features)
        base = ClassAdjusted().detect(evidence)
        flagged, suggested = base.flagged, base.suggested
        cut = cut_by_verdicts(margin, evidence)
        if cut is not None:
            flagged, expected = cut
            meta |= {"flag_rule": "expected F1 from verdicts", "expected_f1": expected}
            other = best_other(evidence.mean_probabilities, evidence.labels)[0]
            agrees = suggested != evidence.labels
            suggested = np.where(flagged, np.where(agrees, suggested, other), evidence.labels)
        else:
            meta |= {"flag_rule": "class_adjusted"}
        return Detection(score, flagged, suggested, {"verdicts": len(verdicts), **meta})

    def _rerank(
        self, evidence: Evidence, verdicts: Verdicts, margin: np.ndarray, features: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """(score, what happened): the re-ranking where its guard accepts it, else the margin."""
        visible = errors_visible(margin, verdicts)
        kept: dict[str, Any] = {"reranked": False, "errors_visible": visible}
        if visible is None:
            return margin, kept | {"reason": "too few verdicts of each kind"}
        if not visible:
            return margin, kept | {"reason": "the model cannot see these errors"}
        X, penalty, names = _design(evidence, verdicts, margin, features)
        reviewed = X[verdicts.positions]
        folds = np.array(
            [derive_seed(self.seed, "verdict-fold", str(i)) % FOLDS for i in evidence.ids[verdicts.positions]]
        )
        new, old = np.zeros(len(verdicts)), np.zeros(len(verdicts))
        for fold in np.unique(folds):
            test, train = folds == fold, folds != fold
            wrong = verdicts.wrong[train]
            if wrong.all() or not wrong.any():
                return margin, kept | {"reason": "too few verdicts of each kind to cross-validate"}
            ones = np.ones(int(train.sum()))
            weights = fit_logistic(reviewed[train], wrong, ones, C, penalty)
            platt = platt_scaling(reviewed[train, 1], wrong, ones)
            new[test] = log_loss(expit(reviewed[test] @ weights), verdicts.wrong[test])
            old[test] = log_loss(platt(reviewed[test, 1]), verdicts.wrong[test])
        losses = {"log_loss": float(new.mean()), "log_loss_margin_alone": float(old.mean())}
        if not new.mean() < old.mean():
            return margin, kept | losses | {"reason": "no better than the margin on held-out verdicts"}
        weights = fit_logistic(reviewed, verdicts.wrong, np.ones(len(verdicts)), C, penalty)
        fitted = {name: float(w) for name, w in zip(names, weights[1:], strict=False)}
        return X @ weights, losses | {"reranked": True, "errors_visible": True, "coefficients": fitted}


def _design(
    evidence: Evidence, verdicts: Verdicts, margin: np.ndarray, features: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Matrix (n, d), penalties (d,), names of the continuous columns after the intercept.

    One-hot columns of classes that no reviewed item has are left out: their coefficient would be 0.
    """
    labels = evidence.labels
    other = best_other(evidence.mean_probabilities, labels)[0]
    columns = [np.ones(len(labels)), _standardised(margin), *features.values()]
    for values in (labels, other):
        columns += [(values == k).astype(np.float64) for k in np.unique(values[verdicts.positions])]
    penalty = np.ones(len(columns))
    penalty[:2] = FREE
    return np.column_stack(columns), penalty, ["log_odds_margin", *features]
