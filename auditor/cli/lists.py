"""``auditor datasets``, ``models``, ``doctor`` and ``config``: what is here and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Annotated, Any

from typer import Option

from auditor.cli.options import Json
from auditor.core.errors import EXTRAS


def _print(
    command: str, rows: Sequence[Mapping[str, Any]], columns: list[str], json: bool, then: str, key: str | None = None
) -> None:
    from auditor.cli.console import print_json, say, show_table

    if json:
        print_json({"schema": f"auditor.{command}/1", key or command: rows})
        return
    show_table(columns, ([row.get(c, "") for c in columns] for row in rows))
    say(f"Next: {then}")


def datasets(json: Json = False) -> None:
    """List the data sets known by name, and where they are."""
    from auditor.core.config import load_settings
    from auditor.data.open import list_datasets

    _print(
        "datasets", list_datasets(load_settings()), ["name", "description", "where"], json, "auditor find-errors NAME"
    )


def models(
    latency: Annotated[
        bool, Option("--latency", help="Measure every network on this machine: takes a minute.")
    ] = False,
    json: Json = False,
) -> None:
    """List the trainers known by name, and what `auto` picks; or how large and how fast the networks are."""
    from auditor.train.choose import list_models

    if latency:
        from auditor.core.errors import require

        require("torch", "torch", "measuring networks")
        from auditor.train.latency import latencies

        measured = ["name", "parameters", "macs", "image_ms"]
        _print("models", latencies(), measured, json, "auditor benchmark DATASET --train NAME,..", "networks")
        return
    columns = ["name", "for", "description", "state"]
    _print("models", list_models(), columns, json, "auditor find-errors DATASET --model NAME")


def doctor(json: Json = False) -> None:
    """Show what this machine has: cores, memory, GPU, packages, data sets."""
    from auditor.core.config import load_settings
    from auditor.core.machine import describe_machine, package_versions
    from auditor.data.open import list_datasets

    settings = load_settings()
    facts = {
        **describe_machine(),
        "device": _device(),
        **{f"extra {extra}": _state_of_extra(extra) for extra in dict.fromkeys(EXTRAS.values())},
        **{f"package {name}": version for name, version in package_versions().items()},
        **{f"data set {row['name']}": f"{row['status']}: {row['where']}" for row in list_datasets(settings)},
        "runs folder": str(settings.runs_dir),
        "cache": str(settings.cache_dir),
    }
    rows = [{"what": what, "state": state} for what, state in facts.items()]
    _print("doctor", rows, ["what", "state"], json, "auditor find-errors digits", "facts")


def _device() -> str:
    if find_spec("torch") is None:
        from auditor.core.machine import cpu_count

        return f"cpu: {cpu_count()} cores; a GPU is used with auditor[torch] only"
    from auditor.train.device import choose_device, describe_device

    return describe_device(choose_device("auto"))


def _state_of_extra(extra: str) -> str:
    absent = [package for package, of in EXTRAS.items() if of == extra and find_spec(package) is None]
    return f"not installed ({', '.join(absent)}): pip install 'auditor[{extra}]'" if absent else "installed"


def config(json: Json = False) -> None:
    """Show the settings in force and where each came from."""
    from auditor.core.config import load_settings

    settings = load_settings()
    rows = [
        {
            "setting": name,
            "value": ", ".join(map(str, value)) if isinstance(value, tuple) else str(value),
            "origin": settings.origin[name],
        }
        for name, value in vars(settings).items()
        if name != "origin"
    ]
    _print("config", rows, ["setting", "value", "origin"], json, "edit auditor.toml, or use flags", "settings")
