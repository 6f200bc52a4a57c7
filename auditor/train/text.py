"""Texts: TF-IDF over words and character n-grams, and logistic regression.

Specification: detection-and-statistics, section 9.4 (words 1-2, characters 3-5). Characters are taken inside word
boundaries and terms must occur in two training texts: the same accuracy at a fifth of the time. The penalty and a
temperature are found on inner folds: with one C for all data, many classes of few texts each get probabilities far too
low.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from scipy.special import softmax

from auditor.core.errors import UsageError
from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import EstimatorTrainer, best_strength, held_out_margins, inner_folds, regression_scores


@dataclass(frozen=True)
class TfidfTrainer(EstimatorTrainer):
    """TF-IDF and multinomial logistic regression.

    Attributes
    ----------
    words, chars : (int, int)
        Shortest and longest n-gram.
    min_count : int
        A term must occur in so many training texts.
    C : float or None
        Inverse strength of the L2 penalty; None: that of `STRENGTHS` with the smallest log-loss on the inner folds.
    max_iter : int
    inner_folds : int
        Folds of the training part on which `C` and the temperature are found; 0: a given `C`, probabilities as the
        regression gives them.
    tuned_on : int
        Most texts of the training part that are looked at for both.
    """

    kind: ClassVar[str] = "text"
    name: str = "tfidf"
    words: tuple[int, int] = (1, 2)
    chars: tuple[int, int] = (3, 5)
    min_count: int = 2
    C: float | None = None
    max_iter: int = 300
    inner_folds: int = 3
    tuned_on: int = 2000

    def __post_init__(self) -> None:
        if self.C is None and not self.inner_folds:
            raise UsageError("without inner folds nothing says which C is best.", "Give one, for example C=2.")

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result; as version 1 where nothing is tuned."""
        if self.inner_folds:
            return {**super().recipe(), "strengths": STRENGTHS, "version": 2}
        return {key: value for key, value in super().recipe().items() if key not in ("inner_folds", "tuned_on")}

    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Probabilities of the regression on weighted terms."""
        progress.start(task.name, 4, "step")
        blocks = _count_terms(data, self.words, self.chars)
        progress.advance(task.name, 1, "terms counted")
        C, temperature = self._tuned(blocks, data.labels, task)
        progress.advance(task.name, 2, f"C = {C:g}")
        train, predict = _terms(blocks, task.train, task.predict, self.min_count)
        progress.advance(task.name, 3, f"{train.shape[1]:,} terms")
        model = self._regression(C).fit(train, data.labels[task.train], sample_weight=task.weights)
        details = {"terms": train.shape[1], "iterations": int(model.n_iter_.max()), "C": C, "temperature": temperature}
        scores = regression_scores(model, predict)
        # Stored fits of version 1 hold scikit-learn's own last bits.
        plain = len(scores) and not self.inner_folds
        return model.classes_, model.predict_proba(predict) if plain else softmax(scores / temperature, axis=1), details

    def _regression(self, C: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=C, max_iter=self.max_iter, tol=1e-3, warm_start=True)

    def _tuned(self, blocks: Sequence[sparse.csr_matrix], labels: np.ndarray, task: FitTask) -> tuple[float, float]:
        """C and temperature with the smallest log-loss on the held-out texts of the inner folds."""
        chosen = generator(task.seed, "tuning").permutation(np.argsort(task.train))[: self.tuned_on]
        looked_at, weights = task.train[chosen], None if task.weights is None else task.weights[chosen]
        given, held_weights = labels[looked_at], list[np.ndarray]()
        strengths = STRENGTHS if self.C is None else (self.C,)
        margins: dict[float, list[np.ndarray]] = {C: [] for C in strengths}
        for rest, held in inner_folds(given, self.inner_folds, task.seed) if self.inner_folds else ():
            train, predict = _terms(blocks, looked_at[rest], looked_at[held], self.min_count)
            model = self._regression(strengths[0])
            for C in strengths:  # from the strongest penalty on, each starts from the one before
                model.set_params(C=C).fit(train, given[rest], None if weights is None else weights[rest])
                margins[C].append(held_out_margins(model.classes_, regression_scores(model, predict), given[held]))
            if weights is not None:
                held_weights.append(weights[held])
        return best_strength(margins, held_weights) or (UNTUNED if self.C is None else self.C, 1.0)


#: Among these C is chosen; `UNTUNED` where the training part is too small to choose.
STRENGTHS = (0.5, 2.0, 8.0, 32.0)
UNTUNED = 2.0


def weighted_terms(
    data: TrainingData, train: np.ndarray, predict: np.ndarray, trainer: TfidfTrainer
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """The features that a trainer fits, float32 (len(train), terms) and (len(predict), terms); positions as of a
    `FitTask`."""
    blocks = _count_terms(data, trainer.words, trainer.chars)
    return _terms(blocks, train, predict, trainer.min_count)


def _terms(
    blocks: Sequence[sparse.csr_matrix], train: np.ndarray, predict: np.ndarray, min_count: int
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Weighted words and characters of the training and of the predicted texts, side by side."""
    pairs = [_tfidf(counts, train, predict, min_count) for counts in blocks]
    return sparse.hstack([fitted for fitted, _ in pairs]).tocsr(), sparse.hstack([after for _, after in pairs]).tocsr()


def _tfidf(counts: sparse.csr_matrix, train: np.ndarray, predict: np.ndarray, min_count: int) -> tuple[Any, Any]:
    """TF-IDF of the training and the predicted texts, vocabulary and weights from the training texts alone.

    Equal to fitting scikit-learn's ``TfidfVectorizer(min_df=min_count)`` on the training texts: counts of one
    text do not depend on the other texts, and terms that no training text holds are dropped here.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    known = counts[train]
    occurrences = np.bincount(known.indices, minlength=counts.shape[1])
    frequent = np.flatnonzero(occurrences >= min_count)
    if not len(frequent):  # very few or very short texts
        frequent = np.flatnonzero(occurrences)
    if not len(frequent):  # not one word in the training texts: the class frequencies are all there is to learn
        return tuple(sparse.csr_matrix((len(rows), 1), dtype=np.float32) for rows in (train, predict))
    weights = TfidfTransformer()
    fitted = weights.fit_transform(known[:, frequent])
    return fitted, weights.transform(counts[predict][:, frequent])


#: Term counts of the data last seen. A cache only: counts depend on the texts and the n-gram ranges alone.
_LAST: dict[str, Any] = {}


def _count_terms(
    data: TrainingData, words: tuple[int, int], chars: tuple[int, int]
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Term counts of all texts, float32 (n, terms): words, then characters. No label is looked at."""
    from sklearn.feature_extraction.text import CountVectorizer

    known = _LAST.get("data")
    if known is not None and known() is data and _LAST["ranges"] == (words, chars):
        return _LAST["counts"]
    blocks = []
    for analyzer, ngrams in (("word", words), ("char_wb", chars)):
        vectorizer = CountVectorizer(analyzer=analyzer, ngram_range=ngrams, dtype=np.float32)
        try:
            blocks.append(vectorizer.fit_transform(data.features).tocsr())
        except ValueError:  # scikit-learn's "empty vocabulary": only stop characters, or empty texts
            blocks.append(sparse.csr_matrix((len(data), 1), dtype=np.float32))
    counts = (blocks[0], blocks[1])
    _LAST.update(data=weakref.ref(data), ranges=(words, chars), counts=counts)
    return counts
