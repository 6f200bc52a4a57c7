"""auditor's default beside cleanlab's Datalab and CleanLearning, with the same models, on planted errors.

    OMP_NUM_THREADS=1 python benchmarks/peers.py [--sets images penguins weather texts] [--seeds 3] [--rate 0.1]

writes benchmarks/results/peers.json and .md. Of each set a share of the labels is replaced by another class, all other
classes equally likely; the given labels before that count as true. Then

- auditor: `find_errors` with its defaults, one process: ranking and flags of the run;
- Datalab: `find_issues(pred_probs=...)` with the run's own out-of-sample probabilities, label issues alone;
- CleanLearning: `find_label_issues` around the trainer that `find_errors` chose, in its own 5-fold cross-validation.

Sets: ``images``, a folder of 1,000 CIFAR-10 test images (PNG) from the data folder; ``penguins`` and ``weather``,
tables drawn by `auditor.lab.detectors.planted`, the second with five classes of 2 to 45 %; ``texts``, 2,000 messages
of programs in thirty languages from the translations (gettext catalogs) installed on the machine, told apart by
program.
"""

from __future__ import annotations

import argparse
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import auditor
from auditor.core.config import Settings
from auditor.core.files import atomic_write, read_json, write_json
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.data.open import open_dataset
from auditor.lab.detectors.metrics import Ranked, flag_counts
from auditor.lab.detectors.noise import inject
from auditor.lab.detectors.planted import LABEL, penguins, weather
from auditor.runs.run import Run
from auditor.train.base import FitTask, Trainer, TrainingData
from auditor.train.choose import make_trainer

RESULTS = Path(__file__).parent / "results"
METHODS = ("auditor", "Datalab", "CleanLearning")
PROGRAMS = ("glib20", "shared-mime-info", "software-properties", "PackageKit", "xkeyboard-config", "coreutils", "apt")
CATALOGS = Path("/usr/share/locale")
LANGUAGES = 30


def catalog(path: Path) -> Iterator[tuple[str, str]]:
    """Originals and translations of a compiled catalog, singular forms. Python's reader stops at odd headers."""
    content = path.read_bytes()
    magic, _, count, *tables = struct.unpack("<5I", content[:20])
    if magic != 0x950412DE:
        return  # of a machine with another byte order
    for row in range(count):
        pair = []
        for table in tables:
            length, start = struct.unpack_from("<2I", content, table + 8 * row)
            pair.append(content[start : start + length].split(b"\0")[0].decode("utf-8", "replace"))
        yield pair[0], pair[1]


def messages(n: int, seed: int) -> pd.DataFrame:
    """``text, label, language``: translated messages of twelve characters or more, each text once."""
    rows = []
    for program in PROGRAMS:
        for path in sorted(CATALOGS.glob(f"*/LC_MESSAGES/{program}.mo")):
            texts = {" ".join(text.split()) for key, text in catalog(path) if key and text != key}
            rows += [(text, program, path.parts[-3]) for text in sorted(texts) if len(text) >= 12]
    table = pd.DataFrame(rows, columns=["text", "label", "language"]).drop_duplicates("text")
    most = table.groupby("language")["label"].nunique().sort_values(ascending=False, kind="stable").index[:LANGUAGES]
    if len(most) < LANGUAGES:
        raise SystemExit(f"only {len(most)} languages below {CATALOGS}; install translations (Debian: locales-all)")
    table = table[table["language"].isin(most)]
    return table.sample(n, random_state=seed, ignore_index=True)


def tables(name: str, data_dir: Path, seed: int) -> tuple[pd.DataFrame, str]:
    """The items of a set with their true labels in a column, and the column's name."""
    if name == "images":
        stored = pd.read_parquet(data_dir / "cifar10" / "test-00000-of-00001.parquet")
        return stored.sample(1000, random_state=seed, ignore_index=True), "label"
    if name == "texts":
        return messages(2000, seed), "label"
    return (penguins(seed=seed) if name == "penguins" else weather(seed=seed)), LABEL


def plant(name: str, table: pd.DataFrame, label: str, rate: float, seed: int, folder: Path) -> tuple[str, np.ndarray]:
    """Write the set with errors into `folder`: its reference, and the rows that are wrong."""
    classes, true = np.unique(table[label].astype(str), return_inverse=True)
    given = inject("symmetric", np.arange(len(table)).astype(str), true, len(classes), rate, seed)
    wrong = given != true
    if name == "images":
        for row, (picture, k) in enumerate(zip(table["img"], given, strict=True)):
            home = folder / "pictures" / f"class-{classes[k]}"
            home.mkdir(parents=True, exist_ok=True)
            _write_png(picture["bytes"], home / f"{row:05d}.png")
        return str(folder / "pictures"), wrong
    path = folder / f"{name}.csv"
    table.assign(**{label: classes[given]}).to_csv(path, index=False)
    return f"{path}?label={label}" + ("&text=text" if name == "texts" else ""), wrong


def _write_png(content: bytes, path: Path) -> None:
    import io

    from PIL import Image

    Image.open(io.BytesIO(content)).convert("RGB").save(path)


def rows_of(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    """Row of the planted table of every item: its number in the file, or the name of its picture."""
    position = {item: int(index) for item, index in zip(dataset.ids.tolist(), dataset.items.index, strict=True)}
    if isinstance(dataset, ImageDataset):
        position = {item: int(Path(item).stem) for item in dataset.ids.tolist()}
    return np.array([position[item] for item in ids.tolist()], dtype=np.int64)


class FittedByPositions:
    """A trainer as the scikit-learn estimator that CleanLearning asks for; X holds positions of items."""

    def __init__(self, trainer: Trainer, data: TrainingData) -> None:
        self.trainer, self.data = trainer, data

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"trainer": self.trainer, "data": self.data}

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: None = None) -> FittedByPositions:
        self.train_, self.classes_ = np.asarray(X)[:, 0].astype(np.int64), np.arange(self.data.n_classes)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        task = FitTask("fit", self.train_, np.asarray(X)[:, 0].astype(np.int64), 0)
        return self.trainer.fit(self.data, task, SilentProgress(), None).probabilities

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


def training_data(dataset: Dataset, ids: np.ndarray) -> TrainingData:
    """The audited items as the trainer gets them."""
    at = {item: row for row, item in enumerate(dataset.ids.tolist())}
    part = dataset.subset(np.array([at[item] for item in ids.tolist()]))
    if isinstance(part, ImageDataset):
        features: Any = part.load_images()[0]
    else:
        features = list(part.texts) if isinstance(part, TextDataset) else part.frame  # type: ignore[attr-defined]
    kind = "table" if isinstance(part, TableDataset) else part.modality
    return TrainingData(kind, features, part.labels, len(part.class_names))


def datalab(run: Run) -> tuple[np.ndarray, np.ndarray]:
    from cleanlab import Datalab

    lab = Datalab(data={"y": run.labels}, label_name="y", verbosity=0)
    lab.find_issues(pred_probs=run.pred_probs, issue_types={"label": {}})
    issues = lab.get_issues("label")
    return -issues["label_score"].to_numpy(), issues["is_label_issue"].to_numpy()


def clean_learning(run: Run, dataset: Dataset, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    from cleanlab.classification import CleanLearning

    trainer = make_trainer(run.manifest["model"]["name"], run.config["budget"], cache_dir=cache)
    wrapped = FittedByPositions(trainer, training_data(dataset, run.ids))
    learner = CleanLearning(wrapped, cv_n_folds=5, seed=0, find_label_issues_kwargs={"n_jobs": 1})
    issues = learner.find_label_issues(np.arange(len(run.ids))[:, None], run.labels)
    return -issues["label_quality"].to_numpy(), issues["is_label_issue"].to_numpy()


def measure(name: str, seed: int, rate: float, data_dir: Path) -> dict[str, Any]:
    table, label = tables(name, data_dir, seed)
    settings = Settings(data_dirs=(data_dir,), offline=True)
    with tempfile.TemporaryDirectory() as folder:
        reference, planted = plant(name, table, label, rate, seed, Path(folder))
        begin = time.perf_counter()
        run = auditor.find_errors(reference, out=Path(folder) / "run", seed=seed, workers=1, settings=settings)
        seconds = {"auditor": time.perf_counter() - begin}
        dataset = open_dataset(reference, settings)
        wrong = planted[rows_of(dataset, run.ids)]
        scores = run.scores.set_index("id").loc[run.ids]
        answers = {"auditor": (scores["score"].to_numpy(), scores["flagged"].to_numpy(dtype=bool))}
        peers = {"Datalab": lambda: datalab(run), "CleanLearning": lambda: clean_learning(run, dataset, Path(folder))}
        for method, ask in peers.items():
            begin = time.perf_counter()
            answers[method] = ask()
            seconds[method] = time.perf_counter() - begin
    row = {
        "set": name,
        "seed": seed,
        "n": len(wrong),
        "wrong": int(wrong.sum()),
        "classes": len(dataset.class_names),
        "model": run.manifest["model"]["name"],
        "reason": run.manifest["model"]["reason"],
        "accuracy against given": round(float((run.pred_probs.argmax(axis=1) == run.labels).mean()), 4),
    }
    for method, (suspicion, flags) in answers.items():
        row[method] = {
            "AP": round(100 * Ranked.of(wrong, suspicion, run.ids).average_precision(), 2),
            "F1": round(100 * flag_counts(wrong, flags).f1, 2),
            "flagged": int(flags.sum()),
            "seconds": round(seconds[method], 1),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["images", "penguins", "weather", "texts"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("AUDITOR_DATA_DIR", "../shared/data")))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    stored = options.out / "peers.json"
    # Sets that are not measured now keep their rows.
    rows = [row for row in read_json(stored)["rows"] if row["set"] not in options.sets] if stored.is_file() else []
    for name in options.sets:
        for seed in range(options.seeds):
            rows.append(measure(name, seed, options.rate, options.data_dir.resolve()))
            print(rows[-1], flush=True)
            # After each: an interrupted benchmark keeps what it has measured.
            document = {
                "schema": "auditor.benchmark.peers/1",
                "rate": options.rate,
                "rows": rows,
                "machine": describe_machine(),
                "versions": package_versions() | {"cleanlab": _version("cleanlab")},
            }
            write_json(options.out / "peers.json", document)
            with atomic_write(options.out / "peers.md") as handle:
                handle.write(markdown(document).encode())


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def markdown(document: dict[str, Any]) -> str:
    """Means over the seeds, with the smallest and the largest difference from each peer."""
    machine, versions = document["machine"], document["versions"]
    lines = [
        "# auditor beside Datalab and CleanLearning, with the same models",
        "",
        f"Made by `python benchmarks/peers.py`, which describes the sets. {document['rate']:.0%} of the labels planted "
        "wrong. AP and F1 in %, means over the seeds; in brackets the smallest and the largest difference.",
        "",
        "| set | items, wrong, classes | seeds | model, accuracy against given | figure | "
        + " | ".join(METHODS)
        + " | less Datalab | less CleanLearning |",
        "|" + "---|" * 10,
    ]
    table = pd.DataFrame(document["rows"])
    for name, rows in table.groupby("set", sort=False):
        models = "/".join(sorted(set(rows["model"])))
        about = f"{rows['n'].iloc[0]:,}, {rows['wrong'].mean():.0f}, {rows['classes'].iloc[0]}"
        for figure in ("AP", "F1", "seconds"):
            values = {method: np.array([row[figure] for row in rows[method]]) for method in METHODS}
            less = [values["auditor"] - values[peer] for peer in METHODS[1:]]
            means = " | ".join(f"{values[method].mean():.1f}" for method in METHODS)
            apart = " | ".join(
                "" if figure == "seconds" else f"{d.mean():+.1f} [{d.min():+.1f}, {d.max():+.1f}]" for d in less
            )
            accuracy = f"{models}, {100 * rows['accuracy against given'].mean():.1f}"
            lines.append(f"| {name} | {about} | {len(rows)} | {accuracy} | {figure} | {means} | {apart} |")
    return "\n".join(
        [
            *lines,
            "",
            "Seconds: auditor's whole run with training, quality checks and report; Datalab's are without training.",
            "",
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, one process; "
            + ", ".join(
                f"{k} {v}" for k, v in versions.items() if k in ("auditor", "cleanlab", "scikit-learn", "torch")
            )
            + ".",
            "",
        ]
    )


if __name__ == "__main__":
    main()
