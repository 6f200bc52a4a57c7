"""Plain numbers about each item, by which orders and versions are compared."""

from __future__ import annotations

import numpy as np

from auditor.quality.subject import Subject


def numbers(subject: Subject) -> dict[str, np.ndarray]:
    """Name to float64 array (n,), NaN where an item has none.

    Pictures: the columns of `measure_pictures` and the root of the area; texts: characters, words, and the shares
    of capitals, digits and characters outside ASCII; tables: the columns of numbers.
    """
    if subject.images is not None:
        area = np.sqrt(subject.images.size.astype(np.float64).prod(axis=1))
        columns = {name: values.astype(np.float64) for name, values in subject.images.columns.items()}
        return columns | {"size": np.where(area > 0, area, np.nan)}
    if subject.texts is not None:
        return _of_texts(subject.texts)
    if subject.frame is not None:
        frame = subject.frame
        return {str(c): frame[c].to_numpy(dtype=np.float64) for c in frame.columns if frame[c].dtype != "category"}
    return {}


def categories(subject: Subject) -> dict[str, np.ndarray]:
    """Name to int64 array (n,) of the codes of a table's columns of categories; -1 where missing."""
    if subject.frame is None:
        return {}
    frame = subject.frame
    return {str(c): frame[c].cat.codes.to_numpy(np.int64) for c in frame.columns if frame[c].dtype == "category"}


def _of_texts(texts: np.ndarray) -> dict[str, np.ndarray]:
    rows = np.empty((len(texts), 5))
    for k, text in enumerate(texts):
        length = max(1, len(text))
        capitals, digits = sum(map(str.isupper, text)), sum(map(str.isdigit, text))
        foreign = 0 if text.isascii() else sum(ord(c) > 127 for c in text)
        rows[k] = len(text), len(text.split()), capitals / length, digits / length, foreign / length
    names = ("characters", "words", "capitals", "digits", "outside ASCII")
    return {name: rows[:, column] for column, name in enumerate(names)}
