"""``auditor flag RUN --fdr Q`` and ``--precision P``: a list with its guarantee in words."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["flag_guaranteed"]


def flag_guaranteed(
    run: str | None,
    fdr: float | None,
    precision: float | None,
    confidence: float,
    store: str | None,
    out: Path | None,
    json: bool,
    quiet: bool,
) -> None:
    """Print the list and what it promises; an empty one says what is missing, which is no failure."""
    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.core.errors import UsageError
    from auditor.estimation.documents import list_document
    from auditor.estimation.flag_lists import flag_at_fdr, flag_at_precision
    from auditor.estimation.state import read_state
    from auditor.patch.rules import open_store
    from auditor.runs.run import open_run

    if run is None:
        raise UsageError("--fdr and --precision need a reviewed run.", "auditor flag RUN --fdr 0.1")
    if fdr is not None and precision is not None:
        raise UsageError("--fdr and --precision exclude each other.", "Give one of them.")
    opened = open_run(run, load_settings().runs_dir)
    with open_store(store or opened.path) as verdicts:
        state = read_state(opened, verdicts)
    found = flag_at_fdr(state, fdr) if fdr is not None else flag_at_precision(state, precision or 0.0, confidence)
    document = list_document(state, found)
    if out is not None:
        _write(out, document["flagged"])
    if not quiet:
        say(f"{len(found.positions):,} of {found.candidates:,} candidates flagged; {found.words()}")
        say(f"from {found.uniform_reviews:,} uniform reviews; ambiguous verdicts count as wrong")
        if found.left_out:
            say(f"{found.left_out:,} items were reviewed and found right: left out")
        more = f"auditor sample {run} --budget {state.planned + found.more_draws}"
        say(f"Next: {more if found.more_draws else f'auditor patch create {run}'}")
    if json:
        print_json(document)
    else:
        typer.echo(_frame(document["flagged"]).to_csv(index=False), nl=False)


def _frame(rows: list[dict[str, object]]):  # type: ignore[no-untyped-def]
    import pandas as pd

    return pd.DataFrame(rows, columns=["id", "given", "suggested", "score"])


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    from auditor.core.errors import UsageError
    from auditor.core.files import atomic_path

    if path.suffix not in {".csv", ".parquet"}:
        raise UsageError(f"--out {str(path)!r}: the file must end in .csv or .parquet.")
    with atomic_path(path) as temporary:
        if path.suffix == ".csv":
            _frame(rows).to_csv(temporary, index=False)
        else:
            _frame(rows).to_parquet(temporary, index=False)
