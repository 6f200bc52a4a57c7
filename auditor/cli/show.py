"""``auditor show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["show"]


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    item: Annotated[str | None, typer.Option(help="Show one item by its id.")] = None,
    top: Annotated[int, typer.Option(help="Suspects to show.")] = 15,
    save: Annotated[Path | None, typer.Option(help="With --item: save the item's image or text here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show a run: its suspects, its conditions, or one item."""
    from auditor.cli.console import RichProgress, print_json, say
    from auditor.cli.present import findings_document, summary_lines, suspects_table
    from auditor.core.config import load_settings
    from auditor.runs.run import open_run

    settings = load_settings()
    opened = open_run(run, settings.runs_dir)
    if item is not None:
        from auditor.audit.why import inspect_item, item_lines, save_item

        with RichProgress(quiet=False) as progress:
            facts = inspect_item(opened, item, progress)
        if save is not None:
            save_item(opened, item, save, settings)
            facts["saved"] = str(save)
        for line in item_lines(facts):
            say(line)
        if json:
            print_json(facts)
        return
    suspects_table(opened, top)
    for line in summary_lines(opened):
        say(line)
    if json:
        print_json(findings_document(opened))
