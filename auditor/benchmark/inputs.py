"""From the options of a call to labels and verdicts: which file is what, and what one of them says of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auditor.benchmark.given_labels import GivenLabels, labels_of_dataset, load_given_labels
from auditor.benchmark.run import count_sets
from auditor.benchmark.verdicts.judged import Judged
from auditor.benchmark.verdicts.label_lists import judge_lists
from auditor.benchmark.verdicts.patch import judge_patch
from auditor.benchmark.verdicts.published import (
    check_lists,
    judge_published,
    published_counts,
    published_split,
    table_1,
)
from auditor.benchmark.verdicts.run import judge_run, labels_of_run
from auditor.core.config import Settings
from auditor.core.errors import DataError, UnreadableError, UsageError
from auditor.core.files import read_json
from auditor.data.base import Dataset
from auditor.data.label_lists import holds_objects
from auditor.data.open import open_split
from auditor.patch.files import SUFFIX
from auditor.review.published import PublishedItem, parse_published, read_index, read_published
from auditor.runs.run import open_run

_SIZES = ("n_benign", "n_correctable", "n_unknown", "n_pruned", "prevalence")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a benchmark rests on.

    Attributes
    ----------
    given_labels : GivenLabels
    judged : Judged
    dataset : Dataset or None
        For pictures; the split of `given_labels`.
    name : str
    """

    given_labels: GivenLabels
    judged: Judged
    dataset: Dataset | None
    name: str


def load_inputs(
    settings: Settings,
    *,
    reference: str | None = None,
    labels: Path | None = None,
    verdicts: Path | None = None,
    patch: Path | None = None,
    run: str | None = None,
    store: str | None = None,
    index: Path | None = None,
    split: str | None = None,
    class_names: Sequence[str] | None = None,
) -> Inputs:
    """Labels and verdicts of one benchmark.

    Labels come from `labels`, else from the data set, else from the run. Exactly one of `verdicts`, `patch` and
    `run` says what is wrong with them.

    Raises
    ------
    UsageError
        If what is needed is missing or given twice.
    """
    sources = [name for name, value in (("--verdicts", verdicts), ("--patch", patch), ("--run", run)) if value]
    if len(sources) != 1:
        raise UsageError(
            f"{' and '.join(sources) or 'nothing'} says which labels are wrong.",
            "Give exactly one of --verdicts FILE, --patch FILE and --run RUN.",
        )
    if verdicts is not None and verdicts.name.endswith(".jsonl"):
        verdicts, patch = None, verdicts
    dataset = None if reference is None else open_split(reference, split, settings)
    if run is not None:
        return _of_run(settings, run, store, split, dataset, labels)
    if labels is not None:
        given_labels = load_given_labels(labels, index, class_names or (dataset.class_names if dataset else None))
        if dataset is not None and len(dataset) != len(given_labels):
            raise DataError(
                f"{given_labels.source} has {len(given_labels):,} labels, {dataset.name!r} {len(dataset):,} items."
            )
    elif dataset is not None:
        given_labels = labels_of_dataset(dataset)
        if index is not None:
            given_labels = replace(given_labels, other_names=tuple(read_index(index)))
    else:
        raise UsageError("no labels.", "Give them with --labels FILE, or name a data set.")
    path = patch or verdicts
    assert path is not None
    if patch is not None:
        if not patch.is_file():
            raise UnreadableError(f"no patch at {str(patch)!r}.", "Check the path.")
        judged = judge_patch(patch, given_labels, dataset)
    elif (content := _published(path)) is None:
        judged = judge_lists(path, given_labels)
    else:
        judged = judge_published(content, given_labels)
        given_labels = _with_names(given_labels, content)
    if dataset is not None:
        name = dataset.name
    elif path.name == "mturk.json":  # as all published files are called: their folder says more
        name = path.parent.name or path.stem
    else:
        name = path.name.removesuffix(SUFFIX)
    return Inputs(given_labels, judged, dataset, name)


def _of_run(
    settings: Settings, run: str, store: str | None, split: str | None, dataset: Dataset | None, labels: Path | None
) -> Inputs:
    opened = open_run(run, settings.runs_dir)
    given_labels, ids = labels_of_run(opened, split)
    if labels is not None:
        given = load_given_labels(labels, None, given_labels.class_names)
        if given.labels.tolist() != given_labels.labels.tolist():
            raise DataError(f"{given.source} are not the labels of the run {opened.id!r}.", "Leave --labels out.")
    judged = judge_run(opened, given_labels, ids, store)
    return Inputs(given_labels, judged, dataset, str(opened.manifest["data"]["name"]))


def _published(path: Path) -> list[PublishedItem] | None:
    """The items of published verdicts; None for lists of accepted labels."""
    value = read_json(path)
    if isinstance(value, list) and value and all(isinstance(labels, list) for labels in value):
        return None
    return parse_published(value, repr(str(path)))


def _with_names(given_labels: GivenLabels, items: list[PublishedItem]) -> GivenLabels:
    """Class names from the verdicts, where they name every class and no two alike."""
    if given_labels.class_names is not None:
        return given_labels
    if items[0].schema == "imdb":
        return replace(given_labels, class_names=("Negative", "Positive"))
    names = {
        number: name
        for item in items
        for number, name in ((item.given_index, item.given[0]), (item.guessed_index, item.guessed[0]))
        if number is not None
    }
    whole = sorted(names) == list(range(len(names))) and len(set(names.values())) == len(names)
    if not whole or int(given_labels.labels.max()) >= len(names):
        return given_labels
    return replace(given_labels, class_names=tuple(names[k] for k in range(len(names))))


def countable_only(path: Path, without_labels: bool) -> bool:
    """Whether these are published verdicts that can be counted but not put on rows: no labels, or several per item."""
    if path.name.endswith(".jsonl"):
        return False
    items = _published(path)
    return items is not None and (without_labels or items[0].schema in ("audioset", "amazon"))


def verdict_facts(
    path: Path, k: int, labels: Path | None, index: Path | None, size: int | None, flagged: int | None
) -> dict[str, Any]:
    """Counts of one file of published verdicts (Tables 1 and 2), and with labels its sets.

    Every given label is checked where there are labels to check against.

    Parameters
    ----------
    path : Path
    k : int
        Votes a verdict needs: 3, 4 or 5.
    labels, index : Path, optional
    size, flagged : int, optional
        Rows of the data set, and rows that were doubted, where only a sample of them was judged. `size` comes from
        the labels where they are given.
    """
    items = read_published(path)
    counts = published_counts(items, k)
    facts: dict[str, Any] = {
        "schema": "auditor.verdicts/1",
        "file": str(path),
        "published_as": items[0].schema,
        "agreement": k,
        "counts": counts,
        "non_agreement_split": published_split(items, k),
        **dict.fromkeys(_SIZES),
        "checked_against_labels": False,
        "notes": [],
    }
    errors, checked = counts["errors"] or 0, counts["checked"] or 0
    if labels is not None:
        if items[0].schema == "audioset" or holds_objects(labels):
            size = check_lists(items, labels, None if index is None else read_index(index)) if size is None else size
            facts["notes"].append("items with several labels each: there are no benign and correctable sets")
        elif items[0].schema == "amazon":
            raise DataError("amazon has no label file to check against.", "Leave --labels out.")
        else:
            given_labels = load_given_labels(labels, index)
            judged, size = judge_published(items, given_labels), len(given_labels)
            if flagged is not None and flagged > len(judged.rows):
                only_some = "only a sample of the doubted rows was judged: there are no benign and correctable sets"
                facts["notes"].append(only_some)
            else:
                sizes = count_sets(judged, given_labels, k)
                facts |= {name: getattr(sizes, name) for name in _SIZES}
        facts["checked_against_labels"] = True
    return {**facts, "table_1": table_1(errors, checked, size, flagged)}
