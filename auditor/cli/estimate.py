"""``auditor estimate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from auditor.estimation.estimate import ErrorEstimate

__all__ = ["estimate"]


def estimate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    store: Annotated[str | None, typer.Option(help="Verdict store, if it is not in the run folder.")] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write P(label wrong) of every item to p_wrong.parquet in the run folder.")
    ] = False,
    plot: Annotated[Path | None, typer.Option(help="Write the reliability plot of P(label wrong) here (.svg).")] = None,
    seed: Annotated[int, typer.Option(help="Of the halves of the cross-fit.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Estimate how many labels are wrong, with intervals, from the audit stream of the review."""
    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.core.errors import DataError
    from auditor.estimation.documents import estimate_document
    from auditor.estimation.estimate import estimate as work
    from auditor.estimation.probability import write_probabilities
    from auditor.estimation.sentences import estimate_lines
    from auditor.estimation.state import read_state
    from auditor.patch.rules import open_store
    from auditor.runs.layout import P_WRONG
    from auditor.runs.run import open_run

    opened = open_run(run, load_settings().runs_dir)
    with open_store(store or opened.path) as verdicts:
        state = read_state(opened, verdicts)
    found = work(state, seed)
    for line in estimate_lines(found):
        say(line)
    if write:
        if found.calibration is None:
            raise DataError(
                "there are no audit verdicts to calibrate on: nothing was written.", f"auditor sample {run}"
            )
        write_probabilities(opened, state, found.calibration)
        say(f"written to {opened.path / P_WRONG}")
    if plot is not None:
        _write_plot(plot, found)
        say(f"written to {plot}")
    more = f"auditor sample {run} --budget 300" if found.judged == found.planned else f"auditor review {run}"
    say(f"Next: {more}, or auditor flag {run} --precision 0.9")
    if json:
        print_json(estimate_document(found))


def _write_plot(path: Path, found: ErrorEstimate) -> None:
    from auditor.core.errors import DataError, UsageError
    from auditor.core.files import atomic_write
    from auditor.estimation.probability import LEAST_CHECKED
    from auditor.estimation.reliability_plot import reliability_svg

    if path.suffix != ".svg":
        raise UsageError(f"--plot {str(path)!r}: the file must end in .svg.")
    if found.calibration is None or not found.calibration.bins:
        raise DataError(f"a reliability plot needs {LEAST_CHECKED} verdicts of the audit stream: nothing was written.")
    with atomic_write(path) as handle:
        handle.write(reliability_svg(found.calibration.bins).encode())
