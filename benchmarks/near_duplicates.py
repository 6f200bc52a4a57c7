"""Near copies: which kinds of change are found, how many of the pairs found are right, and what only looks like a copy.

Run from a checkout::

    python benchmarks/near_duplicates.py [--data ../shared/data] [--copies 100] [--peer-python PYTHON]

writes benchmarks/results/near-duplicates.json and .md. Three sets of pictures, each with one method after the other:

- **Planted**: to the 10,000 test images of CIFAR-10 come `--copies` changed copies per kind of change, each of another
  image. Recall: the share of copies that are paired with their original. Precision: of the pairs that touch a copy of
  this kind, the share whose two items come from one image, or from two images that are a near pair without any planted
  copy too (CIFAR-10 has some of its own).
- **Known**: 1,000 CIFAR-10 test images of one class and their JPEG twins in CIFAKE, by the smallest distance of pixels.
- **Drawn**: pictures that look alike and mean different things (`tests/quality/look_alikes.py`), 64 and 224 px wide:
  pairs of one width are wrong. And the same with a changed copy of each: a copy is found where it is paired with its
  original at either width. The limits of the comparison were set with these drawings and changes in sight.

`--peer-python`: an interpreter with `cleanvision`, `imagededup` and `cleanlab[datalab]`, which are measured on the same
files and embeddings with default settings: near and exact duplicates of cleanvision, perceptual hash of imagededup,
near duplicates of Datalab. For cleanvision and Datalab a pair counts where both items are in one set. `cosine 0.96` is
the default threshold of fastdup's connected components, on the embeddings of this run.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import DATA
from PIL import Image

from auditor.core.config import load_settings
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.base import ItemTable
from auditor.data.kinds import ImageDataset
from auditor.data.open import open_dataset
from auditor.data.sources import FileSource
from auditor.detect.neighbours import nearest
from auditor.quality.open_subject import make_subject, neighbours_of
from auditor.quality.subject import Subject
from auditor.train.choose_embedding import standardised
from auditor.train.embeddings import embed
from auditor.train.encoders import make_encoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.quality.look_alikes import CHANGES, LOOK_ALIKES, OTHER_CHANGES

SIDE, ENCODER, FASTDUP = 48, "efficientnet-lite0", 0.96
RESULTS = Path(__file__).parent / "results"
DRAWN_SIDES, DRAWN_CHANGES = (64, 224), ("JPEG, quality 30", "scaled to 75 %", "colour jitter")
PEER = """
import json, sys, time
import numpy as np
place, sets = sys.argv[1], sys.argv[2:]
result = {name: {} for name in sets}
number = lambda path: int(str(path).rsplit("/", 1)[-1].split(".")[0])
def within(groups):
    return [[number(a), number(b)] for one in groups for i, a in enumerate(one) for b in one[i + 1 :]]
from cleanvision import Imagelab
from imagededup.methods import PHash
for name in sets:
    begin = time.process_time()
    lab = Imagelab(data_path=f"{place}/{name}")
    lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
    pairs = within(lab.info["exact_duplicates"]["sets"] + lab.info["near_duplicates"]["sets"])
    result[name]["cleanvision"] = {"pairs": pairs, "cpu_seconds": time.process_time() - begin}
    begin = time.process_time()
    method = PHash(verbose=False)
    hashes = method.encode_images(f"{place}/{name}", num_enc_workers=0)
    found = method.find_duplicates(encoding_map=hashes, num_dist_workers=0)
    pairs = [[number(a), number(b)] for a, others in found.items() for b in others]
    result[name]["imagededup"] = {"pairs": pairs, "cpu_seconds": time.process_time() - begin}
from cleanlab import Datalab
begin = time.process_time()
z, y = np.load(place + "/embeddings.npy"), np.load(place + "/labels.npy")
lab = Datalab(data={"y": y}, label_name="y", verbosity=0)
lab.find_issues(features=z, issue_types={"near_duplicate": {}})
found = lab.get_issues("near_duplicate")
rows = [[i, *map(int, s)] for i, s in enumerate(found["near_duplicate_sets"]) if len(s)]
pairs = [[a, b] for a, *rest in rows for b in rest]
result["planted"]["Datalab"] = {"pairs": pairs, "cpu_seconds": time.process_time() - begin}
from importlib.metadata import version
result["versions"] = {name: version(name) for name in ("cleanlab", "cleanvision", "imagededup")}
json.dump(result, open(place + "/out.json", "w"))
"""


def planted(images: np.ndarray, copies: int) -> tuple[list[Image.Image], np.ndarray, np.ndarray, list[str]]:
    """Pictures with the copies behind them, the image each comes from, and the kind of change (-1: none)."""
    rng, kinds = np.random.default_rng(0), CHANGES | OTHER_CHANGES
    order = rng.permutation(len(images))
    pictures, origin, kind = [Image.fromarray(i) for i in images], [np.arange(len(images))], [np.full(len(images), -1)]
    for k, change in enumerate(kinds.values()):
        chosen = np.sort(order[k * copies : (k + 1) * copies])
        pictures += [change(Image.fromarray(images[i]), rng) for i in chosen]
        origin.append(chosen)
        kind.append(np.full(len(chosen), k))
    return pictures, np.concatenate(origin), np.concatenate(kind), list(kinds)


def twins(images: np.ndarray, labels: np.ndarray, data: Path) -> list[Image.Image]:
    """The 1,000 airplanes of the CIFAR-10 test split, and behind them the twin of each in CIFAKE."""
    import pyarrow.parquet as pq

    table = pq.read_table(data / "cifake" / "test-00000-of-00001.parquet")["image"].to_pylist()
    real = [i["bytes"] for i in table if "/REAL/" in i["path"] and "(" not in i["path"]]
    jpeg = [Image.open(io.BytesIO(content)).convert("RGB") for content in real]
    flat = np.stack([np.asarray(i) for i in jpeg]).reshape(len(jpeg), -1).astype(np.float32)
    mine = images[labels == 0]
    rows = mine.reshape(len(mine), -1).astype(np.float32)
    distance = (flat**2).sum(axis=1)[None] - 2 * rows @ flat.T
    return [Image.fromarray(i) for i in mine] + [jpeg[k] for k in distance.argmin(axis=1)]


def drawings() -> tuple[list[Image.Image], list[str]]:
    """Pictures that mean different things, then a copy of each by each change, with the name of each."""
    pictures, names, rng = [], [], np.random.default_rng(0)
    for side in DRAWN_SIDES:
        for family, draw in LOOK_ALIKES.items():
            own = draw(side)
            pictures, names = pictures + own, names + [f"{side} {family}"] * len(own)
    whole = list(pictures)
    for change in DRAWN_CHANGES:
        pictures += [CHANGES[change](picture, rng) for picture in whole]
        names += [change] * len(whole)
    return pictures, names


def subject_of(folder: Path, labels: np.ndarray) -> Subject:
    paths = sorted(map(str, folder.iterdir()))
    items = ItemTable(
        np.array([Path(p).stem for p in paths]), labels, np.full(len(paths), "all"), np.arange(len(paths))
    )
    dataset = ImageDataset("planted", "planted", ("a", "b"), items, source=FileSource(paths))
    return make_subject(dataset, None, SilentProgress(), workers=1)


def ours(folder: Path, vectors: np.ndarray | None = None) -> dict[str, Any]:
    """Near pairs and exact ones, those of mirror images, and the time."""
    begin, n = time.process_time(), len(list(folder.iterdir()))
    subject = subject_of(folder, np.arange(n) % 2)
    if vectors is not None:
        subject.neighbours = neighbours_of(ENCODER, vectors, np.arange(n), n)
    near = subject.near_pairs
    own = np.column_stack([subject.exact, np.arange(n)])
    pairs = np.concatenate([near.pairs, own[own[:, 0] != own[:, 1]]])
    return {"pairs": pairs, "mirrored": near.mirrored, "cpu_seconds": time.process_time() - begin}


def judged(found: dict[str, Any], origin: np.ndarray, kind: np.ndarray, names: list[str], natural: set) -> list[dict]:
    rows = []
    for k, name in enumerate(names):
        mine = np.flatnonzero(kind == k)
        # Mirror images are looked for as such.
        pairs = found["mirrored"] if name == "mirrored" and "mirrored" in found else found["pairs"]
        touching = pairs[(kind[pairs] == k).any(axis=1)]
        first, second = np.sort(origin[touching], axis=1).T if len(touching) else (np.empty(0), np.empty(0))
        same = first == second
        known = np.array([bool(s) or (int(a), int(b)) in natural for a, b, s in zip(first, second, same, strict=True)])
        met = {int(i) for pair, s in zip(touching.tolist(), same, strict=True) if s for i in pair}
        recall = float(np.mean([int(i) in met for i in mine]))
        row = {"change": name, "copies": len(mine), "recall": round(recall, 4), "pairs": len(touching)}
        rows.append(row | {"precision": round(float(known.mean()), 4) if len(touching) else None})
    return rows


def on_twins(pairs: np.ndarray) -> dict[str, Any]:
    n = len({tuple(sorted(pair)) for pair in pairs.tolist() if abs(pair[0] - pair[1]) == 1000})
    return {"found": n, "of": 1000, "other_pairs": len(np.unique(np.sort(pairs, axis=1), axis=0)) - n}


def on_drawings(pairs: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Wrong pairs among the drawings by family, and copies found by change."""
    n = sum(name not in DRAWN_CHANGES for name in names)
    # One drawing occurs once per width, in the same order.
    drawing = n // len(DRAWN_SIDES)
    pairs = np.unique(np.sort(pairs, axis=1), axis=0) if len(pairs) else np.empty((0, 2), np.int64)
    inside = pairs[(pairs < n).all(axis=1)]
    families = list(dict.fromkeys(names[:n]))
    wrong = {f: int(sum(names[a] == f == names[b] for a, b in inside.tolist())) for f in families}
    same = pairs[:, 0] % drawing == pairs[:, 1] % drawing
    right = pairs[(pairs[:, 1] >= n) & same]
    met = set(right[right[:, 0] < n, 1].tolist())
    recall = {c: round(np.mean([k in met for k in range(n, len(names)) if names[k] == c]), 4) for c in DRAWN_CHANGES}
    others = int((~same).sum())
    return {"wrong_among_originals": wrong, "recall": recall, "wrong_pairs": others, "right_pairs": len(pairs) - others}


def write_files(folder: Path, pictures: list[Image.Image]) -> Path:
    folder.mkdir()
    for i, picture in enumerate(pictures):
        picture.save(folder / f"{i:06d}.png")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--peer-python")
    options = parser.parse_args()
    dataset = open_dataset("cifar10?split=test", load_settings({"data_dir": options.data, "offline": True}))
    if not isinstance(dataset, ImageDataset):
        raise TypeError("cifar10 is not an image data set")
    images, _ = dataset.load_images()
    pictures, origin, kind, changes = planted(images, options.copies)
    drawn, names = drawings()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        folders = {
            "planted": write_files(place / "planted", pictures),
            "known": write_files(place / "known", twins(images, dataset.labels, options.data)),
            "drawn": write_files(place / "drawn", drawn),
        }
        pixels = np.stack([np.asarray(p.resize((32, 32), Image.Resampling.BICUBIC)) for p in pictures])
        encoder = make_encoder(ENCODER, SIDE)
        vectors = standardised(np.asarray(embed(encoder, pixels, None, "cpu", 2, SilentProgress(), "embed")))
        found: dict[str, dict[str, Any]] = {name: {"pixels alone": ours(where)} for name, where in folders.items()}
        found["planted"]["pixels and embeddings"] = ours(folders["planted"], vectors)
        positions, cosines = nearest(vectors, 10)
        close = np.argwhere(cosines >= FASTDUP)
        pairs = np.column_stack([close[:, 0], positions[close[:, 0], close[:, 1]]])
        found["planted"]["cosine 0.96"] = {"pairs": pairs, "cpu_seconds": 0.0}
        versions = package_versions()
        if options.peer_python:
            np.save(place / "embeddings.npy", vectors)
            np.save(place / "labels.npy", dataset.labels[origin])
            subprocess.run([options.peer_python, "-c", PEER, folder, *folders], check=True)
            told = json.loads((place / "out.json").read_text())
            versions |= {f"peer {k}": v for k, v in told.pop("versions").items()}
            for name, methods in told.items():
                for method, one in methods.items():
                    pairs = np.unique(np.sort(np.array(one["pairs"], np.int64).reshape(-1, 2), axis=1), axis=0)
                    found[name][method] = {"pairs": pairs, "cpu_seconds": one["cpu_seconds"]}
    natural: set[tuple[int, int]] = set()
    for name in ("pixels alone", "pixels and embeddings"):
        pairs = found["planted"][name]["pairs"]
        unplanted = np.sort(pairs[(kind[pairs] < 0).all(axis=1)], axis=1)
        natural |= {(int(a), int(b)) for a, b in unplanted}
    write(
        {
            "schema": "auditor.benchmark.near-duplicates/2",
            "n_images": len(images),
            "copies": options.copies,
            "encoder": f"{ENCODER}, {SIDE} px",
            "seed": 0,
            "natural_pairs": len(natural),
            "planted": {
                name: {
                    "cpu_seconds": round(one["cpu_seconds"], 1),
                    "changes": judged(one, origin, kind, changes, natural),
                }
                for name, one in found["planted"].items()
            },
            "known": {name: on_twins(one["pairs"]) for name, one in found["known"].items()},
            "drawn": {name: on_drawings(one["pairs"], names) for name, one in found["drawn"].items()},
            "n_drawn": {f: names.count(f) for f in dict.fromkeys(names) if f not in DRAWN_CHANGES},
            "machine": describe_machine(),
            "versions": versions,
        }
    )


def write(result: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "near-duplicates.json").write_text(json.dumps(result, indent=1) + "\n")
    text = str(__doc__)
    lines = ["# Near copies and look-alikes", "", "Made by `python benchmarks/near_duplicates.py`.", ""]
    lines += [text[text.index("Three sets") :].replace("`--copies`", str(result["copies"])).strip(), ""]
    methods = list(result["planted"])
    lines += ["## Planted", "", f"Embeddings: {result['encoder']}. Recall / precision; seed {result['seed']}.", ""]
    lines += ["| change | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for k, row in enumerate(result["planted"][methods[0]]["changes"]):
        cells = []
        for name in methods:
            one = result["planted"][name]["changes"][k]
            precision = "-" if one["precision"] is None else f"{one['precision']:.3f}"
            cells.append(f"{one['recall']:.3f} / {precision}")
        lines.append(f"| {row['change']} | " + " | ".join(cells) + " |")
    seconds = ", ".join(f"{name} {result['planted'][name]['cpu_seconds']}" for name in methods if name != "cosine 0.96")
    lines += ["", "Of the mirrored pictures ours is the check `mirrored_items`; they are no near copies.", ""]
    lines += [f"CPU seconds without the embedding: {seconds}.", "", "## Known", ""]
    lines += ["| method | twins found | of | other pairs |", "|---|---|---|---|"]
    lines += [f"| {m} | {r['found']:,} | {r['of']:,} | {r['other_pairs']:,} |" for m, r in result["known"].items()]
    methods = list(result["drawn"])
    lines += ["", "## Drawn", "", "Pairs called copies among pictures that mean different things:", ""]
    lines += ["| pictures | n | " + " | ".join(methods) + " |", "|---|---|" + "---|" * len(methods)]
    for family, n in result["n_drawn"].items():
        cells = [str(result["drawn"][m]["wrong_among_originals"][family]) for m in methods]
        lines.append(f"| {family} | {n} | " + " | ".join(cells) + " |")
    lines += ["", "With a changed copy of each, share of copies found; and all pairs, wrong and right:", ""]
    lines += ["| change | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for change in DRAWN_CHANGES:
        lines.append(
            f"| {change} | " + " | ".join(f"{result['drawn'][m]['recall'][change]:.3f}" for m in methods) + " |"
        )
    for what in ("wrong_pairs", "right_pairs"):
        lines.append(
            f"| {what.replace('_', ' ')} | " + " | ".join(f"{result['drawn'][m][what]:,}" for m in methods) + " |"
        )
    lines += ["", f"Machine: {json.dumps(result['machine'])}", "", f"Versions: {json.dumps(result['versions'])}", ""]
    (RESULTS / "near-duplicates.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
