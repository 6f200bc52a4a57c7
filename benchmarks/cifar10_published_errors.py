"""How many of the published, crowd-validated CIFAR-10 test errors a run finds, beside the published probabilities.

    python benchmarks/cifar10_published_errors.py RUN [RUN ...] [--data-dir DIR] [--out FOLDER]

Of 275 candidates that one published cross-validated model picked, crowd workers found 54 wrong (fewer than 3 of 5
votes for the given label; Northcutt et al. 2021). For every run over the CIFAR-10 test split this prints how many of
the 54 are among the run's top 275 and among its flags, and the same for the published probabilities, under the same
ranking and flag rules. The 275 were picked by the published model, so the comparison favours it: an error that only
another model sees is in nobody's 54.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np

import auditor
from auditor.core.files import atomic_write, load_npy, read_json, write_json
from auditor.core.machine import describe_machine, package_versions

K = 3  # votes of five that settle an item, the paper's rule


def validated_errors(data_dir: Path) -> np.ndarray:
    """Rows of the CIFAR-10 test split whose given label got fewer than K of 5 votes."""
    verdicts = read_json(data_dir / "label_errors" / "cifar10" / "mturk.json")
    return np.array(sorted(v["id"] for v in verdicts if v["mturk"]["given"] < K))


def class_adjusted(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Flags of the rule for larger data, bool (n,)."""
    from auditor.detect.base import Detection, Evidence
    from auditor.detect.registry import run_detector

    given = Evidence(np.arange(len(labels)), labels, probabilities.shape[1], probabilities=(probabilities,))
    found = run_detector("class_adjusted", given)
    assert isinstance(found, Detection)
    return np.asarray(found.flagged)


def tally(index: np.ndarray, flagged: np.ndarray, adjusted: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    """Found errors among the top 275 and among the flags, of the default and of `class_adjusted`.

    Parameters
    ----------
    index : int array (n,)
        Test rows, most suspicious first.
    flagged, adjusted : bool arrays (n,)
        In the same order.
    errors : int array
    """
    return {
        "of": len(errors),
        "in_top_275": int(np.isin(index[:275], errors).sum()),
        "n_flagged": int(flagged.sum()),
        "in_flagged": int(np.isin(index[flagged], errors).sum()),
        "n_class_adjusted": int(adjusted.sum()),
        "in_class_adjusted": int(np.isin(index[adjusted], errors).sum()),
        "in_top_54": int(np.isin(index[:54], errors).sum()),
    }


def of_run(path: Path, errors: np.ndarray) -> dict[str, Any]:
    run = auditor.open_run(path)
    if run.manifest["data"]["name"] != "cifar10":
        raise SystemExit(f"{path} is a run of {run.manifest['data']['name']}, not of cifar10")
    adjusted = dict(zip(run.items["id"][run.audited], class_adjusted(run.pred_probs, run.labels), strict=True))
    test = run.scores[run.scores["split"] == "test"]
    agreement = run.pred_probs.argmax(axis=1) == run.labels
    computed = sum(s["seconds"] for s in run.manifest["stages"])
    return {
        "run": run.id,
        "budget": run.config["budget"],
        "audit": run.config["audit"],
        "plan": run.manifest["plan"]["description"],
        "model": run.manifest["model"]["name"],
        "seed": run.config["seed"],
        "n_audited": run.counts["n_audited"],
        "out_of_sample_accuracy": float(agreement.mean()),
        "seconds": run.manifest["seconds"],
        "seconds_computed_in_all_sessions": round(computed, 1),
        "reused_stages": [s["name"] for s in run.manifest["stages"] if s["reused"]],
        **tally(test["index"].to_numpy(), test["flagged"].to_numpy(), test["id"].map(adjusted).to_numpy(bool), errors),
    }


def published(data_dir: Path, errors: np.ndarray) -> list[dict[str, Any]]:
    """The published probabilities: under our ranking and flags, and under the paper's own rule."""
    from auditor.detect.base import Evidence
    from auditor.detect.findings import find
    from auditor.detect.margins import rank_order

    folder = data_dir / "label_errors" / "cifar10"
    probabilities = load_npy(folder / "pyx.npy")
    labels = load_npy(folder / "original_labels.npy").astype(np.int64)
    rows = np.arange(len(labels))
    found = find(Evidence(ids=rows, labels=labels, n_classes=10, probabilities=(probabilities,)))
    order = rank_order(found.score, rows)
    given = probabilities[rows, labels]
    other = probabilities.copy()
    other[rows, labels] = -1
    margin = np.argsort(given - other.max(axis=1), kind="stable")
    top = np.zeros(len(rows), bool)
    top[:275] = True
    accuracy = float((probabilities.argmax(axis=1) == labels).mean())
    return [
        {
            "run": "published probabilities, our ranking and flags",
            "out_of_sample_accuracy": accuracy,
            **tally(order, np.asarray(found.flagged)[order], class_adjusted(probabilities, labels)[order], errors),
        },
        {
            "run": "published probabilities, the paper's rule",
            "out_of_sample_accuracy": accuracy,
            **tally(margin, top, class_adjusted(probabilities, labels)[margin], errors),
        },
    ]


#: What this project asks of its own runs on 2 idle CPU cores: (audit, budget) -> (seconds, accuracy).
GOALS = {("auto", "quick"): (180, 0.84), ("auto", "standard"): (1200, 0.92), ("all", "standard"): (3600, 0.92)}


def markdown(document: dict[str, Any]) -> str:
    """The report: one table, and what it does not say."""
    machine, versions = document["machine"], document["versions"]
    lines = [
        "# CIFAR-10: what `find-errors` finds, beside the published probabilities",
        "",
        "Written by `benchmarks/cifar10_published_errors.py`; the runs by `auditor find-errors cifar10` with the",
        "budget and `--audit` named in each row. Trained from scratch; no recipe of a paper is reproduced.",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; "
        + ", ".join(f"{k} {v}" for k, v in versions.items() if k in ("auditor", "torch", "numpy", "scikit-learn")),
        "",
        "| run | model, plan, seed | n | accuracy | seconds | of 54: top 275 | flagged (of n) | "
        "by class_adjusted | top 54 | goal |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        if "budget" in row:
            limit, accuracy = GOALS.get((row["audit"], row["budget"]), (None, None))
            seconds = row["seconds_computed_in_all_sessions"] if row["reused_stages"] else row["seconds"]
            met = limit is not None and seconds < limit and row["out_of_sample_accuracy"] >= accuracy
            goal = "-" if limit is None else f"{'met' if met else '**missed**'}: < {limit} s, >= {accuracy}"
            name, plan = (
                f"--audit {row['audit']} --budget {row['budget']}",
                f"{row['model']}, {row['plan']}, {row['seed']}",
            )
            n, took = f"{row['n_audited']:,}", f"{seconds:.0f}"
        else:
            name, plan, n, took, goal = row["run"], "-", "10,000", "-", "-"
        lines.append(
            f"| {name} | {plan} | {n} | {row['out_of_sample_accuracy']:.4f} | {took} | {row['in_top_275']} "
            f"| {row['in_flagged']} ({row['n_flagged']:,}) | {row['in_class_adjusted']} ({row['n_class_adjusted']:,}) "
            f"| {row['in_top_54']} | {goal} |"
        )
    note = [f"- {document['note']}"] if document["note"] else []
    return "\n".join([*lines, "", *CAVEATS, *note, ""])


CAVEATS = (
    "- *Of 54*: crowd-validated errors (given label got fewer than 3 of 5 votes) among the 275 candidates of the",
    "  published model. That model picked the candidates, so its own row finds 54 of 54 under the paper's rule by",
    "  construction; an error only another model sees is in nobody's 54.",
    "- One run per row and one seed root: the spread over seeds is not known.",
    "- Accuracy is against the given labels of all audited items; the published model's is on the test split.",
    "- Seconds are wall time of the whole command; loading and the report are included.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("AUDITOR_DATA_DIR", "../shared/data")))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="", help="conditions of the runs that their manifests cannot know")
    arguments = parser.parse_args()
    errors = validated_errors(arguments.data_dir)
    rows = [of_run(path, errors) for path in arguments.runs] + published(arguments.data_dir, errors)
    for row in rows:
        print(
            f"{row['run']:<50} accuracy {row['out_of_sample_accuracy']:.4f}  "
            f"{row['in_top_275']} of {row['of']} in top 275, {row['in_flagged']} in {row['n_flagged']} flagged, "
            f"{row['in_top_54']} in top 54" + (f"  {row['seconds']:.0f} s" if "seconds" in row else "")
        )
    document = {"machine": describe_machine(), "versions": package_versions(), "note": arguments.note, "rows": rows}
    if arguments.out:
        write_json(arguments.out / "results.json", document)
        with atomic_write(arguments.out / "report.md") as handle:
            handle.write(markdown(document).encode())


if __name__ == "__main__":
    main()
