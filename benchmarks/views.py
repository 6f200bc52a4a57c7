"""How long a notebook waits for the view of a large run: ``python benchmarks/views.py [ITEMS]``.

Texts with supplied probabilities, 3 % of the labels wrong. A fresh `Run` each time, as after `open_run`; the first of
five also loads what rendering needs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import auditor
from auditor.core.machine import describe_machine


def main(items: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, items)
    seen = np.where(rng.random(items) < 0.03, (labels + 1) % 4, labels)
    likely = np.full((items, 4), 0.05, np.float32)
    likely[np.arange(items), seen] = 0.85
    texts = [f"the text of number {k}" for k in range(items)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        auditor.find_errors((texts, labels), pred_probs=likely, out=out, quality=False, embeddings="none")
        for _ in range(5):
            started = time.perf_counter()
            view = auditor.open_run(out)._repr_html_()
            print(f"{items:,} items: {time.perf_counter() - started:.2f} s, {len(view):,} bytes")
    print(describe_machine())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
