"""One object to think with: the data, what was found in them, the review, the corrections, and whether they help."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
from filelock import FileLock, Timeout

from auditor.audit.find_errors import find_errors
from auditor.audit.folder import close_store, holds_verdicts
from auditor.core.config import Settings, load_settings
from auditor.core.errors import RunError, UsageError, storage_errors
from auditor.core.files import refuse_existing
from auditor.core.machine import is_ours
from auditor.data.frames import cells, column_names, take_rows, with_cells
from auditor.data.labels import is_missing
from auditor.data.open import DATASETS
from auditor.data.reference import parse_reference
from auditor.engine.semantics import LABEL_KEYS
from auditor.improvement.arms import Corrections, corrections_of_patch, corrections_of_verdicts
from auditor.improvement.improve import Improvement, improve
from auditor.patch.create import Created, create_patch
from auditor.patch.files import write_patch
from auditor.patch.records import OPS, Patch
from auditor.patch.rules import stored_consensus
from auditor.review.launch import Review, start_review, stop
from auditor.review.vocabulary import REVIEW_FILE, Treatment
from auditor.runs import layout
from auditor.runs.issues import LABEL, summary_table
from auditor.runs.joining import rows_in_frame, source_rows
from auditor.runs.lock import locked
from auditor.runs.run import Run, open_run

if TYPE_CHECKING:
    from auditor.core.progress import Progress
    from auditor.estimation.estimate import ErrorEstimate
    from auditor.estimation.sample import Sample

__all__ = ["Audit"]

#: Temporary folders are called so, with the number of their process behind it, and hold this lock while it lives.
_PREFIX, _OWNER = "auditor-", "owner.lock"


class Audit:
    """An audit of one data set.

    It runs `auditor.find_errors` and hands its run on to the review, the estimate, the patch and `auditor.improve`; the
    command line and the reviewer work on the same folder (`folder`).

    Parameters
    ----------
    data : str, Path or object, optional
        Whatever `auditor.find_errors` takes: a reference, a frame, a dict of columns, ``(X, y)``, a Hub or torch data
        set. May be left out if `run` is given probabilities; `label` then holds the labels, or names their file.
    label, group, id : str or sequence (n,), optional
        Columns of labels, of groups that never cross a fold, and of unique ids; of data in memory also the values.
    text, image : str, optional
        Column of texts, or of images or their paths.
    columns : str or sequence of str, optional
        Feature columns of a table.
    classes : sequence of str, optional
        Class names; whole-number labels are positions in them. With probabilities, in the order of their columns.
    split_column, root, kind : optional
        As in `auditor.find_errors`.
    settings : Settings, optional
        Where named sets are looked for; by default `auditor.core.config.load_settings`.

    Notes
    -----
    Without a folder, everything lies in a temporary one that goes with the object. If people judged items there, it is
    moved into the runs folder instead, and a warning says where. `save` keeps it in any case.

    Examples
    --------
    >>> import numpy as np, pandas as pd, auditor
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame({"size": rng.normal(size=120), "kind": ["cat"] * 60 + ["dog"] * 60})
    >>> df["size"] += 8 * (df["kind"] == "dog")
    >>> df.loc[[3, 99], "kind"] = ["dog", "cat"]
    >>> audit = auditor.Audit(df, label="kind").run(model=LogisticRegression(), workers=1, progress=False)
    >>> audit.get_issues("label")[["given_label", "suggested_label"]].sort_index().values.tolist()
    [['dog', 'cat'], ['cat', 'dog']]
    >>> bool(audit.issues.loc[3, "is_label_issue"])
    True
    """

    def __init__(
        self,
        data: Any = None,
        *,
        label: Any = None,
        text: str | None = None,
        image: str | None = None,
        columns: str | Sequence[str] | None = None,
        group: Any = None,
        id: Any = None,
        classes: Sequence[str] | None = None,
        split_column: str | None = None,
        root: str | Path | None = None,
        kind: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        roles = {"label": label, "text": text, "image": image, "columns": columns, "group": group, "id": id}
        self._roles: dict[str, Any] = {**roles, "split_column": split_column, "root": root, "kind": kind}
        self._data = data
        self._classes = classes
        self._settings = settings
        self._run: Run | None = None
        self._model: Any = None
        self._place: _Place | None = None

    # --- the run -------------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        model: Any = None,
        pred_probs: Any = None,
        embeddings: Any = None,
        rule: str | None = None,
        budget: str | None = None,
        folder: str | Path | None = None,
        fresh: bool = False,
        workers: int | None = None,
        progress: Progress | bool | None = None,
        **config: Any,
    ) -> Audit:
        """Find the likely label errors, and check the data apart from the labels.

        Parameters
        ----------
        model : str, classifier, pipeline, torch module, callable or Trainer, optional
            What is cross-validated; by default chosen for the data (docs/models.md).
        pred_probs : path, array, tensor, frame or list (n, K), optional
            Your own out-of-sample probabilities; nothing is trained then.
        embeddings : str or array (n, d), optional
            Of a named encoder, or your own, one row for each item.
        rule : str, optional
            What ranks and flags; by default as `auditor.find_errors`.
        budget : {"smoke", "quick", "standard"}, optional
            How much is trained.
        folder : path, optional
            Run folder, which stays. What it holds is continued. Default: the folder of the last call, at first a
            temporary one.
        fresh : bool
            Start anew there; verdicts are moved aside.
        workers : int, optional
        progress : Progress or bool, optional
            False for none.
        **config
            Other options of `auditor.find_errors`, as ``split, folds, seeds, seed, refits, quality, device``.

        Returns
        -------
        Audit
            Itself. A repeated call with the same arguments computes nothing again.

        Raises
        ------
        AuditorError
            As `auditor.find_errors`; a refused call leaves the last run as it was.
        """
        if "out" in config:
            raise UsageError("unknown option 'out'.", "The run folder of an Audit is called folder=.")
        if own := sorted(config.keys() & {"data", "labels", "class_names", "settings", *self._roles}):
            raise UsageError(f"{own[0]!r} belongs to the data, not to the run.", "Give it to Audit(...).")
        if self._data is None and self._run is None and pred_probs is None:
            raise UsageError(
                "there is nothing to audit.", "Audit(data, ..).run(), or Audit(label=y).run(pred_probs=p)."
            )
        inputs: dict[str, Any] = {"data": self._data, **self._roles, "class_names": self._classes}
        if self._data is None and self._run is not None and self._run.manifest["data"]["modality"] != "probabilities":
            inputs = {"data": self._own_data()}
        elif self._data is None:
            inputs["labels"], inputs["label"] = inputs["label"], None
        place = self._folder_for(folder)
        try:
            run = find_errors(
                **inputs,
                model=model,
                pred_probs=pred_probs,
                embeddings=embeddings,
                rule=rule,
                budget=budget,
                out=place.path,
                fresh=fresh,
                workers=workers,
                settings=self._settings,
                progress=progress,
                **config,
            )
        except BaseException:
            if self._run is None:
                self._place = place  # what is finished there is found by the next call
            elif not (self._run.path / layout.MANIFEST).is_file():
                self._forget()  # it was begun anew, and is not finished
            raise
        self._forget()
        self._run, self._place = run, place
        self._model = None if model is None or isinstance(model, str) else model
        return self

    @property
    def result(self) -> Run:
        """The finished run, with everything it found: `auditor.open_run` of its folder.

        Raises
        ------
        RunError
            Before `run` was called.
        """
        self._placed()
        assert self._run is not None
        return self._run

    @property
    def folder(self) -> Path:
        """The run folder, which ``auditor show``, ``review`` and all other commands take. Errors as `result`."""
        return self.result.path

    # --- what was found ------------------------------------------------------------------------------------------

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row an item, in your order, with what each kind of issue says of it: the columns of `Run.issues`.

        The index is that of your pandas frame, so that ``df.join(audit.issues)`` fits, or the row in what you gave;
        rows without a label are no items. Of data in several splits, and of those that were not in memory, it counts
        the items. Errors as `result`.
        """
        return self.result.issues.set_axis(self._index)

    @property
    def summary(self) -> pd.DataFrame:
        """One row a kind of issue.

        Columns
        -------
        kind, code, severity, status : str
            ``"label"`` or the name of a data-quality check; ``found``, ``passed`` or ``not applicable``.
        count : int
            Items; missing where a check could not look.
        estimate, low, high : float
            For labels, how many are wrong among the audited items, with a 95 % interval, once people judged a sample
            (`estimate`); NaN before, and for the checks, which count.
        reason : str
            In words. Errors as `result`.
        """
        table = summary_table(self.result)
        if os.path.lexists(self.folder / REVIEW_FILE):
            told = self.estimate().strict
            if told is not None:
                limits = told.total.estimate
                row = table["kind"] == LABEL
                table.loc[row, ["estimate", "low", "high"]] = [limits.value, limits.low, limits.high]
        return table

    def get_issues(self, kind: str = LABEL) -> pd.DataFrame:
        """The items of one kind of issue, worst first, with the index of `issues`; see `Run.get_issues`.

        Parameters
        ----------
        kind : str
            ``"label"``, or a data-quality check by name or code; `summary` lists them.

        Raises
        ------
        UnknownNameError
            With the names there are.
        UsageError
            If the check could not look at this data.
        """
        table = self.result.get_issues(kind)
        return table.set_axis(self._index.take(table.index.to_numpy()))

    def show(self, n: int = 10, kind: str = LABEL) -> Any:
        """The `n` most suspicious labels with their pictures, texts or rows, for a notebook and for a terminal.

        Parameters
        ----------
        n : int
            At most 100.
        kind : str
            Another kind of issue, as in `get_issues`: the worst items of that check.

        Raises
        ------
        UnknownNameError
            With the names there are.
        UsageError
            If `n` is out of range, or the check could not look at this data.
        """
        return self.result.show(n, self._settings, kind=kind)

    def join(self, frame: Any, *, split: str | None = None, contents: bool = True, prefix: str = "") -> Any:
        """A copy of the frame with the columns of `issues`; see `Run.join`."""
        return self.result.join(frame, split=split, contents=contents, prefix=prefix)

    # --- people --------------------------------------------------------------------------------------------------

    def sample(
        self,
        budget: int = 300,
        *,
        target_precision: float | None = None,
        confidence: float = 0.95,
        seed: int = 0,
        new: bool = False,
    ) -> Sample:
        """Draw items for the review with known probabilities, so that the verdicts tell how many labels are wrong, as
        ``auditor sample`` does; see `auditor.estimation.sample.draw_sample`."""
        from auditor.estimation.sample import draw_sample

        asked = {"target_precision": target_precision, "confidence": confidence, "seed": seed, "new": new}
        return draw_sample(self.result, budget, **asked)  # type: ignore[arg-type]

    def estimate(self, budget: int | None = None, *, seed: int = 0) -> ErrorEstimate:
        """How many labels are wrong, with a 95 % interval, from the verdicts on the sample: ``auditor estimate``.

        Parameters
        ----------
        budget : int, optional
            Draws of the sample in all: `sample` is called first, and `review` serves what it drew. What they will tell
            is in its answer.
        seed : int
            Of the split into halves for the cross-fit.

        Returns
        -------
        ErrorEstimate
            As `auditor.estimate_errors`; ``strict`` is None, and ``notes`` say why, while the sample has no verdict.

        Raises
        ------
        MissingExtraError
            Without the extra ``review``.
        UsageError, DataError, RunError
            As `auditor.estimation.sample.draw_sample` and `auditor.estimate_errors`.
        """
        from auditor.estimation.sample import estimate_errors

        if budget is not None:
            self.sample(budget)
        return estimate_errors(self.result, seed=seed)

    def review(self, *, reviewer: str | None = None, port: int = 0, browser: bool = True, **plan: float) -> Review:
        """Start the reviewer on the run, in a process of its own.

        Parameters
        ----------
        reviewer : str, optional
            Your name; otherwise the page asks.
        port : int
            0 = any free one.
        browser : bool
            Open it, where there is a screen.
        **plan
            ``reviewers_per_item``, ``overlap``, ``audit_size``: fixed at the first review.

        Returns
        -------
        Review
            ``address`` (who has it may give verdicts), ``running`` and ``stop()``; it is a context manager. Verdicts
            are in the run folder as soon as they are given. A review that is running is returned again.

        Raises
        ------
        MissingExtraError
            Without the extra ``ui``.
        ResourceError
            If it does not start; with what it said.
        """
        if unknown := plan.keys() - {"reviewers_per_item", "overlap", "audit_size"}:
            raise UsageError(
                f"unknown option {sorted(unknown)[0]!r}.", "Known: reviewers_per_item, overlap, audit_size."
            )
        place = self._placed()
        if place.review is None or not place.review.running:
            asked = {"reviewer": reviewer, "port": port, "browser": browser, "plan": tuple(plan.items())}
            return place.reviewed_by(start_review(place.path, **asked, settings=self._settings))  # type: ignore[arg-type]
        return place.review

    # --- corrections ---------------------------------------------------------------------------------------------

    def patch(
        self,
        out: str | Path | None = None,
        *,
        consensus: str = "majority",
        treatment: Treatment = "strict",
        only: Sequence[str] = OPS,
        license: str = "CC0-1.0",
        leave_out_conflicts: bool = False,
        overwrite: bool = False,
    ) -> Created:
        """A label patch of the verdicts, as ``auditor patch create`` makes it.

        Parameters
        ----------
        out : path, optional
            Write it here: a new ``*.labelpatch.jsonl`` or ``.parquet`` file.
        consensus : str
            ``"majority"``, ``"3-of-5"``, ``"dawid-skene"`` or ``"crowdlab"``.
        treatment : {"strict", "lenient"}
            Whether items to which both labels apply become records.
        only : sequence of str
            Operations to keep: relabel, multi, drop.
        license, leave_out_conflicts
            As in `auditor.patch.create.create_patch`.
        overwrite : bool
            Replace the file.

        Returns
        -------
        Created
            ``patch``, ``left_out`` (reason to number of items) and ``conflicts``.

        Raises
        ------
        RunError
            If nobody judged an item.
        DataError
            If copies of one item were judged differently.
        """
        if out is not None:
            refuse_existing(Path(out), overwrite)
        run, settings = self.result, self._settings or load_settings()
        created = create_patch(
            run,
            stored_consensus(run, consensus),
            settings,
            treatment=treatment,
            license=license,
            leave_out_conflicts=leave_out_conflicts,
            only=only,
        )
        if out is not None:
            write_patch(created.patch, Path(out))
        return created

    def corrected(
        self,
        frame: Any,
        *,
        patch: Patch | str | Path | None = None,
        consensus: str = "majority",
        split: str | None = None,
        contents: bool = True,
    ) -> Any:
        """A copy of the frame that was audited with the labels that people corrected; never with a model's suggestions.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, or Arrow table
            As in `Run.join`, with the column of labels.
        patch : Patch or path, optional
            A label patch, instead of the verdicts of the run.
        consensus : str
            Of several reviewers, as in `patch`.
        split : str, optional
            Which split of the run it is, where each had a frame of its own.
        contents : bool
            Whether the contents of the rows must be what the run saw. Labels must be, in any case.

        Returns
        -------
        Of the type of `frame`
            With its index and types. Rows of items that people found to be no class at all are left out; where two
            labels apply the given one stays.

        Raises
        ------
        RunError
            If nobody judged an item.
        UsageError
            If the frame has no column of labels, or its type holds no other class.
        DataError
            As `Run.join`, or the patch was made for other data.
        """
        run = self.result
        run.require_classes("Audit.corrected (patches are for all labels)")
        corrections = self._corrections(patch, consensus)
        item_of = rows_in_frame(run, frame, split=split, contents=contents)
        rows = np.flatnonzero(item_of >= 0)
        given = run.items["label"].to_numpy(np.int64)
        label = self._label_column(frame)
        spelled = _spellings(cells(frame, label), item_of, run)
        changes = {}
        for row, code in zip(rows.tolist(), corrections.labels[item_of[rows]].tolist(), strict=True):
            if code != given[item_of[row]]:
                changes[row] = spelled(run.class_names[code])
        corrected = with_cells(frame, label, changes)
        leaves = np.zeros(len(item_of), bool)
        leaves[rows] = ~corrections.stays[item_of[rows]]
        return take_rows(corrected, np.flatnonzero(~leaves)) if leaves.any() else corrected

    def improvement(self, *, model: Any = None, labels: Any = None, **options: Any) -> Improvement:
        """Does cleaning help? `auditor.improve` on this run, with its model.

        Parameters
        ----------
        model : optional
            Another model than the run's; your own is taken from `run`.
        labels : path or sequence (n,), optional
            Labels published as corrected, to compare on instead of the verdicts.
        **options
            Other options of `auditor.improve`: ``patch, rule, seeds, folds, budget, workers, progress``.
        """
        if model is None and "trainer" not in options:
            model = self._model
        return improve(self.result, model=model, labels=labels, settings=self._settings, **options)

    # --- keeping -------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Keep the run, with its verdicts, in a folder that stays; the audit goes on there.

        Parameters
        ----------
        path : path
            A folder that does not exist yet.

        Returns
        -------
        Path
            The run folder, which `load`, `auditor.open_run` and all commands take.

        Raises
        ------
        UsageError
            If it exists, or a review that this object started is running.
        RunError
            If somebody else reviews the run.
        StorageError
            If it cannot be written.
        """
        place, target = self._placed(), Path(path)
        refuse_existing(target)
        place.keep_as(target)
        self._forget()
        self._run, self._place = open_run(target), _Place(target)
        return target

    @classmethod
    def load(cls, path: str | Path, data: Any = None, *, settings: Settings | None = None, **roles: Any) -> Audit:
        """Go on with a run folder, of `save` or of ``auditor find-errors``.

        Parameters
        ----------
        path : path
            The folder, or its name in the runs folder.
        data, **roles
            As for `Audit`, if it is to `run` again on data that the run does not keep. What was in memory it keeps.
        settings : Settings, optional

        Raises
        ------
        RunError
            If it is absent or unfinished.
        """
        audit = cls(data, settings=settings, **roles)
        audit._run = open_run(path, (settings or load_settings()).runs_dir)
        audit._place = _Place(audit._run.path)
        return audit

    def __repr__(self) -> str:
        return "Audit, not run yet: call .run()" if self._run is None else f"Audit of {self._run!r}"

    def _repr_html_(self) -> str:
        return escape(repr(self)) if self._run is None else self._run._repr_html_()

    # -------------------------------------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> pd.Index:
        """What the items are called in `issues`."""
        items = self.result.items
        rows = None if self._data is None or isinstance(self._data, str | Path) else source_rows(items)
        if rows is None:
            return pd.RangeIndex(len(items))
        frame = self._data[0] if isinstance(self._data, tuple) else self._data
        return frame.index.take(rows) if isinstance(frame, pd.DataFrame | pd.Series) else pd.Index(rows)

    def _placed(self) -> _Place:
        """Where the run lies. Errors as `result`."""
        if self._place is None or self._run is None:
            raise RunError("nothing was audited yet.", "Call .run() first.")
        if not self._place.path.is_dir():
            raise RunError(
                f"the run folder {str(self._place.path)!r} is gone: a temporary one ends with its program.",
                "Call .run() again. To go on in another program, .save(path) there and Audit.load(path) here.",
            )
        return self._place

    def _forget(self) -> None:
        """What was read of the last run."""
        self._run = None
        for name in ("issues", "_index"):
            self.__dict__.pop(name, None)

    def _own_data(self) -> Any:
        """The data of a run that was loaded, as they were called when it was made."""
        dataset = self.result.open_data(self._settings)
        dataset.reference = self.result.manifest["data"]["reference"]
        return dataset

    def _folder_for(self, folder: str | Path | None) -> _Place:
        if folder is None:
            if self._place is not None and not self._place.lost:
                return self._place
            return _Place(None, (self._settings or load_settings()).runs_dir)
        target = Path(folder)
        if self._place is not None and self._place.path.resolve() == target.resolve():
            return self._place
        if self._run is not None and self._place is not None and self._place.temporary and not target.exists():
            self.save(target)  # with what people judged; what is there is not computed again
            return self._place
        return _Place(target)

    def _corrections(self, patch: Patch | str | Path | None, consensus: str) -> Corrections:
        run = self.result
        if patch is not None:
            return corrections_of_patch(run, patch)
        decided = stored_consensus(run, consensus)
        rows = pd.Index(run.items["id"]).get_indexer([item.item_id for item in decided])
        return corrections_of_verdicts(run, decided, rows.astype(np.int64))

    def _label_column(self, frame: Any) -> str:
        names = column_names(frame)
        reference = self.result.manifest["data"]["reference"]
        label = parse_reference(reference, DATASETS.names()).options.get("label")
        if label is None and isinstance(self._roles["label"], str):
            label = self._roles["label"]
        if label is None:
            label = next((name for key in LABEL_KEYS for name in names if name.lower() == key), None)
        if label not in names:
            raise UsageError(
                f"the frame has no column of the labels{'' if label is None else f', {label!r}'}.",
                "Put them beside it: audit.corrected(X.assign(label=y)), of an audit of the whole frame.",
            )
        return str(label)


class _Place:
    """Where the run of an audit lies: a folder of the caller's, or a temporary one, which goes with the object."""

    def __init__(self, path: Path | None, runs_dir: Path = Path()) -> None:
        self.review: Review | None = None
        self._servers: list[subprocess.Popen[str]] = []
        self._end = None
        if path is None:
            _sweep()
            base = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
            owner = FileLock(
                base / _OWNER, thread_local=False
            )  # the system lets go of it when this process dies, however it dies
            owner.acquire()
            path = base / "run"
            self._end = weakref.finalize(self, _remove, base, path, runs_dir, os.getpid(), self._servers, owner)
        self.path = path

    @property
    def temporary(self) -> bool:
        return self._end is not None

    @property
    def lost(self) -> bool:
        """Whether the folder is that of another object, of which this one is a copy: it goes with that one."""
        return self._end is not None and not self._end.alive

    def reviewed_by(self, review: Review) -> Review:
        """Take note of a review that runs here. The folder stays as long as it is held."""
        self.review = review
        review.place = self
        self._servers.append(review.process)
        return review

    def keep_as(self, target: Path) -> None:
        """Move the folder there, or copy it if it is the caller's."""
        if self.review is not None and self.review.running:
            raise UsageError("a review of this run is running.", "Stop it first: .stop() of what .review() returned.")
        close_store(self.path, "Stop it first: Ctrl-C where auditor review runs.")
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if self._end is None:
                shutil.copytree(self.path, target)
            else:
                shutil.move(self.path, target)
                self._end()  # what is left of the temporary folder


def _sweep() -> None:
    """Remove the temporary folders of processes that were killed. Where people judged items, a warning says so, and
    the folder stays, as it does where anything is at work."""
    for base in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        path, process = base / "run", base.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            state = base.lstat()
            ours = stat.S_ISDIR(state.st_mode) and is_ours(state)
            if not ours or not (base / _OWNER).is_file():
                continue
            # A process that was copied may let go of the lock; one of another container has a number not known here.
            if not process.isdecimal() or psutil.pid_exists(int(process)):
                continue
            with FileLock(base / _OWNER, timeout=0):
                if path.is_dir() and holds_verdicts(path):
                    warnings.warn(
                        f"people judged items of an audit whose program was killed: it lies in {str(path)!r}. Go on "
                        f"with auditor.Audit.load({str(path)!r}), and keep it elsewhere with its save().",
                        stacklevel=2,
                    )
                    continue
                if path.is_dir():
                    close_store(path, "")
                    with locked(path):
                        pass
                shutil.rmtree(base, ignore_errors=True)
        except (OSError, Timeout, RunError):
            continue  # it is in use, or not ours


def _remove(
    base: Path, path: Path, runs_dir: Path, process: int, servers: list[subprocess.Popen[str]], owner: FileLock
) -> None:
    """Remove a temporary folder; what people judged there is moved to where runs are kept."""
    if os.getpid() != process:  # a copy of this process, which does not own the folder
        return
    for server in servers:
        stop(server)
    if path.is_dir() and holds_verdicts(path):
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        kept = runs_dir / f"reviewed-{stamp}-{base.name.removeprefix('auditor-')}"
        try:
            runs_dir.mkdir(parents=True, exist_ok=True)
            shutil.move(path, kept)
        except OSError:
            kept = path
        warnings.warn(
            f"people judged items of an audit that was not saved: it is kept in {str(kept.resolve())!r}. "
            f"Go on with auditor.Audit.load({str(kept.resolve())!r}).",
            stacklevel=2,
        )
        if kept == path:
            return
    owner.release()
    shutil.rmtree(base, ignore_errors=True)


def _spellings(labels: list[Any], item_of: np.ndarray, run: Run) -> Any:
    """A function from a class name to how the labels of a frame write it."""
    given = run.items["given"].to_numpy()
    known = {given[item]: value for item, value in zip(item_of.tolist(), labels, strict=True) if item >= 0}
    values = [value for value in labels if not is_missing(value)]

    def spelled(name: str) -> Any:
        if name in known:
            return known[name]
        if all(isinstance(value, str) for value in values):
            return name
        # A class that no row has: its number, as the others are numbers.
        position = run.class_names.index(name)
        by_name = all(str(value) == label for label, value in known.items())
        return type(values[0])(name if by_name else position)

    return spelled
