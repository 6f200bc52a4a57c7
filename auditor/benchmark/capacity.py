"""The paper's question for our own networks: does lower capacity win as label noise grows?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from auditor.benchmark.inputs import Inputs
from auditor.benchmark.models import compare_models
from auditor.benchmark.readers.registry import read_predictions
from auditor.benchmark.sets import make_sets
from auditor.core.errors import DataError
from auditor.core.escaping import markdown_text
from auditor.core.files import json_value
from auditor.report.markdown import percent, table
from auditor.stats.capacity import Relation, capacity_relations

SCHEMA = "auditor.benchmark-capacity/1"
_MEASURES = {"parameters": "parameters", "macs": "MACs"}
_FIGURES = {
    "slope": "slope of the accuracy over the share of corrected items",
    "recovered": "corrected minus original accuracy on correctable items",
}
#: Column of the table: its heading, and how its figures are written.
_COLUMNS = {
    "benign": ("benign %", ".2f"),
    "correctable_original": ("correctable, original %", ".1f"),
    "correctable_corrected": ("corrected %", ".1f"),
    "slope": ("slope, points", "+.1f"),
    "recovered": ("recovered, points", "+.1f"),
}


def sizes_of(networks: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Parameters and MACs by the name a network has among the predictions; means over seeds.

    Pruned weights that are zero are not counted as parameters; MACs are those a dense kernel executes.

    Parameters
    ----------
    networks : sequence of dict
        ``networks`` of the manifest of `auditor.benchmark.training.train_networks`.
    """
    sizes = pd.DataFrame(
        {
            "parameters": row["parameters"]
            - (row["weights"] - row["nonzero_weights"] if "nonzero_weights" in row else 0),
            "macs": row.get("macs_executable", row["macs_per_image"]),
        }
        for row in networks
    )
    names = [Path(row["file"]).stem.rpartition("__seed")[0] for row in networks]
    return cast("dict[str, dict[str, float]]", sizes.groupby(names).mean().to_dict("index"))


def relate_capacity(
    folder: Path, inputs: Inputs, agreement: int, networks: Sequence[dict[str, Any]], draws: int, seed: int
) -> dict[str, Any]:
    """Relation of capacity with what the correction of labels does to each network.

    Parameters
    ----------
    folder : Path
        Stored predictions.
    inputs : Inputs
    agreement : int
        Votes a verdict needs.
    networks : sequence of dict
        As for `sizes_of`.
    draws, seed : int

    Returns
    -------
    dict
        ``networks`` (name, parameters, macs, slope, recovered), ``relations`` by capacity and figure, ``answer``.

    Raises
    ------
    DataError
        If a network of the predictions is not in the manifest, or there are fewer than three.
    """
    sets = make_sets(inputs.judged, inputs.given_labels, agreement)
    compared = compare_models(read_predictions(folder, inputs.given_labels), inputs.given_labels, sets)
    sizes = sizes_of(networks)
    if missing := [name for name in compared.names if name not in sizes]:
        raise DataError(f"the size of {', '.join(missing)} is not known.", "Train the networks again.")
    benign = compared.mixing @ compared.given[:, sets.benign]
    before = compared.mixing @ compared.given[:, sets.correctable]
    after = compared.mixing @ compared.corrected[:, sets.correctable]
    relations = {
        measure: capacity_relations(
            np.array([sizes[name][measure] for name in compared.names]), benign, before, after, draws, seed
        )
        for measure in ("parameters", "macs")
    }
    table = pd.DataFrame({name: sizes[name] for name in compared.names}).T.rename_axis("name")
    table["benign"] = benign.mean(1)
    table["correctable_original"], table["correctable_corrected"] = before.mean(1), after.mean(1)
    table["slope"] = table["correctable_corrected"] - table["benign"]
    table["recovered"] = table["correctable_corrected"] - table["correctable_original"]
    return {
        "schema": SCHEMA,
        "n_correctable": sets.n_correctable,
        "n_benign": sets.n_benign,
        "draws": draws,
        "networks": table.sort_values("parameters", kind="stable").reset_index().to_dict("records"),
        "relations": json_value(relations),
        "answer": capacity_answer(relations),
    }


def capacity_answer(relations: dict[str, dict[str, Relation]]) -> list[str]:
    """The answer in sentences: one for each capacity and figure, then one for all."""
    lines, verdicts = [], set()
    for measure, by_figure in relations.items():
        for name, relation in by_figure.items():
            word = _word(relation)
            verdicts.add(word)
            defined = math.isfinite(relation.low)
            limits = f"[{relation.low:+.2f}, {relation.high:+.2f}]" if defined else "[not defined]"
            value = f"{relation.value:+.2f} {limits}, p = {relation.p:.3f}"
            value = value if math.isfinite(relation.value) else "not defined"
            lines.append(
                f"{_MEASURES[measure]} with the {_FIGURES[name]}: Spearman {value}, "
                f"{relation.networks} networks, {relation.items} correctable items: {word}."
            )
    if verdicts == {"lower capacity does better"}:
        lines.append("Yes: among these networks lower capacity wins as noise grows.")
    elif verdicts == {"higher capacity does better"}:
        lines.append("No, the other way round: among these networks higher capacity wins as noise grows.")
    else:
        lines.append("It cannot be told from these networks and items whether lower capacity wins as noise grows.")
    return lines


def _word(relation: Relation) -> str:
    """A direction needs both: the interval over items and the exchange of networks."""
    if not math.isfinite(relation.low) or not relation.low * relation.high > 0 or relation.p >= 0.05:
        return "no relation can be told"
    return "lower capacity does better" if relation.value < 0 else "higher capacity does better"


def capacity_markdown(document: dict[str, Any], reproduction: str) -> str:
    """Answer and table.

    Parameters
    ----------
    document : dict
        Of `relate_capacity`.
    reproduction : str
        Words beside every number.
    """
    lines = [
        f"# Does lower capacity win as label noise grows? **{reproduction}**",
        "",
        *(f"- {sentence}" for sentence in document["answer"]),
        f"- Intervals: 95 % over {document['n_benign']:,} benign and {document['n_correctable']} correctable items "
        "drawn again, the networks given; p: networks exchanged. A direction is named only where both agree.",
        "",
        *table(
            ("network", "parameters", "MMAC", *(heading for heading, _ in _COLUMNS.values())),
            (
                (
                    markdown_text(row["name"]),
                    f"{row['parameters']:,.0f}",
                    f"{row['macs'] / 1e6:.2f}",
                    *(percent(row[key], form) for key, (_, form) in _COLUMNS.items()),
                )
                for row in document["networks"]
            ),
        ),
    ]
    return "\n".join(lines) + "\n"
