"""``auditor flag``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.options import Address, ClassNames, Engine, Json, Quiet, Store

if TYPE_CHECKING:
    import pandas as pd

    from auditor.audit.flagging import Flagging, Inputs


def flag(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Run folder, or its name in the runs folder.")
    ] = None,
    pred_probs: Annotated[
        list[str] | None,
        typer.Option(
            help="Probabilities (.npy, .npz, .zarr, .parquet, .csv, folder, fsspec URI); repeat to combine networks."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Given labels, one per row; default: those beside the probabilities.")
    ] = None,
    class_names: ClassNames = None,
    rule: Annotated[
        str | None, typer.Option(help="default (as find-errors), a cleanlab filter name, or paper.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="A detector by name, instead of a rule.")] = None,
    fdr: Annotated[
        float | None, typer.Option(help="From the review: expected share of right labels in the list, at most this.")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="From the review: share of wrong labels in the list, at least this.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of --precision.")] = 0.95,
    store: Store = None,
    scores: Annotated[
        Path | None, typer.Option(help="Write one score per item here (.npy); higher = more likely wrong.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the flagged items here (.csv or .parquet).")] = None,
    engine: Engine = "local",
    address: Address = None,
    threads: Annotated[int | None, typer.Option(help="Threads; default: all CPUs.")] = None,
    chunk_rows: Annotated[int | None, typer.Option(help="Rows per piece; never changes the result.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Flag again, without training: from a run or from probability files, streaming."""
    from auditor.audit.flagging import flag_inputs
    from auditor.cli.console import say
    from auditor.cli.values import choose_executor, write_frame
    from auditor.core.errors import UsageError

    if fdr is not None or precision is not None:
        if any(value is not None for value in (pred_probs, labels, rule, detector, scores)):
            raise UsageError(
                "--fdr and --precision take the ranking of a reviewed run.",
                "Leave out --pred-probs, --labels, --rule, --detector and --scores.",
            )
        _flag_guaranteed(run, fdr, precision, confidence, store, out, json, quiet)
        return
    inputs = _inputs(run, pred_probs or [], labels, class_names)
    result = flag_inputs(
        inputs,
        rule=rule,
        detector=detector,
        chunk_rows=chunk_rows,
        threads=threads,
        executor=choose_executor(engine, address),
        note=None if quiet else say,
    )
    if scores is not None:
        _write_scores(scores, result)
    document, table = result.document(inputs.ids), _table(inputs, result)
    if out is not None:
        write_frame(table, out)
    _print(_summary(result, run, scores, out), document, table, json, quiet)


def _print(lines: list[str], document: dict[str, Any], table: pd.DataFrame, json: bool, quiet: bool) -> None:
    """Lines for people on stderr; on stdout the document, or else the table as CSV."""
    from auditor.cli.console import answer

    answer(lines, document if json else None, quiet)
    if not json:
        typer.echo(table.to_csv(index=False), nl=False)


def _flag_guaranteed(
    run: str | None,
    fdr: float | None,
    precision: float | None,
    confidence: float,
    store: str | None,
    out: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """The list and what it promises; an empty one says what is missing, which is no failure."""
    import pandas as pd

    from auditor.cli.values import read_review, run_named, write_frame
    from auditor.core.errors import UsageError
    from auditor.estimation.documents import list_document
    from auditor.estimation.flag_lists import flag_at_fdr, flag_at_precision

    if run is None:
        raise UsageError("--fdr and --precision need a reviewed run.", "auditor flag RUN --fdr 0.1")
    if fdr is not None and precision is not None:
        raise UsageError("--fdr and --precision exclude each other.", "Give one of them.")
    state = read_review(run_named(run), store)
    flagged = flag_at_fdr(state, fdr) if fdr is not None else flag_at_precision(state, precision or 0.0, confidence)
    document = list_document(state, flagged)
    table = pd.DataFrame(document["flagged"], columns=["id", "given", "suggested", "score"])
    if out is not None:
        write_frame(table, out)
    lines = [
        f"{len(flagged.positions):,} of {flagged.candidates:,} candidates flagged; {flagged.words()}",
        f"from {flagged.uniform_reviews:,} uniform reviews; ambiguous verdicts count as wrong",
    ]
    if flagged.left_out:
        lines.append(f"{flagged.left_out:,} items were reviewed and found right: left out")
    more = f"auditor sample {run} --budget {state.planned + flagged.more_draws}"
    lines.append(f"Next: {more if flagged.more_draws else f'auditor patch create {run}'}")
    _print(lines, document, table, json, quiet)


def _inputs(run: str | None, pred_probs: list[str], labels: str | None, class_names: str | None) -> Inputs:
    from auditor.audit.flagging import inputs_from_files, inputs_from_run
    from auditor.cli.values import parse_class_names, run_named
    from auditor.core.errors import UsageError

    if (run is None) == (not pred_probs):
        raise UsageError("give either a run folder or --pred-probs.", "auditor flag RUN | --pred-probs P --labels Y")
    if run is None:
        return inputs_from_files(pred_probs, labels, parse_class_names(class_names))
    if labels is not None or class_names is not None:
        raise UsageError("--labels and --class-names go with --pred-probs; a run has its own.")
    return inputs_from_run(run_named(run))


def _write_scores(path: Path, result: Flagging) -> None:
    import numpy as np

    from auditor.core.errors import UsageError
    from auditor.core.files import atomic_write

    if path.suffix != ".npy":
        raise UsageError(f"--scores {str(path)!r}: the file must end in .npy.")
    with atomic_write(path) as handle:
        np.save(handle, result.findings.score)


def _table(inputs: Inputs, result: Flagging) -> pd.DataFrame:
    import pandas as pd

    at = result.flagged
    columns = {"index": at, "given": result.analysis.labels[at], "suggested": result.suggested}
    table = pd.DataFrame({**columns, "score": result.findings.score[at]})
    if inputs.ids is not None:
        table.insert(0, "id", inputs.ids[at])
    return table


def _summary(result: Flagging, run: str | None, scores: Path | None, out: Path | None) -> list[str]:
    n, n_flagged = result.analysis.n_items, len(result.flagged)
    by = f"rule {result.rule}" if result.rule else f"detector {result.detector}"
    lines = [f"{n_flagged:,} of {n:,} items flagged ({n_flagged / n:.2%}) by {by} in {result.seconds:.2f} s"]
    if len(result.weights) > 1:
        lines.append("weights of the files: " + ", ".join(f"{w:.3f}" for w in result.weights))
    lines += [f"{what} written to {path}" for what, path in (("scores", scores), ("flagged items", out)) if path]
    follow = (
        f"auditor review {run}" if run else "auditor find-errors --pred-probs P --labels Y  (a run folder to review)"
    )
    return [*lines, f"Next: {follow}"]
