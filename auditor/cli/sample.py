"""``auditor sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import Json, Overwrite, RunName, Store


def sample(
    run: RunName,
    budget: Annotated[int, Option(min=1, help="Draws of the audit stream in all.")] = 300,
    target_precision: Annotated[
        float | None,
        Option(help="Spread some draws over likely errors, for auditor flag --precision at this (0 to 1)."),
    ] = None,
    confidence: Annotated[float, Option(help="Confidence of that promise; with --target-precision.")] = 0.95,
    seed: Annotated[int, Option(help="Seed of a new draw; a continued one keeps its own.")] = 0,
    new: Annotated[bool, Option("--new", help="Draw a new stream of what has no verdict, not the old one.")] = False,
    out: Annotated[
        Path | None,
        Option(help="Table of the drawn items without a verdict (.csv or .parquet), to fill in and import."),
    ] = None,
    overwrite: Overwrite = False,
    store: Store = None,
    json: Json = False,
) -> None:
    """Draw items for review with known probabilities, so that the verdicts tell how many labels are wrong."""
    from auditor.cli.console import answer
    from auditor.cli.present import judge_command
    from auditor.cli.values import TABLE_SUFFIXES, check_suffix, run_named, write_frame
    from auditor.core.escaping import quoted
    from auditor.core.files import refuse_existing
    from auditor.estimation.sample import draw_sample

    if out is not None:
        check_suffix("--out", out, TABLE_SUFFIXES)
        refuse_existing(out, overwrite)
    opened = run_named(run)
    drawn = draw_sample(
        opened, budget, target_precision=target_precision, confidence=confidence, seed=seed, new=new, store=store
    )
    lines = drawn.lines()
    if out is not None:
        write_frame(drawn.table, out)
        lines.append(f"{len(drawn.table):,} items to judge written to {out}: fill in the column label")
    lines.append(f"Next: {judge_command(run, out)}, then auditor estimate {quoted(run)}")
    answer(lines, drawn.document() if json else None)
