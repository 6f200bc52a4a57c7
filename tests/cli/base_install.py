"""Every command once, in an installation that has none of the packages of the extras: what it is called with, and the
extra it says that it needs, if any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from auditor.cli.main import app

_VOTES = {"given": 0, "guessed": 5, "neither": 0, "both": 0}


def command_names(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command the program has, sub-commands with the name of their group."""
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path)
    for name, child in children.items():
        yield from command_names(child, (*path, name))


def make_inputs(folder: Path) -> None:
    """The files that `calls` names."""
    judged = {
        "id": 0,
        "url": "https://x/0.png",
        "given_original_label": 0,
        "given_original_label_name": "a",
        "our_guessed_label": 1,
        "our_guessed_label_name": "b",
        "mturk": _VOTES,
    }
    (folder / "mturk.json").write_text(json.dumps([judged]))
    (folder / "policy.toml").write_text("[check]\nmax_label_conflicts = 100\n")


def calls(run: str, item: str, folder: Path) -> dict[str, tuple[list[str], str | None]]:
    """Command -> (arguments behind its name, the extra it needs), in an order in which each finds its files."""
    made, copy = str(folder / "a.labelpatch.jsonl"), str(folder / "b.labelpatch.jsonl")
    (folder / "to.csv").write_text(f"id,from,to\n{item},,8\n")
    small = ["--budget", "smoke", "--device", "cpu", "--out", str(folder / "lab")]
    return {
        "doctor": ([], None),
        "datasets": ([], None),
        "models": ([], None),
        "config": ([], None),
        "find-errors": (["digits", "--budget", "smoke", "--folds", "2", "--workers", "1", "--no-quality"], None),
        "quality": (["digits", "--check", "exact_duplicates", "--workers", "1"], None),
        "compare": (["digits", "digits", "--workers", "1"], None),
        "show": ([run, "--item", item], None),
        "flag": ([run], None),
        "verify": ([run], None),
        "report": ([run, "--format", "md", "--out", "-"], None),
        "check": (["digits", "--policy", str(folder / "policy.toml")], None),
        "verdicts": ([str(folder / "mturk.json")], None),
        "benchmark": (["--verdicts", str(folder / "mturk.json")], None),
        "benchmark-detection": (["--list"], None),
        "patch convert": ([str(folder / "to.csv"), made, "--from", "csv", "--data", "digits"], None),
        "patch show": ([made], None),
        "patch verify": ([made, "digits"], None),
        "patch apply": ([made, "digits", "--mapping", str(folder / "map.csv")], None),
        "patch card": ([made, str(folder / "nowhere")], None),
        "patch merge": ([made, made, "--out", copy], None),
        "patch revert": ([made, str(folder / "nowhere"), "--out", str(folder / "back")], None),
        "patch create": ([run], "review"),
        "sample": ([run, "--budget", "20"], "review"),
        "estimate": ([run], "review"),
        "status": ([run], "review"),
        "improve": ([run], None),
        "import-verdicts": ([run, str(folder / "mturk.json")], "review"),
        "review": ([run, "--no-browser"], "ui"),
        "explain": ([run, "--item", item], "torch"),
        "predict": (["resnet20@net.safetensors", "digits", "--out", str(folder / "p.npz")], "torch"),
        "export": (["resnet20@net.safetensors", "--out", str(folder / "net.onnx")], "torch"),
        "grid": (["cifake", *small], "torch"),
        "prune": (["resnet20", *small], "torch"),
        "search": (["nasnet", *small], "torch"),
    }


#: Exit codes without a missing extra: done; a gate that failed; data of another kind than asked for.
ALLOWED = {"patch revert": {3}, "patch card": {2}}


def judge(command: str, extra: str | None, code: int, stderr: str) -> str | None:
    """What is wrong with the outcome of one call; None if it is as it should be."""
    if "Traceback" in stderr or "auditor itself failed" in stderr:
        return f"{command}: {stderr[-1500:]}"
    if extra is None:
        return None if code in ALLOWED.get(command, {0}) else f"{command}: exit {code}\n{stderr[-1500:]}"
    wanted = f"pip install 'auditor[{extra}]'"
    return None if code == 2 and wanted in stderr else f"{command}: exit {code}, not {wanted}\n{stderr[-1500:]}"
