"""What a run knows about its items, as the evidence detectors read."""

from __future__ import annotations

from auditor.detect.base import Evidence
from auditor.detect.item_dynamics import ItemDynamics
from auditor.runs.run import Run


def run_evidence(run: Run) -> Evidence:
    """Evidence on the audited items of a run, in the order of its probabilities.

    Probabilities always; dynamics and embeddings where the run kept them; duplicate groups as the folds had them,
    so that copies are no neighbours of each other. Never a truth: a run holds none.
    """
    return Evidence(
        ids=run.ids,
        labels=run.labels,
        n_classes=len(run.class_names),
        class_names=run.class_names,
        probabilities=(run.pred_probs,),
        dynamics=run_dynamics(run),
        embeddings=run.embeddings,
        duplicate_groups=run.items["group"].to_numpy()[run.audited],
    )


def run_dynamics(run: Run) -> ItemDynamics | None:
    """Logits per item, epoch and model over the audited items; None where the trainer had no epochs."""
    arrays = run.dynamics()
    if not arrays:
        return None
    fits = []
    # The names of the tasks in the order they were written: folds, then seeds.
    for task in dict.fromkeys(key.rpartition("/")[0] for key in arrays):
        rows = {}
        for part in ("train", "heldout"):
            positions = run.positions[arrays[f"{task}/{part}_rows"]]
            rows[part] = (positions[positions >= 0], positions >= 0)
        columns = {
            f"{part}_{kind}": arrays[f"{task}/{part}_{kind}"][:, rows[part][1]]
            for part in ("train", "heldout")
            for kind in ("given", "other", "logsumexp")
        }
        fits.append((rows["train"][0], rows["heldout"][0], columns))
    return ItemDynamics.merge(len(run.audited), fits)
