"""What a network that is there already says of the images of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.core.errors import DataError, UnreadableError, UsageError
from auditor.core.progress import Progress
from auditor.data.base import Dataset
from auditor.data.class_order import check_class_order
from auditor.data.kinds import ImageDataset
from auditor.stats.intervals import wilson
from auditor.train.device import choose_device, describe_device, torch_threads
from auditor.train.kept import KeptNetwork


def predict(
    network: KeptNetwork, dataset: Dataset, progress: Progress, device: str = "auto"
) -> tuple[np.ndarray, dict[str, Any]]:
    """Probabilities of all items, one look at each, and how they agree with the given labels.

    Parameters
    ----------
    network : KeptNetwork
    dataset : Dataset
        Of images.
    progress : Progress
    device : str

    Returns
    -------
    probabilities : float32 array (n, K)
    facts : dict
        Schema ``auditor.predict/1``: ``network, facts, data, items, accuracy, interval`` (Wilson's, 95 %), ``device,
        caution`` (None, or what the network may have seen).

    Raises
    ------
    UsageError
        If the data set holds no images.
    DataError
        If the network tells another number of classes apart.
    ClassOrderError
        If its outputs stand in another order than the classes.
    UnreadableError
        If an image cannot be decoded.
    """
    if not isinstance(dataset, ImageDataset):
        raise UsageError(f"a network predicts images; {dataset.reference!r} holds {dataset.modality} data.")
    if network.n_classes != len(dataset.class_names):
        raise DataError(
            f"{network.task} tells {network.n_classes} classes apart; {dataset.name!r} has {len(dataset.class_names)}.",
            "Take a network that was trained on these classes.",
        )
    device = choose_device(device)
    images, bad = dataset.load_images(progress=progress)
    if bad:
        raise UnreadableError(f"{len(bad)} images of {dataset.reference!r} cannot be decoded, e.g. {bad[0].reason}.")
    progress.stage("predict", f"{len(dataset):,} images")
    with torch_threads(1):
        probabilities = network.on(device).probabilities(images)
    check_class_order(probabilities, dataset.labels, dataset.class_names)
    right = int((probabilities.argmax(1) == dataset.labels).sum())
    interval = wilson(right, len(dataset))
    seen = np.isin(dataset.items.splits, ["all", network.facts.get("seen", "train")])
    learnt = 0 if network.facts.get("seen") == "none" else int(seen.sum())
    return probabilities, {
        "schema": "auditor.predict/1",
        "network": network.task,
        "facts": dict(network.facts),
        "data": dataset.reference,
        "items": len(dataset),
        "accuracy": right / len(dataset),
        "interval": [interval.low, interval.high],
        "device": describe_device(device),
        "caution": f"{learnt:,} of the items may be ones that it was trained on" if learnt else None,
    }
