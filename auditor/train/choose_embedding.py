"""Which encoder embeds the items of a data set, and why; and embeddings made fit for a cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.core.errors import UsageError
from auditor.train.base import Trainer
from auditor.train.embeddings import moments
from auditor.train.encoders import Encoder, encoder_kind, lacking, make_encoder
from auditor.train.frozen import FrozenTrainer

LOG_PROBABILITIES = "log-probabilities"
#: Encoders whose weights come in a package, by kind of data.
PACKAGED = {"image": "efficientnet-lite0", "text": "minilm"}


@dataclass(frozen=True)
class Embedding:
    """What is to be embedded with.

    Attributes
    ----------
    name : str or None
        An encoder, `LOG_PROBABILITIES`, or None for no embeddings.
    reason : str
        One sentence for people.
    size : int or None
        Side images are resized to; None = the encoder's own.
    """

    name: str | None
    reason: str
    size: int | None = None

    def encoder(self) -> Encoder | None:
        """The encoder; None for log-probabilities and for no embeddings."""
        return None if self.name in (None, LOG_PROBABILITIES) else make_encoder(str(self.name), self.size)


def choose_embedding(asked: str | None, kind: str, trainer: Trainer | None, budget: str) -> Embedding:
    """Decide what embeds the items, before anything is trained.

    Parameters
    ----------
    asked : str or None
        ``"auto"``, ``"none"``, ``"log-probabilities"``, the name of an encoder, or None: keep those that the
        model computes anyway.
    kind : str
        ``"image"``, ``"text"``, ``"table"`` or ``"probabilities"``.
    trainer : Trainer or None
        None where nothing is trained, or what trains is not chosen yet.
    budget : str
        Sets the size of images, as for the trainer on frozen features, so that both share one computation.

    Raises
    ------
    UnknownNameError, UsageError
        No such encoder, or it reads other data.
    MissingExtraError, OfflineError
        Its library or weights are not here.
    UnsafeFileError
        Its packaged weights are not the published ones.
    """
    if asked == "none":
        return Embedding(None, "not wanted")
    if isinstance(trainer, FrozenTrainer) and asked in (None, "auto", trainer.encoder):
        return Embedding(trainer.encoder, "the model's own features", trainer.size)
    if asked is None:
        return Embedding(None, "not asked for; --embeddings auto computes them")
    if asked == LOG_PROBABILITIES:
        return Embedding(LOG_PROBABILITIES, "asked for")
    if asked == "auto":
        name = PACKAGED.get(kind)
        obstacle = f"no encoder reads {kind} here" if name is None else lacking(name)
        if name is None or obstacle is not None:
            return Embedding(LOG_PROBABILITIES, f"the model's probabilities, because {obstacle}")
        return Embedding(name, f"packaged encoder for {kind} data", FrozenTrainer.from_budget(budget, name).size)
    if kind == "probabilities":
        raise UsageError(
            f"--embeddings {asked}: with supplied probabilities the items themselves are not read.",
            f"Use --embeddings {LOG_PROBABILITIES}, or let auditor train.",
        )
    if encoder_kind(asked) != kind:
        raise UsageError(
            f"encoder {asked!r} reads {encoder_kind(asked)} data; this data set holds {kind} data.",
            f"Use --embeddings {PACKAGED.get(kind, LOG_PROBABILITIES)}.",
        )
    chosen = Embedding(asked, "asked for", FrozenTrainer.from_budget(budget, asked).size)
    make_encoder(asked, chosen.size).recipe()  # absent weights are said now, not after the training
    return chosen


def fit_for_cosine(rows: np.ndarray, encoder: Encoder) -> np.ndarray:
    """What an encoder gave, as it is compared by cosine: image features standardised, sentence vectors as they are.

    Sentence encoders are made for the cosine; image features are activations of any scale.
    """
    return standardised(rows) if encoder.kind == "image" else rows


def standardised(rows: np.ndarray) -> np.ndarray:
    """Every column with mean 0 and deviation 1 over the rows, in the dtype of `rows`; constant columns become 0.

    Features of several layers have different scales, and in a cosine the largest would decide alone.
    """
    mean, variance = moments(rows)
    spread = np.sqrt(variance)
    # A feature that hardly moves is rounding noise of float16; dividing by its spread would blow it up.
    scale = np.where(spread > 1e-3, spread, np.inf)
    result = np.empty_like(rows)
    limit = float(np.finfo(rows.dtype).max)
    for at in range(0, len(rows), 4096):
        result[at : at + 4096] = np.clip((rows[at : at + 4096].astype(np.float64) - mean) / scale, -limit, limit)
    return result
