"""``auditor show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import Json, Overwrite, RunName, Top


def show(
    run: RunName,
    item: Annotated[str | None, Option(help="Show one item by its id.")] = None,
    top: Top = 15,
    save: Annotated[Path | None, Option(help="With --item: save the item's image or text here.")] = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Show a run: its suspects, its conditions, or one item."""
    from auditor.cli.console import answer
    from auditor.cli.present import findings_document, summary_lines, suspects_table
    from auditor.cli.values import run_named
    from auditor.core.config import load_settings

    opened, settings = run_named(run), load_settings()
    if item is None:
        suspects_table(opened, top, settings)
        answer(summary_lines(opened), findings_document(opened) if json else None)
        return
    from auditor.audit.why import inspect_item, item_lines, save_item
    from auditor.core.display import shown
    from auditor.core.files import refuse_existing

    if save is not None:
        refuse_existing(save, overwrite)
    with shown() as progress:
        facts = inspect_item(opened, item, progress, settings)
    if save is not None:
        save_item(opened, item, save, settings)
        facts["saved"] = str(save)
    answer(item_lines(facts, opened), facts if json else None)
