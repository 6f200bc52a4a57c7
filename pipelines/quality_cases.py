"""Data sets with planted faults and hard negatives, for pipelines/quality.py."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from auditor.core.config import Settings
from auditor.core.progress import SilentProgress
from auditor.core.seeds import generator
from auditor.data.base import ItemTable
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.data.sources import FileSource
from auditor.lab.detectors.planted import LABEL, penguins, weather
from auditor.quality.open_subject import make_subject
from auditor.quality.subject import Subject

#: A picture to the bytes of a file.
Change = Callable[[Image.Image, np.random.Generator], bytes]


@dataclass(frozen=True, eq=False)
class Case:
    """A subject and, by check, what is planted in it, what only looks like it, and what does not count.

    Attributes
    ----------
    name : str
    subject : Subject
    planted, hard : dict of str to int64 array
        Positions.
    ignored : dict of str to bool array (n,)
        Items that other faults were planted in, which may well have this one too.
    files : list of Path
        Pictures, where there are files.
    """

    name: str
    subject: Subject
    planted: dict[str, np.ndarray]
    hard: dict[str, np.ndarray] = field(default_factory=dict)
    ignored: dict[str, np.ndarray] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def _png(picture: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _light(gain: float, offset: float) -> Change:
    return lambda picture, rng: _png(picture.point(lambda v: int(min(255, v * gain + offset))))


def _sized(width: int, height: int) -> Change:
    return lambda picture, rng: _png(picture.resize((width, height), Image.Resampling.BICUBIC))


def _flat(picture: Image.Image, rng: np.random.Generator) -> bytes:
    base = rng.integers(30, 220, 3)
    return _png(Image.fromarray(np.clip(base + rng.integers(-2, 3, (32, 32, 3)), 0, 255).astype(np.uint8)))


def _washed_out(picture: Image.Image, rng: np.random.Generator) -> bytes:
    grey = picture.convert("L").convert("RGB")
    return _png(Image.blend(grey, picture, 0.3))


#: Check -> (a planted fault, what only looks like it or None).
PICTURES: dict[str, tuple[Change, Change | None]] = {
    "exact_duplicates": (lambda p, rng: _png(p, "BMP"), None),
    "near_duplicates": (lambda p, rng: _png(p, "JPEG", quality=80), None),
    "undecodable": (
        lambda p, rng: _png(p)[: int(rng.integers(30, 400))],
        lambda p, rng: _png(p, "JPEG", progressive=1),
    ),
    "dark": (_light(0.15, 0), _light(0.5, 0)),
    "bright": (_light(0.04, 244), _light(0.5, 127)),
    "blurry": (
        lambda p, rng: _png(p.filter(ImageFilter.GaussianBlur(2.5))),
        lambda p, rng: _png(p.filter(ImageFilter.GaussianBlur(0.6))),
    ),
    "low_information": (_flat, _light(0.4, 80)),
    "odd_size": (_sized(128, 128), _sized(48, 48)),
    "odd_aspect": (_sized(112, 32), _sized(44, 32)),
    "odd_mode": (lambda p, rng: _png(p.convert("L")), _washed_out),
}


def pictures(settings: Settings, folder: Path, n: int, each: int, seed: int) -> Case:
    """`n` test pictures of CIFAR-10, and `each` changed ones a fault and a hard negative, each of another picture."""
    data = open_dataset("cifar10?split=test", settings)
    rng = generator(seed, "quality", "pictures")
    rows = rng.permutation(len(data))
    plain = [data.item(int(k)) for k in rows[: n + 2 * each * len(PICTURES)]]
    contents, kind, hard = [_png(picture) for picture in plain[:n]], [""] * n, [False] * n
    labels, at = [int(data.labels[k]) for k in rows[:n]], n
    for name, changes in PICTURES.items():
        for change, looks in ((changes[0], False), (changes[1], True)):
            for _ in range(each if change else 0):
                # Copies are of pictures that are there; all others are of pictures that are not.
                copy = name.endswith("duplicates")
                source = len(contents) % n if copy else at
                at += not copy
                contents.append(change(plain[source], rng) if change else b"")
                labels.append(int(data.labels[rows[source]]))
                kind.append(name)
                hard.append(looks)
    files = [folder / f"{k:05d}.png" for k in range(len(contents))]
    for path, content in zip(files, contents, strict=True):
        path.write_bytes(content)
    names, looks = np.array(kind), np.array(hard)
    items = ItemTable(
        np.array([f.stem for f in files]), np.array(labels), np.full(len(files), "all"), np.arange(len(files))
    )
    dataset = ImageDataset("planted", "planted", data.class_names, items, source=FileSource(list(map(str, files))))
    copied = np.zeros(len(files), bool)
    copied[[k % n for k in range(len(files)) if names[k].endswith("duplicates")]] = True
    return Case(
        "CIFAR-10 test pictures",
        make_subject(dataset, None, SilentProgress(), workers=1),
        {name: np.flatnonzero((names == name) & ~looks) for name in PICTURES},
        {name: np.flatnonzero((names == name) & looks) for name in PICTURES if PICTURES[name][1] is not None},
        {
            name: (names != "") & (names != name) | (copied if name.endswith("duplicates") else False)
            for name in PICTURES
        },
        files,
    )


_FAULTS: dict[str, tuple[Callable[[str, int], str], Callable[[str, int], str]]] = {
    "encoding_damage": (
        lambda t, k: [t.replace("a", "Ã©", 1), t + " &amp; more", t.replace(" ", " \ufffd", 1), t + "\x00"][k % 4],
        lambda t, k: [t + " naïve café", t + " Q&A", t + " 5 € or £4", t + " (C&D; E&F)"][k % 4],
    ),
    "near_empty_text": (lambda t, k: ["?!", "ok.", "...", "-- 1"][k % 4], lambda t, k: " ".join(t.split()[:2])),
    "template_texts": (
        lambda t, k: f"Order {k * 37} of {k % 7} items was sent to you on day {k % 29}",
        lambda t, k: f"Order {t.split()[0]} was followed by {' '.join(t.split()[-6:])} in year {k}",
    ),
}


def texts(settings: Settings, n: int, each: int, seed: int) -> Case:
    """`n` texts of AG-News, and faults planted in others."""
    from pipeline import data_file

    table = pd.read_csv(data_file(settings, "text/noisy_agnews_10k.csv")).sample(frac=1, random_state=seed)
    # Many texts of AG-News are damaged as they are.
    table = table[table["text"].astype(str).str.fullmatch(r"[A-Za-z0-9\s.,'\"()$:?!-]+")]
    column = table["text"].astype(str).tolist()
    values, kind, hard, at = column[:n], [""] * n, [False] * n, n
    for name, changes in _FAULTS.items():
        for change, looks in zip(changes, (False, True), strict=True):
            for k in range(each):
                values.append(change(column[at], k))
                kind.append(name)
                hard.append(looks)
                at += 1
    names, looks = np.array(kind), np.array(hard)
    held = np.empty(len(values), object)
    held[:] = values
    items = ItemTable(
        np.arange(len(held)).astype(str),
        table["gt"].to_numpy(np.int64)[: len(held)],
        np.full(len(held), "all"),
        np.arange(len(held)),
    )
    dataset = TextDataset("planted", "planted", ("a", "b", "c", "d"), items, column=held)
    subject = make_subject(dataset, None, SilentProgress())
    return Case(
        "AG-News texts",
        subject,
        {name: np.flatnonzero((names == name) & ~looks) for name in _FAULTS},
        {name: np.flatnonzero((names == name) & looks) for name in _FAULTS},
        {name: (names != "") & (names != name) for name in _FAULTS},
    )


def table_subject(frame: pd.DataFrame, label: str, splits: np.ndarray | None = None) -> Subject:
    """A table as a subject, its columns as `open_dataset` types them."""
    data = open_dataset(frame, label=label)
    items = data.items if splits is None else ItemTable(data.ids, data.labels, splits, data.items.index)
    dataset = TableDataset("planted", "planted", data.class_names, items, frame=data.frame)  # type: ignore[attr-defined]
    return make_subject(dataset, None, SilentProgress())


def tables(seed: int) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Two clean tables: name, rows, label column."""
    yield "penguins", penguins(seed=seed), LABEL
    yield "weather", weather(seed=seed), LABEL
