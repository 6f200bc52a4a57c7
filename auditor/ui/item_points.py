"""The map of a run for the browser: points and what colours them as numbers, and who computes the layouts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from auditor.audit.item_map import (
    PCA,
    PROBABILITIES,
    UMAP,
    ItemMap,
    Space,
    item_space,
    nearest_to,
    stored_maps,
    why_no_umap,
)
from auditor.core.errors import DataError
from auditor.core.machine import cpu_count
from auditor.review.store import VerdictStore
from auditor.review.vocabulary import names_class
from auditor.runs import layout
from auditor.runs.tables import read_arrow
from auditor.ui.payload import face
from auditor.ui.workspace import Workspace

#: Coordinates of points are whole numbers up to this.
SIDE: Final = 65_535
#: What colours a point by verdicts, by number. What others said of an item is told with one's own verdict and not
#: before (see `auditor.ui.payload.grid_item`).
VERDICTS: Final = (
    "not judged",
    "judged by others, not by you",
    "you: label right",
    "you: another class",
    "you: both labels",
    "you: no class",
    "you: cannot tell",
    "you: broken item",
    "others say otherwise than you",
)
_BY_OTHERS, _DIFFER = 1, 8
_OWN: Final = {"given": 2, "suggested": 3, "both": 4, "neither": 5, "unsure": 6, "bad_item": 7}
#: Shares of the items whose scores are the ends of the scale of suspicion: single far-off scores would flatten it.
_ENDS: Final = (0.01, 0.995)
#: Items that "items like this" selects, the asked one among them.
LIKE: Final = 60


class ItemPoints:
    """The points of one workspace. A point's number is its item's row in ``run.pred_probs``. Safe to share between
    threads."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.maker = Maker(self)
        self._lock = threading.Lock()
        self._message: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self.ws.run.audited)

    @cached_property
    def space(self) -> Space:
        return item_space(self.ws.run)

    def maps(self) -> list[ItemMap]:
        """The layouts that are ready, the better one first."""
        return stored_maps(self.ws.run, self.space)

    def message(self, wanted: str) -> tuple[bytes, str] | None:
        """All points for the browser, and what changes with them; None while no layout is ready.

        The length of a JSON header (four bytes, little end first), the header padded to a multiple of four, then the
        arrays it names, each with its kind, its offset behind the header and its length.

        Parameters
        ----------
        wanted : str
            A layout; another one, or one that is not ready, gives the best there is.
        """
        if not (maps := self.maps()):
            return None
        item_map = next((m for m in maps if m.layout == wanted), maps[0])
        tag = f"{item_map.key}-{len(maps)}"
        with self._lock:
            if tag not in self._message:
                self._message = {tag: self._packed(item_map, [m.layout for m in maps])}
            return self._message[tag], tag

    def _packed(self, item_map: ItemMap, layouts: list[str]) -> bytes:
        arrays = {"places": places(item_map.points).ravel(), **self._labels}
        header: dict[str, Any] = {
            "layout": item_map.layout,
            "layouts": layouts,
            "classes": list(self.ws.run.class_names),
            "verdicts": VERDICTS,
            "arrays": {},
        }
        body = b""
        for name, array in arrays.items():
            header["arrays"][name] = [f"u{array.itemsize}", len(body), len(array)]
            body += _padded(array.astype(array.dtype.newbyteorder("<")).tobytes())
        text = _padded(json.dumps(header).encode(), b" ")
        return len(text).to_bytes(4, "little") + text + body

    @cached_property
    def _labels(self) -> dict[str, np.ndarray]:
        """``given, suggested`` (class numbers; the number of classes stands for none), ``suspicion`` (0 to 255)."""
        run = self.ws.run
        table = read_arrow(run.file(layout.SCORES), ["row", "given", "suggested", "score"])
        order = np.argsort(run.audited, kind="stable")
        at = order[np.searchsorted(run.audited[order], table["row"].to_numpy())]
        names = pa.array(run.class_names, type=table["given"].type)
        kind = np.uint16 if len(names) < 1 << 16 else np.uint32
        labels = {name: np.full(len(self), len(names), kind) for name in ("given", "suggested")}
        for name, numbers in labels.items():
            numbers[at] = pc.index_in(table[name], value_set=names).fill_null(len(names)).to_numpy()
        score = table["score"].to_numpy().astype(np.float64)
        low, high = np.quantile(score, _ENDS) if len(score) else (0.0, 1.0)
        labels["suspicion"] = np.zeros(len(self), np.uint8)
        labels["suspicion"][at] = np.clip((score - low) / max(high - low, 1e-12), 0, 1) * 255
        return labels

    def verdicts(self, store: VerdictStore, reviewer: str) -> bytes:
        """One byte a point: its number in `VERDICTS`, as `reviewer` may see it."""
        votes, codes = store.votes(), np.zeros(len(self), np.uint8)
        if len(votes.item_ids) == 0:
            return codes.tobytes()
        names = list(votes.reviewer_names)
        own = votes.reviewers == (names.index(reviewer) if reviewer in names else -1)
        seen = np.full(len(votes.item_ids), _BY_OTHERS, np.uint8)
        said = np.full(len(votes.item_ids), "", dtype=object)
        said[votes.items[own]] = votes.verdicts[own]
        for item in votes.items[own]:
            seen[item] = _OWN["suggested" if names_class(said[item]) else said[item]]
        others = ~own & (said[votes.items] != "") & (votes.verdicts != said[votes.items])
        seen[votes.items[others]] = _DIFFER
        numbers = self.numbers_of(votes.item_ids.tolist())
        codes[numbers[numbers >= 0]] = seen[numbers >= 0]
        return codes.tobytes()

    def numbers_of(self, ids: list[str]) -> np.ndarray:
        """Numbers of the points of items, int64; -1 where an item has none."""
        rows = self.ws.rows.rows_of_ids(ids)
        positions = [self.ws.rows.place(rows[item_id]) if item_id in rows else None for item_id in ids]
        return np.array([-1 if position is None else position for position in positions], np.int64)

    @cached_property
    def _places(self) -> np.ndarray:
        rows = self.ws.rows.rows_in_order(self.ws.catalogue.ids)
        place = np.zeros(self.ws.rows.n_items, np.int64)
        place[rows[rows >= 0]] = np.flatnonzero(rows >= 0) + 1
        return place[self.ws.run.audited]

    def places_of(self, numbers: np.ndarray) -> np.ndarray:
        """Places of points' items in the store's list, int64; items that the store does not hold are left out."""
        places_there = self._places[numbers]
        return places_there[places_there > 0]

    def describe(self, number: int) -> dict[str, Any]:
        """One point's item in small, without anybody's verdict.

        Raises
        ------
        DataError
            If there is no such point.
        """
        if not 0 <= number < len(self):
            raise DataError("this map has no such point.")
        facts = self.ws.rows.facts(int(self.ws.run.audited[number]))
        code = int(self._labels["suggested"][number])
        names = self.ws.run.class_names
        return {
            "id": facts["id"],
            "given": facts["given"],
            "suggested": names[code] if code < len(names) else None,
            **face(self.ws, facts["content_hash"], 192),
        }

    def like(self, number: int) -> np.ndarray:
        """The point and the nearest others, nearest first, int64. Errors as `describe`."""
        if not 0 <= number < len(self):
            raise DataError("this map has no such point.")
        return np.r_[number, nearest_to(self.space, number, LIKE - 1)[0]]

    def state(self) -> dict[str, Any]:
        """How far the layouts are: ``state`` (ready, making, failed), ``detail``, ``layouts``, ``space``, ``hint``."""
        layouts = [m.layout for m in self.maps()]
        space = self.space.name
        told = "the out-of-fold probabilities, as this run kept no embeddings" if space == PROBABILITIES else space
        hints = [] if UMAP in layouts else [why_no_umap(len(self)) or ""]
        if space == PROBABILITIES and self.ws.contents.kind in ("image", "text"):
            hints.append("embeddings come with: auditor find-errors .. --embeddings auto")
        hint = "; ".join(filter(None, hints))
        return {
            "state": self.maker.state,
            "detail": self.maker.detail,
            "layouts": layouts,
            "space": told,
            "hint": f"{hint}." if hint else "",
        }


def places(points: np.ndarray) -> np.ndarray:
    """Points in whole numbers of 0 to `SIDE`, uint16 (m, 2): one scale for both axes, in the middle of the square."""
    low, high = points.min(axis=0, initial=np.inf), points.max(axis=0, initial=-np.inf)
    if not len(points):
        return np.zeros((0, 2), np.uint16)
    scale = SIDE / (float((high - low).max()) or 1.0)
    middle = (points.astype(np.float64) - (low + high) / 2) * scale + SIDE / 2
    return np.clip(np.rint(middle), 0, SIDE).astype(np.uint16)


def _padded(data: bytes, filling: bytes = b"\0") -> bytes:
    return data.ljust(-4 * (-len(data) // 4), filling)


#: What the process is told of arrives on its standard input: arguments are shown by `ps`.
_MAKE: Final = (
    "import json, os, sys; getattr(os, 'nice', lambda n: n)(10); from auditor.audit.item_map import make_maps; "
    "from auditor.runs.run import open_run; make_maps(open_run(json.load(sys.stdin)))"
)
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Maker:
    """Computes the layouts of a run that are not kept yet, once, in a process of its own with half of the cores: the
    card stays quick.

    Attributes
    ----------
    state : str
        ``ready``, ``making`` or ``failed``.
    detail : str
        Why it failed.
    """

    def __init__(self, points: ItemPoints) -> None:
        self._points = points
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._started = False
        self.state, self.detail = "ready", ""

    def start(self, again: bool = False) -> None:
        """Start where something is missing and this has not been tried yet; returns at once."""
        with self._lock:
            if self.state == "making" or (self._started and not again):
                return
            self._started = True
            wanted = {PCA} if why_no_umap(len(self._points)) else {PCA, UMAP}
            if wanted <= {m.layout for m in self._points.maps()}:
                return
            threads = dict.fromkeys(_THREADS, str(max(1, cpu_count() // 2)))
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAKE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **threads},
            )
            self.state, self.detail = "making", ""
            threading.Thread(target=self._wait, args=(self._process,), name="auditor-map", daemon=True).start()

    def _wait(self, process: subprocess.Popen[str]) -> None:
        said = process.communicate(json.dumps(str(self._points.ws.run.path.resolve())))[1]
        with self._lock:
            self._process = None
            self.detail = "" if process.returncode == 0 else (said.strip().splitlines() or ["it was ended"])[-1]
            self.state = "failed" if process.returncode else "ready"

    def stop(self) -> None:
        """End what is being computed; it goes on from there another time."""
        if (process := self._process) is not None:
            process.terminate()


_lock: Final = threading.Lock()
_points: ItemPoints | None = None


def item_points(ws: Workspace) -> ItemPoints:
    """The points of the process's workspace."""
    global _points
    with _lock:
        if _points is None or _points.ws is not ws:
            if _points is not None:
                _points.maker.stop()
            _points = ItemPoints(ws)
        return _points


def stop_maps() -> None:
    """End what is being computed for the process's workspace."""
    if _points is not None:
        _points.maker.stop()
