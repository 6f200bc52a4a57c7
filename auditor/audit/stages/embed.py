"""Embeddings of the audited items in the run folder, for the detectors that compare neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.audit.context import Context
from auditor.audit.manifest import StageResult, done, not_applicable
from auditor.core.hashing import hash_array
from auditor.core.machine import cpu_count
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.neighbours import is_costly, narrowed
from auditor.runs import layout
from auditor.runs.tables import write_array
from auditor.train.choose_embedding import Embedding, fit_for_cosine, standardised
from auditor.train.encoders import JointEncoder


def prompt(class_name: str) -> str:
    """What an encoder of images and texts is told of a class, as LEMoN and CLIP's authors do."""
    return f"a photo of a {class_name.replace('_', ' ').strip()}"


def embed(
    context: Context, embedding: Embedding, usable: np.ndarray, audited: np.ndarray, probabilities: np.ndarray
) -> StageResult[None]:
    """Write ``embeddings.npy``, one row per audited item, as `embedding` says.

    Where its encoder puts texts into the same space: ``class_embeddings.npy``, one row per class, too.

    Parameters
    ----------
    context : Context
        Its cache of embeddings is shared with the trainers.
    embedding : Embedding
    usable, audited : int64 arrays
        Rows of the data set, ascending.
    probabilities : float32 array (n audited, K)
        Out of sample; read where they are what is kept.
    """
    if embedding.name is None:
        return StageResult(None, [not_applicable("embeddings", embedding.reason)])
    detail = f"{embedding.name}: {embedding.reason}"
    context.progress.stage("embeddings", detail)
    encoder = embedding.encoder()
    recipe = None if encoder is None else encoder.recipe()
    joint = encoder if isinstance(encoder, JointEncoder) else None
    prompts = [] if joint is None else [prompt(name) for name in context.dataset.class_names]

    def produce() -> dict[str, Any]:
        more: dict[str, Any] = {}
        if embedding.rows is not None:
            rows = embedding.rows[audited]
        elif encoder is None:
            # Comparable over folds, because the axes are the classes; hidden features of two networks are not.
            rows = standardised(np.log(np.asarray(probabilities, np.float64) + LOG_FLOOR)).astype(np.float32)
        else:
            from auditor.train.device import choose_device
            from auditor.train.embeddings import embed as features_of
            from auditor.train.embeddings import rows_of

            device = choose_device(context.config.device)
            features, chosen = context.training_data(usable).features, np.searchsorted(usable, audited)
            if embedding.alone:
                features, chosen = rows_of(features, chosen), np.arange(len(chosen))
            cores, progress = cpu_count(), context.progress
            whole = features_of(encoder, features, context.cache, device, cores, progress, "embeddings")
            rows = fit_for_cosine(np.asarray(whole[chosen]), encoder)
            if joint is not None:
                write_array(context.folder / layout.CLASS_EMBEDDINGS, joint.open_texts(device)(prompts))
                more = {"prompts": prompts}
        width = int(rows.shape[1])
        if encoder is not None and joint is None and is_costly(len(rows), width):
            rows = narrowed(rows)
        write_array(context.folder / layout.EMBEDDINGS, rows)
        return {"width": int(rows.shape[1]), "dtype": str(rows.dtype), "features": width, **more}

    needs: dict[str, Any] = {} if encoder else {"probabilities": hash_array(probabilities)}
    if embedding.rows is not None:
        needs = {"given": hash_array(embedding.rows)}
    if joint is not None:
        needs["prompts"] = prompts
    inputs = context.inputs(encoder=recipe, usable=hash_array(usable), audited=hash_array(audited), **needs)
    files = [layout.EMBEDDINGS] if joint is None else [layout.EMBEDDINGS, layout.CLASS_EMBEDDINGS]
    info = context.stages.run("embeddings", inputs, files, produce).info
    section = {"name": embedding.name, "reason": embedding.reason, "recipe": recipe, **info}
    return StageResult(None, [done("embeddings", detail)], sections={"embeddings": section})
