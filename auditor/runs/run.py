"""Reading a run folder."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.core.config import Settings
from auditor.core.errors import RunError, UnknownNameError, UnreadableError, UsageError
from auditor.core.escaping import printable
from auditor.core.files import load_npy, load_npz, read_json, read_sealed, write_sealed
from auditor.core.hashing import hash_file, hash_json
from auditor.core.label_forms import LabelForm, form_of
from auditor.core.reading import usable_paths
from auditor.core.row_lookup import RowLookup
from auditor.core.views import VIEWS
from auditor.data.base import Dataset
from auditor.data.open import open_dataset
from auditor.data.stored import reference_in
from auditor.runs import layout
from auditor.runs.folders import run_folder
from auditor.runs.stages import Stages
from auditor.runs.tables import read_table


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    path : Path
    manifest : dict
        Inputs, configuration, seeds, versions, hardware, timings, outcome of every part, counts.

    Examples
    --------
    >>> import numpy as np, pandas as pd, auditor
    >>> df = pd.DataFrame({"size": np.arange(60) / 7, "kind": ["cat"] * 30 + ["dog"] * 30})
    >>> df.loc[4, "kind"] = "dog"
    >>> p = np.where(df.index.to_numpy()[:, None] < 30, [0.9, 0.1], [0.1, 0.9])
    >>> run = auditor.find_errors(df, label="kind", pred_probs=p, progress=False)
    >>> run.counts["n_audited"], run.counts["n_flagged"], run.pred_probs.shape
    (60, 1, (60, 2))
    >>> joined = run.join(df)
    >>> joined.loc[joined["is_label_issue"], ["kind", "suggested_label"]].to_dict("index")
    {4: {'kind': 'dog', 'suggested_label': 'cat'}}
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the label integers and of the columns of `pred_probs`."""
        return tuple(self.manifest["data"]["class_names"])

    @cached_property
    def form(self) -> LabelForm | None:
        """How the labels are written where they are more than a class an item; else None."""
        return form_of(self.manifest.get("data", {}).get("label_form"))

    @property
    def kind(self) -> str:
        """Kind of the labels: ``"class"``, or one of docs/label-kinds.md."""
        return "class" if self.form is None else self.form.kind

    def require_classes(self, what: str) -> None:
        """Refuse a run whose labels are no classes.

        Parameters
        ----------
        what : str
            What cannot be done with them, as the subject of a sentence.

        Raises
        ------
        UsageError
        """
        if self.form is not None:
            raise UsageError(
                f"{what} takes one class an item, and each label of the run {self.id!r} is a {self.form.word}.",
                f"docs/label-kinds.md says what can be done with labels of the kind {self.kind!r}.",
            )

    @property
    def config(self) -> dict[str, Any]:
        """What was asked for."""
        return dict(self.manifest["config"])

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models whose probabilities are `pred_probs`, or are pooled there."""
        if (named := self.manifest.get("labels", {}).get("models")) is not None:
            return tuple(named)
        pool = self.manifest.get("second_model", {}).get("pool")
        return tuple(row["name"] for row in pool) if pool else (self.manifest["model"]["name"],)

    @property
    def counts(self) -> dict[str, Any]:
        """``n_items, n_audited, n_flagged, ...``."""
        return dict(self.manifest["counts"])

    @property
    def audited_content(self) -> str:
        """Hash of what can be judged here: the fingerprint of the data, and which of its items were audited."""
        return hash_json([self.manifest["data"]["fingerprint"], self.recorded.get(layout.AUDITED)])

    @cached_property
    def recorded(self) -> dict[str, str]:
        """Hash that each file had when the run was finished, by its name in the folder; before that, none."""
        hashes = dict(self.manifest.get("files", {}))
        for stage in self.manifest.get("stages", ()):
            hashes |= stage["outputs"]
        return hashes

    @cached_property
    def _intact(self) -> dict[str, str]:
        return {}

    def file(self, name: str) -> Path:
        """Path of a file of the folder, which is read only after its hash was compared with the recorded one.

        Raises
        ------
        UnreadableError
            If it is damaged or gone.
        """
        path, digest = self.path / name, self.recorded.get(name)
        if name in (layout.DETECTORS, layout.NEIGHBOURS) and (later := Stages(self.path).record("detectors")):
            digest = later.outputs.get(name)
        if digest is not None and self._intact.get(name) != digest:
            if hash_file(path) != digest:
                raise UnreadableError(
                    f"{str(path)!r} is not what the run wrote: it is damaged, or was changed.",
                    "Restore it from a copy, or repeat the find-errors command: it makes damaged files again.",
                )
            self._intact[name] = digest
        return path

    @cached_property
    def items(self) -> pd.DataFrame:
        """All items: id, index, split, label, given, status, fold, group, content_hash, path."""
        return read_table(self.file(layout.ITEMS))

    @cached_property
    def findings(self) -> pd.DataFrame:
        """The flagged items, most suspicious first."""
        return read_table(self.file(layout.FINDINGS))

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every audited item with every score, most suspicious first."""
        return read_table(self.file(layout.SCORES))

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row per training task and epoch; empty for supplied probabilities."""
        return read_table(self.file(layout.FOLDS))

    @property
    def pred_probs_path(self) -> Path:
        """``.npy`` file, float32 (n audited, K): the last refit's, or the first fit's where there was none. UsageError
        where labels are no classes: their models predict something else, `predictions`."""
        self.require_classes("this")
        if self.refits:
            return self.file(layout.REFIT_PROBS)
        # Of older folders: the guarded round that refits replaced.
        accepted = self.manifest.get("second_round", {}).get("accepted", 0)
        return self.file(layout.SECOND_ROUND if accepted else layout.PRED_PROBS)

    @property
    def refits(self) -> int:
        """How often the models were fitted again."""
        return int(self.manifest.get("refits", {}).get("count", 0))

    @cached_property
    def pred_probs(self) -> np.ndarray:
        """Out-of-sample probabilities of the audited items, memory-mapped, float32 (n audited, K)."""
        return load_npy(self.pred_probs_path, mmap=True)

    @cached_property
    def predictions(self) -> np.ndarray:
        """What the models predict out of sample where labels are no classes, memory-mapped, float32 (n audited,
        outputs); what an output is, the kind of the labels says (docs/label-kinds.md)."""
        return load_npy(self.file(layout.PREDICTIONS), mmap=True)

    @property
    def suspects(self) -> pd.DataFrame:
        """The rows of `findings` that are about labels."""
        return self.findings[self.findings["code"].str.startswith("LE")]

    @cached_property
    def model_probs(self) -> dict[str, np.ndarray]:
        """What each model alone predicts out of sample, float32 (n audited, K), by its name, where `pred_probs` is the
        pool of two; else empty."""
        if not self.manifest.get("second_model", {}).get("name"):
            return {}
        return load_npz(self.file(layout.REFIT_MODEL_PROBS if self.refits else layout.MODEL_PROBS))

    @cached_property
    def audited(self) -> np.ndarray:
        """Row in `items` of each row of `pred_probs`, int64 (n audited,)."""
        return load_npy(self.file(layout.AUDITED))

    @cached_property
    def labels(self) -> np.ndarray:
        """Given labels of the audited items, int64 (n audited,)."""
        return self.items["label"].to_numpy()[self.audited]

    @cached_property
    def ids(self) -> np.ndarray:
        """Ids of the audited items, object array of str (n audited,)."""
        return self.items["id"].to_numpy()[self.audited]

    @cached_property
    def positions(self) -> np.ndarray:
        """Row in `pred_probs` of each row of `items`, int64 (n,); -1 where an item has no probabilities."""
        positions = np.full(len(self.items), -1, dtype=np.int64)
        positions[self.audited] = np.arange(len(self.audited))
        return positions

    @cached_property
    def _rows(self) -> RowLookup:
        return RowLookup(len(self.items), ids=self.items["id"].tolist())

    def row(self, item: str) -> int:
        """Row in `items` of the item with this id.

        Raises
        ------
        UnknownNameError
            If the run has none; with the nearest ids.
        """
        row = self._rows.by_id(item)
        if row is None:
            near = difflib.get_close_matches(item, self.items["id"].head(20_000).tolist(), n=3)
            raise UnknownNameError("item", item, [f"{len(self.items):,} items, see {self.path / layout.ITEMS}"], near)
        return row

    def dynamics(self) -> dict[str, np.ndarray] | None:
        """Arrays of `dynamics.npz`, or None where the trainer had no epochs."""
        path = self.file(layout.DYNAMICS)
        return load_npz(path) if path.is_file() else None

    @cached_property
    def embeddings(self) -> np.ndarray | None:
        """Embeddings of the audited items, memory-mapped, (n audited, d); None where none were kept.

        What computed them is in ``manifest["embeddings"]``.
        """
        if not self.manifest.get("embeddings", {}).get("name"):
            return None
        return load_npy(self.file(layout.EMBEDDINGS), mmap=True)

    @cached_property
    def class_embeddings(self) -> np.ndarray | None:
        """The names of the classes in the space of `embeddings`, float32 (K, d); None where it holds no texts."""
        if not self.manifest.get("embeddings", {}).get("prompts"):
            return None
        return load_npy(self.file(layout.CLASS_EMBEDDINGS))

    @cached_property
    def quality(self) -> dict[str, Any] | None:
        """Outcomes of the data-quality checks (`quality.json`); None where they were not run."""
        path = self.file(layout.QUALITY)
        return dict(read_json(path)) if path.is_file() else None

    @property
    def report_path(self) -> Path:
        return self.path / layout.REPORT

    def open_data(self, settings: Settings | None = None) -> Dataset:
        """The data that the run audited, from where they lie, or as the run keeps what only memory held. What changed
        since is not noticed here. Errors as `auditor.open_dataset`."""
        return open_dataset(reference_in(self.manifest["data"]["reference"], self.path), settings)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """Every item of `items`, in their order, with what each kind of issue says of it.

        Columns
        -------
        id, split : str
        index : int64
            Row in the split.
        is_label_issue : bool
            Whether the label is flagged: a suspicion, not a verdict.
        label_score : float64
            The run's ranking, higher is more suspicious, on the scale of its detector; NaN for items that were not
            audited.
        given_label, suggested_label : str
            Class names; the suggestion is what the label should be if it is wrong, None where nothing was audited.
        is_NAME_issue : bool, NAME_score : float64
            For each data-quality check that could look, by its name: whether it names the item, and what it measured
            there (docs/quality.md), NaN elsewhere. A check that could not look has no columns.
        """
        from auditor.runs.issues import issue_table

        return issue_table(self)

    def get_issues(self, kind: str) -> pd.DataFrame:
        """The items of one kind of issue, worst first.

        Parameters
        ----------
        kind : str
            ``"label"``, or a data-quality check by name or code (``"leakage"``, ``"DQ105"``).

        Returns
        -------
        DataFrame
            By row in `items`: ``id, split, index``, the score, ``given_label``; for labels also ``suggested_label`` and
            the probabilities of both classes, for checks a ``note`` and the ``group`` (items of one number belong
            together, -1 for none).

        Raises
        ------
        UnknownNameError
            If the run has no such kind, with those it has.
        UsageError
            If the check could not look.
        """
        from auditor.runs.issues import items_of_kind

        return items_of_kind(self, kind)

    def join(self, frame: Any, *, split: str | None = None, contents: bool = True, prefix: str = "") -> Any:
        """A copy of the data frame that was audited, with the columns of `issues` on its right.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, or Arrow table
            The same rows as the run saw: in any order and number where they have a column of ids, else in that order.
        split : str, optional
            Which split of the run it is, where each had a frame of its own.
        contents : bool
            Whether the contents of the rows must be what the run saw. Labels must be, in any case.
        prefix : str
            Put before the names of the new columns.

        Returns
        -------
        Of the type of `frame`
            With its index. Rows that are no items of the run, such as those without a label, have False and missing
            values.

        Raises
        ------
        UsageError
            If it is no frame, has columns of these names, or its split must be named.
        DataError
            If it has other rows, labels or contents than the run saw.
        """
        from auditor.runs.joining import join_results

        return join_results(self, frame, split, contents, prefix)

    def to_frame(self) -> pd.DataFrame:
        """The findings."""
        return self.findings

    def lines(self) -> tuple[str, str, str]:
        """What was audited, what was flagged, and how well the model did, in a line each."""
        data, counts, model = self.manifest["data"], self.counts, self.manifest["model"]
        labels = self.manifest.get("labels", {})
        many, fit = f"{len(self.class_names)} classes", ("accuracy", model.get("out_of_sample_accuracy"))
        more = ""
        if self.form is not None:
            many, fit = labels["described"], (labels["agreement"]["name"], labels["agreement"]["value"])
            more = f" About {labels['expected_wrong']:,.0f} wrong labels are expected."
        return (
            f"{data['name']}: {counts['n_items']:,} items, {many}",
            f"{counts['n_flagged']:,} of {counts['n_audited']:,} audited items flagged "
            f"({100 * counts['n_flagged'] / counts['n_audited']:.2f} %); a flag is a suspicion, not a verdict.{more}",
            f"Out-of-sample {fit[0]} against the given labels: {fit[1]:.4f} "
            f"({' and '.join(self.models)}, {self.manifest['plan']['description']}, seed {self.config['seed']}).",
        )

    def show(self, n: int = 10, settings: Settings | None = None, *, kind: str = "label") -> Any:
        """The `n` most suspicious labels with their pictures, texts or rows, as a notebook or a terminal shows them.

        Parameters
        ----------
        n : int
            At most 100.
        settings : Settings, optional
            Where the data set is looked for.
        kind : str
            Another kind of issue, whose worst items are shown: a data-quality check by name or code, as in
            `get_issues`.

        Returns
        -------
        auditor.explain.suspects.Suspects
            Its ``frame`` holds the findings, or the rows of `get_issues`.

        Raises
        ------
        UnknownNameError
            If the run has no such kind, with those it has.
        UsageError
            If `n` is out of range, or the check could not look.
        """
        return VIEWS.load("suspects")(self, n, kind, settings=settings)

    def __repr__(self) -> str:
        whole = "schema" in self.manifest  # not yet while it is made
        return "\n  ".join([f"Run({str(self.path)!r})", *(map(printable, self.lines()) if whole else ())])

    def _repr_html_(self) -> str:
        return str(VIEWS.load("run")(self))


@usable_paths()
def open_run(path: str | Path, runs_dir: Path | None = None) -> Run:
    """Open a finished run folder.

    Parameters
    ----------
    path : str or Path
        The folder, or its name inside `runs_dir`.
    runs_dir : Path, optional
        Where runs are kept; by default ``runs``.

    Raises
    ------
    RunError
        If it is absent, unfinished or written by a newer layout.

    Examples
    --------
    >>> import auditor
    >>> run = auditor.find_errors(pred_probs=[[0.9, 0.1], [0.2, 0.8]], labels=["cat", "dog"], progress=False)
    >>> auditor.open_run(run.path).class_names
    ('cat', 'dog')
    """
    folder = run_folder(path, runs_dir)
    manifest = read_sealed(folder / layout.MANIFEST)
    if (schema := manifest.get("schema")) != layout.RUN_SCHEMA:
        raise RunError(
            f"the run {str(folder)!r} has the layout {schema!r}; this version reads {layout.RUN_SCHEMA!r}.",
            "Open it with the version of auditor that wrote it, or repeat the run.",
        )
    return Run(folder, manifest)


def write_manifest(run: Run, files: Sequence[str]) -> None:
    """Finish a run: write its manifest, with the hashes of `files` and of itself, which `open_run` compares."""
    run.manifest["files"] = {name: hash_file(run.path / name) for name in files}
    run.__dict__.pop("recorded", None)  # asked for while the run was made, without these
    write_sealed(run.path / layout.MANIFEST, run.manifest)
