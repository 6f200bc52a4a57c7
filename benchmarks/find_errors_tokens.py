"""`auditor.find_errors` on tags of tokens: the sentences of CoNLL-2003's test half whose tags CrossWeigh corrected.

    python benchmarks/find_errors_tokens.py [--seeds 1] [--budget quick] [--out benchmarks/results/find-errors-tokens]

The sentences are cross-validated among themselves; a seed makes other folds. Average precision over sentences, how
many of the first 50 and 100 are wrong, and of the flagged ones; how many wrong sentences a run expects; seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

import auditor
from auditor.core.config import load_settings
from auditor.core.files import atomic_write
from auditor.core.machine import conditions
from auditor.lab.detectors.sets import find_data
from auditor.report.markdown import table


def measured(path: Path, wrong: np.ndarray, seed: int, budget: str) -> dict[str, float]:
    """One run."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = auditor.find_errors(
            path, label="given", kind="tokens", quality=False, seed=seed, budget=budget, out=Path(folder) / "run",
            progress=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        scores = run.scores.set_index("row").loc[np.arange(len(wrong))]
        order = np.argsort(-scores["score"].to_numpy(), kind="stable")
        return {
            "ap": float(average_precision_score(wrong, scores["score"])),
            "first 50": float(wrong[order[:50]].sum()),
            "first 100": float(wrong[order[:100]].sum()),
            "flagged": float(scores["flagged"].sum()),
            "flagged and wrong": float((scores["flagged"].to_numpy() & wrong).sum()),
            "wrong": float(wrong.sum()),
            "expected": float(run.manifest["labels"]["expected_wrong"]),
            "seconds": seconds,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--out", type=Path, help="without suffix: a .md and a .json are written")
    asked = parser.parse_args()
    path = find_data(load_settings(), "tokens/conll2003_test_a.parquet")
    if path is None:
        raise SystemExit("tokens/conll2003_test_a.parquet is not below the data folders.")
    frame = pd.read_parquet(path)
    pairs = zip(frame["given"], frame["corrected"], strict=True)
    wrong = np.array([list(given) != list(right) for given, right in pairs])
    rows = [measured(path, wrong, seed, asked.budget) for seed in range(asked.seeds)]
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    where = conditions("auditor", "numpy", "scikit-learn")
    called = f"--seeds {asked.seeds} --budget {asked.budget}"
    cells = [f"{100 * mean['ap']:.1f}", *(f"{mean[name]:.0f}" for name in list(mean)[1:])]
    lines = ["# Tags of tokens, from a table to findings", ""]
    lines += [
        f"`python benchmarks/find_errors_tokens.py {called}`. {where}.",
        f"{len(wrong):,} sentences; AP in per cent.",
    ]
    lines += ["", *table(["AP", *list(mean)[1:]], [cells]), ""]
    print("\n".join(lines))
    if asked.out:
        document = json.dumps({"where": where, "called": called, "rows": rows}, indent=1)
        for suffix, text in ((".md", "\n".join(lines)), (".json", document)):
            with atomic_write(asked.out.with_suffix(suffix)) as handle:
                handle.write(text.encode())


if __name__ == "__main__":
    main()
