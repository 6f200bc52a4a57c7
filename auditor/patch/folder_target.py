"""A folder of class folders: relabelled images move to another class folder of the copy, dropped ones out of all."""

from __future__ import annotations

import os
import string
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import numpy as np

from auditor.core.errors import DataError
from auditor.core.machine import is_file_name
from auditor.data.folder import FoundFile, printable, scan
from auditor.patch.copies import ASIDE, MULTI_FILE
from auditor.patch.rows import copy_file, inside
from auditor.patch.target import Edit, Opening, Target, write_multi_file

_DROPPED = f"{ASIDE}/dropped"
_PLAIN = "".join(c for c in string.printable if c not in "%\t\n\r\x0b\x0c")


class FolderTarget(Target):
    """A folder of class folders. The key of an item is its path before any patch."""

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, "label")
        self.folder = opening.reference.path
        options = opening.reference.options
        self.found = scan(self.folder, [], options)
        self.layout = {k: v for k, v in options.items() if k == "layout"}
        home = self.memory.extra.get("moved", {})
        self.keys = np.array([home.get(_text(f.relative), _text(f.relative)) for f in self.found])
        #: Class name as shown -> folder name as it is on disk, which need not be valid Unicode.
        self._folder_of = {printable(f.label): f.label for f in self.found}

    def write(self, out: Path, edit: Edit, link: bool) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        now = dict(zip(self.keys.tolist(), self.found, strict=True))
        source = {key: file.relative for key, file in now.items()}
        source |= {key: f"{_DROPPED}/{_raw(key)}" for key in sorted(self.memory.dropped)}
        taken: set[tuple[Any, str]] = set()
        moved: dict[str, str] = {}
        places: dict[str, dict[str, Any]] = {}
        # Files that stay keep their names; those that move, or come back, find a free one.
        staying = [key for key in source if key not in edit.dropped]
        for key in sorted(staying, key=lambda key: (key not in now, key in edit.labels)):
            if key not in now:
                wanted = _raw(key)
            elif key in edit.labels:
                wanted = self._destination(key, now[key], edit.labels[key])
            else:
                wanted = source[key]
            place = _free(wanted, taken, str if key in now and key not in edit.labels else str.casefold)
            taken |= {(str, place), (str.casefold, place.casefold())}
            copy_file(inside(self.folder / source[key], self.folder), out / place, link)
            if _text(place) != key:
                moved[_text(place)] = key
            if key in edit.multi:
                places[key] = {"path": _text(place)}
        for key in edit.dropped:
            copy_file(inside(self.folder / source[key], self.folder), out / _DROPPED / _raw(key), link)
        self._copy_the_rest(out, link)
        write_multi_file(out, edit.multi, places)
        return {}, {"moved": moved}, {"scheme": "folder", "path": ".", "options": self.layout}

    def _destination(self, key: str, found: FoundFile, label: str) -> str:
        """Path of a moved image: home if it goes back there, else the same place below the other class."""
        home = _raw(key)
        parts = PurePosixPath(home).parts
        depth = 0 if found.split == "all" else 1
        if printable(parts[depth]) == label:
            return home
        parts = PurePosixPath(found.relative).parts
        name = self._folder_of.get(label, label)
        if not is_file_name(name):
            raise DataError(f"the class name {label!r} cannot be a folder.", "Use --mapping FILE.csv.")
        alike = {folder for folder in self._folder_of.values() if folder.casefold() == name.casefold()} - {name}
        if alike and name not in self._folder_of.values():
            raise DataError(
                f"the class name {label!r} differs from the folder {printable(min(alike))!r} in capitals only; both "
                "are one folder on Windows and macOS.",
                "Use --mapping FILE.csv.",
            )
        return "/".join([*parts[:depth], name, *parts[depth + 1 :]])

    def _copy_the_rest(self, out: Path, link: bool) -> None:
        """Files that are no images of a class: README, metadata, empty class folders."""
        images = {f.relative for f in self.found}
        for place, folders, names in os.walk(self.folder):
            here = os.path.relpath(place, self.folder).replace(os.sep, "/")
            if here == ".":
                folders[:] = [f for f in folders if f != ASIDE]
                names = [n for n in names if n != MULTI_FILE or self.state is None]
            (out / here).mkdir(parents=True, exist_ok=True)
            for name in names:
                relative = name if here == "." else f"{here}/{name}"
                if relative not in images and os.path.isfile(os.path.join(place, name)):
                    copy_file(inside(self.folder / relative, self.folder), out / relative, link)


def _free(path: str, taken: set[tuple[Any, str]], read: Callable[[str], str]) -> str:
    """`path`, or the first of ``name~1.png``, ``name~2.png``, .. that is free.

    Read as it is for a file that stays; one that moves keeps clear of names that differ in capitals only (casefold),
    which are one name on other systems.
    """
    stem, suffix = os.path.splitext(path)
    candidate, k = path, 0
    while (read, read(candidate)) in taken:
        k += 1
        candidate = f"{stem}~{k}{suffix}"
    return candidate


def _text(path: str) -> str:
    """A path as JSON can keep it: whatever is not ASCII, and ``%``, percent-encoded from the bytes on disk."""
    return quote(os.fsencode(path), safe=_PLAIN)


def shown_path(text: str) -> str:
    """The id of the item at a path that a copy remembers. Errors as `_raw`."""
    return printable(_raw(text))


def _raw(text: str) -> str:
    """The path again.

    Raises
    ------
    DataError
        If it leads out of the folder: a copy may come from somebody else.
    """
    path = os.fsdecode(unquote_to_bytes(text))
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or (os.sep != "/" and os.sep in path):
        raise DataError(f"the copy remembers the path {text!r}, which leads out of it.", "Make the copy again.")
    return path
