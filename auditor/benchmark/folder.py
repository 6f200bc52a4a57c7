"""The result folder of a benchmark: `benchmark.json`, `examples.json`, reports, and the manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from auditor.benchmark.result import SCHEMA
from auditor.core.errors import RunError, UnreadableError
from auditor.core.files import read_json, read_sealed, refuse_existing, write_json, write_sealed
from auditor.core.hashing import hash_file
from auditor.report.benchmark import BenchmarkReport, write_reports
from auditor.runs import layout

RESULT: Final = "benchmark.json"
EXAMPLES: Final = "examples.json"
PAGES: Final = ("report.html", "report.md")
#: What `train_networks` says of the networks that it trained.
NETWORKS: Final = "networks.json"
MANIFEST: Final = layout.BENCHMARK_MANIFEST
FOLDER_SCHEMA: Final = "auditor.benchmark-folder/1"


def write_result(folder: Path, document: dict[str, Any], examples: Sequence[dict[str, Any]]) -> BenchmarkReport:
    """Write everything; without a manifest the folder is not finished."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    write_json(folder / RESULT, document)
    write_json(folder / EXAMPLES, list(examples))
    report = BenchmarkReport(document, tuple(examples))
    write_reports(report, folder)
    predicted = [file.relative_to(folder).as_posix() for file in sorted(folder.glob("predictions/*.npz"))]
    names = [RESULT, EXAMPLES, *PAGES, *(name for name in (NETWORKS, *predicted) if (folder / name).is_file())]
    hashes = {name: hash_file(folder / name) for name in names}
    write_sealed(folder / MANIFEST, {"schema": FOLDER_SCHEMA, "result": SCHEMA, "files": hashes})
    return report


def refuse_strangers(folder: Path) -> None:
    """Stop before files are replaced that no benchmark wrote.

    Raises
    ------
    UsageError
    """
    ours = (folder / MANIFEST).is_file()
    for name in (RESULT, NETWORKS):
        with suppress(UnreadableError, AttributeError):
            ours = ours or str(read_json(folder / name).get("schema")).startswith("auditor.")
    if not ours:
        for name in (RESULT, EXAMPLES, *PAGES, NETWORKS):
            refuse_existing(folder / name)


def recorded_files(folder: Path) -> set[str]:
    """What a finished benchmark wrote into its folder; nothing where there is none."""
    return {*PAGES, *_manifest(folder)["files"]} if is_result(folder) else set()


def record_page(folder: Path, name: str) -> None:
    """Put the hash of a page that was written later into the manifest."""
    manifest = _manifest(folder)
    manifest["files"] |= {name: hash_file(folder / name)}
    write_sealed(folder / MANIFEST, manifest)


def is_result(folder: Path) -> bool:
    """Whether a folder holds a finished benchmark."""
    return (folder / MANIFEST).is_file()


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished benchmark, whose ``files`` are a dict; raises RunError if it is of another version."""
    manifest = read_sealed(folder / MANIFEST)
    version = manifest.get("result")
    if version != SCHEMA or manifest.get("schema") != FOLDER_SCHEMA or not isinstance(manifest.get("files"), dict):
        raise RunError(
            f"the benchmark in {str(folder)!r} is of layout {version!r}; this version reads {SCHEMA!r}.",
            "Repeat it with this version.",
        )
    return manifest


def read_result(folder: Path) -> BenchmarkReport:
    """A finished benchmark.

    Raises
    ------
    RunError
        If there is none, it is unfinished, of another version, or was changed.
    """
    if not is_result(folder):
        raise RunError(f"{str(folder)!r} holds no finished benchmark.", "Make one with: auditor benchmark --out FOLDER")
    files = _manifest(folder)["files"]
    for name in (RESULT, EXAMPLES):
        if not (folder / name).is_file() or hash_file(folder / name) != files.get(name):
            raise RunError(f"{name} of the benchmark in {str(folder)!r} was changed.", "Repeat the benchmark.")
    return BenchmarkReport(read_json(folder / RESULT), tuple(read_json(folder / EXAMPLES)))
