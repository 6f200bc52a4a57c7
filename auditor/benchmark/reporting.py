"""The report of whatever a folder holds, in the form asked for: `render_report`, `write_report`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from auditor.benchmark.folder import is_result, read_result, record_page, recorded_files
from auditor.core.errors import RunError, UsageError
from auditor.core.escaping import json_printable
from auditor.core.files import refuse_existing, write_text
from auditor.report import find_errors
from auditor.report.benchmark import render_html, render_json, render_markdown
from auditor.report.pdf import print_pdf
from auditor.runs import layout
from auditor.runs.folders import result_folder
from auditor.runs.run import Run, open_run
from auditor.runs.stages import Stages

FORMATS: Final = ("html", "md", "json", "pdf")


def render_report(name: str, form: str, runs_dir: Path) -> str:
    """The report as text.

    Parameters
    ----------
    name : str
        Folder of a run or of a benchmark, or its name in `runs_dir`.
    form : str
        ``"html"``, ``"md"`` or ``"json"``.
    runs_dir : Path

    Raises
    ------
    RunError
        If the folder holds neither.
    UsageError
        For another form.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown --format {form!r}.", f"Known: {', '.join(FORMATS)}.")
    if form == "pdf":
        raise UsageError("a PDF is no text.", "Give a file with --out.")
    folder = result_folder(name, runs_dir)
    if is_result(folder):
        report = read_result(folder)
        return {"html": render_html, "md": render_markdown, "json": render_json}[form](report)
    return _run(open_run(folder), form)


def write_report(name: str, form: str, out: Path | None, runs_dir: Path, overwrite: bool = False) -> Path:
    """Write the report; by default beside what it reports on. Returns the file. Errors as `render_report`.

    Raises
    ------
    UsageError
        If another file lies there than one that was written so before, and `overwrite` was not asked for.
    """
    folder = result_folder(name, runs_dir)
    target, stages = folder / f"report.{form}" if out is None else out, Stages(folder)
    text = render_report(name, "html" if form == "pdf" else form, runs_dir)
    ours = target.name in recorded_files(folder) or target.name == layout.REPORT or stages.wrote(target)
    refuse_existing(target, overwrite or (out is None and ours))
    with nullcontext() if is_result(folder) else stages.recording(target):
        if form == "pdf":
            print_pdf(text, target)
        else:
            write_text(target, text)
    if out is None and is_result(folder):
        record_page(folder, target.name)
    return target


def _run(run: Run, form: str) -> str:
    if form == "md":
        return find_errors.render_markdown(run)
    if form == "json":
        findings = json.loads(run.findings.to_json(orient="records"))
        facts = {key: run.manifest[key] for key in ("data", "plan", "counts", "not_auditable", "notes")}
        facts |= {} if run.form is None else {"labels": run.manifest["labels"]}
        document = {"schema": "auditor.run-report/1", **facts, "findings": findings}
        return json_printable(json.dumps(document, ensure_ascii=False)) + "\n"
    if not run.report_path.is_file():
        raise RunError(f"the run {run.id!r} has no page.", "Repeat the find-errors command; it writes the page again.")
    return run.file(layout.REPORT).read_text(encoding="utf-8")
