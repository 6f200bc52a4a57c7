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
    from dataclasses import asdict

    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.errors import UsageError
    from auditor.core.escaping import quoted
    from auditor.estimation.expectation import expect
    from auditor.estimation.sentences import expectation_lines
    from auditor.estimation.state import draw_stream, read_state
    from auditor.patch.rules import open_store

    if not all(0 < value < 1 for value in (target_precision or 0.5, confidence)):
        raise UsageError("--target-precision and --confidence must lie between 0 and 1.")
    opened = run_named(run)
    with open_store(store or opened.path) as verdicts:
        verdicts.load_run(opened)
        draw_stream(opened, verdicts, budget, seed, new, target_precision, confidence)
        state = read_state(opened, verdicts)
    known = int(state.known.sum())
    lines = [
        f"audit stream of {opened.id}: {state.planned:,} draws, {state.judged:,} of them judged; "
        f"{known:,} of {len(state):,} items are known exactly and not in its frame"
    ]
    if state.planned > budget:
        lines.append(f"it already had {state.planned:,} draws; ask for more with --budget, or for a new one with --new")
    expected = None
    if len(state.frame):
        if target_precision is not None and not state.candidate_share:
            lines.append("it goes on as it began, without draws set apart for a list; --new draws one with them")
        margin = state.margin[state.frame]
        expected = expect(margin, state.planned, target_precision, confidence, state.candidate_share)
        lines += expectation_lines(expected)
    lines.append(f"Next: auditor review {quoted(run)}, then auditor estimate {quoted(run)}")
    document = {"schema": "auditor.sample/1", "run": opened.id, "draws": state.planned, "judged": state.judged}
    document |= {"candidate_share": state.candidate_share, "frame": len(state.frame), "known": known}
    document |= {"expected": asdict(expected) if expected else None}
    answer(lines, document if json else None)
