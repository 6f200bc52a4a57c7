"""The report, and the manifest last."""

from __future__ import annotations

from typing import Any

from auditor.audit.context import Context
from auditor.core.files import write_json
from auditor.explain.opening import report_maps
from auditor.report.find_errors import write_report
from auditor.runs import layout
from auditor.runs.run import Run


def finish(context: Context, manifest: dict[str, Any]) -> Run:
    """Write the report of the run and then its manifest, which says that it is finished."""
    run = Run(context.folder, manifest)
    context.progress.stage("report")
    write_report(run, context.dataset, report_maps(run, context.dataset))
    write_json(context.folder / layout.MANIFEST, manifest)
    return run
