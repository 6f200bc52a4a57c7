"""The four kinds of data set: images, texts, tables, and probabilities somebody already has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from auditor.core.errors import UnreadableError
from auditor.core.hashing import hash_array, hash_bytes, hash_strings
from auditor.core.progress import Progress, SilentProgress
from auditor.data.base import BadItem, Dataset, Modality
from auditor.data.decode import UndecodableImage, decode_rgb
from auditor.data.loading import LoadedImages, load_pixels, load_uniform
from auditor.data.sources import Content, Source, Unreadable

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

#: Item hash of decoded pixels: sha256 over the C-ordered uint8 RGB bytes. For lossless files.
RGB_SCHEME = "sha256-rgb-bytes"
#: Item hash of the file as it is. For lossy files, whose decoders can differ in the last bit.
FILE_SCHEME = "sha256-file-bytes"
#: Pixels decoded for hashing are kept up to this size until they are loaded. All of CIFAR-10 is 184 MB.
KEPT_BYTES = 256 << 20
#: Values of a table that are texts at once, about 70 bytes each.
HASHED_VALUES = 1 << 20


@dataclass(eq=False, repr=False, kw_only=True)
class ImageDataset(Dataset):
    """Images, decoded when asked for.

    Attributes
    ----------
    source : Source
        Contents in the order of the items.
    hash_scheme : str
        ``"sha256-rgb-bytes"`` (lossless files) or ``"sha256-file-bytes"``.
    """

    source: Source
    hash_scheme: str = FILE_SCHEME
    _decoded: LoadedImages | None = field(default=None, init=False, repr=False)

    modality: ClassVar[Modality] = "image"

    def item(self, position: int) -> Image:
        """One image, RGB.

        Raises
        ------
        UnreadableError
            If it cannot be decoded.
        """
        from PIL import Image

        return Image.fromarray(self._decode(position))

    def file_bytes(self, position: int) -> bytes | None:
        """The image file as stored, or None where pixels only are kept. Errors as `item`."""
        content = self._content(position)
        return None if isinstance(content, np.ndarray) else content

    def load_images(
        self,
        positions: np.ndarray | None = None,
        size: int | tuple[int, int] | None = None,
        progress: Progress | None = None,
    ) -> tuple[np.ndarray, list[BadItem]]:
        """Decode many images into one array.

        Parameters
        ----------
        positions : int array (n,), optional
            Which items; default all.
        size : int or (height, width), optional
            Common size. By default the images' own size where all are equal, else the median height and
            width, at most `auditor.data.loading.LONGEST_SIDE` pixels; the choice is added to `notes`.
        progress : Progress, optional

        Returns
        -------
        pixels : uint8 array (n, H, W, 3)
            Row k belongs to ``positions[k]``; rows of bad items are black.
        bad : list of BadItem
            `BadItem.position` is a position in this data set. Ascending.

        Raises
        ------
        MemoryGuardError
            If the array would not fit into memory.

        Notes
        -----
        Decoding all of CIFAR-10 takes seconds, and both hashing and loading need it. Loading everything keeps
        the hashes; hashing first keeps the pixels (up to `KEPT_BYTES`) until they are loaded once.
        """
        positions = np.arange(len(self)) if positions is None else np.asarray(positions, dtype=np.int64)
        everything = np.array_equal(positions, np.arange(len(self)))
        loaded, self._decoded = self._decoded, None
        if loaded is None or not everything or size is not None:
            loaded = load_pixels(self.source, positions, size, progress or SilentProgress())
        if loaded.note and loaded.note not in self.notes:
            self.notes.append(loaded.note)
        hashing = everything and self.hash_scheme == RGB_SCHEME and "content_hashes" not in self.__dict__
        if hashing and not loaded.resized:
            self.__dict__["content_hashes"] = self._hashes_of(loaded.pixels, loaded.bad)
        return loaded.pixels, [BadItem(int(positions[k]), reason) for k, reason in sorted(loaded.bad.items())]

    def _content(self, position: int) -> bytes | np.ndarray:
        content = self.source.get(position)
        if isinstance(content, Unreadable):
            raise self._unreadable(position, content.reason)
        return content

    def _decode(self, position: int) -> np.ndarray:
        content = self._content(position)
        try:
            return content if isinstance(content, np.ndarray) else decode_rgb(content)
        except UndecodableImage as error:
            raise self._unreadable(position, str(error)) from error

    def _unreadable(self, position: int, reason: str) -> UnreadableError:
        return UnreadableError(f"image {str(self.ids[position])!r} of {self.name!r}: {reason}.")

    def _hashes_of(self, pixels: np.ndarray, bad: dict[int, str]) -> np.ndarray:
        hashes = [hash_bytes(row.tobytes()) for row in pixels]
        for k in bad:
            hashes[k] = self._hash_one(k, self.source.get(k))
        return np.array(hashes)

    def _content_hashes(self) -> np.ndarray:
        if self.hash_scheme == RGB_SCHEME and (loaded := load_uniform(self.source, KEPT_BYTES)) is not None:
            self._decoded = loaded
            return self._hashes_of(loaded.pixels, loaded.bad)
        hashes = np.empty(len(self), dtype="U71")
        for k, content in self.source.read(np.arange(len(self))):
            hashes[k] = self._hash_one(k, content)
        return hashes

    def _hash_one(self, position: int, content: Content) -> str:
        if isinstance(content, Unreadable):
            # Not the hash of nothing: two missing files are not copies of each other.
            return hash_strings(["unreadable", str(self.ids[position])])
        if isinstance(content, bytes) and self.hash_scheme == RGB_SCHEME:
            try:
                content = decode_rgb(content)
            except UndecodableImage:
                return hash_bytes(content if isinstance(content, bytes) else b"")
        return hash_bytes(content if isinstance(content, bytes) else content.tobytes())

    def _restrict(self, positions: np.ndarray) -> None:
        self.source = self.source.take(positions)
        self._decoded = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_decoded": None}


@dataclass(eq=False, repr=False, kw_only=True)
class TextDataset(Dataset):
    """Texts.

    Attributes
    ----------
    column : object array of str (n,)
    """

    column: np.ndarray

    modality: ClassVar[Modality] = "text"
    hash_scheme: str = "sha256-utf8"

    @property
    def texts(self) -> list[str]:
        """All texts, in the order of the items."""
        return list(self.column)

    def item(self, position: int) -> str:
        """One text."""
        return str(self.column[position])

    def _content_hashes(self) -> np.ndarray:
        return np.array([hash_bytes(t.encode("utf-8", "surrogatepass")) for t in self.column], dtype="U71")

    def _restrict(self, positions: np.ndarray) -> None:
        self.column = self.column[positions]


@dataclass(eq=False, repr=False, kw_only=True)
class TableDataset(Dataset):
    """Rows of numbers and categories.

    Attributes
    ----------
    frame : DataFrame (n rows, range index)
        Feature columns only: float64 for numbers (NaN where missing), dtype ``category`` for the rest.
    named : bool
        Whether the caller named the columns, instead of having them inferred.
    """

    frame: pd.DataFrame
    named: bool = False

    modality: ClassVar[Modality] = "table"
    hash_scheme: str = "sha256-row-values"

    def item(self, position: int) -> dict[str, Any]:
        """One row as column -> value; a missing value is None."""
        row = self.frame.iloc[position]
        return {str(k): (None if v != v else v) for k, v in row.items()}

    def _content_hashes(self) -> np.ndarray:
        names = [str(c) for c in self.frame.columns]
        if not names:
            return np.array([hash_strings([])] * len(self), dtype="U71")
        hashes: list[str] = []
        step = max(1, HASHED_VALUES // len(names))  # all values of a wide table as texts would not fit into memory
        for start in range(0, len(self), step):
            frame = self.frame.iloc[start : start + step]
            # float.hex is exact and the same on every platform; "" stands for missing, apart from the value "s".
            columns = [
                [("" if v != v else "s" + str(v)) for v in frame[c].astype(object)]
                if frame[c].dtype == "category"
                else [("" if v != v else float(v).hex()) for v in frame[c].to_numpy(dtype=float)]
                for c in frame.columns
            ]
            hashes += [hash_strings([*names, *row]) for row in zip(*columns, strict=True)]
        return np.array(hashes, dtype="U71")

    def _restrict(self, positions: np.ndarray) -> None:
        self.frame = self.frame.iloc[positions].reset_index(drop=True)


@dataclass(eq=False, repr=False, kw_only=True)
class ProbabilityDataset(Dataset):
    """Predicted probabilities supplied by the user; the items behind them are not here.

    Attributes
    ----------
    probabilities : float array (n, K)
        Possibly a memory map; column k belongs to ``class_names[k]``. In [0, 1], rows sum to 1 within the
        tolerance of `auditor.engine.semantics`.
    """

    probabilities: np.ndarray

    modality: ClassVar[Modality] = "probabilities"
    hash_scheme: str = "sha256-probability-row"

    def item(self, position: int) -> dict[str, float]:
        """Class name -> probability."""
        return {name: float(p) for name, p in zip(self.class_names, self.probabilities[position], strict=True)}

    def _content_hashes(self) -> np.ndarray:
        return np.array([hash_array(np.asarray(row)) for row in self.probabilities], dtype="U71")

    def _restrict(self, positions: np.ndarray) -> None:
        self.probabilities = self.probabilities[positions]
