"""Pixels and embeddings of image sets, read once."""

from __future__ import annotations

import numpy as np

from auditor.core.errors import UnreadableError
from auditor.core.hashing import hash_array, hash_bytes, hash_json, hash_strings
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.lab.detectors.sets import Context
from auditor.lab.detectors.training import principal_components
from auditor.quality.duplicates import find_duplicates
from auditor.train.base import Trainer

__all__ = ["duplicate_groups", "embeddings_of", "items_identity", "pixels_of"]

#: Encoder and picture size where the trainer has none of its own.
OTHER_ENCODER, OTHER_SIZE = "efficientnet-lite0", 64
#: Pixels last read, by reference and rows: three noises and several seeds ask for the same images in a row.
_LAST: dict[str, np.ndarray] = {}


def pixels_of(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Pixels of some rows, uint8 (n, H, W, 3).

    Raises
    ------
    UnreadableError
        If one cannot be decoded: the benchmark's sets are known to be whole.
    """
    key = hash_json([dataset.reference, hash_array(rows)])
    if key not in _LAST:
        if not isinstance(dataset, ImageDataset):
            raise UnreadableError(f"data set {dataset.name!r} holds no images.")
        images, bad = dataset.subset(rows).load_images()
        if bad:
            raise UnreadableError(f"{len(bad)} images of {dataset.name!r} cannot be decoded: {bad[0].reason}.")
        _LAST.clear()
        _LAST[key] = images
    return _LAST[key]


def items_identity(ids: np.ndarray, labels: np.ndarray, images: np.ndarray) -> str:
    """Hash of who the items are and what they hold."""
    return hash_json([hash_strings(map(str, ids)), hash_array(labels), hash_array(images)])


def embeddings_of(context: Context, trainer: Trainer, images: np.ndarray) -> np.ndarray | None:
    """A space for neighbours that no label has touched, float32 (n, d); None where there is none.

    A frozen encoder's features (128 principal components), computed once and kept; for other trainers of small
    pictures the pixels; for networks trained from scratch the frozen encoder too, where it is installed.
    """
    from auditor.train.embeddings import embed
    from auditor.train.encoders import make_encoder, missing
    from auditor.train.frozen import FrozenTrainer
    from auditor.train.pixels import PixelTrainer, pixel_features

    if isinstance(trainer, PixelTrainer):
        return pixel_features(images, np.arange(len(images)), trainer.side)
    if isinstance(trainer, FrozenTrainer):
        # The same encoder and folder as in its fits, so that nothing is computed twice.
        encoder = make_encoder(trainer.encoder, trainer.size)
    elif missing(OTHER_ENCODER) is None:
        encoder = make_encoder(OTHER_ENCODER, OTHER_SIZE)
    else:
        return None
    found = embed(encoder, images, context.work, "cpu", context.workers, context.progress, "embeddings")
    return principal_components(found, context.work)


def duplicate_groups(images: np.ndarray) -> np.ndarray:
    """Group of each image among its copies, int64 (n,); looked for once, as no seed or label changes it."""
    key = hash_array(images)
    if key not in _GROUPS:
        hashes = np.array([hash_bytes(image.tobytes()) for image in images])
        _GROUPS[key] = find_duplicates(hashes, images=images).group
    return _GROUPS[key]


_GROUPS: dict[str, np.ndarray] = {}
