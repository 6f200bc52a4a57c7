"""Settings that are not part of one call: where data lies, where runs go, whether the network may be used.

Order of precedence: flags > ``AUDITOR_*`` environment > ``auditor.toml`` or ``[tool.auditor]`` in
``pyproject.toml`` of the working directory or the nearest parent that has one > defaults.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from auditor.core.errors import ConfigError

__all__ = ["Settings", "load_settings"]

#: Sections of auditor.toml that belong to a command and are validated there.
COMMAND_SECTIONS = frozenset({"check"})


@dataclass(frozen=True)
class Settings:
    """Frozen settings with the origin of every value.

    Attributes
    ----------
    data_dirs : tuple of Path
        Folders searched for named data sets, in order.
    cache_dir : Path
        Where downloads and derived caches go.
    runs_dir : Path
        Where new run folders are made.
    offline : bool
        If true, nothing is ever downloaded.
    origin : dict
        Field name to the place its value came from.
    """

    data_dirs: tuple[Path, ...] = ()
    cache_dir: Path = Path()
    runs_dir: Path = Path("runs")
    offline: bool = False
    origin: Mapping[str, str] = field(default_factory=dict)


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
        ``AUDITOR_HOME`` (cache), ``AUDITOR_RUNS_DIR``, ``AUDITOR_OFFLINE``.
    cwd : Path, optional
        Where the search for a configuration file starts.

    Raises
    ------
    ConfigError
        For an unreadable file, an unknown key or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    settings = Settings(cache_dir=_default_cache(environ))
    origin = dict.fromkeys(sorted(_NAMES), "default")
    layers = [
        _from_file((cwd or Path.cwd()).resolve()),
        _from_environ(environ),
        ("flag", _normalise({k: v for k, v in (flags or {}).items() if v is not None}, Path.cwd(), "flag")),
    ]
    for place, values in layers:
        if values:
            settings = replace(settings, **values)
            origin.update(dict.fromkeys(values, place))
    return replace(settings, origin=origin)


def _default_cache(environ: Mapping[str, str]) -> Path:
    if home := environ.get("AUDITOR_HOME"):
        return Path(home)
    from platformdirs import user_cache_path

    return user_cache_path("auditor")


def _from_file(cwd: Path) -> tuple[str, dict[str, Any]]:
    for folder in (cwd, *cwd.parents):
        for name in ("auditor.toml", "pyproject.toml"):
            path = folder / name
            if not path.is_file():
                continue
            try:
                table = tomllib.loads(path.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise ConfigError(f"cannot read {str(path)!r}: {error}.") from error
            if name == "pyproject.toml":
                table = table.get("tool", {}).get("auditor", {})
                if not table:
                    continue
            table = {k: v for k, v in table.items() if k not in COMMAND_SECTIONS}
            return str(path), _normalise(table, folder, str(path))
    return "", {}


def _from_environ(environ: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {}
    if dirs := environ.get("AUDITOR_DATA_DIR"):
        values["data_dirs"] = dirs.split(os.pathsep)
    if runs := environ.get("AUDITOR_RUNS_DIR"):
        values["runs_dir"] = runs
    if "AUDITOR_OFFLINE" in environ:
        values["offline"] = environ["AUDITOR_OFFLINE"]
    return "environment", _normalise(values, Path.cwd(), "environment")


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
        elif not isinstance(value, str | Path):
            raise ConfigError(f"{place}: {key} must be a path, not {value!r}.")
        else:
            result[key] = (base / Path(value).expanduser()).resolve()
    return result
