"""What a run knows about its items, as the evidence detectors read."""

from __future__ import annotations

import numpy as np

from auditor.detect.base import Evidence
from auditor.detect.item_dynamics import ItemDynamics
from auditor.runs import layout
from auditor.runs.run import Run


def run_evidence(run: Run) -> Evidence:
    """Evidence on the audited items of a run, in the order of its probabilities.

    Probabilities always; dynamics and embeddings where the run kept them; duplicate groups as the folds had them,
    so that copies are no neighbours of each other. Never a truth: a run holds none.
    """
    names, groups = run.class_names, run.items["group"].to_numpy()[run.audited]
    return Evidence(
        run.ids,
        run.labels,
        len(names),
        names,
        (run.pred_probs,),
        dynamics=run_dynamics(run),
        embeddings=run.embeddings,
        class_embeddings=run.class_embeddings,
        duplicate_groups=groups,
    )


def run_dynamics(run: Run) -> ItemDynamics | None:
    """Logits per item, epoch and model over the audited items; None where the trainer had no epochs."""
    arrays = run.dynamics()
    if not arrays:
        return None
    fits = []
    # The second model's logits have another scale; they count where the first has none.
    first = {key: values for key, values in arrays.items() if not key.startswith(layout.SECOND)}
    arrays = first or arrays
    # The names of the tasks in the order they were written: folds, then seeds.
    for task in dict.fromkeys(key.rpartition("/")[0] for key in arrays):
        rows: list[np.ndarray] = []
        columns: dict[str, np.ndarray] = {}
        for part in ("train", "heldout"):
            positions = run.positions[arrays[f"{task}/{part}_rows"]]
            rows.append(positions[positions >= 0])
            for name in (f"{part}_given", f"{part}_other", f"{part}_logsumexp"):
                columns[name] = arrays[f"{task}/{name}"][:, positions >= 0]
        fits.append((rows[0], rows[1], columns))
    return ItemDynamics.merge(len(run.audited), fits)
