"""Judge the audit stream of a run in the place of people: by the labels that scikit-learn gives the digits.

For this example only. In a real repository people judge the items in the browser: ``auditor review audit/run``.
"""

from __future__ import annotations

import sys
import uuid

from sklearn.datasets import load_digits

import auditor
from auditor.review.store import VerdictStore


def main() -> None:
    run = auditor.open_run(sys.argv[1])
    truth = {f"digit-{i:04d}": f"digit {k}" for i, k in enumerate(load_digits().target)}
    with VerdictStore.open(run.path) as store:
        store.load_run(run)
        done = 0
        while batch := store.next_batch("example", 100):
            events = []
            for item in batch:
                right = truth[item.item_id]
                verdict = "given" if item.given == right else f"other:{right}"
                events.append(
                    {
                        "uuid": str(uuid.uuid4()),
                        "item_id": item.item_id,
                        "verdict": verdict,
                        "shown_label": item.given,
                        "shown_suggested": item.suggested,
                        "ms": 1000,
                    }
                )
            result = store.submit("example", events)
            if result.refused:
                raise SystemExit(f"refused: {result.refused[0]}")
            done += len(events)
    sys.stderr.write(f"{done} verdicts\n")


if __name__ == "__main__":
    main()
