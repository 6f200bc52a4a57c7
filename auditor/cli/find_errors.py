"""``auditor find-errors``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from auditor.cli.options import (
    NO_ROLES,
    Address,
    ClassNames,
    DataDir,
    Json,
    Offline,
    Quiet,
    Roles,
    Top,
    Workers,
    takes_roles,
)


@takes_roles
def find_errors(
    context: typer.Context,
    data: Annotated[
        str | None,
        Argument(
            metavar="[DATASET]",
            help="A name (auditor datasets), a folder of class folders, hf://org/name, or a table file.",
        ),
    ] = None,
    roles: Roles = NO_ROLES,
    kind: Annotated[
        str | None,
        Option(
            help="What the labels are: classes, multilabel, regression, ordinal or tokens; by default told by looking."
        ),
    ] = None,
    audit: Annotated[
        str | None,
        Option("--audit", "--split", help="Items to audit: test, train, all, or auto (test where there is one)."),
    ] = None,
    model: Annotated[str | None, Option(help="Trainer by name (auditor models), or auto.")] = None,
    second_model: Annotated[
        str | None,
        Option(
            help="Model of another kind that is pooled with the first: auto (beside --model auto), none, or a name."
        ),
    ] = None,
    budget: Annotated[str | None, Option(help="smoke, quick or standard.")] = None,
    folds: Annotated[int | None, Option(help="Folds of the cross-validation.")] = None,
    seeds: Annotated[int | None, Option(help="Networks averaged when a test split is audited.")] = None,
    train_on_test_folds: Annotated[
        bool, Option("--train-on-test-folds", help="Add the other test folds to training, as the paper does.")
    ] = False,
    rule: Annotated[str | None, Option(help="default, a cleanlab filter name, paper, or a detector.")] = None,
    pred_probs: Annotated[
        Path | None, Option(help="Your own probabilities (.npy, .npz, .parquet, .csv); nothing is trained.")
    ] = None,
    labels: Annotated[Path | None, Option(help="Given labels to go with --pred-probs.")] = None,
    class_names: ClassNames = None,
    exact_duplicates_only: Annotated[
        bool, Option("--exact-duplicates-only", help="Do not look for near duplicates before making folds.")
    ] = False,
    refits: Annotated[
        str | None,
        Option(help="Fits of the same folds with labels weighed by how far the fit before trusts them: auto, 0 to 3."),
    ] = None,
    embeddings: Annotated[
        str | None,
        Option(
            help="Embeddings kept for the neighbour detectors: auto, none, log-probabilities, or an encoder by name."
        ),
    ] = None,
    quality: Annotated[
        bool, Option("--quality/--no-quality", help="Run the data-quality checks (auditor quality).")
    ] = True,
    device: Annotated[str | None, Option(help="auto, cpu or cuda.")] = None,
    seed: Annotated[int | None, Option(help="Root of all random numbers.")] = None,
    workers: Workers = None,
    engine: Annotated[str, Option(help="local, or ray: folds are trained on the nodes of a cluster.")] = "local",
    address: Address = None,
    data_dir: DataDir = None,
    out: Annotated[Path | None, Option(help="Run folder.")] = None,
    resume: Annotated[bool, Option("--resume/--fresh", help="Continue what the folder holds, or start anew.")] = True,
    offline: Offline = False,
    track: Annotated[str | None, Option(help="Keep the finished run in a tracker: mlflow or wandb.")] = None,
    top: Top = 15,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train cross-validated models, find the likely label errors, and write a run folder."""
    from auditor.audit.config import AuditConfig
    from auditor.audit.find_errors import find_errors as work
    from auditor.cli.console import answer
    from auditor.cli.present import findings_document, summary_lines, suspects_table
    from auditor.cli.values import choose_executor, parse_class_names, settings_for

    # Options named like a field of the configuration are that field.
    asked = {name: value for name, value in context.params.items() if name in AuditConfig.model_fields}
    settings = settings_for(data_dir, offline)
    run = work(
        data,
        **roles,
        kind=kind,
        pred_probs=pred_probs,
        labels=labels,
        class_names=parse_class_names(class_names),
        out=out,
        fresh=not resume,
        workers=workers,
        cluster=choose_executor(engine, address),
        settings=settings,
        progress=not quiet,
        track=track,
        near_duplicates=not exact_duplicates_only,
        **asked,
    )
    if not quiet:
        suspects_table(run, top, settings)
    answer(summary_lines(run), findings_document(run) if json else None, quiet)
