"""Data in the Hub's layout: ``hf://org/name``, or a folder with the same files.

A folder of parquet files is read in place. Anything else goes through the `datasets` package, which runs no code
from the data set and keeps what it fetches in its own cache.
"""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auditor.core.config import Settings
from auditor.core.errors import DataError, EmptyDataError, OfflineError, UnreadableError, UsageError, require
from auditor.core.files import read_json
from auditor.core.progress import no_foreign_bars
from auditor.core.reading import parsing, reading
from auditor.data.base import Dataset
from auditor.data.build import build_dataset
from auditor.data.columns import FileTable, SplitFiles, arrow_file, parquet_file, split_of
from auditor.data.folder import printable
from auditor.data.locate import offline_reason, search_folders
from auditor.data.reference import Reference
from auditor.data.roles import ROLE_OPTIONS
from auditor.data.sources import leaving
from auditor.data.tables import one_line

#: Seconds to wait for the Hub before saying that there is no network. The Hub's client would retry for 25 s.
_PATIENCE = 5


class Hub:
    """Adapter of ``hf://org/name`` and of folders of parquet files."""

    summary = "a data set of the Hugging Face Hub, or a local folder in its layout"
    example = "hf://org/name?split=test&image=img&label=label"
    options = ROLE_OPTIONS | {"classes", "config", "kind", "missing", "revision", "root"}

    def open(self, reference: Reference, settings: Settings) -> Dataset:
        """Open all splits, or the one asked for; ids are ``split/row`` or the id column."""
        folder, options = _local_folder(reference, settings), reference.options
        name, canonical = reference.location, str(reference)
        if folder is not None:
            splits = local_splits(folder, options.get("root")) or remote_splits(
                str(folder.absolute()), options, settings
            )
            name = printable(folder.name)
            if folder == reference.path:
                canonical = str(reference.with_path(folder))
        elif not name or name.count("/") > 1:
            raise UsageError(
                f"{canonical!r} names no data set of the Hub and no folder of this machine.",
                "Write hf://org/name or hf:///folder.",
            )
        else:
            splits = remote_splits(name, options, settings)
        if not splits:
            raise EmptyDataError(f"{str(reference)!r} has no files.")
        wanted = options.get("split")
        if wanted and any(s.split == wanted for s in splits):
            splits = [s for s in splits if s.split == wanted]
        root = options.get("root") or (hub_cache() if folder is None else str(folder.absolute()))
        return build_dataset(FileTable(splits, root), options, name.rsplit("/", 1)[-1], canonical, repr(name), folder)

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        why = offline_reason(settings)
        return "form", f"local folders and the cache only: {why}" if why else "any Hub id or folder"


def _local_folder(reference: Reference, settings: Settings) -> Path | None:
    path = reference.path
    if path.is_absolute() or reference.location.startswith((".", "~")):
        if not path.is_dir():
            raise UnreadableError(f"folder {str(path)!r} does not exist.", "Check the path.")
        return path
    for base in search_folders(settings):
        if reference.location and (base / reference.location).is_dir():
            return base / reference.location
    return path if path.is_dir() else None


def local_splits(folder: Path, root: str | None = None) -> list[SplitFiles]:
    """Parquet files of a folder, or the Arrow files of a saved data set, by split: train, test, then by name.

    Raises
    ------
    UnreadableError
        If one is damaged, or a link that leads out of `root`: by default the folder, or the Hub's cache it lies in.
    """
    paths = sorted(folder.glob("*.parquet")) or sorted(folder.glob("data/*.parquet"))
    split_named = {path: split_of(path) for path in paths} or _saved_files(folder)
    paths, home = list(split_named), folder.absolute()
    bounds = root or str(home.parents[1] if home.parent.name == "snapshots" else home)
    if refused := leaving([str(path.absolute()) for path in paths], bounds):
        k, reason = next(iter(refused.items()))
        raise UnreadableError(f"{str(paths[k])!r}: {reason}.")
    splits = sorted(set(split_named.values()), key=lambda s: (s != "train", s != "test", s))
    opened = {path: (arrow_file if path.suffix == ".arrow" else parquet_file)(path) for path in paths}
    return [SplitFiles(s, tuple(opened[p] for p in paths if split_named[p] == s)) for s in splits]


def is_saved(folder: Path) -> bool:
    """Whether the datasets package saved a data set here (`save_to_disk`)."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _saved_files(folder: Path) -> dict[Path, str]:
    """The Arrow files that `save_to_disk` wrote, each with its split.

    Raises
    ------
    UnreadableError
        If what describes them is damaged.
    """
    if not is_saved(folder):
        return {}
    whole = folder / "dataset_dict.json"
    with parsing(folder, "a saved data set"):
        folders = [folder / name for name in read_json(whole)["splits"]] if whole.is_file() else [folder]
        states = {place: read_json(place / "state.json") for place in folders}
        return {
            place / file["filename"]: place.name if whole.is_file() else str(state.get("_split") or "all")
            for place, state in states.items()
            for file in state["_data_files"]
        }


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
    require("datasets", "hf", f"reading {name!r}")
    import datasets

    local = Path(name).is_absolute()
    if local:
        _refuse_null_rows(Path(name))
    why = offline_reason(settings) or (None if local or _hub_answers() else "the Hub does not answer")
    with _offline(datasets, why is not None), no_foreign_bars():
        try:
            loaded = datasets.load_dataset(name, options.get("config"), revision=options.get("revision"))
        except (ConnectionError, FileNotFoundError) as error:
            if why and not local:
                raise OfflineError(
                    f"data set {name!r} is not in the Hub's cache and cannot be fetched: {why}.",
                    f"Fetch it once with network, or put its parquet files into {name}/ below one of: "
                    f"{', '.join(map(str, search_folders(settings)))}.",
                ) from error
            what, way_out = f"cannot load {name!r}: {one_line(error)}", "Check the name and the network."
            raise UnreadableError(what, way_out) from error
        except (MemoryError, OSError):
            raise
        except Exception as error:  # `datasets` hands damaged files to parsers that raise nearly anything
            what, way_out = f"cannot load {name!r}: {one_line(error)}", "Try config=NAME or revision=REV."
            raise UnreadableError(what, way_out) from error
    splits = []
    for split, part in loaded.items():
        if not part.cache_files:
            raise DataError(f"split {split!r} of {name!r} is empty or was not cached by the datasets package.")
        splits.append(SplitFiles(str(split), tuple(arrow_file(Path(f["filename"])) for f in part.cache_files)))
    return splits


def _refuse_null_rows(folder: Path) -> None:
    """Refuse a JSON file with a row that is ``null``: Arrow's reader (pyarrow 26) ends the process where a block begins
    with one."""
    for path in sorted(folder.rglob("*")):
        suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
        if not {".json", ".jsonl", ".ndjson"} & set(suffixes) or not path.is_file():
            continue
        with reading(path, "JSON") as file, gzip.open(file) if suffixes[-1] == ".gz" else open(file, "rb") as lines:
            first = True
            for number, line in enumerate(lines, 1):
                # Lists may hold null over several lines; there only the beginning is a row.
                if not line.strip() or (".json" in suffixes and not first):
                    continue
                first = False
                if line.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"null"):
                    raise UnreadableError(
                        f"line {number} of {str(path)!r} is null, and not a row.", "Take the line out."
                    )


def hub_cache() -> str:
    """Where the Hub's clients keep pictures that a data set of the Hub names by their path."""
    from huggingface_hub import constants

    return str(constants.HF_HOME)


def _hub_answers() -> bool:
    from huggingface_hub import constants

    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        return isinstance(error, urllib.error.HTTPError)  # an answer, whatever it says
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
