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
    from auditor.cli.console import RichProgress, answer
    from auditor.cli.present import findings_document, summary_lines, suspects_table
    from auditor.cli.values import run_named

    opened = run_named(run)
    if item is None:
        suspects_table(opened, top)
        answer(summary_lines(opened), findings_document(opened) if json else None)
        return
    from auditor.audit.why import inspect_item, item_lines, save_item
    from auditor.core.config import load_settings
    from auditor.core.files import refuse_existing

    if save is not None:
        refuse_existing(save, overwrite)
    with RichProgress() as progress:
        facts = inspect_item(opened, item, progress)
    if save is not None:
        save_item(opened, item, save, load_settings())
        facts["saved"] = str(save)
    answer(item_lines(facts), facts if json else None)
