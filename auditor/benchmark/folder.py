"""The result folder of a benchmark: `benchmark.json`, `examples.json`, reports, and the manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from auditor.benchmark.result import SCHEMA
from auditor.core.errors import RunError
from auditor.core.files import read_json, write_json
from auditor.core.hashing import hash_file
from auditor.report.benchmark import BenchmarkReport, write_reports

RESULT: Final = "benchmark.json"
EXAMPLES: Final = "examples.json"
MANIFEST: Final = "benchmark-manifest.json"
FOLDER_SCHEMA: Final = "auditor.benchmark-folder/1"


def write_result(folder: Path, document: dict[str, Any], examples: Sequence[dict[str, Any]]) -> BenchmarkReport:
    """Write everything; without a manifest the folder is not finished."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    write_json(folder / RESULT, document)
    write_json(folder / EXAMPLES, list(examples))
    report = BenchmarkReport(document, tuple(examples))
    write_reports(report, folder)
    written = {name: hash_file(folder / name) for name in (RESULT, EXAMPLES)}
    write_json(folder / MANIFEST, {"schema": FOLDER_SCHEMA, "result": SCHEMA, "files": written})
    return report


def is_result(folder: Path) -> bool:
    """Whether a folder holds a finished benchmark."""
    return (folder / MANIFEST).is_file()


def read_result(folder: Path) -> BenchmarkReport:
    """A finished benchmark.

    Raises
    ------
    RunError
        If there is none, it is unfinished, of another version, or was changed.
    """
    if not is_result(folder):
        raise RunError(f"{str(folder)!r} holds no finished benchmark.", "Make one with: auditor benchmark --out FOLDER")
    manifest = read_json(folder / MANIFEST)
    layout, files = (manifest.get(key) if isinstance(manifest, dict) else None for key in ("result", "files"))
    if layout != SCHEMA or manifest.get("schema") != FOLDER_SCHEMA or not isinstance(files, dict):
        raise RunError(
            f"the benchmark in {str(folder)!r} is of layout {layout!r}; this version reads {SCHEMA!r}.",
            "Repeat it with this version.",
        )
    for name, digest in files.items():
        if not (folder / name).is_file() or hash_file(folder / name) != digest:
            raise RunError(f"{name} of the benchmark in {str(folder)!r} was changed.", "Repeat the benchmark.")
    return BenchmarkReport(read_json(folder / RESULT), tuple(read_json(folder / EXAMPLES)))
