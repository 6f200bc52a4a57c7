"""``auditor estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import Json, Overwrite, RunName, Store


def estimate(
    run: RunName,
    store: Store = None,
    write: Annotated[
        bool, Option("--write", help="Write P(label wrong) of every item to p_wrong.parquet in the run folder.")
    ] = False,
    plot: Annotated[Path | None, Option(help="Write the reliability plot of P(label wrong) here (.svg).")] = None,
    overwrite: Overwrite = False,
    seed: Annotated[int, Option(help="Seed of the split into halves for the cross-fit.")] = 0,
    json: Json = False,
) -> None:
    """Estimate how many labels are wrong, with intervals, from the audit stream of the review."""
    from auditor.cli.console import answer
    from auditor.cli.present import judge_command
    from auditor.cli.values import check_suffix, run_named
    from auditor.core.errors import DataError
    from auditor.core.escaping import quoted
    from auditor.core.files import refuse_existing, write_text
    from auditor.estimation.documents import estimate_document
    from auditor.estimation.probability import LEAST_CHECKED, write_probabilities
    from auditor.estimation.reliability_plot import reliability_svg
    from auditor.estimation.sample import estimate_errors
    from auditor.estimation.sentences import estimate_lines
    from auditor.runs.layout import P_WRONG

    if plot is not None:
        check_suffix("--plot", plot, (".svg",))
        refuse_existing(plot, overwrite)
    opened = run_named(run)
    result = estimate_errors(opened, store=store, seed=seed)
    lines = [*estimate_lines(result)]
    calibration = result.calibration
    if write and calibration is None:
        raise DataError(
            "there are no audit verdicts to calibrate on: nothing was written.", f"auditor sample {quoted(run)}"
        )
    if plot is not None:
        if calibration is None or not calibration.bins:
            raise DataError(
                f"a reliability plot needs {LEAST_CHECKED} verdicts of the audit stream: nothing was written."
            )
        write_text(plot, reliability_svg(calibration.bins))
        lines.append(f"written to {plot}")
    if write and calibration is not None:
        write_probabilities(opened, result.state, calibration)
        lines.append(f"written to {opened.path / P_WRONG}")
    more = (
        f"auditor sample {quoted(run)} --budget 300"
        if result.state.judged == result.state.planned
        else judge_command(run)
    )
    lines.append(f"Next: {more}, or auditor flag {quoted(run)} --precision 0.9")
    answer(lines, estimate_document(result) if json else None)
