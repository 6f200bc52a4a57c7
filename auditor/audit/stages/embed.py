"""Embeddings of the audited items, kept in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.files import load_npy
from auditor.core.hashing import hash_array
from auditor.core.machine import cpu_count
from auditor.core.progress import Progress
from auditor.detect.margins import LOG_FLOOR
from auditor.runs import layout
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array
from auditor.train.base import TrainingData
from auditor.train.choose_embedding import Embedding, standardised

__all__ = ["keep_embeddings"]


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
