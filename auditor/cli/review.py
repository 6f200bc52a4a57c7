"""``auditor review``."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["review"]


def review(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free port.")] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a login.")
    ] = "127.0.0.1",
    insecure: Annotated[bool, typer.Option("--insecure", help="Serve other machines without a login.")] = False,
    store: Annotated[
        str | None, typer.Option(help="Verdict store: a file or postgresql://..; default: in the run folder.")
    ] = None,
    reviewer: Annotated[str | None, typer.Option(help="Your name; otherwise the page asks.")] = None,
    fixed_order: Annotated[
        bool, typer.Option("--fixed-order", help="Keep the order of the run; otherwise it learns from the verdicts.")
    ] = False,
) -> None:
    """Judge the flagged labels of a run in the browser. Ctrl-C stops; no verdict is lost."""
    from auditor.cli.console import say
    from auditor.core.config import load_settings
    from auditor.core.errors import MissingExtraError
    from auditor.runs.run import open_run

    path = open_run(run, load_settings().runs_dir).path.resolve()
    try:
        from auditor.ui.config import ReviewConfig, config_from_environ
        from auditor.ui.server import serve
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "streamlit", "ui", "the review app") from error
    import os

    allowed = config_from_environ(os.environ).allowed
    say(f"Opening {path}. Next: judge items; then auditor patch create {run}")
    serve(ReviewConfig(str(path), store, reviewer, insecure, allowed, not fixed_order), host, port, browser)
