"""``auditor datasets``, ``models``, ``doctor`` and ``config``: what is here and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.cli.options import Json


def _print(
    rows: Sequence[Mapping[str, Any]], columns: list[str], command: str, key: str, json: bool, then: str
) -> None:
    from auditor.cli.console import print_json, say, show_table

    if json:
        print_json({"schema": f"auditor.{command}/1", key: rows})
        return
    show_table(columns, ([row.get(c, "") for c in columns] for row in rows))
    say(f"Next: {then}")


def datasets(json: Json = False) -> None:
    """List the data sets known by name, and where they are."""
    from auditor.core.config import load_settings
    from auditor.data.open import list_datasets

    rows = list_datasets(load_settings())
    _print(rows, ["name", "description", "where"], "datasets", "datasets", json, "auditor find-errors NAME")


def models(json: Json = False) -> None:
    """List the trainers known by name, and what `auto` picks."""
    from auditor.train.choose import list_models

    rows = list_models()
    _print(
        rows,
        ["name", "for", "description", "state"],
        "models",
        "models",
        json,
        "auditor find-errors DATASET --model NAME",
    )


def doctor(json: Json = False) -> None:
    """Show what this machine has: cores, memory, GPU, packages, data sets."""
    from auditor.core.config import load_settings
    from auditor.core.machine import describe_machine, package_versions
    from auditor.data.open import list_datasets
    from auditor.train.device import choose_device, describe_device

    settings = load_settings()
    rows = [{"what": k, "state": v} for k, v in describe_machine().items()]
    rows.append({"what": "device", "state": describe_device(choose_device("auto"))})
    rows += [{"what": f"package {k}", "state": v} for k, v in package_versions().items()]
    for entry in list_datasets(settings):
        rows.append({"what": f"data set {entry['name']}", "state": f"{entry['status']}: {entry['where']}"})
    rows += [
        {"what": "runs folder", "state": str(settings.runs_dir)},
        {"what": "cache", "state": str(settings.cache_dir)},
    ]
    _print(rows, ["what", "state"], "doctor", "facts", json, "auditor find-errors digits")


def config(json: Json = False) -> None:
    """Show the settings in force and where each came from."""
    from dataclasses import fields

    from auditor.core.config import load_settings

    settings = load_settings()
    rows = [
        {"setting": f.name, "value": _text(getattr(settings, f.name)), "origin": settings.origin[f.name]}
        for f in fields(settings)
        if f.name != "origin"
    ]
    _print(rows, ["setting", "value", "origin"], "config", "settings", json, "edit auditor.toml, or use flags")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
