"""For every check: data with the fault planted, sound data, and data it cannot look at."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from auditor.core.progress import SilentProgress
from auditor.data.base import ItemTable
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.sources import FileSource
from auditor.quality.open_subject import make_subject, neighbours_of
from auditor.quality.subject import Predictions, Subject

__all__ = ["NOT_APPLICABLE", "PLANTED", "SOUND", "Build", "images", "pixels_of", "predicted", "rows", "texts"]

#: Makes a subject, given a folder to write files into.
Build = Callable[[Path], Subject]
N = 60
NAMES = ("ant", "bee")


def pixels_of(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    """A random colour picture with some grain and a few sharp edges, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    for _ in range(4):
        y, x = rng.integers(0, max(1, height // 2)), rng.integers(0, max(1, width // 2))
        smooth[y : y + height // 3, x : x + width // 3] = rng.integers(0, 256, 3)
    return np.clip(smooth + rng.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)


def _file(pixels: np.ndarray, kind: str = "PNG", mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, kind, **options)
    return out.getvalue()


def _items(n: int, labels: Sequence[int] | None, splits: Sequence[str] | None, shift: int = 0) -> ItemTable:
    given = np.arange(n) * 7919 // 5 % 2 if labels is None else np.asarray(labels)
    parts = np.array(["all"] * n if splits is None else list(splits))
    return ItemTable(np.array([f"i{k + shift:04d}" for k in range(n)]), given.astype(np.int64), parts, np.arange(n))


def images(
    folder: Path,
    files: Sequence[np.ndarray | bytes],
    labels: Sequence[int] | None = None,
    splits: Sequence[str] | None = None,
) -> Subject:
    """Picture files as a subject."""
    paths = []
    for k, content in enumerate(files):
        path = folder / f"{k:04d}.png"
        path.write_bytes(content if isinstance(content, bytes) else _file(content))
        paths.append(str(path))
    items = _items(len(files), labels, splits)
    dataset = ImageDataset("planted", "csv://planted", NAMES, items, source=FileSource(paths))
    return make_subject(dataset, None, SilentProgress(), workers=1)


def texts(column: Sequence[str], labels: Sequence[int] | None = None, splits: Sequence[str] | None = None) -> Subject:
    """Texts as a subject."""
    values = np.empty(len(column), dtype=object)
    values[:] = list(column)
    dataset = TextDataset("planted", "csv://planted", NAMES, _items(len(column), labels, splits), column=values)
    return make_subject(dataset, None, SilentProgress())


def rows(frame: pd.DataFrame, labels: Sequence[int] | None = None, splits: Sequence[str] | None = None) -> Subject:
    """Table rows as a subject."""
    dataset = TableDataset("planted", "csv://planted", NAMES, _items(len(frame), labels, splits), frame=frame)
    return make_subject(dataset, None, SilentProgress())


def _many(extra: Sequence[np.ndarray | bytes] = (), n: int = N) -> list[np.ndarray | bytes]:
    return [*(pixels_of(k) for k in range(n)), *extra]


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    return _file(pixels, "JPEG", quality=quality)


def _sentences(n: int = N) -> list[str]:
    words = ["river", "mountain", "window", "garden", "letter", "summer", "engine", "bridge", "candle", "forest"]
    rng = np.random.default_rng(3)
    return [" ".join(rng.choice(words, 12)) + "." for _ in range(n)]


def _frame(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    colour = pd.Categorical(rng.choice(["red", "green", "blue"], n))
    return pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "colour": colour})


def _embedded(far: int | slice | None, splits: Sequence[str] | None = None) -> Subject:
    """200 points in one direction, and some in the opposite one."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 8)) + 6
    if far is not None:
        points[far] = -points[far]
    subject = rows(_frame(), splits=splits)
    subject.neighbours = neighbours_of("given", points.astype(np.float32), np.arange(200), 200)
    return subject


#: 120 training points, and 80 test points.
PARTS = ["train"] * 120 + ["test"] * 80
HALVES = ["train"] * (N // 2) + ["test"] * (N // 2)
SHUFFLED = np.random.default_rng(1).integers(0, 2, 400)


def _two_parts(copied: np.ndarray | bytes | None) -> Build:
    """30 training and 30 test pictures, and one more in test, perhaps a copy."""
    last = pixels_of(999) if copied is None else copied
    return lambda folder: images(folder, _many([last]), splits=[*HALVES, "test"])


BLUR = np.asarray(Image.fromarray(pixels_of(7)).resize((5, 5)).resize((32, 32), Image.Resampling.BICUBIC))
DARK = (pixels_of(500) * 0.2).astype(np.uint8)
WHITE = np.full((32, 32, 3), 252, np.uint8)
FLAT = np.full((32, 32, 3), (90, 120, 200), np.uint8)
SAVED_ANEW = _jpeg(pixels_of(3), 60)


def _marked(broken: Sequence[int] = ()) -> Subject:
    """200 texts; those of one class end with a mark, but for some."""
    labels = np.arange(200) % 2
    ends = [" #ad" if labels[k] and k not in broken else "" for k in range(200)]
    return texts([text + end for text, end in zip(_sentences(200), ends, strict=True)], labels.tolist())


def predicted(subject: Subject, wrong: Sequence[int], flagged: Sequence[int] = ()) -> Subject:
    """With predictions of two classes that are wrong on some items, and labels that are suspected."""
    likely = subject.labels.copy()
    likely[list(wrong)] = 1 - likely[list(wrong)]
    p = np.where(likely[:, None] == np.arange(2), 0.9, 0.1)
    suspected = np.isin(np.arange(len(subject)), list(flagged))
    subject.predictions = Predictions(np.arange(len(subject)), p, suspected)
    return subject


def _weak(blue: bool) -> Subject:
    """400 rows, of which one in twenty goes wrong; where the colour is blue, one in two."""
    frame = _frame(400)
    often = (frame["colour"] == "blue").to_numpy() & blue
    rng = np.random.default_rng(5)
    return predicted(rows(frame, SHUFFLED), np.flatnonzero(rng.random(400) < np.where(often, 0.5, 0.05)).tolist())


def _guessed(share: float) -> Subject:
    """400 rows, of which the model gets a share wrong in either class."""
    rng = np.random.default_rng(6)
    return predicted(rows(_frame(400), SHUFFLED), np.flatnonzero(rng.random(400) < share).tolist())


def _kinds(divided: bool) -> Subject:
    """300 embedded rows of two classes, one of which holds items in two places."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    points = rng.normal(size=(300, 6)) * 0.3 + np.where(labels == 1, 1.0, -1.0)[:, None]
    points[(labels == 1) & (np.arange(300) % 4 == 1) & divided] += [4, -4, 0, 0, 0, 0]
    subject = rows(_frame(300), labels.tolist())
    subject.neighbours = neighbours_of("given", points.astype(np.float32), np.arange(300), 300)
    return subject


LONG = " ".join(f"word{k}" for k in range(30))

#: Check -> (data with the fault, positions it must name; None where it is about the data as a whole).
PLANTED: dict[str, tuple[Build, list[int] | None]] = {
    "undecodable": (lambda f: images(f, _many([b"", b"no picture", _file(pixels_of(1))[:300]])), [60, 61, 62]),
    "exact_duplicates": (lambda f: images(f, _many([pixels_of(4), _file(pixels_of(9), "BMP")])), [4, 9, 60, 61]),
    "near_duplicates": (lambda f: images(f, _many([SAVED_ANEW, pixels_of(5)[:, ::-1]])), [3, 60]),
    "conflicting_duplicates": (lambda f: images(f, _many([pixels_of(2)]), [0] * N + [1]), [2, 60]),
    "conflicting_alterations": (lambda f: texts([*_sentences(), LONG, LONG + " never"], [0] * 61 + [1]), [60, 61]),
    "mirrored_items": (lambda f: images(f, _many([SAVED_ANEW, pixels_of(5)[:, ::-1]])), [5, 61]),
    "leakage": (_two_parts(pixels_of(4)), [60]),
    "near_leakage": (_two_parts(SAVED_ANEW), [60]),
    "odd_size": (lambda f: images(f, _many([pixels_of(1, 320, 320), pixels_of(2, 4, 4)])), [60, 61]),
    "odd_aspect": (lambda f: images(f, _many([pixels_of(1, 16, 90), pixels_of(2, 90, 16)])), [60, 61]),
    "odd_mode": (
        lambda f: images(f, _many([_file(pixels_of(70), mode="L"), _file(pixels_of(71), mode="RGBA")])),
        [60, 61],
    ),
    "dark": (lambda f: images(f, _many([DARK])), [60]),
    "bright": (lambda f: images(f, _many([WHITE])), [60]),
    "blurry": (lambda f: images(f, _many([BLUR])), [60]),
    "low_information": (lambda f: images(f, _many([FLAT])), [60]),
    "outliers": (lambda f: _embedded(17), [17]),
    # Twenty that resemble one another: no outliers among themselves.
    "out_of_distribution": (lambda f: _embedded(slice(150, 170), PARTS), list(range(150, 170))),
    "class_imbalance": (lambda f: rows(_frame(), [1] + [0] * 199), [0]),
    "tiny_classes": (lambda f: rows(_frame(), [0] * 194 + [1] * 6), list(range(194, 200))),
    "missing_values": (lambda f: rows(_frame().mask(np.arange(600).reshape(200, 3) == 31)), [10]),
    "non_iid_order": (lambda f: rows(_frame(400), np.sort(SHUFFLED)), None),
    "drift": (
        lambda f: rows(
            _frame(400).assign(a=np.r_[np.zeros(200), np.ones(200)] * 2 + _frame(400)["a"]),
            SHUFFLED,
            ["train"] * 200 + ["test"] * 200,
        ),
        None,
    ),
    "encoding_damage": (
        lambda f: texts(
            [*_sentences(), "the caf\u00c3\u00a9 was shut", "a \ufffd b", "it &amp; they", "a\x00b", "AT T #39;s plan"]
        ),
        [60, 61, 62, 63, 64],
    ),
    "near_empty_text": (lambda f: texts([*_sentences(), "?!", "ok."]), [60, 61]),
    "template_texts": (
        lambda f: texts([*_sentences(), *(f"Your order {k} of {k * 3} items has shipped" for k in (17, 402, 55))]),
        [60, 61, 62],
    ),
    "constant_columns": (lambda f: rows(_frame().assign(same=1.0)), None),
    "target_leakage": (lambda f: rows(_frame(400).assign(told=SHUFFLED * 3.0), SHUFFLED), None),
    "spurious_cues": (lambda f: _marked([31, 77]), [31, 77]),
    "weak_slices": (lambda f: _weak(True), None),
    "overlapping_classes": (lambda f: _guessed(0.45), None),
    "divided_classes": (lambda f: _kinds(True), None),
    "unlearnable_classes": (lambda f: _guessed(0.55), list(range(400))),
}


def _sound_pictures(folder: Path) -> Subject:
    return images(folder, _many())


def _sound_parts(folder: Path) -> Subject:
    return images(folder, _many(), SHUFFLED[:N].tolist(), HALVES)


def _sound_texts(folder: Path) -> Subject:
    return texts(_sentences())


def _sound_rows(folder: Path) -> Subject:
    return rows(_frame(400), SHUFFLED)


_PICTURES = (
    "undecodable",
    "exact_duplicates",
    "near_duplicates",
    "conflicting_duplicates",
    "conflicting_alterations",
    "mirrored_items",
    "odd_size",
    "odd_aspect",
    "odd_mode",
    "dark",
    "bright",
    "blurry",
    "low_information",
)
#: Check -> sound data.
SOUND: dict[str, Build] = {
    **dict.fromkeys(_PICTURES, _sound_pictures),
    **dict.fromkeys(("leakage", "near_leakage", "drift"), _sound_parts),
    **dict.fromkeys(("encoding_damage", "near_empty_text", "template_texts"), _sound_texts),
    "spurious_cues": lambda f: texts(_sentences(200), SHUFFLED[:200].tolist()),
    "weak_slices": lambda f: _weak(False),
    **dict.fromkeys(("overlapping_classes", "unlearnable_classes"), lambda f: _guessed(0.05)),
    "divided_classes": lambda f: _kinds(False),
    **dict.fromkeys(
        ("class_imbalance", "tiny_classes", "missing_values", "non_iid_order", "constant_columns", "target_leakage"),
        _sound_rows,
    ),
    "outliers": lambda f: _embedded(None),
    "out_of_distribution": lambda f: _embedded(None, PARTS),
}


def _probabilities(folder: Path) -> Subject:
    from auditor.data.kinds import ProbabilityDataset

    p = np.full((20, 2), 0.5)
    dataset = ProbabilityDataset("planted", "probs://planted", NAMES, _items(20, None, None), probabilities=p)
    return make_subject(dataset, None, SilentProgress())


def _one_class(folder: Path) -> Subject:
    subject = rows(_frame(20))
    subject.class_names, subject.labels = ("ant",), np.zeros(20, np.int64)
    return subject


def _tiny_pictures(folder: Path) -> Subject:
    return images(folder, [pixels_of(k, 8, 8) for k in range(20)])


#: Check -> data it cannot look at.
NOT_APPLICABLE: dict[str, Build] = {
    **dict.fromkeys(
        ("undecodable", "odd_size", "odd_aspect", "odd_mode", "dark", "bright", "blurry", "low_information"),
        _sound_texts,
    ),
    **dict.fromkeys(
        (
            "encoding_damage",
            "near_empty_text",
            "template_texts",
            "outliers",
            "out_of_distribution",
            "leakage",
            "drift",
            "constant_columns",
            "target_leakage",
            "missing_values",
            "weak_slices",
            "spurious_cues",
            "overlapping_classes",
            "divided_classes",
            "unlearnable_classes",
        ),
        _sound_pictures,
    ),
    **dict.fromkeys(("exact_duplicates", "conflicting_duplicates"), _probabilities),
    **dict.fromkeys(("class_imbalance", "tiny_classes"), _one_class),
    **dict.fromkeys(("near_duplicates", "mirrored_items", "conflicting_alterations"), _tiny_pictures),
    "near_leakage": _sound_pictures,
    "non_iid_order": lambda f: rows(_frame(20)),
}
