"""Which encoder embeds the items of a data set, and why; and embeddings made fit for a cosine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from auditor.core.errors import DataError, UsageError
from auditor.train.base import Trainer
from auditor.train.embeddings import moments
from auditor.train.encoders import Encoder, JointEncoder, encoder_kind, lacking, make_encoder
from auditor.train.frozen import FrozenTrainer
from auditor.train.pixels import PixelTrainer

LOG_PROBABILITIES = "log-probabilities"
GIVEN = "given"
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
    rows : float array (n, d) or None
        The caller's own, one for each item of the data set.
    alone : bool
        Whether audited items are embedded without the others, as a trainer does that has `enough` of these.
    """

    name: str | None
    reason: str
    size: int | None = None
    rows: np.ndarray | None = field(default=None, repr=False)
    alone: bool = False

    def encoder(self) -> Encoder | None:
        """The encoder; None for log-probabilities, for the caller's own embeddings and for none."""
        return (
            None
            if self.name in (None, LOG_PROBABILITIES) or self.rows is not None
            else make_encoder(str(self.name), self.size)
        )


def choose_embedding(asked: str | None, kind: str, trainers: Sequence[Trainer], budget: str) -> Embedding:
    """Decide what embeds the items, before anything is trained.

    Parameters
    ----------
    asked : str or None
        ``"auto"``, ``"none"``, ``"log-probabilities"``, the name of an encoder, or None: those that the model computes
        anyway and, beside a classifier on pixels, those of the packaged encoder.
    kind : str
        ``"image"``, ``"text"``, ``"table"`` or ``"probabilities"``.
    trainers : sequence of Trainer
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
    for trainer in trainers:
        if isinstance(trainer, FrozenTrainer) and asked in (None, "auto", trainer.encoder):
            alone = trainer.enough is not None
            return Embedding(trainer.encoder, "the model's own features", trainer.size, alone=alone)
    packaged = PACKAGED.get(kind)
    if asked is None:
        # A classifier on pixels is for few and small pictures: their features too take seconds, at a small size.
        by_pixels = budget != "smoke" and any(isinstance(trainer, PixelTrainer) for trainer in trainers)
        if by_pixels and packaged is not None and lacking(packaged) is None:
            reason = "neighbours among pretrained features err elsewhere than a classifier on pixels"
            return Embedding(packaged, reason, FrozenTrainer.from_budget("quick", packaged).size)
        return Embedding(None, "not asked for; --embeddings auto computes them")
    if asked == LOG_PROBABILITIES:
        return Embedding(LOG_PROBABILITIES, "asked for")
    if asked == "auto":
        obstacle = f"no encoder reads {kind} here" if packaged is None else lacking(packaged)
        if packaged is None or obstacle is not None:
            return Embedding(LOG_PROBABILITIES, f"the model's probabilities, because {obstacle}")
        return Embedding(
            packaged, f"packaged encoder for {kind} data", FrozenTrainer.from_budget(budget, packaged).size
        )
    if kind == "probabilities":
        raise UsageError(
            f"--embeddings {asked}: with supplied probabilities the items themselves are not read.",
            f"Use --embeddings {LOG_PROBABILITIES}, or let auditor train.",
        )
    if encoder_kind(asked) != kind:
        raise UsageError(
            f"encoder {asked!r} reads {encoder_kind(asked)} data; this data set holds {kind} data.",
            f"Use --embeddings {packaged or LOG_PROBABILITIES}.",
        )
    chosen = Embedding(asked, "asked for", FrozenTrainer.from_budget(budget, asked).size)
    make_encoder(asked, chosen.size).recipe()  # absent weights are said now, not after the training
    return chosen


def own_embedding(values: Any, wanted: np.ndarray) -> Embedding:
    """Embeddings that the caller has; they are compared by their cosine, as they are.

    Parameters
    ----------
    values : float array, tensor or frame (n, d) or (m, d)
        A row for each item of the data set, or for each audited one, in their order.
    wanted : bool array (n,)
        Audited items.

    Raises
    ------
    DataError
        If they are not rows of finite numbers, or not as many as there are items.
    """
    rows = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu" or not rows.shape[1]:
        raise DataError(
            f"embeddings of shape {rows.shape} and type {rows.dtype} are no rows of numbers.",
            "Give an array with one row for each item.",
        )
    n, m = len(wanted), int(wanted.sum())
    if len(rows) not in (n, m):
        raise DataError(
            f"{len(rows):,} rows of embeddings for {n:,} items" + (f", {m:,} of them audited." if m < n else "."),
            "Give one row for each item, in the order of the data. Rows without a label are no items.",
        )
    if rows.dtype != np.float16:
        rows = rows.astype(np.float32)
    if not np.isfinite(rows).all():
        raise DataError(f"row {int(np.argmin(np.isfinite(rows).all(axis=1)))} of the embeddings is not finite.")
    if len(rows) < n:
        whole = np.zeros((n, rows.shape[1]), rows.dtype)
        whole[wanted] = rows
        rows = whole
    return Embedding(GIVEN, "given by the caller", rows=rows)


def fit_for_cosine(rows: np.ndarray, encoder: Encoder) -> np.ndarray:
    """What an encoder gave, as it is compared by cosine: image features standardised, sentence vectors as they are.

    Sentence encoders and those of images and texts are made for the cosine; other image features are activations of
    any scale.
    """
    return standardised(rows) if encoder.kind == "image" and not isinstance(encoder, JointEncoder) else rows


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
