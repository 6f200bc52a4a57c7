"""What a run found, as tables: one row an item, one row a kind of issue, or the items of one kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from auditor.core.errors import UnknownNameError, UsageError
from auditor.runs import layout
from auditor.runs.tables import read_table

if TYPE_CHECKING:
    from auditor.runs.run import Run

#: The kind of issue that is about labels; the others are the data-quality checks by name.
LABEL: Final = "label"
_WHO: Final = ("id", "split", "index")


def issue_kinds(run: Run) -> list[str]:
    """``"label"``, and the data-quality checks of the run in their order, those that could not look included."""
    return [LABEL, *(check["name"] for check in _checks(run))]


def issue_table(run: Run) -> pd.DataFrame:
    """Every item with what each kind of issue says of it. See `Run.issues`."""
    items, scores = run.items, run.scores
    table = items[[*_WHO]].copy()
    rows, n = scores["row"].to_numpy(), len(items)
    flagged, score, suggested = np.zeros(n, bool), np.full(n, np.nan), np.full(n, None, dtype=object)
    flagged[rows], score[rows], suggested[rows] = scores["flagged"], scores["score"], scores["suggested"]
    columns = {
        "is_label_issue": flagged,
        "label_score": score,
        "given_label": items["given"].to_numpy(),
        "suggested_label": suggested,
    }
    of_checks = _quality_items(run)
    for check in _checks(run):
        if check["status"] != "not applicable":
            named = of_checks[of_checks["code"] == check["code"]]
            concerned, measured = np.zeros(n, bool), np.full(n, np.nan)
            concerned[named["row"]], measured[named["row"]] = True, named["value"]
            columns |= {f"is_{check['name']}_issue": concerned, f"{check['name']}_score": measured}
    return pd.concat([table, pd.DataFrame(columns, index=table.index)], axis=1)


def kind_named(run: Run, kind: str) -> str:
    """A kind of issue by its name, from its name or code.

    Raises
    ------
    UnknownNameError
        With the kinds there are.
    """
    names = {name.lower(): name for name in issue_kinds(run)}
    names |= {check["code"].lower(): check["name"] for check in _checks(run)} | {"le001": LABEL}
    if (name := names.get(str(kind).lower())) is None:
        raise UnknownNameError("kind of issue", str(kind), issue_kinds(run))
    return name


def items_of_kind(run: Run, kind: str) -> pd.DataFrame:
    """The items of one kind, worst first. See `Run.get_issues`."""
    name = kind_named(run, kind)
    if name == LABEL:
        chosen = run.scores[run.scores["flagged"]]
        chosen = chosen.set_axis(chosen["row"].rename(None))
        chosen = chosen.rename(columns={"given": "given_label", "suggested": "suggested_label", "score": "label_score"})
        return chosen[[*_WHO, "label_score", "given_label", "suggested_label", "p_given", "p_suggested"]]
    check = next(check for check in _checks(run) if check["name"] == name)
    if check["status"] == "not applicable":
        raise UsageError(
            f"the check {name!r} could not look at this data: {check['reason']}.", "audit.summary lists what could."
        )
    named = _quality_items(run)
    named = named[named["code"] == check["code"]]
    named = named.set_axis(named["row"].rename(None)).rename(
        columns={"given": "given_label", "value": f"{name}_score", "part": "split"}
    )
    return named[[*_WHO, f"{name}_score", "given_label", "note", "group"]]


def summary_table(run: Run) -> pd.DataFrame:
    """One row a kind of issue. See `auditor.Audit.summary`."""
    found = run.counts["n_flagged"]
    told = f"{found:,} of {run.counts['n_audited']:,} audited items are flagged"
    rows: list[dict[str, Any]] = [
        {
            "kind": LABEL,
            "code": "LE001" if run.form is None else "LE",
            "severity": "error",
            "status": "found" if found else "passed",
            "count": found,
            "reason": told,
        }
    ]
    for check in _checks(run):
        count = pd.NA if check["status"] == "not applicable" else check["n_items"]
        rows.append({"kind": check["name"], **{k: check[k] for k in ("code", "severity", "status")}, "count": count})
        rows[-1]["reason"] = check["reason"]
    columns = ["kind", "code", "severity", "status", "count", "estimate", "low", "high", "reason"]
    table = pd.DataFrame(rows).reindex(columns=columns)
    return table.astype({"count": "Int64", "estimate": float, "low": float, "high": float})


def _checks(run: Run) -> list[dict[str, Any]]:
    return list(run.quality["checks"]) if run.quality is not None else []


def _quality_items(run: Run) -> pd.DataFrame:
    """Rows of ``quality.parquet``, those of a check worst first, with the ``row`` of each item in `Run.items`."""
    if run.quality is None:
        return pd.DataFrame({"code": [], "row": []})
    table = read_table(run.file(layout.QUALITY_ITEMS))
    return table.assign(row=pd.Index(run.items["id"]).get_indexer(table["id"]))
