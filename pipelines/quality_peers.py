"""What peers find in the same data: cleanlab here, CleanVision by an interpreter that has it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

#: CleanVision's name of what a check of ours finds.
CLEANVISION = {
    "exact_duplicates": "exact_duplicates",
    "near_duplicates": "near_duplicates",
    "dark": "dark",
    "bright": "light",
    "blurry": "blurry",
    "low_information": "low_information",
    "odd_size": "odd_size",
    "odd_aspect": "odd_aspect_ratio",
    "odd_mode": "grayscale",
}
_ISSUES = """
import json, sys, time
from importlib.metadata import version
from cleanvision import Imagelab
out, names, files = json.load(open(sys.argv[1]))
begin = time.process_time()
lab = Imagelab(filepaths=files)
lab.find_issues({name: {} for name in names}, n_jobs=1, verbose=False)
found = {name: [int(v) for v in lab.issues["is_" + name + "_issue"].loc[files]] for name in names}
about = {"version": version("cleanvision"), "cpu_seconds": round(time.process_time() - begin, 2)}
json.dump({"found": found, **about}, open(out, "w"))
"""
_CORRELATED = """
import json, sys
from importlib.metadata import version
from datasets import Dataset, Image
from cleanlab import Datalab
out, jobs = json.load(open(sys.argv[1]))
scores = []
for files, labels in jobs:
    data = Dataset.from_dict({"image": files, "label": labels}).cast_column("image", Image())
    lab = Datalab(data, label_name="label", image_key="image", verbosity=0)
    lab.find_issues()  # the check of correlations needs all others of pictures
    frame = lab.get_info("spurious_correlations")["correlations_df"]
    scores.append({row["property"]: float(row["score"]) for row in frame.to_dict("records")})
json.dump({"scores": scores, "version": version("cleanlab")}, open(out, "w"))
"""


def _asked(python: str, code: str, question: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps([str(answer), *question]))
        subprocess.run([python, "-c", code, str(asked)], check=True)
        return json.loads(answer.read_text())


def cleanvision(python: str, files: Sequence[Path], names: Sequence[str]) -> dict[str, Any]:
    """By check of ours, which files it names; version and seconds of the processor."""
    told = _asked(python, _ISSUES, [[CLEANVISION[name] for name in names], list(map(str, files))])
    return told | {"found": {name: np.array(told["found"][CLEANVISION[name]], bool) for name in names}}


def spurious_correlations(python: str, jobs: Sequence[tuple[Sequence[Path], np.ndarray]]) -> list[dict[str, float]]:
    """Of each set of pictures Datalab's score of every property: one below 0.3 it takes for correlated."""
    asked = [[list(map(str, files)), labels.tolist()] for files, labels in jobs]
    return list(_asked(python, _CORRELATED, [asked])["scores"])


def datalab(issue: str, labels: np.ndarray, **evidence: Any) -> tuple[np.ndarray, np.ndarray]:
    """Suspicion of every item, and what Datalab flags, with its defaults."""
    from cleanlab import Datalab

    lab = Datalab(data={"y": labels}, label_name="y", verbosity=0)
    lab.find_issues(issue_types={issue: {}}, **evidence)
    found = lab.get_issues(issue)
    return -found[f"{issue}_score"].to_numpy(), found[f"is_{issue}_issue"].to_numpy(bool)


def out_of_distribution(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Suspicion of every test item by cleanlab's distance to the nearest training items."""
    from cleanlab.outlier import OutOfDistribution

    found = OutOfDistribution()
    found.fit(features=train, verbose=False)
    return -np.asarray(found.score(features=test))


def unsure(train: np.ndarray, train_labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Suspicion of every test item by cleanlab's adjusted entropy of its probabilities."""
    from cleanlab.outlier import OutOfDistribution

    found = OutOfDistribution()
    found.fit(pred_probs=train, labels=train_labels, verbose=False)
    return -np.asarray(found.score(pred_probs=test))
