"""Rebuild reports/quality: every check on planted faults and hard negatives, beside Datalab and CleanVision.

Run from a checkout::

    python pipelines/quality.py [--parts PART ...] [--peer-python PYTHON] [--n 2000] [--each 40] [--repeats 20]

Parts: ``pictures``, ``texts``, ``outliers``, ``slices``, ``cues``, ``classes``, ``clean``, ``speed``; those that are
not asked for keep their rows. `--peer-python` names an interpreter with ``cleanvision`` and
``cleanlab[datalab,image]``; without it their columns are empty. Datalab's other checks and outlier scores run here, on
the same features and probabilities.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pipeline import ROOT, find_settings
from quality_cases import Case, pictures, table_subject, tables, texts
from quality_measures import class_rows, cue_rows, outlier_rows, slice_rows
from quality_peers import CLEANVISION, cleanvision
from quality_report import markdown

from auditor.core.config import Settings
from auditor.core.files import read_json, write_json, write_text
from auditor.core.hashing import hash_file
from auditor.core.machine import conditions
from auditor.core.progress import SilentProgress
from auditor.data.open import open_dataset
from auditor.quality.open_subject import make_subject, table_neighbours
from auditor.quality.registry import CHECKS, run_checks

RESULTS, REPORT, MANIFEST = "results.json", "report.md", "manifest.json"


def counted(case: Case, check: str, named: np.ndarray) -> dict[str, Any]:
    """How many of the planted, of the hard negatives and of the other items a check names."""
    planted, hard = case.planted[check], case.hard.get(check, np.empty(0, np.int64))
    others = ~case.ignored.get(check, np.zeros(len(named), bool))
    others[np.r_[planted, hard]] = False
    found = int(named[planted].sum())
    wrong = int(named[hard].sum()) + int(named[others].sum())
    return {
        "recall": round(found / len(planted), 4),
        "precision": round(found / (found + wrong), 4) if found + wrong else None,
        "hard_named": int(named[hard].sum()),
        "others_named": int(named[others].sum()),
    }


def case_rows(case: Case, peers: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a check of a case."""
    rows = []
    for outcome in run_checks(case.subject, list(case.planted)):
        named = np.zeros(len(case.subject), bool)
        named[outcome.findings.items if outcome.findings else []] = True
        planted, hard = len(case.planted[outcome.name]), len(case.hard.get(outcome.name, ()))
        row = {"case": case.name, "check": outcome.name, "code": outcome.code, "planted": planted, "hard": hard}
        row |= {"others": len(named) - planted - hard, "auditor": counted(case, outcome.name, named)}
        if outcome.name in peers:
            row["CleanVision"] = counted(case, outcome.name, peers[outcome.name])
        rows.append(row)
    return rows


def picture_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        case = pictures(settings, Path(folder), options.n, options.each, 0)
        found: dict[str, Any] = {}
        if options.peer_python:
            # CleanVision stops at a file that cannot be decoded.
            whole = np.flatnonzero(case.subject.usable)
            told = cleanvision(options.peer_python, [case.files[k] for k in whole], list(CLEANVISION))
            for name, flags in told["found"].items():
                found[name] = np.zeros(len(case.subject), bool)
                found[name][whole] = flags
        return case_rows(case, found)


def text_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    return case_rows(texts(settings, options.n, options.each, 0), {})


def clean_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What every check says of sets in which nothing is planted."""
    subjects = {
        name: make_subject(open_dataset(reference, settings), None, SilentProgress(), workers=1)
        for name, reference in (("digits", "digits"), ("CIFAR-10 test", "cifar10?split=test"))
    }
    subjects |= {name: table_subject(frame, label) for name, frame, label in tables(0)}
    rows = []
    for name, subject in subjects.items():
        subject.neighbours = table_neighbours(subject)
        for outcome in run_checks(subject):
            if outcome.status == "found":
                about = {"check": outcome.name, "code": outcome.code, "severity": outcome.severity}
                rows.append({"set": name, "items": len(subject), **about, "said": outcome.reason})
    return rows


def speed_rows(settings: Settings, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Everything that needs no embeddings, on 100,000 pictures of 32 px."""
    data = open_dataset("cifake?split=train", settings)
    begin = time.perf_counter()
    subject = make_subject(data, None, SilentProgress(), workers=options.workers)
    measured, seconds = time.perf_counter(), {}
    for name in CHECKS:
        start = time.perf_counter()
        run_checks(subject, [name])
        seconds[name] = round(time.perf_counter() - start, 2)
    slow = dict(sorted(seconds.items(), key=lambda item: -item[1])[:5])
    row = {"items": len(data), "workers": options.workers, "pass": round(measured - begin, 1), "slowest": slow}
    row |= {"checks": round(sum(seconds.values()), 1), "total": round(time.perf_counter() - begin, 1)}
    return [row | {"load": round(os.getloadavg()[0], 1)}]


PARTS: dict[str, Callable[[Settings, argparse.Namespace], list[dict[str, Any]]]] = {
    "pictures": picture_rows,
    "texts": text_rows,
    "outliers": outlier_rows,
    "slices": slice_rows,
    "cues": cue_rows,
    "classes": class_rows,
    "clean": clean_rows,
    "speed": speed_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--peer-python")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "quality")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings, path = replace(find_settings(), offline=True), options.out / RESULTS
    result: dict[str, Any] = read_json(path) if path.is_file() else {"schema": "auditor.quality-report/1", "parts": {}}
    told = [f"--{name} {getattr(options, name)}" for name in ("n", "each", "repeats", "workers")]
    peer = " --peer-python PYTHON" if options.peer_python else ""
    for part in options.parts:
        begin = time.perf_counter()
        rows = PARTS[part](settings, options)
        seconds = round(time.perf_counter() - begin, 1)
        made = f"python pipelines/quality.py --parts {part} {' '.join(told)}{peer}"
        where = conditions("auditor", "numpy", "scikit-learn", "torch", "cleanlab")
        result["parts"][part] = {"rows": rows, "seconds": seconds, "command": made, "conditions": where}
        print(part, seconds, "s", flush=True)
        # After each part: an interrupted run keeps what it has measured.
        write_json(path, result)
        write_text(options.out / REPORT, markdown(result))
        files = {name: hash_file(options.out / name) for name in (RESULTS, REPORT)}
        write_json(options.out / MANIFEST, {"schema": "auditor.quality-manifest/1", "files": files})


if __name__ == "__main__":
    main()
