"""Data quality beyond the labels: the checks on a data set, from a reference to a document."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from auditor.core.config import Settings, load_settings
from auditor.core.display import shown
from auditor.core.errors import AuditorError, UsageError
from auditor.core.escaping import printable
from auditor.core.files import load_npy
from auditor.core.machine import cpu_count, describe_machine, package_versions
from auditor.core.progress import Progress
from auditor.core.version import __version__
from auditor.core.views import VIEWS
from auditor.data.base import Dataset
from auditor.data.intake import open_probabilities
from auditor.data.kinds import ImageDataset, TextDataset
from auditor.data.open import open_dataset, restrict_to_split
from auditor.quality.base import Outcome
from auditor.quality.document import document, item_table, refuse_others, write_quality
from auditor.quality.metadata import read_metadata
from auditor.quality.open_subject import make_subject, neighbours_of, table_neighbours
from auditor.quality.registry import check_names, run_checks
from auditor.quality.subject import Predictions

if TYPE_CHECKING:
    from auditor.train.choose_embedding import Embedding
    from auditor.train.encoders import Encoder


@dataclass(frozen=True, eq=False)
class Quality:
    """What the checks said.

    Attributes
    ----------
    outcomes : tuple of Outcome
    document : dict
        As `auditor.quality.document.document`; what ``--json`` prints.
    folder : Path or None
        Where it was written.
    parts : tuple of Dataset
        What was examined, and what it was compared with if that is other data: a notebook shows items of them.
    """

    outcomes: tuple[Outcome, ...]
    document: dict[str, Any]
    folder: Path | None
    parts: tuple[Dataset, ...] = ()

    def __repr__(self) -> str:
        found = [o for o in self.outcomes if o.status == "found"]
        lines = [
            f"Quality of {self.document['data']['name']}: {self.document['n_examined']:,} items examined, "
            f"{len(found)} of {len(self.outcomes)} checks found something",
            *(f"{o.code} {o.name} ({o.severity}): {o.reason}" for o in found[:4]),
            *([f"and {len(found) - 4} more"] if len(found) > 4 else []),
        ]
        return "\n  ".join(map(printable, lines))

    def _repr_html_(self) -> str:
        return str(VIEWS.load("quality")(self))


def check_quality(
    data: Any,
    *,
    split: str | None = None,
    against: Any = None,
    checks: Sequence[str] | None = None,
    embeddings: str | Path | np.ndarray | None = None,
    pred_probs: Any = None,
    metadata: Any = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    **roles: Any,
) -> Quality:
    """Run the data-quality checks.

    Parameters
    ----------
    data : str, Path or object
        A data reference, what is in memory, or an open data set, as in `auditor.data.open.open_dataset`.
    split : str, optional
        Examine this split only.
    against : str or object, optional
        Another split of the same data, or another version of it, given as `data` is: what the items are compared with.
    checks : sequence of str, optional
        Names or codes; by default all.
    embeddings : path, array or str, optional
        A ``.npy`` file or array with one row per examined item and then one per item of `against`, or the name of an
        encoder.
    pred_probs : path or array, optional
        Out-of-sample probabilities, a row per examined item: what a model says of them.
    metadata : path, DataFrame or mapping of columns, optional
        What else is known of the examined items, as `auditor.quality.metadata.read_metadata` reads it.
    out : path, optional
        Folder for ``quality.json`` and ``quality.parquet``. Nothing is written without it.
    overwrite : bool
        Replace files of these names there that no earlier call wrote, such as those of a run.
    workers : int, optional
        Processes that decode; by default one per core. Never changes the result.
    settings : Settings, optional
    progress : Progress or bool, optional
        As in `auditor.find_errors`.
    **roles
        ``label, text, image, columns, group, id, ...``: options of `auditor.data.open.open_dataset`.

    Raises
    ------
    AuditorError
        See `auditor.core.errors` for the tree.

    Examples
    --------
    >>> import auditor
    >>> data = {"text": ["a cat", "a dog", "a cat"], "label": ["cat", "dog", "dog"]}
    >>> result = auditor.check_quality(data, checks=["conflicting_duplicates"], progress=False)
    >>> result.outcomes[0].status, result.outcomes[0].findings.items.tolist()
    ('found', [0, 2])
    """
    clock = time.perf_counter()
    settings = settings or load_settings()
    names = check_names(checks) if checks else None
    if out is not None:
        refuse_others(Path(out), overwrite)
    with shown(progress) as receiver:
        receiver.stage("data", str(data) if isinstance(data, str | Path) else "")
        whole = open_dataset(data, settings, **roles)
        dataset = restrict_to_split(whole, split) if split is not None else whole
        other = _open_against(whole, dataset, against, settings, roles)
        beside = None if metadata is None else read_metadata(metadata, dataset)
        predictions = None if pred_probs is None else _predictions(pred_probs, dataset)
        chosen = None if embeddings is None else _choose(embeddings, dataset.modality)
        receiver.stage("measure", f"{len(dataset) + (len(other) if other else 0):,} items, each read once")
        subject = make_subject(dataset, other, receiver, workers=workers)
        subject.predictions = predictions
        subject.metadata = None if beside is None else beside.reindex(np.arange(len(subject)))
        if chosen is not None:
            name, vectors = _embedded(chosen, [dataset] if other is None else [dataset, other], settings, receiver)
            receiver.stage("neighbours", f"of {len(vectors):,} embeddings, {name}")
            subject.neighbours = neighbours_of(name, vectors, np.arange(len(subject)), len(subject))
        else:
            subject.neighbours = table_neighbours(subject)
        receiver.stage("checks")
        outcomes = run_checks(subject, names, receiver)
    about = {
        "auditor": __version__,
        "data": {"name": dataset.name, "reference": dataset.reference, "modality": dataset.modality},
        "against": against if other is None or isinstance(against, str) else other.reference,
        "split": split,
        "seconds": round(time.perf_counter() - clock, 2),
        "machine": describe_machine(),
        "versions": package_versions(),
    }
    described = document(subject, outcomes, about)
    if out is not None:
        write_quality(Path(out), described, item_table(subject, outcomes))
    parts = (dataset,) if other is None else (dataset, other)
    return Quality(outcomes, described, None if out is None else Path(out), parts)


def _open_against(
    whole: Dataset, dataset: Dataset, against: Any, settings: Settings, roles: dict[str, Any]
) -> Dataset | None:
    if against is None or isinstance(against, Dataset):
        return against
    if not isinstance(against, str | Path):
        return open_dataset(against, settings, **roles)
    splits = list(dict.fromkeys(map(str, whole.items.splits)))
    if against in splits:
        if set(map(str, dataset.items.splits)) == {against}:
            raise UsageError(f"the split {against!r} would be compared with itself.", "Name two splits.")
        if len(dataset) == len(whole):
            raise UsageError(
                f"the items of all splits would be compared with {against!r}, which is among them.",
                f"Name the split to examine: --split {next(s for s in splits if s != against)}.",
            )
        return restrict_to_split(whole, against)
    try:
        return open_dataset(against, settings)
    except AuditorError as error:
        raise UsageError(
            f"{against!r} is neither a split of {whole.name!r} nor data that can be opened: {error.what}",
            f"Its splits: {', '.join(splits)}.",
        ) from error


def _predictions(given: Any, dataset: Dataset) -> Predictions:
    """What a model says of all items, from its probabilities. Errors as `auditor.data.intake.open_probabilities`."""
    supplied = open_probabilities(given, dataset.labels, dataset.class_names, name=dataset.name)
    return Predictions(np.arange(len(dataset)), np.asarray(supplied.probabilities, np.float64))


def _choose(given: str | Path | np.ndarray, kind: str) -> tuple[str, np.ndarray] | Embedding:
    """The embeddings given, with their name; or what is to embed the items, before they are read."""
    if isinstance(given, np.ndarray):
        return "given", given
    if str(given).endswith(".npy"):
        return Path(given).name, load_npy(Path(given), mmap=True)
    from auditor.train.choose_embedding import choose_embedding

    chosen = choose_embedding(str(given), kind, (), "standard")
    if chosen.encoder() is None:
        raise UsageError(f"{given!r} does not embed items: {chosen.reason}.", "Name an encoder (auditor models).")
    return chosen


def _embedded(
    chosen: tuple[str, np.ndarray] | Embedding, parts: list[Dataset], settings: Settings, progress: Progress
) -> tuple[str, np.ndarray]:
    """Name and embeddings of the items of all parts, float array (n, d)."""
    if isinstance(chosen, tuple):
        return chosen
    from auditor.train.choose_embedding import fit_for_cosine
    from auditor.train.embeddings import embed

    encoder, rows = cast("Encoder", chosen.encoder()), []
    for part in parts:
        if not isinstance(part, ImageDataset | TextDataset):
            raise UsageError(f"an encoder embeds images and texts, not {part.modality} items.")
        features: Any = part.texts if isinstance(part, TextDataset) else part.load_images(progress=progress)[0]
        shared = settings.embeddings_dir
        rows.append(np.asarray(embed(encoder, features, shared, "cpu", cpu_count(), progress, "embed")))
    return str(chosen.name), fit_for_cosine(np.concatenate(rows), encoder)
