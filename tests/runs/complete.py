"""A run folder in which every command that writes there has written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from auditor.audit.detector_scores import detector_scores
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from tests.running import call


def complete(folder: Path) -> None:
    """Judge a run, and let the commands estimate, correct, report and re-rank from that."""
    call("sample", folder, "--budget", "40")
    run = open_run(folder)
    with VerdictStore.open(folder) as store:
        drawn = store.audit_stream().item_ids.tolist()
        shown = run.scores.set_index("id").loc[list(dict.fromkeys([*drawn, *run.findings["id"][:8]]))]
        events = [
            {
                "uuid": f"judged-{k:04d}",
                "item_id": row.Index,
                "verdict": "suggested" if row.flagged else "given",
                "shown_label": row.given,
                "shown_suggested": row.suggested,
            }
            for k, row in enumerate(shown.itertuples())
        ]
        assert not store.submit("ann", events).refused
    detector_scores(run)
    call("estimate", folder, "--write")
    call("patch", "create", folder)
    for form in ("md", "json"):
        call("report", folder, "--format", form)
    predicted = pd.DataFrame({"id": run.ids, "prediction": np.array(run.class_names)[run.pred_probs.argmax(axis=1)]})
    (folder.parent / "predictions").mkdir()
    for name in ("one", "two"):
        predicted.to_csv(folder.parent / "predictions" / f"{name}.csv", index=False)
    call("improve", folder, "--rule", "2-of-2")  # of single verdicts nothing holds, so nothing is trained
    call("benchmark", "--run", folder, "--predictions", folder.parent / "predictions", "--draws", "100")
