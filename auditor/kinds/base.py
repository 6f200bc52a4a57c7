"""What a label kind is asked, and what it answers.

A kind is one way in which a label can be given: a set of tags, a number, a tag for each token. A **cell** is the
smallest thing that can be wrong by itself (an item's number; whether an item has a tag), and every kind answers in
cells: a score each, higher = more likely wrong, and a list of those it flags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from auditor.core.files import atomic_write
from auditor.core.label_forms import LabelForm

if TYPE_CHECKING:
    import pandas as pd

    from auditor.kinds.pictured import Pictured


@dataclass(frozen=True, eq=False, repr=False)
class KindFlags:
    """What a kind says about every cell.

    Attributes
    ----------
    kind : str
        Its name in `auditor.kinds.registry.KINDS`.
    axes : tuple of str
        What the dimensions of the cells are called, e.g. ``("item", "class")``.
    shape : tuple of int
        As many cells along each.
    flagged : int64 array (m, len(axes))
        The flagged cells, most suspicious first.
    given, suggested : arrays (m,)
        What each flagged cell holds, and what it should hold; never equal.
    codes : str array (m,)
        What is wrong with each, a key of the kind's `LabelKind.codes`.
    expected_f1 : float or None
        Of the flagged cells, under the kind's own probabilities.
    facts : dict
        What else belongs into the document, by name: arrays, or values JSON can hold.
    blocks : callable
        Gives the scores in pieces along the first axis, in order and without gaps. A kind that streams works them
        out anew each time; for one that has them in memory, ``lambda: [scores]`` does.
    columns : dict
        What else the table of flagged cells says of each, by name: arrays (m,).
    saved : array or None
        What `save_scores` writes where that is not `scores`: one score an item, of a kind that finds its cells itself.
    pictured : Pictured or None
        The flagged pictures with what is drawn over them, of a kind whose cells lie in pictures.
    """

    kind: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    flagged: np.ndarray
    given: np.ndarray
    suggested: np.ndarray
    codes: np.ndarray
    expected_f1: float | None
    blocks: Callable[[], Iterator[np.ndarray] | list[np.ndarray]] = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    saved: np.ndarray | None = field(default=None, repr=False)
    pictured: Pictured | None = field(default=None, repr=False)

    @cached_property
    def scores(self) -> np.ndarray:
        """One score a cell, float of `shape`, higher = more likely wrong; all of them in memory."""
        pieces = list(self.blocks())
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def save_scores(self, path: Path) -> None:
        """Write `scores` as a ``.npy`` file, piece by piece; or `saved`, where there is that."""
        if self.saved is not None:
            with atomic_write(path) as handle:
                np.save(handle, self.saved)
            return
        header_written = False
        with atomic_write(path) as handle:
            for piece in self.blocks():
                if not header_written:
                    form = {"descr": piece.dtype.str, "fortran_order": False, "shape": self.shape}
                    np.lib.format.write_array_header_1_0(handle, form)
                    header_written = True
                handle.write(np.ascontiguousarray(piece).data)

    @property
    def counts(self) -> dict[str, int]:
        """Flagged cells of each code, by code."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return dict(zip(codes.tolist(), counts.tolist(), strict=True))

    def to_frame(self) -> pd.DataFrame:
        """The flagged cells, in order: a column for each axis, ``code``, ``given``, ``suggested``; `columns`."""
        import pandas as pd

        columns = {name: self.flagged[:, axis] for axis, name in enumerate(self.axes)}
        said = {"code": self.codes, "given": self.given, "suggested": self.suggested}
        return pd.DataFrame({**columns, **said, **self.columns})

    def document(self) -> dict[str, Any]:
        """The JSON document of ``auditor flag --kind``: cells of one axis as ``flagged_indices``, of several as
        ``flagged``, a list of positions each."""
        cells = {"flagged_indices": self.flagged[:, 0]} if len(self.axes) == 1 else {"flagged": self.flagged}
        listed = {**cells, "suggested": self.suggested, "codes": self.codes, **self.facts}
        return {
            "kind": self.kind,
            "n_cells": int(np.prod(self.shape, dtype=np.int64)),
            "n_flagged": len(self.flagged),
            "counts": self.counts,
            "expected_f1": self.expected_f1,
            **{name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in listed.items()},
        }

    def __repr__(self) -> str:
        by_code = ", ".join(f"{count:,} {code}" for code, count in self.counts.items())
        cells = int(np.prod(self.shape, dtype=np.int64))
        return f"KindFlags({self.kind}: {len(self.flagged):,} of {cells:,} cells{f' ({by_code})' if by_code else ''})"


@dataclass(frozen=True, eq=False)
class Judged:
    """What a kind says of every item of a data set, in their order.

    Attributes
    ----------
    score : float64 array (n,)
        What items are ranked by; higher = more likely wrong.
    wrong : float64 array (n,)
        P(the label of the item is wrong), of which so many are flagged.
    flagged : bool array (n,)
    suggested : object array of str (n,)
        Label that the item should have if its own is wrong, as its text; never the given one, None where there is none.
    codes : str array (n,)
        What is wrong then, a key of the kind's `LabelKind.codes`.
    messages : list of str
        The same in words, of flagged items; empty for others.
    expected_f1 : float or None
        Of the flagged cells.
    agreement : (str, float)
        What says how well the predictions fit the given labels, and its value.
    tables : tuple of Table
        For the report.
    points : (float array (n,), float array (n,)) or None
        Given and predicted numbers, for a picture.
    """

    score: np.ndarray
    wrong: np.ndarray
    flagged: np.ndarray
    suggested: np.ndarray
    codes: np.ndarray
    messages: list[str]
    expected_f1: float | None
    agreement: tuple[str, float]
    tables: tuple[Table, ...] = ()
    points: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def expected_wrong(self) -> float:
        """Items whose label is wrong, under the kind's own probabilities."""
        return float(self.wrong.sum())


@dataclass(frozen=True)
class Table:
    """A table of a report: what it shows, the names of its columns, and rows of texts and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@runtime_checkable
class LabelKind(Protocol):
    """One kind of label. A kind is a class without arguments; one file of this room, and a line in the registry."""

    #: As `auditor flag --kind` calls it.
    name: ClassVar[str]
    #: One line for lists.
    summary: ClassVar[str]
    #: Code of a finding -> what is wrong with the cell.
    codes: ClassVar[Mapping[str, str]]

    #: ``read(*, labels, pred_probs=None, ..) -> input``: opens and checks what was given, files or what is in memory.
    #: Its parameters are the options that the kind takes, those without a default are needed. Errors of
    #: `auditor.core.errors` say what is wrong, where, and the way out; nothing else is raised for what a caller gave.
    read: Callable[..., Any]

    def flag(self, given: Any) -> KindFlags:
        """Score every cell and flag the suspicious ones of what `read` returned."""


@runtime_checkable
class AuditedKind(LabelKind, Protocol):
    """A kind that `auditor find-errors` takes from a data set to findings. Its labels have a form of the same name
    (`auditor.core.label_forms.FORMS`) and a reader of label columns (`auditor.data.labels.LABEL_KINDS`)."""

    #: What its models predict (`auditor.train.outputs.Output`).
    output: ClassVar[Literal["tags", "number", "sequence"]]

    def strata(self, values: np.ndarray) -> np.ndarray:
        """Groups of like labels that are spread evenly over the folds, int64 (n,), from 0 on.

        Parameters
        ----------
        values : array (n, ..)
            As `LabelForm.values` gives them.
        """

    def outputs(self, form: LabelForm, values: np.ndarray) -> int:
        """Outputs of one model of items that have these labels."""

    def pool(self, predictions: list[np.ndarray]) -> np.ndarray:
        """What several models predict, as `judge` takes it: float32 (n, ..) from (n, outputs) each."""

    def judge(
        self, predictions: np.ndarray, values: np.ndarray, form: LabelForm, texts: Sequence[str] | None = None
    ) -> Judged:
        """Score every item by out-of-sample predictions and flag suspicious ones.

        Parameters
        ----------
        predictions : float32 array (n, ..)
            As `pool` gives them.
        values : array (n, ..)
            Given labels, as `LabelForm.values` gives them.
        form : LabelForm
        texts : sequence of str (n,), optional
            What the items are, where they are texts; for what is said of them.
        """
