"""Items like this one, by the run's embeddings: computed when asked for, nothing has to be prepared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from auditor.audit.item_map import item_space, nearest_to
from auditor.audit.why import NO_EMBEDDINGS
from auditor.core.errors import DataError
from auditor.ui.payload import face
from auditor.ui.standing import run_key
from auditor.ui.workspace import Workspace

#: Items shown.
SHOWN: Final = 12
#: Answers kept: people look at the same item again.
_KEPT: Final = 200

#: One at a time: a search reads all embeddings, and the card needs the other core.
_lock = threading.Lock()
_answers: OrderedDict[tuple[str, int], list[tuple[int, float]]] = OrderedDict()


def nearest_items(ws: Workspace, row: int) -> list[tuple[int, float]]:
    """The `SHOWN` items whose embeddings are nearest to that of an item, by cosine, nearest first.

    Parameters
    ----------
    ws : Workspace
    row : int
        Row in `items.parquet`.

    Returns
    -------
    list of (row, cosine)

    Raises
    ------
    DataError
        If the run kept no embeddings, or has none of this item.
    """
    if ws.run.embeddings is None:
        raise DataError(f"{NO_EMBEDDINGS}.")
    if (place := ws.rows.place(row)) is None:
        raise DataError("this item was not audited, so it has no embedding.")
    key = run_key(ws), row
    with _lock:
        if key not in _answers:
            _answers[key] = _search(ws, place)
            while len(_answers) > _KEPT:
                _answers.popitem(last=False)
        return _answers[key]


def _search(ws: Workspace, place: int) -> list[tuple[int, float]]:
    positions, cosines = nearest_to(item_space(ws.run), place, SHOWN)
    return [(int(ws.run.audited[k]), float(cosine)) for k, cosine in zip(positions, cosines, strict=True)]


def items_like(ws: Workspace, item_id: str) -> dict[str, Any]:
    """``embedding`` and ``items`` for the card: ``id, given, similarity, judged`` and how each looks, nearest first.

    It does not say what anybody said of them.

    Raises
    ------
    DataError
        If the run has no such item. What keeps it from having neighbours is told as ``error``.
    """
    if (row := ws.rows.rows_of_ids([item_id]).get(item_id)) is None:
        raise DataError("this run has no such item.")
    try:
        near = nearest_items(ws, row)
    except DataError as error:
        return {"error": error.what}
    facts = [ws.rows.facts(k) for k, _ in near]
    judged = ws.store.judged([fact["id"] for fact in facts])
    items = [
        {"id": fact["id"], "given": fact["given"], "similarity": round(cosine, 3), "judged": fact["id"] in judged}
        | face(ws, fact["content_hash"], 192)
        for fact, (_, cosine) in zip(facts, near, strict=True)
    ]
    return {"embedding": ws.run.manifest["embeddings"]["name"], "items": items}
