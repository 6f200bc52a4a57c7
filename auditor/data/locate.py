"""Find the files of a named data set: the user's folders, the cache, then the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from auditor.core.config import Settings
from auditor.core.errors import OfflineError

_TRUE = {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True)
class NamedFiles:
    """Where a named data set may lie.

    Attributes
    ----------
    name : str
    folders : tuple of str
        Folder names tried below each data folder, e.g. ``("cifar10",)``; the first names the set.
    pattern : str
        Glob with ``{split}``, e.g. ``"{split}-*.parquet"``.
    example : str
        One file's name, with ``{split}``, for messages.
    """

    name: str
    folders: tuple[str, ...]
    pattern: str
    example: str

    def files(self, folder: Path, split: str) -> list[Path]:
        """Files of `split` in `folder`, sorted by name."""
        return sorted(folder.glob(self.pattern.format(split=split)))


def search_folders(settings: Settings) -> list[Path]:
    """Folders in which named sets are looked for, in order: the user's, then the cache."""
    return [*settings.data_dirs, settings.cache_dir / "datasets"]


def find_folder(files: NamedFiles, splits: tuple[str, ...], settings: Settings) -> Path | None:
    """The first folder that holds files of all `splits`, or None."""
    for base in search_folders(settings):
        for name in files.folders:
            if all(files.files(base / name, split) for split in splits):
                return base / name
    return None


def offline_reason(settings: Settings) -> str | None:
    """Why nothing may be downloaded, or None if it may."""
    if settings.offline:
        return f"offline is set ({settings.origin.get('offline', 'settings')})"
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(variable, "").upper() in _TRUE:
            return f"{variable}={os.environ[variable]} is set"
    return None


def missing_error(files: NamedFiles, splits: tuple[str, ...], settings: Settings, why: str) -> OfflineError:
    """The error for data that is not here and cannot be fetched: which file, where it was looked for, what to do."""
    tried = search_folders(settings)
    missing = [split for split in splits if find_folder(files, (split,), settings) is None]
    # All splits may exist, but spread over several folders: then each is missing from the first.
    wanted = [f"{files.folders[0]}/{files.example.format(split=s)}" for s in missing or splits]
    folders = "\n    ".join(str(folder) for folder in tried)
    return OfflineError(
        f"data set {files.name!r} is not on this machine and cannot be fetched: {why.rstrip('.')}.\n"
        f"  Missing: {', '.join(wanted)}\n  Looked for in:\n    {folders}",
        f"Put the missing file into one of these folders, or name the folder that holds "
        f"{files.folders[0]}/ with --data-dir or AUDITOR_DATA_DIR, or allow the download.",
    )
