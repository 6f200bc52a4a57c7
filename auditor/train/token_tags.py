"""A model of tags of tokens: logistic regression on hashed words, affixes, shapes and neighbours.

A sentence is a text whose tokens have one blank between them, and its label a row of places of tags. What a model
predicts is as wide as the longest item of the data, so that items keep their rows: see `padded`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix

from auditor.core.progress import Progress
from auditor.core.seeds import generator
from auditor.train.base import FitTask, TrainingData
from auditor.train.estimator import OutputTrainer

#: Columns that hashed features fall into.
WIDTH: Final = 1 << 17
#: Tokens of one fit, at most.
MOST_FITTED: Final = 200_000


@dataclass(frozen=True)
class TokenTrainer(OutputTrainer):
    """Multinomial logistic regression, one fit for all tokens of the training items.

    Attributes
    ----------
    C : float
        Inverse strength of the L2 penalty.
    max_iter : int
    """

    C: float = 3.0
    max_iter: int = 60

    @property
    def name(self) -> str:
        """Name for people and reports."""
        return "token-words"

    def recipe(self) -> dict[str, Any]:
        """Everything that can change the result."""
        return {"trainer": "token words", "version": 1, "kind": "text", **asdict(self)}

    def predict(self, data: TrainingData, task: FitTask, progress: Progress) -> tuple[np.ndarray, dict[str, Any]]:
        """Probabilities of the tags of each token, `padded`."""
        from sklearn.linear_model import LogisticRegression

        progress.start(task.name, 2, "step")
        longest = max(map(len, data.labels))
        n_tags = data.n_classes // longest
        rows = _as_many(task.train, data.labels, generator(task.seed, "tokens"))
        x = token_features([data.features[row] for row in rows])
        wanted = token_features([data.features[row] for row in task.predict])
        progress.advance(task.name, 1, f"{x.shape[0]:,} tokens")
        tags = np.concatenate([data.labels[row] for row in rows])
        p = np.zeros((wanted.shape[0], n_tags))
        if len(known := np.unique(tags)) == 1:
            p[:, known] = 1.0
        elif wanted.shape[0]:
            model = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(x, tags)
            p[:, model.classes_] = model.predict_proba(wanted)
        lengths = np.array([len(data.labels[row]) for row in task.predict], np.int64)
        return padded(p, lengths, longest), {"tokens": int(x.shape[0]), "tags": len(known)}


def padded(p: np.ndarray, lengths: np.ndarray, longest: int) -> np.ndarray:
    """Probabilities of tokens, (N, K), as one row an item, (n, longest * K), NaN behind the end of each."""
    out = np.full((len(lengths), longest, p.shape[1]), np.nan)
    out[np.arange(longest) < lengths[:, None]] = p
    return out.reshape(len(lengths), -1)


def _as_many(rows: np.ndarray, labels: Sequence[np.ndarray] | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Items of `MOST_FITTED` tokens at most, in their order; one item at least."""
    drawn = rng.permutation(rows)
    tokens = np.cumsum([len(labels[row]) for row in drawn])
    return np.sort(drawn[: max(1, int(np.searchsorted(tokens, MOST_FITTED, side="right")))])


def token_features(texts: Sequence[str]) -> csr_matrix:
    """Hashed features of each token of texts, one after another, float32 (N, `WIDTH`).

    The word and its lower case, beginnings and ends of 2 to 4 letters, its `shape`, those of its neighbours, and
    the words up to two places away.
    """
    indices: list[int] = []
    ends: list[int] = [0]
    for text in texts:
        words = ["<s>", "<s>", *text.split(), "</s>", "</s>"]
        low, shapes = [word.lower() for word in words], [shape(word) for word in words]
        for i in range(2, len(words) - 2):
            own = low[i]
            features = [f"w={own}", f"c={words[i]}", f"s={shapes[i]}", f"first={i == 2}|{shapes[i]}"]
            features += [f"p{n}={own[:n]}" for n in (2, 3, 4)] + [f"e{n}={own[-n:]}" for n in (2, 3, 4)]
            features += [f"{d}w={low[i + d]}" for d in (-2, -1, 1, 2)] + [f"{d}s={shapes[i + d]}" for d in (-1, 1)]
            features += [f"sss={shapes[i - 1]}|{shapes[i]}|{shapes[i + 1]}", f"ww={low[i - 1]}|{own}"]
            indices += [zlib.crc32(feature.encode("utf-8", "replace")) % WIDTH for feature in features]
            ends.append(len(indices))
    return csr_matrix((np.ones(len(indices), np.float32), indices, ends), (len(ends) - 1, WIDTH))


def shape(word: str) -> str:
    """``U.S.`` as ``X.X.``, ``2003-09`` as ``d-d``: one letter for a run of a kind."""
    cased = "".join("X" if c.isupper() else "x" if c.islower() else c for c in word)
    return re.sub("d+", "d", re.sub("x+", "x", re.sub("X+", "X", re.sub("[0-9]", "d", cased))))
