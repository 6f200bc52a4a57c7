"""Near copies planted on CIFAR-10: which kinds of change are found, and how many of the pairs found are right.

Run from a checkout::

    python benchmarks/near_duplicates.py [--data ../shared/data] [--copies 300] [--peer-python PYTHON]

writes benchmarks/results/near-duplicates.json and .md. To the 10,000 test images come `--copies` changed copies per
kind of change, each of another image. Recall: the share of copies that are paired with their original. Precision: of
the pairs that touch a copy of this kind, the share whose two items come from one image, or from two images that are a
near pair without any planted copy too (CIFAR-10 has some of its own).

`--peer-python`: an interpreter with `cleanvision` and `cleanlab[datalab]`, which are measured on the same pictures and
embeddings: cleanvision's near and exact duplicates, Datalab's near duplicates, default settings. For them a pair counts
where both items are in one set.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from auditor.core.config import load_settings
from auditor.core.machine import describe_machine, package_versions
from auditor.core.progress import SilentProgress
from auditor.data.base import ItemTable
from auditor.data.kinds import RGB_SCHEME, ImageDataset
from auditor.data.open import open_dataset
from auditor.data.sources import ArraySource
from auditor.quality.open_subject import make_subject, neighbours_of
from auditor.quality.subject import Subject
from auditor.train.choose_embedding import standardised
from auditor.train.embeddings import embed
from auditor.train.encoders import make_encoder

SIDE, ENCODER = 48, "efficientnet-lite0"
RESULTS = Path(__file__).parent / "results"
PEER = """
import json, sys, time
import numpy as np
folder, out = sys.argv[1:]
result = {}
from cleanvision import Imagelab
begin = time.process_time()
lab = Imagelab(data_path=folder + "/pictures")
lab.find_issues({"exact_duplicates": {}, "near_duplicates": {}}, n_jobs=1, verbose=False)
number = lambda path: int(str(path).rsplit("/", 1)[-1].split(".")[0])
sets = lab.info["exact_duplicates"]["sets"] + lab.info["near_duplicates"]["sets"]
result["cleanvision"] = {"sets": [[number(p) for p in one] for one in sets], "cpu_seconds": time.process_time() - begin}
from cleanlab import Datalab
begin = time.process_time()
z, y = np.load(folder + "/embeddings.npy"), np.load(folder + "/labels.npy")
lab = Datalab(data={"y": y}, label_name="y", verbosity=0)
lab.find_issues(features=z, issue_types={"near_duplicate": {}})
found = lab.get_issues("near_duplicate")
sets = [[i, *map(int, s)] for i, s in enumerate(found["near_duplicate_sets"]) if len(s)]
result["Datalab"] = {"pairs": [[a, b] for a, *rest in sets for b in rest], "cpu_seconds": time.process_time() - begin}
from importlib.metadata import version
result["versions"] = {name: version(name) for name in ("cleanlab", "cleanvision")}
json.dump(result, open(out, "w"))
"""


def changes(rng: np.random.Generator) -> dict[str, Callable[[Image.Image], Image.Image]]:
    """Kinds of change of a 32 x 32 picture."""

    def crop(share: float) -> Callable[[Image.Image], Image.Image]:
        def cut(image: Image.Image) -> Image.Image:
            side = round(32 * share)
            x, y = rng.integers(0, 32 - side + 1, 2).tolist()
            return image.crop((x, y, x + side, y + side)).resize((32, 32), Image.Resampling.BICUBIC)

        return cut

    def saved(quality: int) -> Callable[[Image.Image], Image.Image]:
        def save(image: Image.Image) -> Image.Image:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=quality)
            return Image.open(buffer).convert("RGB")

        return save

    def noisy(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image).astype(float) + rng.normal(0, 8, (32, 32, 3))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    return {
        "JPEG, quality 75": saved(75),
        "JPEG, quality 30": saved(30),
        "JPEG, quality 10": saved(10),
        "brightness x 0.6": lambda image: image.point(lambda v: v * 0.6),
        "brightness x 1.3": lambda image: image.point(lambda v: min(255, v * 1.3)),
        "contrast x 0.5": lambda image: image.point(lambda v: 128 + (v - 128) * 0.5),
        "grey": lambda image: image.convert("L").convert("RGB"),
        "noise, sd 8": noisy,
        "blur, radius 1": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
        "16 px and back": lambda image: image.resize((16, 16), Image.Resampling.BOX).resize((32, 32)),
        "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "upside down": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        "rotated by 5 degrees": lambda image: image.rotate(5, Image.Resampling.BICUBIC),
        "crop of 94 %": crop(0.94),
        "crop of 90 %": crop(0.9),
        "crop of 80 %": crop(0.8),
        "crop of 70 %": crop(0.7),
        "crop of 60 %": crop(0.6),
    }


def planted(images: np.ndarray, copies: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Pictures with the copies behind them, the image each comes from, and the kind of change (-1: none)."""
    rng = np.random.default_rng(0)
    kinds = changes(rng)
    order = rng.permutation(len(images))
    pixels, origin, kind = [images], [np.arange(len(images))], [np.full(len(images), -1)]
    for k, change in enumerate(kinds.values()):
        chosen = np.sort(order[k * copies : (k + 1) * copies])
        pixels.append(np.stack([np.asarray(change(Image.fromarray(images[i]))) for i in chosen]))
        origin.append(chosen)
        kind.append(np.full(len(chosen), k))
    return np.concatenate(pixels), np.concatenate(origin), np.concatenate(kind), list(kinds)


def subject_of(pixels: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> Subject:
    n = len(pixels)
    items = ItemTable(np.array([f"{i:06d}" for i in range(n)]), labels, np.full(n, "all"), np.arange(n))
    dataset = ImageDataset("planted", "planted", names, items, source=ArraySource(pixels), hash_scheme=RGB_SCHEME)
    return make_subject(dataset, None, SilentProgress())


def found_pairs(subject: Subject) -> np.ndarray:
    """Near pairs and exact ones, int64 (p, 2)."""
    own = np.column_stack([subject.exact, np.arange(len(subject))])
    return np.concatenate([subject.near_pairs[0], own[own[:, 0] != own[:, 1]]])


def judged(pairs: np.ndarray, origin: np.ndarray, kind: np.ndarray, names: list[str], natural: set) -> list[dict]:
    rows = []
    for k, name in enumerate(names):
        mine = np.flatnonzero(kind == k)
        touching = pairs[(kind[pairs] == k).any(axis=1)]
        first, second = np.sort(origin[touching], axis=1).T if len(touching) else (np.empty(0), np.empty(0))
        same = first == second
        known = np.array([bool(s) or (int(a), int(b)) in natural for a, b, s in zip(first, second, same, strict=True)])
        met = {int(i) for pair, s in zip(touching.tolist(), same, strict=True) if s for i in pair}
        recall = float(np.mean([int(i) in met for i in mine]))
        row = {"change": name, "copies": len(mine), "recall": round(recall, 4), "pairs": len(touching)}
        rows.append(row | {"precision": round(float(known.mean()), 4) if len(touching) else None})
    return rows


def peers(python: str, pixels: np.ndarray, embeddings: np.ndarray, labels: np.ndarray) -> dict:
    """Pairs of the peers and their versions."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "pictures").mkdir()
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(place / "pictures" / f"{i:06d}.png")
        np.save(place / "embeddings.npy", embeddings)
        np.save(place / "labels.npy", labels)
        subprocess.run([python, "-c", PEER, folder, str(place / "out.json")], check=True)
        found = json.loads((place / "out.json").read_text())
    sets = found["cleanvision"].pop("sets")
    found["cleanvision"]["pairs"] = [[a, b] for one in sets for i, a in enumerate(one) for b in one[i + 1 :]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--copies", type=int, default=300)
    parser.add_argument("--peer-python")
    options = parser.parse_args()
    dataset = open_dataset("cifar10?split=test", load_settings({"data_dir": options.data, "offline": True}))
    if not isinstance(dataset, ImageDataset):
        raise TypeError("cifar10 is not an image data set")
    images, _ = dataset.load_images()
    pixels, origin, kind, names = planted(images, options.copies)
    labels = dataset.labels[origin]
    encoder = make_encoder(ENCODER, SIDE)
    embeddings = standardised(np.asarray(embed(encoder, pixels, None, "cpu", 2, SilentProgress(), "embed")))
    results = {}
    natural: set[tuple[int, int]] = set()
    for name in ("pixels alone", "pixels and embeddings"):
        begin = time.process_time()
        subject = subject_of(pixels, labels, dataset.class_names)
        if name != "pixels alone":
            subject.neighbours = neighbours_of(ENCODER, embeddings, np.arange(len(pixels)), len(pixels))
        pairs = found_pairs(subject)
        seconds = time.process_time() - begin
        unplanted = np.sort(pairs[(kind[pairs] < 0).all(axis=1)], axis=1)
        natural |= {(int(a), int(b)) for a, b in unplanted}
        results[name] = {"pairs": pairs, "cpu_seconds": round(seconds, 1)}
    versions = package_versions()
    if options.peer_python:
        found = peers(options.peer_python, pixels, embeddings, labels)
        versions |= {f"peer {k}": v for k, v in found.pop("versions").items()}
        for name, one in found.items():
            pairs = np.unique(np.sort(np.array(one["pairs"], np.int64).reshape(-1, 2), axis=1), axis=0)
            results[name] = {"pairs": pairs, "cpu_seconds": round(one["cpu_seconds"], 1)}
    rows = {
        name: {"cpu_seconds": r["cpu_seconds"], "changes": judged(r["pairs"], origin, kind, names, natural)}
        for name, r in results.items()
    }
    write(
        {
            "schema": "auditor.benchmark.near-duplicates/1",
            "n_images": len(images),
            "copies": options.copies,
            "encoder": f"{ENCODER}, {SIDE} px",
            "seed": 0,
            "natural_pairs": len(natural),
            "results": rows,
            "machine": describe_machine(),
            "versions": versions,
        }
    )


def write(result: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "near-duplicates.json").write_text(json.dumps(result, indent=1) + "\n")
    methods = list(result["results"])
    text = str(__doc__)
    lines = ["# Near copies planted on CIFAR-10", "", "Made by `python benchmarks/near_duplicates.py`.", ""]
    lines += [text[text.index("To the 10,000") :].replace("`--copies`", f"{result['copies']}").strip(), ""]
    lines += [f"Embeddings: {result['encoder']}. Each cell: recall / precision; seed {result['seed']}.", ""]
    lines += ["| change | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for k, row in enumerate(result["results"][methods[0]]["changes"]):
        cells = []
        for name in methods:
            one = result["results"][name]["changes"][k]
            precision = "-" if one["precision"] is None else f"{one['precision']:.3f}"
            cells.append(f"{one['recall']:.3f} / {precision}")
        lines.append(f"| {row['change']} | " + " | ".join(cells) + " |")
    seconds = ", ".join(f"{name} {result['results'][name]['cpu_seconds']}" for name in methods)
    lines += ["", f"CPU seconds without the embedding: {seconds}.", ""]
    lines += [f"Machine: {json.dumps(result['machine'])}", "", f"Versions: {json.dumps(result['versions'])}", ""]
    (RESULTS / "near-duplicates.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
