"""CIFAKE's ten classes with the source in place of the split, to train on photographs and audit generated images."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.folder import index_in_split
from auditor.data.open import open_dataset

__all__ = ["by_source"]


def by_source(settings: Settings) -> Dataset:
    """``cifake:class`` with all REAL images as its train split and all FAKE images as its test split."""
    dataset = copy.copy(open_dataset("cifake:class", settings))
    dataset.__dict__.pop("fingerprint", None)
    splits = np.array(["train" if "/REAL/" in item else "test" for item in dataset.ids.tolist()])
    dataset.items = replace(dataset.items, splits=splits, index=index_in_split(splits))
    dataset.name = "cifake-class-by-source"
    return dataset
