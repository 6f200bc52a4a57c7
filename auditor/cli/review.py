"""``auditor review``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import OptionalRun, Store


def review(
    run: OptionalRun = None,
    port: Annotated[int, Option(min=0, max=65535, help="0 = any free port.")] = 8501,
    browser: Annotated[bool, Option("--browser/--no-browser", help="Open the browser.")] = True,
    host: Annotated[str, Option(help="Address to listen on; others than this machine need a login.")] = "127.0.0.1",
    insecure: Annotated[bool, Option("--insecure", help="Serve other machines without a login.")] = False,
    store: Store = None,
    reviewer: Annotated[str | None, Option(help="Your name; otherwise the page asks.")] = None,
    reviewers_per_item: Annotated[int | None, Option(min=1, help="Verdicts per item (1); fixed at start.")] = None,
    overlap: Annotated[float | None, Option(min=0, max=1, help="Share judged twice (0.1); fixed at start.")] = None,
    audit_size: Annotated[int | None, Option(min=0, help="Items of the audit sample (1000); fixed at start.")] = None,
    controls: Annotated[Path | None, Option(help="CSV (id, verdict) of known items, planted into every queue.")] = None,
    owner: Annotated[list[str] | None, Option(help="Who may edit class guidelines; repeat it for more.")] = None,
    fixed_order: Annotated[bool, Option("--fixed-order", help="Keep the run's order: nothing is learned.")] = False,
) -> None:
    """Judge the flagged labels of a run in the browser; without RUN its first page offers the runs there are.

    Ctrl-C stops; no verdict is lost.
    """
    import os

    from auditor.cli.console import say
    from auditor.cli.values import run_named
    from auditor.core.escaping import quoted

    path = None if run is None else str(run_named(run).path.resolve())
    from auditor.ui.config import ReviewConfig, config_from_environ
    from auditor.ui.server import serve

    environment = config_from_environ(os.environ)
    if path is None and environment.run is not None:
        run, path = environment.run, str(run_named(environment.run).path.resolve())
    asked = {"reviewers_per_item": reviewers_per_item, "overlap": overlap, "audit_size": audit_size}
    config = ReviewConfig(
        path,
        store,
        reviewer,
        insecure,
        environment.allowed,
        not fixed_order,
        tuple(sorted((name, value) for name, value in asked.items() if value is not None)),
        None if controls is None else str(controls.resolve()),
        tuple(owner or environment.owners),
        environment.token,
    )
    if run is not None:
        say(f"Opening {path}. Next: judge items; then auditor patch create {quoted(run)}")
    serve(config, host, port, browser)
