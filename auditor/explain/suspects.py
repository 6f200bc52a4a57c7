"""The most suspicious items of a run with what they look like: in a notebook, a terminal, a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.config import Settings
from auditor.core.errors import AuditorError, UsageError
from auditor.core.escaping import printable, quoted
from auditor.data.base import Dataset, item_word
from auditor.explain.opening import items_of
from auditor.report.find_errors import kept_contents
from auditor.report.pictures import excerpt, in_small
from auditor.report.rendering import render_view
from auditor.runs.issues import LABEL, items_of_kind, kind_named
from auditor.runs.run import Run

#: Items of the view of a run, and most of any view. A picture takes at most 38 kB of a view, a text 6 kB.
DEFAULT, MOST = 10, 100
#: Characters of a text or a row in a view, where the rest of its excerpt is shown when it is pointed at; in a terminal.
CUT, SHOWN = 160, 60


@dataclass(frozen=True, eq=False)
class Suspects:
    """The first label findings of a run; a notebook shows their pictures, texts or rows.

    Attributes
    ----------
    frame : DataFrame
        Their rows of `Run.findings`.
    contents : tuple of (str or None, str or None)
        For each its picture as a data URI, or its text or row as an excerpt.
    word : str
        What one item is called, ``"image"``, ``"text"`` or ``"row"``; empty where the run has probabilities only.
    missing : str
        Why contents are not shown; empty where all are.
    total : int
        Flagged items of the run.
    """

    frame: pd.DataFrame
    contents: tuple[tuple[str | None, str | None], ...]
    word: str
    missing: str
    total: int

    def __len__(self) -> int:
        return len(self.frame)

    def rows(self) -> Iterator[dict[str, Any]]:
        """``rank, id, given, p_given, suggested, p_suggested, score, image, text``, most suspicious first."""
        names = ["rank", "id", "given", "p_given", "suggested", "p_suggested", "score"]
        for row, (image, text) in zip(self.frame[names].to_dict("records"), self.contents, strict=True):
            yield {**{str(name): value for name, value in row.items()}, "image": image, "text": text}

    def html(self, head: tuple[str, ...] = (), foot: tuple[str, ...] = ()) -> str:
        """The view, between lines of text."""
        return render_view(
            "suspects",
            head=head,
            foot=(*((self.missing,) if self.missing else ()), *foot),
            rows=list(self.rows()),
            pictures=any(image for image, _ in self.contents),
            word=self.word if any(text for _, text in self.contents) else "",
            cut=CUT,
        )

    def texts(self, length: int) -> list[str]:
        """Texts or rows in `length` characters; empty for pictures and what is missing."""
        return [excerpt(text or "", length) for _, text in self.contents]

    def _repr_html_(self) -> str:
        return self.html(foot=(self._how_many(),))

    def _how_many(self) -> str:
        return _how_many(len(self), self.total)

    def _columns(self) -> pd.DataFrame:
        return self.frame[["rank", "id", "given", "suggested", "p_suggested"]].copy()

    def __repr__(self) -> str:
        table = self._columns()
        if any(text for _, text in self.contents):
            table[self.word] = self.texts(SHOWN)
        for name in table.select_dtypes(exclude="number"):
            table[name] = [printable(str(value)) for value in table[name]]
        lines = [self._how_many()]
        if len(table):
            lines.append(table.to_string(index=False, float_format="{:.3f}".format))
        return "\n".join([*lines, *([self.missing] if self.missing else [])])


@dataclass(frozen=True, eq=False, repr=False)
class Issues(Suspects):
    """The first items of a data-quality check, as `Suspects`.

    Attributes
    ----------
    frame : DataFrame
        Their rows of `Run.get_issues`.
    kind : str
        The name of the check.
    total : int
        Items of the check.
    """

    kind: str

    def rows(self) -> Iterator[dict[str, Any]]:
        """``id, given, value, note, group, image, text``, worst first; `group` is -1 for items that stand alone."""
        table = self.frame.rename(columns={"given_label": "given", f"{self.kind}_score": "value"})
        names = ["id", "given", "value", "note", "group"]
        for row, (image, text) in zip(table[names].to_dict("records"), self.contents, strict=True):
            yield {**{str(name): value for name, value in row.items()}, "image": image, "text": text}

    def html(self, head: tuple[str, ...] = (), foot: tuple[str, ...] = ()) -> str:
        rows = list(self.rows())
        foot = (*((self.missing,) if self.missing else ()), *foot)
        return render_view("issues", head=head, foot=foot, rows=rows, cut=CUT)

    def _how_many(self) -> str:
        of = f"{len(self):,} of {self.total:,} items of {self.kind}, the worst first"
        return of if self.total else f"The check {self.kind} names no item."

    def _columns(self) -> pd.DataFrame:
        return self.frame[["id", "given_label", f"{self.kind}_score", "note", "group"]].copy()


def suspects(
    run: Run,
    n: int = DEFAULT,
    kind: str = LABEL,
    *,
    dataset: Dataset | None = None,
    settings: Settings | None = None,
    pictures: bool = True,
) -> Suspects:
    """The `n` most suspicious labels of a run, or the worst items of a data-quality check, with the items themselves
    where they can be shown.

    Parameters
    ----------
    run : Run
    n : int
        1 to `MOST`; a run may have fewer.
    kind : str
        As in `Run.get_issues`.
    dataset : Dataset, optional
        The items of the run, where they are open already. The first that a report shows are kept in the run folder;
        for others the data are opened where the run found them.
    settings : Settings, optional
    pictures : bool
        Whether pictures are read; texts and rows always are.

    Raises
    ------
    UsageError
        If `n` is out of range, or the check could not look.
    UnknownNameError
        If there is no such kind of issue.
    UnreadableError
        If the findings of the run are damaged. Items that are gone or changed are no error: `Suspects.missing` says so.
    """
    if not isinstance(n, int | np.integer) or not 1 <= n <= MOST:
        raise UsageError(f"{n!r} items cannot be shown at once.", f"Give a number from 1 to {MOST}.")
    name = kind_named(run, kind)
    if name == LABEL:
        every = run.suspects
    else:
        every = items_of_kind(run, name)
    frame = every.head(n)
    modality = run.manifest["data"]["modality"]
    word = "" if modality == "probabilities" else item_word(modality)
    contents: list[tuple[str | None, str | None]] = [(None, None)] * len(frame)
    missing = ""
    if word and (pictures or modality != "image"):
        known, ids = kept_contents(run), frame["id"].tolist()
        others = [item for item in ids if item not in known]
        opened = dict(zip(others, items_of(run, others, settings, dataset), strict=True)) if others else {}
        failed = [item for item in opened.values() if isinstance(item, AuditorError)]
        known |= {item_id: in_small(item) for item_id, item in opened.items() if not isinstance(item, AuditorError)}
        contents = [known.get(item, (None, None)) for item in ids]
        if failed:
            count = f"{len(failed)} of {len(ids)} {word}s" if len(failed) < len(ids) else f"The {word}s themselves"
            missing = f"{count} cannot be shown: {failed[0].what}"
    if name != LABEL:
        return Issues(frame, tuple(contents), word, missing, len(every), name)
    return Suspects(frame, tuple(contents), word, missing, int(run.counts["n_flagged"]))


def _how_many(shown: int, total: int) -> str:
    return f"{shown:,} of {total:,} suspects, the most suspicious first" if total else "No label is flagged."


def run_html(run: Run) -> str:
    """The view of a run: what was found, and its first suspects."""
    shown = suspects(run)
    quality = [c["name"] for c in (run.quality or {"checks": ()})["checks"] if c["status"] == "found"]
    more = f"; run.show({2 * DEFAULT}) shows more." if len(shown) < shown.total else ""
    foot = [f"{_how_many(len(shown), shown.total)}{more}"]
    if quality:
        foot.append(f"Data-quality checks that found something: {', '.join(quality)}.")
    return shown.html(
        tuple(run.lines()), (*foot, f"Everything: run.findings, run.scores, or open {quoted(run.report_path)}")
    )
