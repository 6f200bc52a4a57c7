"""Damaged files of every kind: a reader reads them or refuses them, in bounded time and memory.

``AUDITOR_FUZZ_INPUTS=2000`` gives every reader that many inputs (default: what fits into a hundredth of a second),
``AUDITOR_FUZZ_SEED`` others.
What broke a reader once is kept in ``corpus/`` and tried first, every time.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fuzz.calls import reading_functions
from tests.fuzz.harness import ROOT, run_fuzz

INPUTS = int(os.environ.get("AUDITOR_FUZZ_INPUTS", "0"))
SEED = int(os.environ.get("AUDITOR_FUZZ_SEED", "0"))

_SHIPPED = "comes with the package"
_HASHED = "compared with the hash in its stage record first (the readers run, run-again)"
_OWN = "written by this process, or its parent, for itself"
_OF_A_RUN = "of a run, compared with its hash (the reader run)"
_LABORATORY = "read again by a laboratory run of hours that wrote it; through `reading`"
#: Functions that read files and that no reader reaches, as ``folder``, ``file`` or ``file function``, and why.
NO_DOOR = {
    "audit/context.py Context.training_data": _HASHED,
    "core/machine.py peak_memory": "what the kernel says of this process",
    "audit/folder.py close_store": "asks SQLite for its lock alone; whatever lies there is moved or copied, not read",
    "audit/item_map.py": _HASHED,
    "audit/stages/duplicates.py": _HASHED,
    "audit/stages/predict.py": _HASHED,
    "audit/stages/refit.py": _HASHED,
    "benchmark/inputs.py _published": "`read_json` and `parse_published`, as the reader published",
    "benchmark/reporting.py _run": _OF_A_RUN,
    "benchmark/training.py _store": _OWN,
    "benchmark/training.py read_manifest": _LABORATORY,
    "cli/console.py _Forgiving._dropping": "/dev/null",
    "core/errors.py _portable": _OWN,
    "core/processes.py _work": _OWN,
    "lab/detectors": _LABORATORY,
    "lab/experiment": _LABORATORY,
    "lab/search": _LABORATORY,
    "models/libraries.py timm_network": "builds an untrained network; nothing is read",
    "patch/files.py load_schema": _SHIPPED,
    "policy/output.py is_summary": "compares the first letters with a heading",
    "quality/document.py recorded_outcomes": _HASHED,
    "quality/measures.py": _OWN,
    "quality/metadata.py read_metadata": "`read_table`, as the reader csv",
    "report/benchmark.py render_html": _SHIPPED,
    "report/dataset_card.py write_card": "the text of a card, kept as it is but for what stands between two marks",
    "report/find_errors.py kept_contents": _OF_A_RUN,
    "report/page.py page_html": _SHIPPED,
    "report/page.py _picture": "put into the page as it is, not decoded",
    "report/pdf.py print_pdf": "what the browser printed, five bytes of it",
    "review/guidelines.py guideline_of": "a row of the store (the reader store), compared with its checksum",
    "review/preferences.py read": "a row of the store (the reader store) that a person's settings wrote",
    "review/queue.py last_reordering": "a row of the store (the reader store) that the queue wrote",
    "review/migrations": "rows of the store (the reader store)",
    "runs/issues.py _quality_items": _HASHED,
    "runs/run.py Run.predictions": _OF_A_RUN,
    "train/batches.py _writable_view": "a memory map of an array that was opened already",
    "train/encoders_hub.py TimmEncoder.open": "parsed by timm within `reading`, as the reader transformers does",
    "train/encoders_hub.py _unpacked": "an archive of a pinned hash",
    "train/workers.py": _OWN,
    "ui/access.py": "a cookie that the server signed; a key of this user alone, of one length",
    "ui/catalogue.py _kept": "`read_table` of what the store holds, made anew where it cannot be read",
    "ui/contents.py _cached": "a WebP of the length it says, handed to the browser",
    "ui/item_points.py": _OF_A_RUN,
    "ui/rows.py": _OF_A_RUN,
    "ui/selections.py read_selection": "`load_npy`, then compared with the hash that is its name",
    "ui/server.py serve_parent": _OWN,
    "ui/standing.py _outlook_apart": _OWN,
    "ui/views": "offered for download, not parsed",
    "ui/workspace.py follow_detectors": _OF_A_RUN,
}


@dataclass(frozen=True)
class Fuzzed:
    """What went wrong, by reader; and the functions of the package that reading whole files went through."""

    failures: dict[str, list[str]]
    entered: set[str]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Fuzzed:
    """One run over all readers."""
    folder = tmp_path_factory.mktemp("fuzz")
    failures = run_fuzz(INPUTS or 100, SEED, folder, float("inf") if INPUTS else 0.01)
    return Fuzzed(failures, set((folder / "entered").read_text().splitlines()))


def test_damaged_files_are_read_or_refused(fuzzed: Fuzzed) -> None:
    assert fuzzed.failures == {}


def test_what_reads_a_file_is_behind_a_door(fuzzed: Fuzzed) -> None:
    """A new reader needs a door in ``READERS``, or a reason in `NO_DOOR`."""
    closed = reading_functions(ROOT / "auditor") - fuzzed.entered
    covered = {name: [entry for entry in NO_DOOR if re.match(rf"{re.escape(entry)}([ /]|$)", name)] for name in closed}
    assert sorted(name for name, entries in covered.items() if not entries) == []
    assert sorted(NO_DOOR.keys() - {entry for entries in covered.values() for entry in entries}) == []


def test_readers_are_seen(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(
        "class A:\n    def f(self):\n        def g():\n            return open('a')\n        return g\n"
        "def h(path):\n    return lambda: np.load(path)\n"
        "def i(path):\n    open(path, 'w'); store.open(path)\n"
        "def j(path):\n    return path.read_bytes()\n"
    )
    assert reading_functions(tmp_path) == {"x.py A.f.<locals>.g", "x.py h", "x.py j"}
