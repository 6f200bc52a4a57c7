"""Texts with human labels: NoisyAG-News, as ``text`` (words) and ``text-sentence`` (sentence encoder)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.core.errors import AuditorError, DataError
from auditor.core.hashing import hash_bytes, hash_file
from auditor.core.progress import SilentProgress
from auditor.lab.detectors.sets import Case, Context, find_data
from auditor.lab.detectors.training import cross_validated
from auditor.quality.duplicates import find_duplicates
from auditor.train.base import Trainer, TrainingData
from auditor.train.choose import make_trainer

__all__ = ["TEXTS", "NoisyNews"]

FILE = "text/noisy_agnews_10k.csv"
#: Dimensions of the latent semantic space in which the neighbours of texts are looked for.
LATENT = 150


@dataclass(frozen=True)
class NoisyNews:
    """10,000 AG-News texts; labels of one annotator each, about one in five wrong."""

    name: str
    model: str

    @property
    def summary(self) -> str:
        """See `BenchmarkSet.summary`."""
        how = {
            "tfidf": "TF-IDF and logistic regression, neighbours in 150 latent semantic dimensions",
            "sentence": "frozen sentence encoder with a linear head, neighbours among its embeddings",
        }[self.model]
        return f"NoisyAG-News, human labels, 4 classes; cross-validated here: {how}"

    @property
    def limits(self) -> str:
        """See `BenchmarkSet.limits`."""
        return "One realisation of annotators, whose errors are systematic: the model learns them. Seeds change folds."

    def seeds(self, context: Context, wanted: int) -> int:
        """See `BenchmarkSet.seeds`."""
        return wanted

    def absent(self, context: Context) -> str | None:
        """See `BenchmarkSet.absent`."""
        if find_data(context.settings, FILE) is None:
            return f"not found below the data folders: {FILE}"
        try:
            self._trainer(context).recipe()
        except AuditorError as error:
            return f"{error.what} {error.way_out or ''}".strip()
        return None

    def _trainer(self, context: Context) -> Trainer:
        return make_trainer(self.model, context.options.budget or "quick", cache_dir=context.work)

    def inputs(self, context: Context, seed: int) -> dict[str, Any]:
        """See `BenchmarkSet.inputs`."""
        path = find_data(context.settings, FILE)
        return {
            "file": hash_file(path) if path else None,
            "recipe": self._trainer(context).recipe(),
            "folds": context.options.folds,
            "seed": seed,
        }

    def case(self, context: Context, seed: int) -> Case:
        """See `BenchmarkSet.case`."""
        import pandas as pd

        table = pd.read_csv(str(find_data(context.settings, FILE)))
        if missing := {"label", "gt", "text"} - set(table.columns):
            raise DataError(f"{FILE} has no column {', '.join(sorted(missing))}.")
        texts = [str(text) for text in table["text"]]
        names = np.unique(np.concatenate([table["label"].to_numpy(), table["gt"].to_numpy()]))
        labels, truth = (np.searchsorted(names, table[column].to_numpy()) for column in ("label", "gt"))
        ids = np.array([f"text/{row:05d}" for row in range(len(texts))])
        hashes = np.array([hash_bytes(text.encode()) for text in texts])
        groups = find_duplicates(hashes, texts=texts).group
        data = TrainingData("text", texts, labels.astype(np.int64), len(names))
        trainer = self._trainer(context)
        embeddings = _latent(texts) if self.model == "tfidf" else self._embedded(context, texts)
        evidence, kept, facts = cross_validated(context, self.name, data, ids, trainer, seed, groups, embeddings)
        return Case.in_id_order(evidence, truth[kept], facts | {"labels": "NoisyAG-News"})

    def _embedded(self, context: Context, texts: list[str]) -> np.ndarray:
        from auditor.train.embeddings import embed
        from auditor.train.encoders import make_encoder

        encoder = make_encoder("minilm")
        found = embed(encoder, texts, context.work, "cpu", context.workers, SilentProgress(), "embeddings")
        return np.asarray(found, dtype=np.float32)


def _latent(texts: list[str]) -> np.ndarray:
    """Latent semantic analysis of all texts, float32 (n, 150); no label is looked at."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    from auditor.train.estimator import one_thread

    terms = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True).fit_transform(texts)
    width = min(LATENT, min(terms.shape) - 1)
    with one_thread():
        return TruncatedSVD(width, random_state=0).fit_transform(terms).astype(np.float32)


class _Texts:
    names = ("text", "text-sentence")

    def make(self, name: str) -> NoisyNews | None:
        """See `Family.make`."""
        model = {"text": "tfidf", "text-sentence": "sentence"}.get(name)
        return NoisyNews(name, model) if model else None

    def others(self, word: str) -> tuple[str, ...]:
        """None: all are in `names`."""
        return ()


TEXTS = _Texts()
