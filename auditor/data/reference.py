"""Data references: one string that says which data set, where it lies and which columns and splits to use.

``cifar10``, ``cifar10?split=test``, ``folder:///data/pets``, ``csv:///x.csv?image=path&label=y``, a plain path.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from auditor.core.errors import UsageError
from auditor.core.reading import local_path

#: Scheme of a reference that is a path with nothing before it; what lies there decides how it is read.
PATH_SCHEME = "path"
#: Begins the references of data that only memory holds: ``memory:DataFrame``.
HELD = "memory:"


@dataclass(frozen=True)
class Reference:
    """A parsed reference.

    Attributes
    ----------
    scheme : str
        Registry name (``"cifar10"``, ``"folder"``, ``"csv"``, ``"hf"``), or `PATH_SCHEME`.
    location : str
        What follows ``://``; empty for named sets.
    options : mapping of str to str
        The query part.
    """

    scheme: str
    location: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The canonical text; options in sorted order."""
        text = f"{self.scheme}://{quote(self.location, safe=_READABLE)}" if self.location else self.scheme
        if self.options:
            pairs = (f"{k}={quote(v, safe=_READABLE + '?')}" for k, v in sorted(self.options.items()))
            text += "?" + "&".join(pairs)
        return text

    @property
    def path(self) -> Path:
        """`location` as a path of this machine, ``~`` expanded.

        Raises
        ------
        UsageError
            If there is none: an empty path would silently mean the working directory.
        """
        if not self.location:
            raise UsageError(
                f"data reference {str(self)!r} names no path.", f"Write {self.scheme}:///path (. for the folder here)."
            )
        path = Path(self.location).expanduser()
        # "%41" may be an encoded "A" or three characters of a file name; the one that exists is meant.
        decoded = Path(unquote(self.location)).expanduser()
        # Not Path.exists, which raises for names that no file can have.
        return decoded if not os.path.exists(path) and os.path.exists(decoded) else path

    def check_options(self, known: Collection[str]) -> None:
        """Refuse options the adapter does not know.

        Raises
        ------
        UsageError
            With the nearest known option.
        """
        for key in self.options:
            if key not in known:
                raise UsageError(
                    f"data reference {str(self)!r}: unknown option {key!r}.",
                    f"{nearest(key, known)}Known here: {', '.join(sorted(known)) or 'none'}.",
                )

    def with_path(self, path: Path) -> Reference:
        """The same reference at an absolute path, for keeping."""
        return replace(self, location=str(path.absolute()))


def is_held(reference: str) -> bool:
    """Whether a reference opens nothing: the data were in memory."""
    return reference.startswith(HELD) and "://" not in reference


#: Characters left as they are in canonical references: everything but ``% ? # &`` and blanks would do; letters of
#: other scripts are encoded, so that a reference survives any terminal.
_READABLE = "/:,.-_~+@()[] "


def nearest(name: str, known: Iterable[str]) -> str:
    """``"Did you mean 'x'? "`` or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(repr(n) for n in near)}? " if near else ""


def parse_reference(text: str, names: Collection[str] = ()) -> Reference:
    """Take a reference apart.

    Parameters
    ----------
    text : str
    names : collection of str
        Names of known data sets; a text that is one of them is that data set, even where a folder of the same
        name lies in the working directory (write ``./digits`` for the folder).

    Raises
    ------
    UsageError
        If it is empty or a query part is not ``key=value``.
    """
    text = text.strip()
    if not text:
        raise UsageError("the data reference is empty.", "Give a name such as 'cifar10' or a path.")
    if text not in names and "://" not in text and Path(text).expanduser().exists():
        return Reference(PATH_SCHEME, text)  # a name with a question mark in it is still a path
    head, _, query = text.partition("?")
    head = local_path(head)  # ``file:///data/pets`` is read as what lies there
    options: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise UsageError(
            f"data reference {text!r}: the part after '?' is not key=value.", "Write for example '?image=path&label=y'."
        ) from error
    for key, value in pairs:
        if key in options:
            raise UsageError(f"data reference {text!r}: option {key!r} is given twice.")
        options[key] = value
    scheme, separator, location = head.partition("://")
    if separator:
        return Reference(scheme.lower(), location, options)
    if head in names:
        return Reference(head, "", options)
    path = Path(head)
    is_path = any(mark in head for mark in "/\\") or head.startswith(("~", ".")) or path.suffix or path.exists()
    return Reference(PATH_SCHEME, head, options) if is_path else Reference(head, "", options)
