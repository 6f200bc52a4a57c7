"""Pictures of scikit-learn's digits with known boxes and masks, wrong labels of each kind, and a network's predictions.

A scene is 64x64, has two to six digits of 11 to 26 pixels, which may overlap, pieces of digits and strokes as clutter,
and noise. Labels are made wrong first; two networks are then trained, each on one half of the scenes with the labels as
they are given, and each predicts the other half: boxes as CenterNet does (a peak a class, its distances to the sides;
of those of one class that overlap by half the highest), and the classes of pixels. What is built is kept in a folder by
seed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, label, zoom
from sklearn.datasets import load_digits

from auditor.core.files import load_npz
from auditor.core.seeds import derive_seed, generator
from auditor.kinds.box_model import overlaps

SIDE, STRIDE, CLASSES = 64, 4, 10
#: Of the boxes of each kind of error, and of the objects in masks.
RATE = 0.04
EPOCHS, BATCH = 16, 16


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures, what is true, what is given, and what was made wrong.

    Attributes
    ----------
    pixels : float32 (n, 64, 64)
    true_boxes, given_boxes : float64 (m, 6) and (m2, 7)
        Picture, class, x, y, width, height; of given ones also the error: -1 none, 0 located, 1 swapped, 2 surplus.
    lost : bool (m,)
        True boxes that are not given.
    true_masks, given_masks : int64 (n, 64, 64)
        0 background, 1 + class.
    """

    pixels: np.ndarray
    true_boxes: np.ndarray
    given_boxes: np.ndarray
    lost: np.ndarray
    true_masks: np.ndarray
    given_masks: np.ndarray


def draw(n: int, seed: int) -> Scenes:
    """`n` scenes and their wrong labels."""
    images, classes = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    rng = generator(seed, "scenes")
    pixels = np.zeros((n, SIDE, SIDE))
    masks = np.zeros((n, SIDE, SIDE), np.int64)
    objects = np.zeros((n, SIDE, SIDE), np.int64)
    boxes: list[tuple[float, ...]] = []
    for k in range(n):
        for _ in range(rng.integers(2, 6)):
            _clutter(pixels[k], images[rng.integers(len(images))], rng)
        placed: list[np.ndarray] = []
        for _ in range(rng.integers(2, 7)):
            which = rng.integers(len(images))
            grown = np.clip(zoom(images[which], rng.uniform(11, 26) / 8, order=1), 0, 1)
            inked = grown > 0.3
            rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
            height, width = grown.shape
            top, left = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
            box = np.array([left + columns[0], top + rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1], float)
            if placed and overlaps(box[None], np.array(placed)).max() > 0.15:
                continue
            placed.append(box)
            part = (k, slice(top, top + height), slice(left, left + width))
            pixels[part] = np.maximum(pixels[part], grown * rng.uniform(0.6, 1.0))
            masks[part][inked] = 1 + classes[which]
            objects[part][inked] = len(boxes) + 1
            boxes.append((k, classes[which], *box))
    blur = rng.uniform(0.3, 0.9, n)
    pixels = np.stack([gaussian_filter(p, b) for p, b in zip(pixels, blur, strict=True)])
    pixels += rng.normal(0, rng.uniform(0.05, 0.2, (n, 1, 1)), pixels.shape)
    true = np.array(boxes)
    given, lost = wrong_boxes(true, n, rng)
    return Scenes(pixels.astype(np.float32), true, given, lost, masks, wrong_masks(masks, objects, rng))


def _clutter(canvas: np.ndarray, digit: np.ndarray, rng: np.random.Generator) -> None:
    """A third of a digit, or a stroke."""
    if rng.random() < 0.6:
        piece = zoom(digit, rng.uniform(11, 22) / 8, order=1)
        piece = piece[: max(4, len(piece) * 2 // 5)] if rng.random() < 0.5 else piece[:, : max(4, len(piece) * 2 // 5)]
    else:
        piece = np.zeros((14, 14))
        t = np.linspace(0, 1, 60)
        points = rng.uniform(1, 12, (3, 2))
        curve = np.outer((1 - t) ** 2, points[0]) + np.outer(2 * t * (1 - t), points[1]) + np.outer(t**2, points[2])
        piece[tuple(np.round(curve).astype(int).T)] = 1.0
        piece = np.clip(gaussian_filter(piece, 0.7) * 2, 0, 1)
    height, width = piece.shape
    top, left = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
    part = (slice(top, top + height), slice(left, left + width))
    canvas[part] = np.maximum(canvas[part], piece * rng.uniform(0.5, 0.9))


def wrong_boxes(true: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Given boxes with their error, and which true ones are lost."""
    m = len(true)
    fate = rng.choice([-1, 0, 1, 3], m, p=[1 - 3 * RATE, RATE, RATE, RATE])
    given = np.column_stack([true, np.where(fate == 3, -1, fate)])
    for k in np.flatnonzero(fate == 0):
        given[k, 2:6] = _moved(true[k, 2:], rng)
    swapped = fate == 1
    given[swapped, 1] = (given[swapped, 1] + rng.integers(1, CLASSES, swapped.sum())) % CLASSES
    surplus = []
    for _ in range(rng.binomial(m, RATE)):
        k = rng.integers(n)
        size = true[rng.integers(m), 4:]
        box = np.r_[rng.uniform(0, SIDE - size), size]
        there = true[true[:, 0] == k, 2:]
        if len(there) and overlaps(box[None], there).max() > 0.3:
            continue
        surplus.append((k, rng.integers(CLASSES), *box, 2))
    rows = np.concatenate([given[fate != 3], np.array(surplus).reshape(-1, 7)])
    return rows[np.argsort(rows[:, 0], kind="stable")], fate == 3


def _moved(box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moved by up to half its size, larger or smaller; an overlap of 0.2 to 0.65 stays."""
    while True:
        size = box[2:] * rng.uniform(0.6, 1.6, 2) if rng.random() < 0.5 else box[2:]
        corner = box[:2] + (box[2:] - size) / 2 + box[2:] * rng.uniform(-0.5, 0.5, 2)
        moved = np.r_[corner, size]
        if 0.2 < overlaps(moved[None], box[None])[0, 0] < 0.65 and (corner + size > 1).all() and (corner < SIDE).all():
            return moved


def wrong_masks(masks: np.ndarray, objects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Objects lost, of another class, with a shifted or a wider border, and blobs about nothing."""
    given = masks.copy()
    for number in range(1, objects.max() + 1):
        if rng.random() >= 4 * RATE:
            continue
        k = int(np.flatnonzero((objects == number).any(axis=(1, 2)))[0]) if (objects == number).any() else -1
        if k < 0:
            continue
        piece = objects[k] == number
        kind = rng.integers(4)
        if kind == 0:
            given[k][piece] = 0
        elif kind == 1:
            given[k][piece] = 1 + (masks[k][piece][0] - 1 + rng.integers(1, CLASSES)) % CLASSES
        elif kind == 2:
            value = masks[k][piece][0]
            given[k][piece] = 0
            shifted = np.roll(piece, rng.choice([-3, -2, 2, 3], 2), (0, 1))
            given[k][shifted & (given[k] == 0)] = value
        else:
            top, left = rng.integers(0, SIDE - 12, 2)
            blob = np.zeros((SIDE, SIDE), bool)
            blob[top + 3 : top + 9, left + 3 : left + 9] = True
            if steps := int(rng.integers(0, 3)):  # SciPy takes none for as many as fill the picture
                blob = binary_dilation(blob, iterations=steps)
            given[k][blob & (masks[k] == 0)] = rng.integers(1, CLASSES + 1)
    return given


def predictions(n: int, seed: int, folder: Path) -> tuple[Scenes, list[dict[str, Any]], np.ndarray]:
    """Scenes, boxes in COCO's results form, and probabilities of pixels, float16 (n, 11, 64, 64); built once."""
    scenes = draw(n, seed)
    path = folder / f"scenes-{n}-{seed}.npz"
    if not path.exists():
        found, probabilities = _train_and_predict(scenes, seed)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, found=found, probabilities=probabilities)
    stored = load_npz(path)
    rows = [
        {"image_id": int(r[0]), "category_id": int(r[1]), "bbox": r[2:6].tolist(), "score": float(r[6])}
        for r in stored["found"]
    ]
    return scenes, rows, stored["probabilities"]


def _train_and_predict(scenes: Scenes, seed: int) -> tuple[np.ndarray, np.ndarray]:
    import torch

    n = len(scenes.pixels)
    half = np.arange(n) % 2
    found, probabilities = [], np.zeros((n, CLASSES + 1, SIDE, SIDE), np.float16)
    for part in range(2):
        begun = time.perf_counter()
        torch.manual_seed(derive_seed(seed, "network", part))
        train, test = np.flatnonzero(half != part), np.flatnonzero(half == part)
        network = _network()
        _fit(network, scenes, train, generator(seed, "batches", part))
        network.eval()
        with torch.inference_mode():
            for start in range(0, len(test), 50):
                rows = test[start : start + 50]
                heat, sides, pixels = network(torch.from_numpy(scenes.pixels[rows])[:, None])
                probabilities[rows] = pixels.softmax(1).numpy().astype(np.float16)
                for k, row in enumerate(rows):
                    found += _decoded(heat[k].sigmoid().numpy(), sides[k].numpy(), int(row))
        print(f"half {part}: {time.perf_counter() - begun:.0f} s, {len(found)} boxes", flush=True)
    found.sort(key=lambda row: row[0])
    return np.array(found), probabilities


def _network() -> Any:
    import torch
    from torch import nn

    def block(inside: int, outside: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
        conv = nn.Conv2d(inside, outside, 3, stride, dilation, dilation, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU())

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.full, self.middle = block(1, 12), nn.Sequential(block(12, 24, 2), block(24, 24))
            self.deep = nn.Sequential(block(24, 48, 2), block(48, 64), block(64, 64, dilation=2), block(64, 64))
            self.heat, self.sides = nn.Conv2d(64, CLASSES, 1), nn.Conv2d(64, 4, 1)
            self.up_middle, self.up_full = block(88, 32), block(44, 16)
            self.pixels = nn.Conv2d(16, CLASSES + 1, 1)
            nn.init.constant_(self.heat.bias, -3.0)

        def forward(self, x: Any) -> tuple[Any, Any, Any]:
            full = self.full(x)
            middle = self.middle(full)
            deep = self.deep(middle)
            up = nn.functional.interpolate
            wider = self.up_middle(torch.cat([up(deep, scale_factor=2.0), middle], 1))
            return (
                self.heat(deep),
                self.sides(deep),
                self.pixels(self.up_full(torch.cat([up(wider, scale_factor=2.0), full], 1))),
            )

    return Network()


def _targets(scenes: Scenes, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Peaks (n, 10, 16, 16), log distances to the four sides (n, 4, 16, 16), and where these are known."""
    cells = SIDE // STRIDE
    heat, sides = np.zeros((n, CLASSES, cells, cells), np.float32), np.zeros((n, 4, cells, cells), np.float32)
    known = np.zeros((n, 1, cells, cells), np.float32)
    grid = np.arange(cells) * STRIDE + STRIDE / 2
    for row in scenes.given_boxes:
        k, c, (x, y, w, h) = int(row[0]), int(row[1]), row[2:6]
        cx, cy = x + w / 2, y + h / 2
        peak = np.exp(-((grid[None, :] - cx) ** 2 + (grid[:, None] - cy) ** 2) / (2 * (0.12 * (w + h)) ** 2))
        i, j = (int(np.clip(v // STRIDE, 0, cells - 1)) for v in (cy, cx))
        peak[i, j] = 1.0
        heat[k, c] = np.maximum(heat[k, c], peak)
        for a, b in (
            (i, j),
            (max(i - 1, 0), j),
            (i, max(j - 1, 0)),
            (min(i + 1, cells - 1), j),
            (i, min(j + 1, cells - 1)),
        ):
            distances = [grid[b] - x, grid[a] - y, x + w - grid[b], y + h - grid[a]]
            if min(distances) > 0:
                sides[k, :, a, b], known[k, 0, a, b] = np.log(distances), 1.0
    return heat, sides, known


def _fit(network: Any, scenes: Scenes, rows: np.ndarray, rng: np.random.Generator) -> None:
    import torch

    x = torch.from_numpy(scenes.pixels)[:, None]
    heat, sides, known = map(torch.from_numpy, _targets(scenes, len(scenes.pixels)))
    masks = torch.from_numpy(scenes.given_masks)
    steps = EPOCHS * (len(rows) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps)
    for _ in range(EPOCHS):
        order = rng.permutation(rows)
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            at = torch.from_numpy(order[start : start + BATCH])
            raw, distances, pixels = network(x[at])
            p = raw.sigmoid().clamp(1e-4, 1 - 1e-4)
            target = heat[at]
            peak = (target == 1).float()
            focal = -(peak * (1 - p) ** 2 * p.log() + (1 - target) ** 4 * p**2 * (1 - p).log() * (1 - peak)).sum()
            place = ((distances - sides[at]).abs() * known[at]).sum() / known[at].sum().clamp(min=1)
            loss = focal / peak.sum().clamp(min=1) + place
            loss = loss + 2 * torch.nn.functional.cross_entropy(pixels, masks[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def _decoded(heat: np.ndarray, sides: np.ndarray, picture: int) -> list[tuple[float, ...]]:
    """Peaks above 0.05 as boxes; of those of one class that overlap by half or more the highest."""
    rows = []
    distances = np.exp(np.clip(sides, -2, 4))
    for c in range(CLASSES):
        cells = np.argwhere(heat[c] > 0.05)
        score = heat[c][tuple(cells.T)]
        cells = cells[np.argsort(-score)]
        kept: list[np.ndarray] = []
        for i, j in cells:
            cx, cy = j * STRIDE + STRIDE / 2, i * STRIDE + STRIDE / 2
            left, top, right, bottom = distances[:, i, j]
            low = np.clip([cx - left, cy - top], 0, SIDE - 1)
            high = np.clip([cx + right, cy + bottom], low + 1, SIDE)
            box = np.r_[low, high - low]
            if kept and overlaps(box[None], np.array(kept)).max() >= 0.5:
                continue
            kept.append(box)
            rows.append((picture, c, *box, float(heat[c, i, j])))
    return rows


def coco(scenes: Scenes) -> dict[str, Any]:
    """The given boxes as a COCO document."""
    return {
        "images": [{"id": k, "width": SIDE, "height": SIDE} for k in range(len(scenes.pixels))],
        "categories": [{"id": c, "name": str(c)} for c in range(CLASSES)],
        "annotations": [
            {"id": k, "image_id": int(r[0]), "category_id": int(r[1]), "bbox": r[2:6].tolist()}
            for k, r in enumerate(scenes.given_boxes)
        ],
    }


def connected(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected pieces of a bool (H, W), corners included: numbers from 1, and how many."""
    numbered, count = label(mask, np.ones((3, 3)))
    return np.asarray(numbered), int(count)


def inner(mask: np.ndarray) -> np.ndarray:
    """Pixels that do not touch the border of their piece."""
    return np.asarray(binary_erosion(mask))
