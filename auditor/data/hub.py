"""Data in the Hub's layout: ``hf://org/name``, or a folder with the same files.

A folder of parquet files is read in place. Anything else goes through the `datasets` package, which runs no code
from the data set and keeps what it fetches in its own cache.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.core.errors import DataError, EmptyDataError, MissingExtraError, OfflineError, UnreadableError, UsageError
from auditor.data.base import Dataset
from auditor.data.build import FileTable, build_dataset
from auditor.data.columns import SplitFiles, arrow_file, parquet_file, split_of
from auditor.data.folder import printable
from auditor.data.locate import offline_reason, search_folders
from auditor.data.reference import Reference
from auditor.data.roles import ROLE_OPTIONS
from auditor.data.tables import one_line

#: Seconds to wait for the Hub before saying that there is no network. The Hub's client would retry for 25 s.
_PATIENCE = 5


class Hub:
    """Adapter of ``hf://org/name`` and of folders of parquet files."""

    summary = "a data set of the Hugging Face Hub, or a local folder in its layout"
    example = "hf://org/name?split=test&image=img&label=label"
    options = ROLE_OPTIONS | {"classes", "config", "revision"}

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Open all splits, or the one asked for; ids are ``split/row`` or the id column."""
        place = _local_place(reference, settings)
        options = reference.options
        if place is not None:
            splits = local_splits(place)
            name, kept = printable(place.name), str(reference.with_path(place)) if place == reference.path else None
            if splits is None:
                splits = remote_splits(str(place.absolute()), options, settings)
        else:
            if not reference.location or reference.location.count("/") > 1:
                raise UsageError(
                    f"{str(reference)!r} names no data set of the Hub and no folder of this machine.",
                    "Write hf://org/name or hf:///folder.",
                )
            splits, name, kept = remote_splits(reference.location, options, settings), reference.location, None
        if not splits:
            raise EmptyDataError(f"{str(reference)!r} has no files.")
        wanted = options.get("split")
        if wanted and any(s.split == wanted for s in splits):
            splits = [s for s in splits if s.split == wanted]
        return build_dataset(FileTable(splits), options, name.rsplit("/", 1)[-1], kept or str(reference), repr(name))

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        why = offline_reason(settings)
        return "form", f"local folders and the cache only: {why}" if why else "any Hub id or folder"


def _local_place(reference: Reference, settings: Settings) -> Path | None:
    path = reference.path
    if path.is_absolute() or reference.location.startswith((".", "~")):
        if not path.is_dir():
            raise UnreadableError(f"folder {str(path)!r} does not exist.", "Check the path.")
        return path
    for base in search_folders(settings):
        if reference.location and (base / reference.location).is_dir():
            return base / reference.location
    return path if path.is_dir() else None


def local_splits(folder: Path) -> list[SplitFiles] | None:
    """Parquet files of a folder by split, or None where there are none: train, test, then by name."""
    paths = sorted(folder.glob("*.parquet")) or sorted(folder.glob("data/*.parquet"))
    if not paths:
        return None
    by_split: dict[str, list[Path]] = {}
    for path in paths:
        by_split.setdefault(split_of(path), []).append(path)
    order = sorted(by_split, key=lambda s: (s != "train", s != "test", s))
    return [SplitFiles(s, tuple(parquet_file(p) for p in by_split[s])) for s in order]


def remote_splits(name: str, options: Mapping[str, str], settings: Settings) -> list[SplitFiles]:
    """Fetch (or find in the Hub's cache) a data set through `datasets`; the Arrow files of its splits.

    Raises
    ------
    MissingExtraError
        If `datasets` is not installed.
    OfflineError
        If it is not cached and cannot be fetched.
    UnreadableError
        If the Hub has no such data set or it cannot be parsed.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "hf", f"reading {name!r}") from error
    local = Path(name).is_absolute()
    why = offline_reason(settings) or (None if local or _hub_answers() else "the Hub does not answer")
    with _offline(datasets, why is not None):
        try:
            loaded = datasets.load_dataset(name, options.get("config"), revision=options.get("revision"))
        except (ConnectionError, FileNotFoundError) as error:
            if why and not local:
                raise OfflineError(
                    f"data set {name!r} is not in the Hub's cache and cannot be fetched: {why}.",
                    f"Fetch it once with network, or put its parquet files into {name}/ below one of: "
                    f"{', '.join(map(str, search_folders(settings)))}.",
                ) from error
            raise UnreadableError(
                f"cannot load {name!r}: {one_line(error)}", "Check the name and the network."
            ) from error
        except (ValueError, datasets.exceptions.DatasetGenerationError) as error:
            raise UnreadableError(
                f"cannot load {name!r}: {one_line(error)}", "Try config=NAME or revision=REV."
            ) from error
    return [_split_files(split, part, name) for split, part in loaded.items()]


def _split_files(split: str, part: Any, name: str) -> SplitFiles:
    files = [entry["filename"] for entry in part.cache_files]
    if not files:
        raise DataError(f"split {split!r} of {name!r} is empty or was not cached by the datasets package.")
    return SplitFiles(str(split), tuple(arrow_file(Path(f)) for f in files))


def _hub_answers() -> bool:
    from huggingface_hub import constants

    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE)
    except urllib.error.HTTPError:
        return True  # an answer, whatever it says
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def _offline(datasets: Any, offline: bool) -> Iterator[None]:
    """Hold the Hub's clients offline. They read the environment at import only, so their flags are set."""
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    try:
        if offline:
            datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
