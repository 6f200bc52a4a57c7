"""``auditor explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["explain"]


def explain(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run folder, or its name in the runs folder.")],
    item: Annotated[str, typer.Option(help="Id of the item.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the overlays; default: in the run folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show where the network looked that predicted an item: Grad-CAM, with a random-map control."""
    from auditor.cli.console import print_json, say
    from auditor.core.config import load_settings
    from auditor.explain.opening import item_image, need_torch
    from auditor.runs import layout
    from auditor.runs.run import open_run

    need_torch()
    from auditor.explain.item import evidence_document

    settings = load_settings()
    opened = open_run(run, settings.runs_dir)
    folder = out or opened.path / layout.WORK / "evidence"
    document = evidence_document(opened, item, item_image(opened, item, settings), folder)
    say(f"{item}: labelled {document['given']}; network {document['network']}, which did not train on it")
    for found in document["classes"]:
        say(f"{found['role']} class {found['name']}: probability {found['probability']:.3f}; {found['overlay']}")
        if found["empty"]:
            say("  the map is empty: nothing in the last convolution speaks for this class")
            continue
        say(
            f"  {100 * found['centre_share']:.0f} % of the map in the central {100 * found['centre_area']:.0f} % "
            f"of the picture; deletion {found['deletion_area']:.3f} (control {found['control_deletion_area']:.3f}), "
            f"insertion {found['insertion_area']:.3f} (control {found['control_insertion_area']:.3f})"
        )
    say("A map shows where the network looked, not whether the label is right.")
    if json:
        print_json(document)
