"""`auditor.find_errors` on sets of tags and numbers with injected errors, from the table to the findings.

    python benchmarks/find_errors_kinds.py [--sets diabetes drawn scene yeast] [--seeds 3] [--out FILE]

A row is a data set and a kind of error (those of `label_kinds.py`): average precision of the items by the run's score,
with the two models of the run and with each alone; precision and recall of the flagged items; how many wrong items the
run expects beside how many there are; and the seconds of the whole run. Means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from label_kinds import WRONG, noisy_numbers, noisy_tags
from sklearn.datasets import load_diabetes
from sklearn.metrics import average_precision_score

import auditor
from auditor.core.config import load_settings
from auditor.core.files import atomic_write
from auditor.core.label_forms import LabelForm
from auditor.core.machine import conditions
from auditor.core.seeds import generator
from auditor.kinds.registry import audited_kind
from auditor.lab.detectors.sets import find_data
from auditor.report.markdown import table
from auditor.runs.run import Run

TAG_ERRORS, NUMBER_ERRORS = ("missing", "surplus", "swapped"), ("exchanged", "shifted", "x10")


def problems(name: str, seed: int) -> Iterator[tuple[str, pd.DataFrame, dict[str, str], np.ndarray]]:
    """Kind of error, table with it, options of `find_errors`, and which items are wrong, bool (n,)."""
    if name in ("scene", "yeast"):
        path = find_data(load_settings(), f"multilabel/{name}.parquet")
        if path is None:
            print(f"{name} is not below the data folders")
            return
        frame = pd.read_parquet(path).drop(columns="split", errors="ignore")
        columns = [c for c in frame if c.startswith("label:")]
        tags = frame[columns].to_numpy(int)
        for kind in TAG_ERRORS:
            given = noisy_tags(tags, kind, WRONG["multilabel"], generator(seed, "label-kinds", kind))
            yield kind, frame.assign(**dict(zip(columns, given.T, strict=True))), {}, (given != tags).any(axis=1)
        return
    if name == "diabetes":
        x, y = load_diabetes(return_X_y=True)
    else:
        rng = generator(seed, "label-kinds", "drawn")
        x = rng.normal(size=(800, 6))
        level = 10 + 3 * x[:, 0] + 2 * np.sin(2 * x[:, 1]) + x[:, 2] ** 2
        y = level + rng.normal(size=800) * np.exp(0.25 * (level - 10))
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(x.shape[1])])
    for kind in NUMBER_ERRORS:
        given = noisy_numbers(y, kind, WRONG["regression"], generator(seed, "label-kinds", name, kind))
        yield kind, frame.assign(target=given), {"label": "target", "kind": "regression"}, given != y


def precisions(run: Run, wrong: np.ndarray) -> dict[str, float]:
    """Average precision of both models of a run, and of each alone."""
    kind, form = audited_kind(run.kind), run.form
    assert isinstance(form, LabelForm)
    values = form.values(run.items["given"].to_numpy()[run.audited])
    truth = wrong[run.audited]
    results = run.path.glob("tasks/results/*.npz")
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    folds = run.items["fold"].to_numpy()
    for path in results:
        task = path.stem
        fold = int(task.rpartition("-")[2])
        model = run.models[1] if task.startswith("second-") else run.models[0]
        parts.setdefault(model, []).append((np.flatnonzero(folds == fold), np.load(path)["probabilities"]))
    score = run.scores.set_index("row")["score"].loc[run.audited].to_numpy()
    found = {"both": float(average_precision_score(truth, score))}
    for model, pieces in parts.items():
        alone = np.empty((len(wrong), pieces[0][1].shape[1]), np.float32)
        for rows, predicted in pieces:
            alone[rows] = predicted
        judged = kind.judge(kind.pool([alone[run.audited]]), values, form)
        found[model] = float(average_precision_score(truth, judged.score))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=["diabetes", "drawn", "scene", "yeast"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="without suffix: a .md and a .json are written")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    rows: list[dict[str, object]] = []
    for name in asked.sets:
        by_case: dict[str, list[dict[str, float]]] = {}
        for seed in range(asked.seeds):
            for kind, frame, options, wrong in problems(name, seed):
                with tempfile.TemporaryDirectory() as folder:
                    started = time.perf_counter()
                    run = auditor.find_errors(
                        frame, **options, quality=False, seed=seed, out=Path(folder) / "run", progress=False
                    )
                    seconds = time.perf_counter() - started
                    flagged = run.scores.loc[run.scores["flagged"], "row"].to_numpy()
                    hits = int(wrong[flagged].sum())
                    measured = {"seconds": seconds, "flagged": len(flagged), "wrong": int(wrong.sum())}
                    measured |= {"precision": hits / max(1, len(flagged)), "recall": hits / int(wrong.sum())}
                    measured |= {"expected": run.manifest["labels"]["expected_wrong"]}
                    measured |= {f"ap, {model}": value for model, value in precisions(run, wrong).items()}
                by_case.setdefault(kind, []).append(measured)
        for kind, cases in by_case.items():
            mean = {key: float(np.mean([case[key] for case in cases])) for key in cases[0]}
            rows.append({"case": f"{name}, {kind}", "seeds": asked.seeds, **mean})
            print(rows[-1], flush=True)
    where = conditions("auditor", "numpy", "scikit-learn")
    lines = [
        "# From a table to findings, of sets of tags and of numbers",
        "",
        f"`python benchmarks/find_errors_kinds.py --sets {' '.join(asked.sets)} --seeds {asked.seeds}`. {where}.",
        "In per cent but for counts and seconds; means over the seeds. AP is over items.",
        "",
        *table(
            [
                "case",
                "AP",
                "AP boosting alone",
                "AP ridge alone",
                "precision",
                "recall",
                "wrong",
                "expected",
                "seconds",
            ],
            [
                [
                    r["case"],
                    *(f"{100 * float(r[f'ap, {model}']):.1f}" for model in ("both", "boosting", "ridge:kernel")),  # type: ignore[arg-type]
                    *(f"{100 * float(r[key]):.0f}" for key in ("precision", "recall")),  # type: ignore[arg-type]
                    *(f"{float(r[key]):.0f}" for key in ("wrong", "expected", "seconds")),  # type: ignore[arg-type]
                ]
                for r in rows
            ],
        ),
        "",
    ]
    if asked.out:
        with atomic_write(asked.out.with_suffix(".md")) as handle:
            handle.write("\n".join(lines).encode())
        with atomic_write(asked.out.with_suffix(".json")) as handle:
            handle.write(json.dumps({"where": where, "rows": rows}, indent=1).encode())


if __name__ == "__main__":
    main()
