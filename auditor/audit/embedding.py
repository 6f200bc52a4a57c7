"""Embeddings of the audited items in the run folder: which encoder, why, and the stage that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.files import load_npy
from auditor.core.hashing import hash_array
from auditor.core.machine import cpu_count
from auditor.core.progress import Progress
from auditor.detect.margins import LOG_FLOOR
from auditor.runs import layout
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array
from auditor.train.base import Trainer, TrainingData
from auditor.train.encoders import Encoder, encoder_kind, make_encoder, missing
from auditor.train.frozen import FrozenTrainer

__all__ = ["LOG_PROBABILITIES", "Embedding", "choose_embedding", "keep_embeddings", "standardised"]

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
        None where the probabilities are supplied.
    budget : str
        Sets the size of images, as for the trainer on frozen features, so that both share one computation.

    Raises
    ------
    UnknownNameError, UsageError
        No such encoder, or it reads other data.
    MissingExtraError, OfflineError
        Its library or weights are not here.
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
        name = None if trainer is None else PACKAGED.get(kind)
        lacking = f"no encoder reads {kind} here" if name is None else missing(name)
        if name is None or lacking is not None:
            return Embedding(LOG_PROBABILITIES, f"the model's probabilities, because {lacking}")
        return Embedding(name, f"packaged encoder for {kind} data", _size(name, budget))
    if trainer is None:
        raise UsageError(
            f"--embeddings {asked}: with supplied probabilities the items themselves are not read.",
            f"Use --embeddings {LOG_PROBABILITIES}, or let auditor train.",
        )
    if encoder_kind(asked) != kind:
        raise UsageError(
            f"encoder {asked!r} reads {encoder_kind(asked)} data; this data set holds {kind} data.",
            f"Use --embeddings {PACKAGED.get(kind, LOG_PROBABILITIES)}.",
        )
    chosen = Embedding(asked, "asked for", _size(asked, budget))
    make_encoder(asked, chosen.size).recipe()  # absent weights are said now, not after the training
    return chosen


def _size(name: str, budget: str) -> int | None:
    return FrozenTrainer.from_budget(budget, name).size


def standardised(rows: np.ndarray) -> np.ndarray:
    """Every column with mean 0 and deviation 1 over the rows, in the dtype of `rows`; constant columns become 0.

    Features of several layers have different scales, and in a cosine the largest would decide alone.
    """
    total, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    blocks = range(0, len(rows), 4096)
    for at in blocks:
        block = rows[at : at + 4096].astype(np.float64)
        total, squares = total + block.sum(axis=0), squares + np.square(block).sum(axis=0)
    mean = total / len(rows)
    spread = np.sqrt(np.maximum(squares / len(rows) - mean**2, 0))
    # A feature that hardly moves is rounding noise of float16; dividing by its spread would blow it up.
    scale = np.where(spread > 1e-3, spread, np.inf)
    result = np.empty_like(rows)
    limit = float(np.finfo(rows.dtype).max)
    for at in blocks:
        result[at : at + 4096] = np.clip((rows[at : at + 4096].astype(np.float64) - mean) / scale, -limit, limit)
    return result


def keep_embeddings(
    embedding: Embedding,
    data: TrainingData | None,
    usable: np.ndarray,
    audited: np.ndarray,
    folder: Path,
    stages: Stages,
    inputs: Mapping[str, Any],
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Write ``embeddings.npy``, one row per audited item, as a content-addressed stage.

    Parameters
    ----------
    embedding : Embedding
        With a name.
    data : TrainingData or None
        The usable items; None for log-probabilities.
    usable, audited : int64 arrays
        Rows of the data set, ascending.
    folder : Path
        Run folder; its work folder is the cache shared with the trainer.

    Returns
    -------
    dict
        ``name, reason, recipe, width`` for the manifest.
    """
    encoder = embedding.encoder()
    recipe = None if encoder is None else encoder.recipe()
    path = folder / layout.EMBEDDINGS

    def produce() -> dict[str, Any]:
        if encoder is None or data is None:
            probabilities = load_npy(folder / layout.PRED_PROBS).astype(np.float64)
            # Comparable over folds, because the axes are the classes; hidden features of two networks are not.
            rows = standardised(np.log(probabilities + LOG_FLOOR)).astype(np.float32)
        else:
            from auditor.train.device import choose_device
            from auditor.train.embeddings import embed

            place = choose_device(device)
            work = folder / layout.WORK
            whole = embed(encoder, data.features, work, place, cpu_count(), progress, "embeddings")
            rows = np.asarray(whole[np.searchsorted(usable, audited)])
            # Sentence encoders give vectors made for the cosine; image features are activations of any scale.
            rows = standardised(rows) if encoder.kind == "image" else rows
        write_array(path, rows)
        return {"width": int(rows.shape[1]), "dtype": str(rows.dtype)}

    needs = {"probabilities": hash_array(load_npy(folder / layout.PRED_PROBS))} if encoder is None else {}
    record = stages.run(
        "embeddings",
        {**inputs, "encoder": recipe, "usable": hash_array(usable), "audited": hash_array(audited), **needs},
        [layout.EMBEDDINGS],
        produce,
    )
    return {"name": embedding.name, "reason": embedding.reason, "recipe": recipe, **record.info}
