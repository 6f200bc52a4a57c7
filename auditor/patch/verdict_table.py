"""Verdicts that somebody wrote into a table, as reviewers' votes in the verdict store of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from auditor.core.errors import DataError
from auditor.core.label_forms import SEPARATOR, LabelForm, TokenTags
from auditor.data.labels import is_missing, listed
from auditor.data.tables import read_table, table_suffix
from auditor.review.vocabulary import NEW, OTHER, VERDICTS, canonical
from auditor.runs.run import Run

if TYPE_CHECKING:
    from auditor.review.store import VerdictStore

#: What a column may be called: the first that is there.
IDS: Final = ("id", "item_id")
LABELS: Final = ("label", "corrected", "correct_label", "corrected_label")
VERDICT: Final = "verdict"
REVIEWER: Final = "reviewer"
SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True)
class TableVotes:
    """The verdicts of a table on the items of a run, checked.

    Attributes
    ----------
    events : mapping of str to sequence of dict
        By reviewer, each without its uuid.
    empty : int
        Rows that say nothing.
    """

    events: Mapping[str, Sequence[dict[str, Any]]]
    empty: int

    @property
    def items(self) -> int:
        """Judged items."""
        return len({event["item_id"] for events in self.events.values() for event in events})


def is_verdict_table(path: Path) -> bool:
    """Whether a file is read as a table of verdicts: by its suffix."""
    return table_suffix(path) in SUFFIXES


def read_table_votes(run: Run, path: Path, reviewer: str) -> TableVotes:
    """Read a table of verdicts.

    Parameters
    ----------
    run : Run
    path : Path
        A table (`SUFFIXES`) with a column ``id`` (as in the findings of the run), and one of the two: ``label``, the
        right label as the data would write it; or ``verdict``, a word of `VERDICTS` or ``other:LABEL``. Where both are,
        the label counts if there is one. A column ``reviewer`` says who; a row without either says nothing.
    reviewer : str
        Who, where the table does not say it.

    Raises
    ------
    DataError
        Without such columns; for the first row that names no item of the run, or says what cannot be.
    """
    table = read_table(path, [*IDS, *LABELS, VERDICT, REVIEWER])
    names = table.column_names
    id_column = next((name for name in IDS if name in names), None)
    label_column = next((name for name in LABELS if name in names), None)
    if id_column is None or (label_column is None and VERDICT not in names):
        raise DataError(
            f"{str(path)!r} is no table of verdicts: its columns are {listed(names)}.",
            "It needs 'id', and 'label' or 'verdict'; a column 'reviewer' says who.",
        )
    labels = run.class_names if run.form is None else run.form
    shown = run.scores.set_index("id")[["given", "suggested"]]
    events: dict[str, list[dict[str, Any]]] = {}
    empty = 0
    for number, row in enumerate(table.to_pylist()):
        label, verdict = row.get(label_column) if label_column else None, row.get(VERDICT)
        if is_missing(label) and is_missing(verdict):
            empty += 1
            continue
        item = str(row[id_column])
        if item not in shown.index:
            raise DataError(
                f"{str(path)!r}, row {number}: the run {run.id!r} has no audited item {item!r}.",
                "Ids are those of the run's findings.parquet and scores.parquet.",
            )
        given, suggested = (None if is_missing(v) else str(v) for v in shown.loc[item])
        said = str(verdict) if is_missing(label) else f"{OTHER}{_text(label, run.form)}"
        try:
            said = canonical(said.strip(), str(given), suggested, labels)
        except ValueError as error:
            raise DataError(
                f"{str(path)!r}, row {number}, item {item!r}: {error}.",
                f"A verdict is {', '.join(VERDICTS)}, {OTHER}LABEL or {NEW}CLASS.",
            ) from error
        who = reviewer if is_missing(row.get(REVIEWER)) else str(row[REVIEWER])
        events.setdefault(who, []).append(
            {"item_id": item, "verdict": said, "shown_label": given, "shown_suggested": suggested}
        )
    return TableVotes(events, empty)


def store_table_votes(votes: TableVotes, store: VerdictStore) -> tuple[int, int]:
    """Store them; returns how many were stored now, and how many before: doing it twice adds nothing.

    Raises
    ------
    DataError
        If one is refused.
    """
    accepted = repeated = 0
    loaded_as = str(store.facts["run"])
    for who, events in sorted(votes.events.items()):
        for start in range(0, len(events), 1000):
            named = []
            for event in events[start : start + 1000]:
                parts = [who, loaded_as, event["item_id"], event["verdict"]]
                named.append({"uuid": hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32], **event})
            result = store.submit(who, named, origin="import")
            accepted, repeated = accepted + len(result.accepted), repeated + len(result.repeated)
            if result.refused:
                first = result.refused[0][1]
                raise DataError(f"{len(result.refused)} verdicts of {who!r} were refused; the first: {first}.")
    return accepted, repeated


def _text(label: Any, form: LabelForm | None) -> str:
    """A label of a cell as a text: lists and numbers as the form writes them."""
    if isinstance(label, list):
        return (" " if isinstance(form, TokenTags) else SEPARATOR).join(map(str, label))
    if form is not None and isinstance(label, int | float):
        return repr(label)
    return str(label)
