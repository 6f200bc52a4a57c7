"""Texts: TF-IDF over words and character n-grams, and logistic regression.

Specification: detection-and-statistics, section 9.4 (words 1-2, characters 3-5, C = 2). Characters are taken
inside word boundaries and terms must occur in two training texts: the same accuracy at a fifth of the time.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from auditor.core.progress import Progress
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import EstimatorTrainer


@dataclass(frozen=True)
class TfidfTrainer(EstimatorTrainer):
    """TF-IDF and multinomial logistic regression.

    Attributes
    ----------
    words, chars : (int, int)
        Shortest and longest n-gram.
    min_count : int
        A term must occur in so many training texts.
    C : float
        Inverse strength of the L2 penalty.
    max_iter : int
    """

    kind: ClassVar[str] = "text"
    name: str = "tfidf"
    words: tuple[int, int] = (1, 2)
    chars: tuple[int, int] = (3, 5)
    min_count: int = 2
    C: float = 2.0
    max_iter: int = 300

    def classify(
        self, data: TrainingData, task: FitTask, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        """Probabilities of the regression on weighted terms."""
        from sklearn.linear_model import LogisticRegression

        progress.start(task.name, 3, "step")
        blocks = _count_terms(data, self.words, self.chars)
        progress.advance(task.name, 1, "terms counted")
        pairs = [_tfidf(counts, task, self.min_count) for counts in blocks]
        train = sparse.hstack([fitted for fitted, _ in pairs]).tocsr()
        predict = sparse.hstack([applied for _, applied in pairs]).tocsr()
        progress.advance(task.name, 2, f"{train.shape[1]:,} terms")
        model = LogisticRegression(C=self.C, max_iter=self.max_iter, tol=1e-3)
        model.fit(train, data.labels[task.train], sample_weight=task.weights)
        raw = model.predict_proba(predict) if len(task.predict) else np.empty((0, len(model.classes_)))
        return model.classes_, raw, {"terms": train.shape[1], "iterations": int(model.n_iter_.max())}


def _tfidf(counts: sparse.csr_matrix, task: FitTask, min_count: int) -> tuple[Any, Any]:
    """TF-IDF of the training and the predicted texts, vocabulary and weights from the training texts alone.

    Equal to fitting scikit-learn's ``TfidfVectorizer(min_df=min_count)`` on the training texts: counts of one
    text do not depend on the other texts, and terms that no training text holds are dropped here.
    """
    from sklearn.feature_extraction.text import TfidfTransformer

    train = counts[task.train]
    occurrences = np.bincount(train.indices, minlength=counts.shape[1])
    frequent = np.flatnonzero(occurrences >= min_count)
    if not len(frequent):  # very few or very short texts
        frequent = np.flatnonzero(occurrences)
    if not len(frequent):  # not one word in the training texts: the class frequencies are all there is to learn
        return tuple(sparse.csr_matrix((len(rows), 1), dtype=np.float32) for rows in (task.train, task.predict))
    weights = TfidfTransformer()
    fitted = weights.fit_transform(train[:, frequent])
    return fitted, weights.transform(counts[task.predict][:, frequent])


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
