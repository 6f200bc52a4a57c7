"""The items of a run as points in the plane: what is near in the embedding is near on the map.

Two layouts, each computed once and kept in the run folder (a content-addressed stage, see `auditor.runs.stages`): the
two leading principal axes, which take seconds at any size and keep large distances, and UMAP (McInnes et al. 2018,
arXiv 1802.03426), which keeps neighbourhoods, where umap-learn is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from auditor.core.errors import storage_errors
from auditor.core.files import load_npy, load_npz
from auditor.core.hashing import hash_file, hash_json
from auditor.core.machine import available_memory
from auditor.core.progress import Progress, SilentProgress
from auditor.detect.approximate import leading_axes, sampled_rows
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.neighbours import is_costly, narrowed, nearest, unit_rows
from auditor.runs import layout
from auditor.runs.run import Run
from auditor.runs.stages import Stages
from auditor.runs.tables import write_array, write_arrays

MAP_SCHEMA: Final = "auditor.map/1"
PCA: Final = "pca"
UMAP: Final = "umap"
#: Named as the space where a run kept no embeddings.
PROBABILITIES: Final = "out-of-fold probabilities"
#: Neighbours that UMAP keeps together: its default of 15 counts the item itself.
NEIGHBOURS: Final = 15
#: Items that UMAP lays out: below, there is nothing to lay out; above, it takes the better part of an hour.
LEAST: Final = 50
MOST: Final = 200_000
#: A constant beside the log-odds, so that the cosine of two items also tells how sure the model is of them.
_LEVEL: Final = 3.0
_BLOCK: Final = 4096


@dataclass(frozen=True)
class Space:
    """What distances between items are measured in.

    Attributes
    ----------
    name : str
        The encoder, or `PROBABILITIES`.
    rows : float array (m, d)
        Embeddings or probabilities of the audited items, memory-mapped.
    digest : str
        Hash of the file they are in.
    """

    name: str
    rows: np.ndarray
    digest: str

    def unit(self, part: slice | np.ndarray) -> np.ndarray:
        """Some rows as vectors of length 1, float32: their cosines are the similarities of the items."""
        rows = self.rows[part]
        if self.name == PROBABILITIES:
            logs = np.log(np.asarray(rows, np.float64) + LOG_FLOOR)
            centred = logs - logs.mean(axis=1, keepdims=True)
            rows = np.c_[centred, np.full(len(centred), _LEVEL)]
        return unit_rows(rows)


@dataclass(frozen=True)
class ItemMap:
    """A layout of the audited items.

    Attributes
    ----------
    points : float32 array (m, 2)
        By row of ``run.pred_probs``; units have no meaning.
    layout : str
        `PCA` or `UMAP`.
    space : str
        Name of the `Space`.
    key : str
        Changes whenever the points may.
    """

    points: np.ndarray
    layout: str
    space: str
    key: str


def item_space(run: Run) -> Space:
    """The run's embeddings, else its out-of-fold probabilities."""
    rows, name, file = run.embeddings, str(run.manifest.get("embeddings", {}).get("name")), layout.EMBEDDINGS
    if rows is None:
        rows, name, file = run.pred_probs, PROBABILITIES, run.pred_probs_path.name
    return Space(name, rows, run.recorded.get(file) or hash_file(run.path / file))


def why_no_umap(m: int) -> str | None:
    """Why `m` items are not laid out by UMAP, with the way out where there is one; None where they are."""
    if not LEAST <= m <= MOST:
        return f"UMAP lays out {LEAST} to {MOST:,} items"
    if find_spec("umap") is None:
        return "UMAP is not installed: pip install 'auditor[map]'"
    return None


def make_maps(run: Run, progress: Progress | None = None) -> list[ItemMap]:
    """Every layout of a run that can be made, computed where it is not kept yet. A call that was killed goes on where
    it was: at the principal axes, the neighbours or UMAP.

    Raises
    ------
    StorageError
        If the run folder cannot be written.
    """
    progress, space, stages = progress or SilentProgress(), item_space(run), Stages(run.path)
    m = len(space.rows)
    steps: list[tuple[str, str, Any]] = [(PCA, layout.MAP_PCA, _principal_points)]
    if why_no_umap(m) is None and 8 * m * space.rows.shape[1] < available_memory():
        steps += [("neighbours", layout.MAP_NEIGHBOURS, _neighbours), (UMAP, layout.MAP_UMAP, _umap_points)]
    with storage_errors(run.path):
        for name, file, compute in steps:
            progress.stage("map", f"{name} of {m:,} items")

            def produce(file: str = file, compute: Any = compute) -> None:
                compute(run, space, run.path / file)

            stages.run(f"map-{name}", _inputs(space, name), [file], produce)
    return stored_maps(run)


def stored_maps(run: Run, space: Space | None = None) -> list[ItemMap]:
    """The layouts that are kept and still those of the run, the better one first; nothing is computed."""
    space, stages, maps = space or item_space(run), Stages(run.path), []
    for name, file in ((UMAP, layout.MAP_UMAP), (PCA, layout.MAP_PCA)):
        key = hash_json({"stage": f"map-{name}", "inputs": _inputs(space, name)})
        if stages.stored(f"map-{name}", key) is not None:
            maps.append(ItemMap(load_npy(run.path / file), name, space.name, key))
    return maps


def nearest_to(space: Space, position: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The other items nearest to one.

    Parameters
    ----------
    space : Space
    position : int
        Row of the item.
    k : int

    Returns
    -------
    positions : int64 array (min(k, m - 1),)
        Nearest first, the lower one first among equals.
    cosines : float32 array
    """
    asked = space.unit(np.array([position]))[0]
    cosines = np.concatenate([space.unit(part) @ asked for part in _blocks(len(space.rows))])
    cosines[position] = -np.inf
    k = min(k, len(cosines) - 1)
    order = np.argsort(-cosines, kind="stable")[:k]
    return order, cosines[order]


def _inputs(space: Space, name: str) -> dict[str, Any]:
    return {"schema": MAP_SCHEMA, "layout": name, "space": space.name, "rows": space.digest}


def _blocks(m: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, m, _BLOCK)]


def _principal_points(_run: Run, space: Space, file: Any) -> None:
    """Along the two leading principal axes of a sample, each turned so that its largest entry is positive."""
    m = len(space.rows)
    sample = space.unit(sampled_rows(m))
    mean = sample.mean(axis=0)
    axes = leading_axes(sample - mean, min(2, *sample.shape))
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    points = np.zeros((m, 2), np.float32)
    for part in _blocks(m):
        points[part, : axes.shape[1]] = (space.unit(part) - mean) @ axes
    write_array(file, points)


def _neighbours(_run: Run, space: Space, file: Any) -> None:
    m, width = space.rows.shape
    rows = space.rows if space.name != PROBABILITIES else space.unit(slice(None))
    positions, cosines = nearest(narrowed(rows) if is_costly(m, width) else rows, NEIGHBOURS)
    write_arrays(file, {"positions": positions, "cosines": cosines})


def _umap_points(run: Run, _space: Space, file: Any) -> None:
    import warnings

    import umap

    near, start = load_npz(run.path / layout.MAP_NEIGHBOURS), load_npy(run.path / layout.MAP_PCA)
    m = len(start)
    # UMAP counts an item as the first of its own neighbours.
    known = (
        np.c_[np.arange(m), near["positions"]].astype(np.int32),
        np.c_[np.zeros(m), np.maximum(0, 1 - near["cosines"])].astype(np.float32),
    )
    # Spread as UMAP's own first layout is. The vectors themselves are not asked for: their neighbours are known.
    begin = start / (np.abs(start).max() or 1) * 10
    reducer = umap.UMAP(
        n_neighbors=NEIGHBOURS + 1,
        precomputed_knn=known,
        force_approximation_algorithm=True,
        init=begin,
        random_state=0,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that new items cannot be placed without an index of the old ones
        points = reducer.fit_transform(begin)
    # Items that are near nothing are left out by UMAP; they stay where the principal axes have them.
    points = np.where(np.isfinite(points), points, begin)
    write_array(file, points.astype(np.float32))
