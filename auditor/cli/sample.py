"""``auditor sample``."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from auditor.cli.options import Json, RunName, Store


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
    store: Store = None,
    json: Json = False,
) -> None:
    """Draw items for review with known probabilities, so that the verdicts tell how many labels are wrong."""
    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted
    from auditor.estimation.sample import draw_sample

    drawn = draw_sample(
        run_named(run),
        budget,
        target_precision=target_precision,
        confidence=confidence,
        seed=seed,
        new=new,
        store=store,
    )
    lines = [*drawn.lines(), f"Next: auditor review {quoted(run)}, then auditor estimate {quoted(run)}"]
    answer(lines, drawn.document() if json else None)
