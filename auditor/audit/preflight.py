"""What a call may be refused for, looked at before its run folder is touched: a finished run stays finished."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from auditor.audit.config import AuditConfig, make_config
from auditor.audit.context import training_data
from auditor.audit.plan import plan_audit, training_size, wanted_rows
from auditor.audit.stages.plan import cautions
from auditor.audit.stages.predict import plan_of_kind
from auditor.audit.stages.refit import choose_refits
from auditor.core.errors import EmptyDataError, UnreadableError, UsageError, require
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset
from auditor.data.loading import median_size
from auditor.detect.findings import DEFAULT
from auditor.detect.registry import DETECTORS
from auditor.engine.rules import RULES
from auditor.kinds.base import AuditedKind
from auditor.models.weights import names_weights
from auditor.train.base import Trainer, TrainingData
from auditor.train.choose import choose_second, choose_trainer, make_trainer
from auditor.train.choose_embedding import Embedding, choose_embedding, own_embedding
from auditor.train.encoders import JointEncoder
from auditor.train.estimator import refuse_kind
from auditor.train.folds import merge_groups
from auditor.train.outputs import choose_outputs

#: Images that are decoded to see whether the caller's model can read them.
SAMPLE_IMAGES = 5
#: Images whose size is looked at.
_SIZES = 16


def check_call(
    dataset: Dataset,
    config: AuditConfig,
    trainer: Trainer | None,
    supplied: bool,
    workers: int | None,
    embeddings: Any = None,
) -> Embedding | None:
    """Refuse what the stages of the audit would refuse.

    Only what depends on the content of the items is left to them: items that cannot be decoded, and copies. What
    ``auto`` will pick for images is told from the size of some of them.

    Parameters
    ----------
    dataset : Dataset
    config : AuditConfig
    trainer : Trainer or None
        The caller's own.
    supplied : bool
        Whether the probabilities are given, and nothing is trained.
    workers : int or None
    embeddings : array, optional
        The caller's own, as in `own_embedding`.

    Returns
    -------
    Embedding or None
        The caller's own.

    Raises
    ------
    UsageError, MissingExtraError, UnknownNameError, OfflineError, UnsafeFileError
        As `choose_trainer`, `choose_embedding`, `check_evidence` and `choose_refits`.
    EmptyDataError, DataError
        As `auditor.audit.plan.plan_audit`, `own_embedding` and `auditor.audit.stages.plan.cautions`.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}.")
    if config.device == "cuda":
        require("torch", "torch", "the device 'cuda'")
        from auditor.train.device import choose_device

        choose_device(config.device)
    kind, automatic = "probabilities" if supplied else dataset.modality, trainer is None and config.model == "auto"
    if not supplied:
        bad = np.zeros(len(dataset), bool)
        groups = merge_groups(len(dataset), dataset.items.groups)
        if trainer is None and names_weights(config.model):
            trainer, _ = choose_trainer(config.model, config.budget, kind, len(dataset), device=config.device)
        seeds, fixed = getattr(trainer, "seeds", 1), getattr(trainer, "fixed", False)
        scheme = plan_audit(dataset, groups, bad, config, seeds, fixed).scheme
        if trainer is not None:
            refuse_kind(trainer.name, getattr(trainer, "kind", None), kind)
            if hasattr(trainer, "check") and (sample := _sample(dataset)) is not None:
                trainer.check(sample)
        if trainer is None and (kind == "table" or config.model != "auto"):
            n_items = training_size(dataset, bad, config)
            trainer, _ = choose_trainer(config.model, config.budget, kind, n_items, device=config.device)
    elif config.second_model not in ("auto", "none"):
        raise UsageError(f"the second model {config.second_model!r} is not trained: the probabilities are supplied.")
    elif config.refits not in ("auto", 0):
        raise UsageError(
            f"{config.refits} refit(s) are asked for, and nothing is trained: the probabilities are supplied."
        )
    own = None if embeddings is None else own_embedding(embeddings, wanted_rows(dataset, config.audit))
    known = () if trainer is None else _with_second(trainer, automatic, config, kind)
    cautions(known, dataset, np.flatnonzero(wanted_rows(dataset, config.audit)))
    embedding = own or choose_embedding(config.embeddings, kind, known, config.budget)
    if supplied:
        check_evidence(config.rule, known, embedding)
        return own
    candidates, asks = [known] if known else [], {"dynamics", "embeddings"} & _needs(config.rule)
    if not known and (asks or config.second_model not in ("auto", "none") or config.refits not in ("auto", 0)):
        candidates = [_with_second(first, automatic, config, kind) for first in _likely_trainers(dataset, config)]
    for trainers in candidates:
        check_evidence(config.rule, trainers, own or choose_embedding(config.embeddings, kind, trainers, config.budget))
        choose_refits(config.refits, trainers, scheme, config.budget)
    return own


#: Fields of the configuration that labels which are no classes heed; the others must be left at their defaults.
_OF_KINDS = {"audit", "budget", "folds", "train_on_test_folds", "near_duplicates", "quality", "seed"}


def check_kind_call(
    dataset: Dataset, kind: AuditedKind, config: AuditConfig, trainer: Trainer | None, embeddings: Any
) -> None:
    """As `check_call`, of labels that are no classes.

    Raises
    ------
    UsageError
        For an option that only classes have yet.
    """
    default = make_config()
    others = [name for name in AuditConfig.model_fields if name not in _OF_KINDS]
    refused = [name for name in others if getattr(config, name) != getattr(default, name)]
    refused += [name for name, value in (("trainer", trainer), ("embeddings", embeddings)) if value is not None]
    if refused:
        raise UsageError(
            f"{refused[0]} is for labels that are classes; those of {dataset.name!r} are of the kind {kind.name!r}.",
            f"Leave {refused[0]} out. Of your own predictions: auditor flag --kind {kind.name}; if these are classes: "
            "--kind classes.",
        )
    n = len(dataset)
    plan_of_kind(dataset, kind, merge_groups(n, dataset.items.groups), np.zeros(n, bool), config)
    choose_outputs(kind.output, dataset.modality, config.budget)


def _with_second(first: Trainer, automatic: bool, config: AuditConfig, kind: str) -> tuple[Trainer, ...]:
    second, _ = choose_second(config.second_model, first, automatic, config.budget, kind, device=config.device)
    return (first,) if second is None else (first, second)


def _sample(dataset: Dataset) -> TrainingData | None:
    """What tells whether a model can read the data: some images, if they have one size; the other kinds as a whole."""
    if not isinstance(dataset, ImageDataset):
        return training_data(dataset, np.arange(len(dataset)))
    spread = np.unique(np.linspace(0, len(dataset) - 1, SAMPLE_IMAGES).astype(np.int64))
    rows, images = list[int](), list[np.ndarray]()
    for row in spread.tolist():
        with suppress(UnreadableError):
            images.append(np.asarray(dataset.item(row)))
            rows.append(row)
    if len({image.shape for image in images}) != 1:
        return None
    return TrainingData("image", np.stack(images), dataset.labels[rows], len(dataset.class_names))


def _likely_trainers(dataset: Dataset, config: AuditConfig) -> list[Trainer]:
    """What ``auto`` may take for images or texts."""
    n_items, shape = training_size(dataset, np.zeros(len(dataset), bool), config), None
    if isinstance(dataset, ImageDataset):
        sample = np.unique(np.linspace(0, len(dataset) - 1, _SIZES).astype(np.int64))
        try:
            shape, _ = median_size(dataset.source, sample)
        except EmptyDataError:
            return []  # none of them is an image; decoding all will tell
    likely, _ = choose_trainer("auto", config.budget, dataset.modality, n_items, shape, config.device)
    # A quick look at texts may prefer the cheaper one.
    return [likely, make_trainer("tfidf", config.budget)] if dataset.modality == "text" else [likely]


def _needs(rule: str) -> set[str]:
    """What a detector asks of a run."""
    return set() if rule == DEFAULT or rule in RULES else set(DETECTORS.load(rule).needs)


def check_evidence(rule: str, trainers: Sequence[Trainer], embedding: Embedding) -> None:
    """Refuse a detector as the rule of an audit that will not have what it needs.

    Parameters
    ----------
    rule : str
        As in `AuditConfig`.
    trainers : sequence of Trainer
        None where the probabilities are supplied.
    embedding : Embedding

    Raises
    ------
    UsageError
    """
    needs = _needs(rule)
    way_out = "Choose another rule, or flag later: auditor flag RUN --detector NAME."
    if "verdicts" in needs:
        raise UsageError(f"rule {rule!r} learns from the verdicts of reviewers, and a new run has none.", way_out)
    if "dynamics" in needs and not any(getattr(trainer, "has_epochs", True) for trainer in trainers):
        names = " and ".join(repr(trainer.name) for trainer in trainers)
        what = {0: "supplied probabilities have", 1: f"model {names} has"}.get(len(trainers), f"models {names} have")
        raise UsageError(f"rule {rule!r} needs logits per epoch, and {what} no epochs.", way_out)
    if "embeddings" in needs and embedding.name is None:
        raise UsageError(f"rule {rule!r} compares neighbours, and no embeddings are kept.", "Add --embeddings auto.")
    if "class_embeddings" in needs and not isinstance(embedding.encoder(), JointEncoder):
        raise UsageError(
            f"rule {rule!r} compares images with the names of their classes, which {embedding.name} does not embed.",
            "Add --embeddings clip:MODEL, a folder or a name in the Hub cache; for texts and tables there is none.",
        )
