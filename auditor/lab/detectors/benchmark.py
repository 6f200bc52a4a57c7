"""Run the benchmark: every set and seed once, kept by the content of its inputs, then tables over all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.errors import UsageError
from auditor.core.files import atomic_write, load_npz, read_json, write_json
from auditor.core.hashing import hash_strings
from auditor.core.machine import describe_machine, package_versions
from auditor.core.version import __version__
from auditor.lab.detectors.measure import figures, resampled
from auditor.lab.detectors.methods import run_methods
from auditor.lab.detectors.plots import write_plots
from auditor.lab.detectors.report import write_report
from auditor.lab.detectors.sets import BenchmarkContext, BenchmarkSet, Case, select_sets, slug
from auditor.lab.detectors.summary import Cell, summarise
from auditor.runs.lock import locked
from auditor.runs.stages import Stages

__all__ = ["MANIFEST", "REPORT", "RESULTS", "measure_case", "run_benchmark"]

RESULTS, REPORT, MANIFEST = "results.json", "report.md", "manifest.json"
SCHEMA = "auditor.detection-benchmark/1"
CELLS = "cells"


def run_benchmark(
    sets: Sequence[str], context: BenchmarkContext, out: Path, seeds: int = 3, draws: int = 200, command: str = ""
) -> dict[str, Any]:
    """Measure every method on the sets and write ``results.json``, ``report.md``, ``plots/``, ``manifest.json``.

    A (set, seed) whose inputs, code and number of draws equal those of a stored one is not computed again, so a
    killed benchmark continues where it was.

    Parameters
    ----------
    sets : sequence of str
        Names or first parts of names; empty: all.
    context : BenchmarkContext
    out : Path
        Result folder; also holds ``cells/``, the stored figures per set and seed.
    seeds : int
        Of sets that are trained here.
    draws : int
        Resamples of the paired bootstrap.
    command : str
        What the report names as its origin.

    Returns
    -------
    dict
        The content of ``results.json``.

    Raises
    ------
    UsageError, UnknownNameError
        For a wrong call; absent data is an outcome in the report.
    """
    if seeds < 1 or draws < 20:
        raise UsageError(f"{seeds} seeds and {draws} draws: at least 1 seed and 20 draws are needed.")
    chosen, clock = select_sets(sets), time.perf_counter()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with locked(out):
        stages = Stages(out)
        cells: list[Cell] = []
        not_run: list[dict[str, str]] = []
        about: dict[str, dict[str, str]] = {}
        for one in chosen:
            about[one.name] = {"summary": one.summary, "limits": one.limits}
            if why := one.absent(context):
                context.progress.stage(one.name, f"not run: {why}")
                not_run.append({"set": one.name, "reason": why})
                continue
            for seed in range(one.seeds(context, seeds)):
                cells.append(_cell(one, seed, context, out, stages, draws))
        manifest = {
            "schema": SCHEMA,
            "auditor": __version__,
            "command": command,
            "started": started,
            "seconds": round(time.perf_counter() - clock, 1),
            "seconds of all parts": round(sum(record.seconds for record in stages.done), 1),
            "sets": [one.name for one in chosen],
            "seeds": seeds,
            "draws": draws,
            "options": vars(context.options),
            "budget": context.options.budget or "quick",
            "machine": describe_machine(),
            "versions": package_versions(),
            "reproduction": "not a reproduction of any paper's networks",
        }
        result = {"schema": SCHEMA, "about": about, "not run": not_run, **summarise(cells)}
        write_json(out / RESULTS, result)
        write_report(out / REPORT, result, manifest)
        write_plots(out / "plots", result)
        write_json(out / MANIFEST, manifest)
    return result


def _cell(one: BenchmarkSet, seed: int, context: BenchmarkContext, out: Path, stages: Stages, draws: int) -> Cell:
    """Figures of one set and seed, computed or read."""
    name = f"{slug(one.name)}-{seed}"
    rows, drawn = f"{CELLS}/{name}.json", f"{CELLS}/{name}.npz"
    context.progress.stage(one.name, f"seed {seed}")

    def produce() -> None:
        document, arrays = measure_case(one.case(context, seed), draws)
        with atomic_write(out / drawn) as handle:
            np.savez(handle, **{key: value.astype(np.float32) for key, value in arrays.items()})  # type: ignore[arg-type]
        write_json(out / rows, {"set": one.name, "seed": seed, **document})

    stages.run(name, _inputs(one, seed, context, draws), [rows, drawn], produce)
    return Cell(read_json(out / rows), load_npz(out / drawn))


def _inputs(one: BenchmarkSet, seed: int, context: BenchmarkContext, draws: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "version": __version__,
        "code": _code(),
        "set": one.name,
        "draws": draws,
        "data": one.inputs(context, seed),
    }


@cache
def _code() -> str:
    """Hash of what decides the figures: the detectors and this room without its reports. Read once: the code
    that runs is the code at the start."""
    import auditor.detect
    import auditor.lab.detectors

    left_out = {"report.py", "plots.py", "summary.py", "benchmark.py"}
    folders = [Path(str(package.__file__)).parent for package in (auditor.detect, auditor.lab.detectors)]
    files = [path for folder in folders for path in sorted(folder.glob("*.py")) if path.name not in left_out]
    return hash_strings(path.read_text(encoding="utf-8") for path in files)


def measure_case(case: Case, draws: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run all methods on the evidence of a case, then measure them against its truth.

    Returns
    -------
    document : dict
        ``n, errors, facts, methods, rows``.
    drawn : dict
        Resampled figures, arrays (methods that took part, draws).
    """
    results = run_methods(case.evidence)
    wrong, ids = case.wrong, case.evidence.ids
    taking_part = [result for result in results if not result.reason]
    top = case.evidence.mean_probabilities.argmax(axis=1)
    document = {
        "n": len(case.evidence),
        "errors": int(wrong.sum()),
        "facts": {
            **case.facts,
            "accuracy against given labels": round(float((top == case.evidence.labels).mean()), 4),
            "accuracy against truth": round(float((top == case.truth).mean()), 4),
        },
        "methods": [result.name for result in taking_part],
        "rows": [figures(result, wrong, ids) for result in results],
    }
    return document, resampled(taking_part, wrong, ids, draws)
