"""Copies inside CIFAKE, by source and class, and which of them lie in both splits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.lab.cifake.grid.data import both_views


def count_copies(settings: Settings) -> dict[str, Any]:
    """Count exact copies (equal file bytes) of all 120,000 items.

    Returns
    -------
    dict
        ``n, distinct, groups`` (two or more items of one content), ``largest`` (items of the largest group),
        ``by_source`` (items, distinct), ``pairs`` by place and class, ``across_sources``, ``across_classes``,
        ``test_fake_in_train`` (items).

    Raises
    ------
    DataError
        If the two views of CIFAKE disagree.
    """
    binary, classes = both_views(settings)
    _, content, size = np.unique(binary.content_hashes, return_inverse=True, return_counts=True)
    order = np.argsort(content, kind="stable")
    groups = [g for g in np.split(order, np.cumsum(size)[:-1]) if len(g) > 1]
    source, split = binary.labels, binary.items.splits
    places: Counter[tuple[str, str]] = Counter()
    across = {"sources": 0, "classes": 0}
    for members in groups:
        where = sorted(set(split[members].tolist()), reverse=True)
        across["sources"] += len(set(source[members].tolist())) > 1
        across["classes"] += len(set(classes.labels[members].tolist())) > 1
        name = binary.class_names[source[members[0]]]
        place = f"inside {where[0]} {name}" if len(where) == 1 else f"train {name} and test {name}"
        places[place, classes.class_names[classes.labels[members[0]]]] += 1
    in_train = np.isin(content, content[split == "train"])
    fake_test = (split == "test") & (source == binary.class_names.index("FAKE"))
    return {
        "n": len(binary),
        "distinct": len(size),
        "groups": len(groups),
        "largest": max((len(g) for g in groups), default=1),
        "by_source": {
            name: {"items": int((source == k).sum()), "distinct": len(np.unique(content[source == k]))}
            for k, name in enumerate(binary.class_names)
        },
        "pairs": [{"where": w, "class": c, "groups": n} for (w, c), n in sorted(places.items())],
        "across_sources": across["sources"],
        "across_classes": across["classes"],
        "test_fake_in_train": int((fake_test & in_train).sum()),
        "test_fake": int(fake_test.sum()),
    }
