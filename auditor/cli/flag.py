"""``auditor flag``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditor.audit.flagging import Flagging, Inputs

__all__ = ["flag"]


def flag(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Run folder, or its name in the runs folder.")
    ] = None,
    pred_probs: Annotated[
        list[str] | None,
        typer.Option(
            help="Probabilities (.npy, .npz, .zarr, .parquet, folder, fsspec URI); repeat to combine networks."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Given labels (.npy, .npz, .txt); default: `labels` inside the .npz.")
    ] = None,
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
    confidence: Annotated[float, typer.Option(help="With --precision.")] = 0.95,
    store: Annotated[
        str | None, typer.Option(help="With --fdr, --precision: verdict store, if not in the run folder.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Write one score per item here (.npy); higher = more likely wrong.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the flagged items here (.csv or .parquet).")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="With --engine ray: address of the cluster.")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads; default: all CPUs.")] = None,
    chunk_rows: Annotated[int | None, typer.Option(help="Rows per piece; never changes the result.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No human text.")] = False,
) -> None:
    """Flag again, without training: from a run or from probability files, streaming."""
    from auditor.audit.flagging import flag_inputs
    from auditor.cli.console import print_json, say
    from auditor.cli.values import choose_executor

    if fdr is not None or precision is not None:
        from auditor.cli.flag_guaranteed import flag_guaranteed

        if any(value is not None for value in (pred_probs, labels, rule, detector, scores)):
            _refuse_mixture()
        flag_guaranteed(run, fdr, precision, confidence, store, out, json, quiet)
        return
    inputs = _inputs(run, pred_probs or [], labels)
    executor = choose_executor(engine, address)
    result = flag_inputs(
        inputs,
        rule=rule,
        detector=detector,
        chunk_rows=chunk_rows,
        threads=threads,
        executor=executor,
        note=None if quiet else say,
    )
    if scores is not None:
        _write_scores(scores, result)
    if out is not None:
        _write_flagged(out, inputs, result)
    if not quiet:
        for line in _summary(result, run, scores, out):
            say(line)
    if json:
        print_json(result.document(inputs.ids))
    else:
        typer.echo(_table(inputs, result).to_csv(index=False), nl=False)


def _refuse_mixture() -> None:
    from auditor.core.errors import UsageError

    raise UsageError(
        "--fdr and --precision take the ranking of a reviewed run.",
        "Leave out --pred-probs, --labels, --rule, --detector and --scores.",
    )


def _inputs(run: str | None, pred_probs: list[str], labels: str | None) -> Inputs:
    from auditor.audit.flagging import inputs_from_files, inputs_from_run
    from auditor.core.errors import UsageError

    if (run is None) == (not pred_probs):
        raise UsageError("give either a run folder or --pred-probs.", "auditor flag RUN | --pred-probs P --labels Y")
    if run is None:
        return inputs_from_files(pred_probs, labels)
    if labels is not None:
        raise UsageError("--labels goes with --pred-probs; a run has its own labels.")
    from auditor.core.config import load_settings
    from auditor.runs.run import open_run

    return inputs_from_run(open_run(run, load_settings().runs_dir))


def _write_scores(path: Path, result: Flagging) -> None:
    import numpy as np

    from auditor.core.errors import UsageError
    from auditor.core.files import atomic_write

    if path.suffix != ".npy":
        raise UsageError(f"--scores {str(path)!r}: the file must end in .npy.")
    with atomic_write(path) as handle:
        np.save(handle, result.score)


def _table(inputs: Inputs, result: Flagging):  # type: ignore[no-untyped-def]
    import pandas as pd

    at = result.flagged
    columns = {"index": at, "given": result.analysis.labels[at], "suggested": result.suggested[at]}
    table = pd.DataFrame({**columns, "score": result.score[at]})
    if inputs.ids is not None:
        table.insert(0, "id", inputs.ids[at])
    return table


def _write_flagged(path: Path, inputs: Inputs, result: Flagging) -> None:
    from auditor.core.errors import UsageError
    from auditor.core.files import atomic_path

    table = _table(inputs, result)
    if path.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--out {str(path)!r}: the file must end in .csv or .parquet.")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)


def _summary(result: Flagging, run: str | None, scores: Path | None, out: Path | None) -> list[str]:
    n, found = result.analysis.n_items, len(result.flagged)
    by = f"rule {result.rule}" if result.rule else f"detector {result.detector}"
    lines = [f"{found:,} of {n:,} items flagged ({found / n:.2%}) by {by} in {result.seconds:.2f} s"]
    if len(result.weights) > 1:
        lines.append("weights of the files: " + ", ".join(f"{w:.3f}" for w in result.weights))
    lines += [f"{what} written to {path}" for what, path in (("scores", scores), ("flagged items", out)) if path]
    follow = (
        f"auditor review {run}" if run else "auditor find-errors --pred-probs P --labels Y  (a run folder to review)"
    )
    return [*lines, f"Next: {follow}"]
