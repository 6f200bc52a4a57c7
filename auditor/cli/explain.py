"""``auditor explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from auditor.cli.options import Json, RunName


def explain(
    run: RunName,
    item: Annotated[str, Option(help="Id of the item.")],
    out: Annotated[Path | None, Option(help="Folder for the overlays; default: in the run folder.")] = None,
    after_activation: Annotated[
        bool, Option("--after-activation", help="Maps after the last activation (post-ReLU), not of the convolution.")
    ] = False,
    json: Json = False,
) -> None:
    """Show where the network looked that predicted an item: Grad-CAM, with a random-map control."""
    from auditor.cli.console import answer
    from auditor.cli.values import run_named
    from auditor.core.config import load_settings
    from auditor.core.errors import require
    from auditor.explain.opening import item_image
    from auditor.runs import layout

    require("torch", "torch", "explaining a network")
    from auditor.explain.item import evidence_document

    opened = run_named(run)
    opened.require_classes("an explanation")
    folder = out or opened.path / layout.WORK / "evidence"
    document = evidence_document(opened, item, item_image(opened, item, load_settings()), folder, after_activation)
    lines = [f"{item}: labelled {document['given']}; network {document['network']}, which did not train on it"]
    for c in document["classes"]:
        lines.append(f"{c['role']} class {c['name']}: probability {c['probability']:.3f}; {c['overlay']}")
        lines.append(
            f"  the map is empty: nothing in the {document['target']} speaks for this class"
            if c["empty"]
            else f"  {100 * c['centre_share']:.0f} % of the map in the central {100 * c['centre_area']:.0f} % "
            f"of the picture; deletion {c['deletion_area']:.3f} (control {c['control_deletion_area']:.3f}), "
            f"insertion {c['insertion_area']:.3f} (control {c['control_insertion_area']:.3f})"
        )
    lines.append("A map shows where the network looked, not whether the label is right.")
    answer(lines, document if json else None)
