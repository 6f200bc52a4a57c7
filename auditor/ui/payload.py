"""What the browser is told about items. The same shape for flagged and for audit items: the review stays blind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from auditor.core.errors import DataError
from auditor.core.label_forms import NO_TAGS, SEPARATOR, form_document
from auditor.review.readout import ReviewItem
from auditor.review.remarks import Remarks
from auditor.ui.components import when
from auditor.ui.rows import N_EXEMPLARS
from auditor.ui.workspace import Workspace

#: Letters of a text exemplar, and of a text in a list.
SNIPPET = 240
LINES = 700


def picture_url(content_hash: str, width: int | None = None) -> str:
    """Where the browser gets a picture."""
    name = content_hash.removeprefix("sha256:")
    return f"/auditor/img/{name}.webp" + (f"?w={width}" if width else "")


def map_url(content_hash: str, label: int) -> str:
    """Where the browser gets the picture with the map of a class over it."""
    return f"/auditor/img/map/{label}/{content_hash.removeprefix('sha256:')}.webp"


def face(ws: Workspace, content_hash: str | None, width: int, letters: int = SNIPPET) -> dict[str, Any]:
    """An item in small: a picture's address, or the beginning of a text."""
    if content_hash is None or ws.contents.kind == "probabilities":
        return {}
    if ws.contents.kind == "image":
        return {"src": picture_url(content_hash, width)}
    words = ws.contents.words(content_hash)
    if "text" in words:
        return {"text": words["text"][:letters]}
    row = ", ".join(f"{k} {v}" for k, v in words.get("row", ())[: letters // 40])
    return {"text": row[:letters] or words.get("error", "")}


def item_payload(ws: Workspace, item: ReviewItem, row: int | None) -> dict[str, Any]:
    """One item for the card. It does not say which stream it came from, nor its score."""
    payload: dict[str, Any] = {
        "id": item.item_id,
        "hash": item.content_hash or "",
        "given": item.given,
        "suggested": item.suggested,
        "options": ws.rows.options(item.item_id, row, item.given, item.suggested),
    }
    kind = ws.contents.kind
    if kind == "image" and item.content_hash:
        payload["src"] = picture_url(item.content_hash, 768)
    elif kind in ("text", "table") and item.content_hash:
        payload |= ws.contents.words(item.content_hash)
        if "text" in payload and ws.keywords is not None:
            payload["marks"] = ws.keywords.marks(payload["text"], item.given, item.suggested)
    elif kind == "probabilities" and row is not None and (probabilities := ws.rows.probabilities(row)) is not None:
        order = (-probabilities).argsort(kind="stable")[:12]
        payload["row"] = [[ws.run.class_names[int(k)], f"{float(probabilities[k]):.4f}"] for k in order]
    return payload


def whole_item(ws: Workspace, item_id: str) -> dict[str, Any]:
    """One item as the card shows it, without anybody's verdict.

    Raises
    ------
    DataError
        If the run has no such item.
    """
    if (state := ws.store.state(item_id)) is None:
        raise DataError("this run has no such item.")
    return item_payload(ws, state.item, ws.rows.rows_of_ids([item_id]).get(item_id))


def own_verdict(item: ReviewItem, reviewer: str) -> dict[str, Any] | None:
    """What the reviewer has said of an item, for a verdict that replaces it; None where nothing holds."""
    if reviewer not in item.verdicts:
        return None
    return {"uuid": item.uuids[reviewer], "verdict": item.verdicts[reviewer]}


def remark_payload(said: Remarks, reviewer: str, blind: bool) -> dict[str, Any]:
    """A reviewer's own comment, whether the item is to be discussed, and what others wrote; nothing of it comes from
    others where the reviewer is `blind`."""
    others = {} if blind else {who: text for who, text in said.comments.items() if who != reviewer}
    discuss = said.wishes.get(reviewer, False) if blind else said.discuss
    return {"comment": said.comments.get(reviewer, ""), "discuss": discuss, "others": others}


def exemplars_of(ws: Workspace, names: Collection[str]) -> dict[str, list[str]]:
    """Content hashes of the exemplars of classes, one per content and one more than shown: the item under review is
    left out of its own exemplars."""
    ids = {name: ws.rows.exemplars[name] for name in sorted(names) if name in ws.rows.exemplars} if names else {}
    # From the store, by its index: the run's table would have to be read whole.
    hashes = ws.store.content_hashes([item for items in ids.values() for item in items])
    unique = {name: dict.fromkeys(hashes[item] for item in items if item in hashes) for name, items in ids.items()}
    return {name: list(contents)[: N_EXEMPLARS + 1] for name, contents in unique.items()}


def hand_data(ws: Workspace, items: Sequence[ReviewItem], reviewer: str, with_votes: bool = False) -> dict[str, Any]:
    """The items in a reviewer's hand for the card, and exemplars of their classes; with everybody's votes if wanted."""
    rows = ws.rows.rows_of_ids([item.item_id for item in items]) if items else {}
    batch = [item_payload(ws, item, rows.get(item.item_id)) for item in items]
    remarks = ws.store.remarks([item.item_id for item in items]) if items else {}
    for payload, item in zip(batch, items, strict=True):
        payload |= {"votes": dict(item.verdicts)} if with_votes else {}
        if own := own_verdict(item, reviewer):
            payload["own"] = own
        blind = not (own or with_votes)
        payload["remark"] = remark_payload(remarks.get(item.item_id, Remarks()), reviewer, blind)
    wanted = {name for payload in batch for name in (payload["given"], *payload["options"][:1])}
    shown = wanted if ws.contents.kind != "probabilities" else set[str]()
    exemplars = {
        name: [{"hash": h, **face(ws, h, 192)} for h in hashes] for name, hashes in exemplars_of(ws, shown).items()
    }
    return {
        "batch": batch,
        "exemplars": exemplars,
        "n_exemplars": N_EXEMPLARS,
        "classes": list(ws.run.class_names) if ws.run.form is None else [],
        "new_classes": ws.store.new_classes() if items and ws.run.form is None else [],
        "form": None if ws.run.form is None else form_document(ws.run.form) | {"none": NO_TAGS, "separator": SEPARATOR},
    }


def guideline_payload(ws: Workspace) -> dict[str, Any]:
    """By class name: ``definition, version, by, when`` and the exemplars with their looks; classes with a guideline."""
    written = ws.store.guidelines()
    rows = ws.rows.rows_of_ids(list(dict.fromkeys(item for g in written.values() for item in g.exemplars)))

    def exemplar(item: str) -> dict[str, Any]:
        return {"id": item, **face(ws, ws.rows.facts(rows[item])["content_hash"], 192)}

    return {
        name: {
            "definition": g.definition,
            "version": g.version,
            "by": g.reviewer,
            "when": when(g.server_time),
            "exemplars": [exemplar(item) for item in g.exemplars if item in rows],
        }
        for name, g in written.items()
    }


def _votes_in_short(verdicts: Mapping[str, str]) -> str:
    """By person for one or two, counted for more."""
    if len(verdicts) <= 2:
        return "\n".join(f"{who}: {verdict}" for who, verdict in verdicts.items())
    return ", ".join(f"{n} {verdict}" for verdict, n in Counter(verdicts.values()).most_common())


def grid_item(ws: Workspace, item: ReviewItem, reviewer: str, aslist: bool = False, width: int = 192) -> dict[str, Any]:
    """One item for the gallery of `reviewer`, a picture `width` pixels wide.

    What others said of it comes with the reviewer's own verdict and not before: measures of agreement, and so the
    correction for reviewer error, rest on verdicts that were given without knowing each other.
    """
    own, others = own_verdict(item, reviewer), {w: v for w, v in item.verdicts.items() if w != reviewer}
    seen = _votes_in_short(others) if own else f"judged by {len(others)}" if others else ""
    return {
        "id": item.item_id,
        "given": item.given,
        "suggested": item.suggested,
        "own": own,
        "note": seen,
        **face(ws, item.content_hash, width, LINES if aslist else SNIPPET),
    }
