"""Settings that are not part of one call: where data lies, where runs go, whether the network may be used.

Order of precedence: flags > ``AUDITOR_*`` environment > ``auditor.toml`` or ``[tool.auditor]`` in
``pyproject.toml`` of the working directory or the nearest parent that has one > defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from auditor.core.errors import ConfigError, MemoryGuardError, UnreadableError
from auditor.core.reading import reading, regular_file

#: Sections of auditor.toml that belong to a command and are validated there.
COMMAND_SECTIONS = frozenset({"check"})
#: A configuration file is some hundred bytes; a pyproject.toml some thousand.
_CONFIG_BYTES = 4 << 20


@dataclass(frozen=True)
class Settings:
    """Frozen settings with the origin of every value.

    Attributes
    ----------
    data_dirs : tuple of Path
        Folders searched for named data sets, in order.
    cache_dir : Path
        Where downloads and derived caches go; by default where `load_settings` puts them, never the current folder.
    runs_dir : Path
        Where new run folders are made.
    offline : bool
        If true, nothing is ever downloaded.
    max_file_mb : int
        MiB that one file may take once it is unpacked: tables, archives of arrays, JSON.
    embeddings_dir : Path or None
        Where runs share the embeddings of their items, by encoder and content; None: each run keeps its own.
    origin : dict
        Field name to the place its value came from.
    """

    data_dirs: tuple[Path, ...] = ()
    cache_dir: Path = field(default_factory=lambda: _default_cache(os.environ))
    runs_dir: Path = Path("runs")
    offline: bool = False
    max_file_mb: int = 4096
    embeddings_dir: Path | None = None
    origin: Mapping[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        """The variables with which `load_settings` of another process comes to these settings."""
        values = {
            "AUDITOR_HOME": str(self.cache_dir),
            "AUDITOR_RUNS_DIR": str(self.runs_dir),
            "AUDITOR_OFFLINE": str(int(self.offline)),
            "AUDITOR_MAX_FILE_MB": str(self.max_file_mb),
        }
        if self.data_dirs:
            values["AUDITOR_DATA_DIR"] = os.pathsep.join(map(str, self.data_dirs))
        if self.embeddings_dir is not None:
            values["AUDITOR_EMBEDDINGS_DIR"] = str(self.embeddings_dir)
        return values


_NAMES = {f.name for f in fields(Settings)} - {"origin"}
_BOOL = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off", ""), False)


def load_settings(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Settings:
    """Resolve the settings for one call.

    Parameters
    ----------
    flags : mapping, optional
        Values given on the command line; ``None`` values count as not given. ``data_dir`` is accepted for a
        single folder.
    environ : mapping, optional
        Defaults to ``os.environ``. Read: ``AUDITOR_DATA_DIR`` (one or more folders, separated as in PATH),
        ``AUDITOR_HOME`` (cache), ``AUDITOR_RUNS_DIR``, ``AUDITOR_EMBEDDINGS_DIR``, ``AUDITOR_OFFLINE``,
        ``AUDITOR_MAX_FILE_MB``.
    cwd : Path, optional
        Where the search for a configuration file starts.

    Raises
    ------
    ConfigError
        For an unreadable file, an unknown key or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    here = Path.cwd()
    layers: list[tuple[str, Path, Mapping[str, Any]]] = [
        ("environment", here, _from_environ(environ)),
        ("flag", here, {name: value for name, value in (flags or {}).items() if value is not None}),
    ]
    for path in config_files((cwd or here).resolve()):
        table = auditor_table(path)
        # A pyproject.toml may be about other tools only; auditor.toml is ours even where it is empty.
        if table or path.name == "auditor.toml":
            own = {name: value for name, value in table.items() if name not in COMMAND_SECTIONS}
            layers.insert(0, (str(path), path.parent, own))
            break
    settings = Settings(cache_dir=_default_cache(environ))
    origin = dict.fromkeys(sorted(_NAMES), "default")
    for place, base, given in layers:
        values = _normalise(given, base, place)
        settings = replace(settings, **values)
        origin.update(dict.fromkeys(values, place))
    return replace(settings, origin=origin)


def config_files(folder: Path) -> Iterator[Path]:
    """Every ``auditor.toml`` and ``pyproject.toml`` in a folder and above it, the nearest first."""
    candidates = (place / name for place in (folder, *folder.parents) for name in ("auditor.toml", "pyproject.toml"))
    return (path for path in candidates if path.exists() and not path.is_dir())


def auditor_table(path: Path) -> dict[str, Any]:
    """What a configuration file says to the auditor: all of it, or ``[tool.auditor]`` of a ``pyproject.toml``.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    try:
        with reading(path, "TOML") as file:
            own = tomllib.loads(regular_file(file, _CONFIG_BYTES).read_text(encoding="utf-8"))
    except UnreadableError as error:
        raise ConfigError(error.what, error.way_out) from error
    for name in ("tool", "auditor") if path.name == "pyproject.toml" else ():
        own = own.get(name, {})
        if not isinstance(own, dict):
            raise ConfigError(f"{path}: tool.auditor must be a table.")
    return own


def _default_cache(environ: Mapping[str, str]) -> Path:
    if home := environ.get("AUDITOR_HOME"):
        return Path(home)
    from platformdirs import user_cache_path

    return user_cache_path("auditor")


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    dirs, runs = environ.get("AUDITOR_DATA_DIR"), environ.get("AUDITOR_RUNS_DIR")
    values = {"data_dirs": dirs.split(os.pathsep) if dirs else None, "runs_dir": runs or None}
    values |= {"embeddings_dir": environ.get("AUDITOR_EMBEDDINGS_DIR") or None}
    values |= {"offline": environ.get("AUDITOR_OFFLINE"), "max_file_mb": environ.get("AUDITOR_MAX_FILE_MB")}
    return {name: value for name, value in values.items() if value is not None}


def _normalise(values: Mapping[str, Any], base: Path, place: str) -> dict[str, Any]:
    """Check names and types; make relative paths absolute against `base`."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if key == "data_dir":
            key, value = "data_dirs", [value]
        if key not in _NAMES:
            raise ConfigError(f"{place}: unknown setting {key!r}.", f"Known: {', '.join(sorted(_NAMES))}.")
        if key == "data_dirs":
            if not isinstance(value, list | tuple) or not all(isinstance(v, str | Path) for v in value):
                raise ConfigError(f"{place}: data_dirs must be a list of folders, not {value!r}.")
            result[key] = tuple((base / Path(v).expanduser()).resolve() for v in value)
        elif key == "offline":
            flag = _BOOL.get(str(value).strip().lower())
            if flag is None:
                raise ConfigError(f"{place}: offline must be true or false, not {value!r}.")
            result[key] = flag
        elif key == "max_file_mb":
            if not str(value).isdecimal() or int(value) < 1:
                raise ConfigError(f"{place}: max_file_mb must be a whole number of MiB, not {value!r}.")
            result[key] = int(value)
        elif not isinstance(value, str | Path):
            raise ConfigError(f"{place}: {key} must be a path, not {value!r}.")
        else:
            result[key] = (base / Path(value).expanduser()).resolve()
    return result


def file_limit() -> int:
    """Bytes that one file may take once it is unpacked."""
    return load_settings().max_file_mb << 20


def check_unpacked(path: Path | str, size: int, limit: int | None = None) -> None:
    """Refuse what a file holds if it is larger than ``max_file_mb``: a megabyte on disk may stand for many gigabytes.

    Parameters
    ----------
    path : Path or str
    size : int
        Bytes it takes once it is unpacked.
    limit : int, optional
        `file_limit`, where it is asked for often.

    Raises
    ------
    MemoryGuardError
    """
    if size <= 1 << 20:  # the least that can be set: small files cost no look at the settings
        return
    limit = file_limit() if limit is None else limit
    if size > limit:
        raise MemoryGuardError(
            f"{str(path)!r} takes more than {size >> 20:,} MiB once it is unpacked; max_file_mb is {limit >> 20:,}.",
            "If it is meant to be that large, raise max_file_mb in auditor.toml or AUDITOR_MAX_FILE_MB.",
        )
