"""Cheap properties of the items: how they are stored, and what a glance at them shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from auditor.data.dates import read_dates
from auditor.quality.features import numbers
from auditor.quality.measures import ImageMeasures
from auditor.quality.subject import Subject

#: Values of a property of words that are kept apart, the most frequent ones, and the least share of the items of one.
LEVELS, LEAST_SHARE = 50, 0.005
#: Shares of different values from which on a column of whole numbers or of categories names rows.
IDENTIFYING = 0.9
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, eq=False)
class Property:
    """One property of n items.

    Attributes
    ----------
    name : str
    kind : str
        ``"stored"``: how an item is kept (name, format, size in pixels), which should tell nothing about its class;
        ``"seen"``: what a glance shows (brightness, border, length), which may. So may the bytes of a picture, which
        are many where it shows much.
    values : float64 array (n,) or (n, c)
        NaN where there is none. Of words the number of the word in `words`.
    words : tuple of str or None
        What the numbers stand for; None for quantities.
    """

    name: str
    kind: Literal["stored", "seen"]
    values: np.ndarray
    words: tuple[str, ...] | None = None


def properties(subject: Subject) -> list[Property]:
    """What can be said of every item without a model; from the measures of the one pass.

    Pictures: size, shape, pixel format, bytes of the file, brightness, contrast, sharpness, information, colour, and
    light and colour of the border. Texts: characters, words, shares of capitals, digits and characters outside ASCII,
    links, the first and the last word. Tables: which values are missing, and columns that name rows. All: the file
    name without its digits, and the numbers in it; every column of the metadata.
    """
    found = _of_names(subject) + _of_metadata(subject)
    if subject.images is not None:
        found += _of_images(subject, subject.images)
    elif subject.texts is not None:
        found += [Property(name, "seen", values) for name, values in numbers(subject).items()]
        found += _of_words(subject.texts)
    elif subject.frame is not None:
        found += _of_rows(subject.frame)
    return found


def coded(words: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Words as numbers: float64 (n,), and the words; rare ones are one level, named "other"."""
    names, codes, counts = np.unique(np.asarray(words, dtype="U"), return_inverse=True, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:LEVELS]
    frequent = np.sort(frequent[counts[frequent] >= max(2, LEAST_SHARE * len(codes))])
    number = np.full(len(names), len(frequent))
    number[frequent] = np.arange(len(frequent))
    return number[codes].astype(np.float64), (*names[frequent].tolist(), "other")


def _of_names(subject: Subject) -> list[Property]:
    """Of file names, without their folders: in folders of classes these are the labels."""
    if subject.paths is None:
        return []
    bare = [str(path).rsplit("/", 1)[-1] for path in subject.paths]
    written = [_DIGITS.sub("0", name) for name in bare]
    values, words = coded(written)
    figures = [[float(d[:15]) for d in _DIGITS.findall(name)] for name in bare]
    found = [Property("file name", "stored", values, words)]
    for place in range(min(3, max(map(len, figures), default=0))):
        column = np.array([row[place] if place < len(row) else np.nan for row in figures])
        found.append(Property(f"number {place + 1} in the file name", "stored", column))
    return found


def _of_metadata(subject: Subject) -> list[Property]:
    """The columns beside content and label: numbers, dates as days since 1970, and words."""
    found: list[Property] = []
    frame = pd.DataFrame() if subject.metadata is None else subject.metadata
    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            found.append(Property(str(name), "stored", column.to_numpy(np.float64, na_value=np.nan)))
            continue
        written = [None if pd.isna(value) else value for value in column]
        dates = read_dates(written)
        if dates is not None:
            days = (dates - pd.Timestamp(0)) / pd.Timedelta(days=1)
            found.append(Property(str(name), "stored", days.to_numpy(np.float64)))
            continue
        values, words = coded(["" if value is None else str(value) for value in written])
        found.append(Property(str(name), "stored", values, words))
    return found


def _of_images(subject: Subject, images: ImageMeasures) -> list[Property]:
    unreadable = ~subject.usable
    measured = numbers(subject)
    size = images.size.astype(np.float64)
    size[unreadable] = np.nan
    height, width = size.T
    found = [
        Property("width and height", "stored", size),
        Property("width over height", "stored", width / height),
        Property("file size", "seen", np.where(images.file_bytes > 0, images.file_bytes, np.nan)),
    ]
    modes, words = coded(images.mode.tolist())
    found.append(Property("pixel format", "stored", np.where(unreadable, np.nan, modes), words))
    shown = images.comparable & subject.usable
    if shown.any():  # of smaller pictures these are what they show
        seen = [name for name in images.columns if name not in ("p05", "p99")]
        found += [Property(name, "seen", np.where(shown, measured[name], np.nan)) for name in seen]
        found.append(Property("border", "seen", _border(images.fine, images.tint, shown)))
    return found


def _border(fine: np.ndarray, tint: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Mean brightness, spread of brightness and mean colour of the outermost places, float64 (n, 4)."""
    result = np.full((len(fine), 4), np.nan)
    for start in range(0, len(fine), 8192):
        here = slice(start, start + 8192)
        edge = _edges(fine[here])
        colour = _edges(tint[here])
        result[here] = np.column_stack([edge.mean(axis=1), edge.std(axis=1), colour.mean(axis=1)])
    result[~shown] = np.nan
    return result


def _edges(block: np.ndarray) -> np.ndarray:
    """The outermost places of square pictures, float32 (b, places) or (b, places, channels)."""
    sides = block[:, 0], block[:, -1], block[:, 1:-1, 0], block[:, 1:-1, -1]
    return np.concatenate(sides, axis=1).astype(np.float32)


def _of_words(texts: np.ndarray) -> list[Property]:
    first, last, links = [], [], np.zeros(len(texts))
    for k, text in enumerate(texts):
        words = text.split(None, 1)
        first.append(words[0][:40].casefold() if words else "")
        last.append(text.rstrip()[-40:].split()[-1].casefold() if words else "")
        links[k] = text.count("://") + text.count("www.") + text.count("</") + text.count("&")
    found = [Property("links and tags", "seen", links)]
    for name, column in (("first word", first), ("last word", last)):
        values, levels = coded(column)
        found.append(Property(name, "seen", values, levels))
    return found


def _of_rows(frame: pd.DataFrame) -> list[Property]:
    """Missing values by column, and columns that name rows (serial numbers, times)."""
    absent = frame.isna().to_numpy()
    found = []
    if absent.any():
        found.append(Property("missing values", "stored", absent.sum(axis=1).astype(np.float64)))
    for place, name in enumerate(frame.columns):
        column = frame[name]
        if absent[:, place].any() and not absent[:, place].all():
            found.append(Property(f"missing {name}", "stored", absent[:, place].astype(np.float64)))
        if column.dtype == "category":
            continue
        values = column.to_numpy(np.float64)
        known = values[np.isfinite(values)]
        whole = len(known) > 1 and bool((known == np.floor(known)).all())
        if whole and len(np.unique(known)) >= IDENTIFYING * len(known):
            found.append(Property(str(name), "stored", values))
    return found
