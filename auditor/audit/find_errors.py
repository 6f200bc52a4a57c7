"""The main job, from a reference to a finished run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.config import make_config
from auditor.audit.context import Context
from auditor.audit.folder import default_folder, taken
from auditor.audit.manifest import Manifest, StageResult, not_applicable
from auditor.audit.plan import wanted_rows
from auditor.audit.preflight import check_call, check_evidence, check_kind_call
from auditor.audit.stages.choose_model import choose_model, choose_second_model
from auditor.audit.stages.decode import decode
from auditor.audit.stages.duplicates import group_duplicates
from auditor.audit.stages.embed import embed
from auditor.audit.stages.features import leave_out_leaks
from auditor.audit.stages.find import find
from auditor.audit.stages.judge import judge
from auditor.audit.stages.keep import keep
from auditor.audit.stages.plan import plan
from auditor.audit.stages.predict import predict
from auditor.audit.stages.quality import check_quality
from auditor.audit.stages.refit import refit
from auditor.audit.stages.supplied import take_supplied
from auditor.audit.stages.train import train
from auditor.audit.tracking import Track, tracking
from auditor.core.config import Settings, load_settings
from auditor.core.display import shown
from auditor.core.errors import UsageError
from auditor.core.label_forms import Levels, TokenTags
from auditor.core.progress import Progress
from auditor.data.base import Dataset
from auditor.data.intake import named_classes, open_probabilities
from auditor.data.kinds import ProbabilityDataset
from auditor.data.open import open_dataset
from auditor.explain.opening import report_maps
from auditor.kinds.base import AuditedKind
from auditor.kinds.registry import audited_kind
from auditor.report.find_errors import write_report
from auditor.runs import layout
from auditor.runs.run import Run, write_manifest
from auditor.runs.stages import Stages
from auditor.train.choose_embedding import GIVEN, Embedding, choose_embedding
from auditor.train.cluster import Cluster
from auditor.train.own import name_and_trainer, settled


def find_errors(
    data: Any = None,
    *,
    label: Any = None,
    text: str | None = None,
    image: str | None = None,
    columns: str | Sequence[str] | None = None,
    group: Any = None,
    id: Any = None,
    split_column: str | None = None,
    root: str | Path | None = None,
    kind: str | None = None,
    split: str | None = None,
    pred_probs: Any = None,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    trainer: Any = None,
    embeddings: Any = None,
    out: str | Path | None = None,
    fresh: bool = False,
    workers: int | None = None,
    cluster: Cluster | None = None,
    settings: Settings | None = None,
    progress: Progress | bool | None = None,
    track: Track | None = None,
    **config: Any,
) -> Run:
    """Find the likely label errors of a data set.

    Parameters
    ----------
    data : str, Path or object, optional
        A data reference (``"cifar10"``, a folder, ``"hf://org/name"``, a table file); what is in memory: a data frame
        (pandas, polars, Arrow), a dict of columns, ``(X, y)`` of whatever scikit-learn indexes, a `datasets.Dataset`
        or `DatasetDict`, a torch or torchvision data set (`auditor.data.memory.open_held`); or an open data set. May
        be left out when `pred_probs` is given. What only memory holds is written to ``data.parquet`` of the run.
    label, group, id : str or sequence (n,), optional
        Columns of labels, of groups that never cross a fold, and of unique ids; of data in memory also the values.
    text, image : str, optional
        Column of texts, or of images or their paths.
    columns : str or sequence of str, optional
        Feature columns of a table.
    split_column : str, optional
        Column that names the split of each row.
    root : path, optional
        Folder the image paths belong to.
    kind : str, optional
        What the labels are: ``"classes"``, ``"multilabel"`` (0/1 columns ``label:NAME``, lists, or texts joined by
        ``;``), ``"regression"`` (numbers) or ``"ordinal"`` (ordered classes: numbers, or `class_names` from the lowest
        to the highest) or ``"tokens"`` (lists of tokens and of tags). By default that is told by looking, and said, but
        for ordered classes (docs/label-kinds.md).
    split : str, optional
        The same as ``audit``: the split whose items are audited; models are trained on the others where they can be.
    pred_probs : path, array, tensor, data frame or list (n, K), optional
        Your own out-of-sample probabilities; nothing is trained. Rows are the audited items in their order.
    labels : path or sequence (n,), optional
        Given labels to go with `pred_probs` alone.
    class_names : sequence of str, optional
        Class names, in the column order of `pred_probs`, or in the order of ordered classes; whole-number labels are
        positions in them. Default: the
        columns of `pred_probs`, where these have names.
    trainer : optional
        Your own model instead of a named one; ``model`` takes it too. A classifier with ``fit`` and ``predict_proba``
        or a function of ``X_train, y_train, X_test`` that gives probabilities (`auditor.train.own.OwnModel` says what
        they are given); a torch module that gives logits (`auditor.train.own_module.OwnModule`), trained for as long as
        ``budget`` says; or a `Trainer`.
    embeddings : str or array (n, d), optional
        For detectors and checks that compare neighbours: ``"auto"``, ``"none"``, ``"log-probabilities"``, the name of
        an encoder, or your own, a row for each item (or each audited one) in their order. By default those that the
        model computes anyway.
    out : path, optional
        Run folder. By default a folder in ``settings.runs_dir`` named after data and configuration. An
        unfinished or finished run found there is continued: only what its inputs changed is computed again.
    fresh : bool
        Start anew: remove what a run wrote into the folder. Verdicts are moved aside under a dated name (a note says
        which), other files stay.
    workers : int, optional
        Processes that train side by side; by default one per core. Never changes the result.
    cluster : Cluster, optional
        Fits on its nodes, e.g. `auditor.engine.ray_executor.RayExecutor`. The result is the local one where the
        nodes have the same processor and libraries.
    settings : Settings, optional
    progress : Progress or bool, optional
        Who is told how far it is: by default bars in a terminal or a notebook, lines elsewhere; False for nobody.
    track : str or callable, optional
        Who keeps the finished run: ``"mlflow"`` or ``"wandb"``, or a function that is called with it
        (`auditor.audit.tracking.tracking`). Never changes the result.
    **config
        Fields of `AuditConfig`: ``audit, model, second_model, budget, folds, seeds, train_on_test_folds, rule,
        near_duplicates, refits, quality, device, seed``.

    Returns
    -------
    Run
        The finished run; its ``findings`` table lists the suspects.

    Raises
    ------
    AuditorError
        See `auditor.core.errors` for the tree.

    Examples
    --------
    >>> import numpy as np, pandas as pd, auditor
    >>> df = pd.DataFrame({"size": np.arange(60) / 7, "kind": ["cat"] * 30 + ["dog"] * 30})
    >>> df.loc[4, "kind"] = "dog"
    >>> p = np.where(df.index.to_numpy()[:, None] < 30, [0.9, 0.1], [0.1, 0.9])
    >>> run = auditor.find_errors(df, label="kind", pred_probs=p, progress=False)
    >>> run.findings[["id", "given", "suggested"]].values.tolist()
    [['4', 'dog', 'cat']]
    """
    manifest, keep_run = Manifest(), tracking(track)
    settings = settings or load_settings()
    config["model"], own = name_and_trainer(config.get("model"), trainer)
    if split is not None:
        if config.get("audit") not in (None, split):
            raise UsageError(f"split={split!r} and audit={config['audit']!r} say the same thing twice.")
        config["audit"] = split
    vectors = None if embeddings is None or isinstance(embeddings, str) else embeddings
    asked = make_config(**config, embeddings=embeddings if vectors is None else GIVEN)
    roles = {"label": label, "text": text, "image": image, "columns": columns, "group": group, "id": id}
    roles |= {"split_column": split_column, "root": root, "kind": kind}
    with shown(progress) as receiver:
        receiver.stage("data", str(data) if isinstance(data, str | Path) else "")
        dataset, supplied = _open(data, pred_probs, labels, class_names, asked.audit, settings, **roles)
        own = settled(own, asked.budget, asked.device, dataset.tensor)
        of_kind = None if dataset.form is None else audited_kind(dataset.form.kind)
        embedding = None
        if of_kind is None:
            embedding = check_call(dataset, asked, own, supplied is not None, workers, vectors)
        else:
            check_kind_call(dataset, of_kind, asked, own, vectors)
        folder = Path(out) if out is not None else default_folder(dataset, asked, settings, own, supplied)
        with taken(folder, dataset, asked, fresh) as notes:
            manifest.take(StageResult(None, notes=[*notes, *dataset.notes]))
            stages, shared = Stages(folder), settings.embeddings_dir
            context = Context(dataset, asked, folder, stages, receiver, own, workers, cluster, embeddings_dir=shared)
            manifest.take(keep(context))
            if of_kind is not None:
                _of_kind(context, of_kind, manifest)
            elif supplied is None:
                _trained(context, manifest, embedding)
            else:
                _supplied(context, supplied, manifest, embedding)
            run = Run(folder, manifest.document(context))
            receiver.stage("report")
            write_report(run, dataset, report_maps(run, dataset) if of_kind is None else None)
            write_manifest(run, (layout.CONFIG, layout.ITEMS, layout.REPORT, layout.SUSPECTS))
        keep_run(run)
    return run


def _trained(context: Context, manifest: Manifest, embedding: Embedding | None) -> None:
    """The stages of an audit that trains its own models; `embedding` is the caller's own."""
    take, config = manifest.take, context.config
    decoded = take(decode(context))
    groups = take(group_duplicates(context, decoded.bad))
    context = take(leave_out_leaks(context, decoded.bad))
    first = take(choose_model(context, decoded.bad))
    trainers = take(choose_second_model(context, first))
    # Before the training, so that a missing encoder is said at once.
    embedding = embedding or choose_embedding(config.embeddings, context.dataset.modality, trainers, config.budget)
    check_evidence(config.rule, trainers, embedding)
    planned = take(plan(context, trainers, groups, decoded.bad))
    take(train(context, trainers, planned))
    take(refit(context, trainers, planned))
    take(embed(context, embedding, planned.usable, planned.audited, manifest.run_so_far(context).pred_probs))
    take(find(context, manifest.run_so_far(context), decoded.bad_items))
    take(check_quality(context, manifest.run_so_far(context)))


def _of_kind(context: Context, kind: AuditedKind, manifest: Manifest) -> None:
    """The stages of an audit of labels that are no classes."""
    take = manifest.take
    decoded = take(decode(context))
    groups = take(group_duplicates(context, decoded.bad))
    take(predict(context, kind, groups, decoded.bad))
    take(judge(context, manifest.run_so_far(context), kind, decoded.bad_items))
    take(check_quality(context, manifest.run_so_far(context)))
    reason = f"not there yet for labels of the kind {kind.name}"
    take(StageResult(None, [not_applicable(part, reason) for part in ("refits", "embeddings")]))


def _supplied(context: Context, source: ProbabilityDataset, manifest: Manifest, embedding: Embedding | None) -> None:
    """The stages of an audit of supplied probabilities; `embedding` is the caller's own."""
    take, config = manifest.take, context.config
    embedding = embedding or choose_embedding(config.embeddings, "probabilities", (), config.budget)
    audited = take(take_supplied(context, source))
    take(embed(context, embedding, audited, audited, manifest.run_so_far(context).pred_probs))
    take(find(context, manifest.run_so_far(context)))
    take(check_quality(context, manifest.run_so_far(context)))


def _open(
    data: Any,
    pred_probs: Any,
    labels: Any,
    class_names: Sequence[str] | None,
    audit: str,
    settings: Settings,
    **roles: Any,
) -> tuple[Dataset, ProbabilityDataset | None]:
    """The data set, and the supplied probabilities of its items if there are any."""
    if data is None:
        if pred_probs is None:
            raise UsageError("there is nothing to audit.", "Name a data set, or give --pred-probs and --labels.")
        if named := [name for name, value in roles.items() if value is not None]:
            raise UsageError(f"{named[0]}= names a column of the data, and there are none.", "Give the data too.")
        supplied = open_probabilities(pred_probs, labels, class_names)
        return supplied, supplied
    if pred_probs is None and not isinstance(data, Dataset):
        roles["any_kind"] = True
    if isinstance(data, str | Path | Dataset):
        if roles.get("kind") in (Levels.kind, TokenTags.kind) and pred_probs is None:  # their order
            roles["classes"], class_names = class_names, None
        dataset = open_dataset(data, settings, **roles)
    else:
        dataset = open_dataset(data, settings, **roles, classes=class_names)
        names = None if class_names is not None or pred_probs is None else named_classes(pred_probs)
        if names is not None and sorted(names) != sorted(dataset.class_names):
            dataset = open_dataset(data, settings, **roles, classes=names)  # numbers, or not every class occurs
        class_names = None
    if isinstance(dataset, ProbabilityDataset):
        return dataset, dataset
    if dataset.form is not None:
        if given := [n for n, v in (("pred_probs", pred_probs), ("labels", labels)) if v is not None]:
            raise UsageError(
                f"{given[0]} goes with labels that are classes; those of {dataset.name!r} are of the kind "
                f"{dataset.form.kind!r}.",
                f"Of your own predictions: auditor flag --kind {dataset.form.kind}.",
            )
        return dataset, None
    if pred_probs is None:
        if labels is not None or class_names is not None:
            raise UsageError("--labels and --class-names go with --pred-probs.", "A data set brings its own.")
        return dataset, None
    if labels is not None:
        raise UsageError("--labels goes with --pred-probs alone.", "A named data set brings its own labels.")
    # Supplied rows are those of the audited split, in its order.
    dataset = dataset.subset(np.flatnonzero(wanted_rows(dataset, audit)))
    if class_names is not None and tuple(class_names) != dataset.class_names:
        raise UsageError(
            f"--class-names {','.join(class_names)!r} are not the classes of {dataset.name!r}.",
            f"Its classes, in order: {', '.join(dataset.class_names)}.",
        )
    supplied = open_probabilities(pred_probs, dataset.labels, dataset.class_names, name=dataset.name)
    # The rows are the data set's items: they carry its ids, splits and places.
    supplied.items = dataset.items
    return dataset, supplied
