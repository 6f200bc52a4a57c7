"""Why the run suspects an item, in short lines for the card. Opened on request: it is not part of the blind card."""

from __future__ import annotations

from typing import Any, Final

from auditor.audit.why import Explainer, model_lines
from auditor.core.errors import DataError
from auditor.core.escaping import quoted
from auditor.explain.opening import has_networks
from auditor.runs import layout
from auditor.ui.payload import face, map_url
from auditor.ui.workspace import Workspace

#: The explanation reads whole tables; above this many items only the run's own figures are told.
MOST_ITEMS: Final = 300_000
_NOT_COMPUTED: Final = "Detectors have not been computed; this does it once: auditor show {run} --item {item}"

_explainers: dict[str, Explainer] = {}


def reasons(ws: Workspace, item_id: str) -> dict[str, Any]:
    """Lines of text, neighbours, learning curve and maps (what the network looked at, by class) of an item.

    Raises
    ------
    DataError
        If the run has no such item.
    """
    state = ws.store.state(item_id)
    if state is None:
        raise DataError("this run has no such item.")
    item = state.item
    lines = [item.message] if item.message else []
    if item.p_given is not None and item.p_suggested is not None:
        both = f"{item.given} {item.p_given:.3f}, {item.suggested} {item.p_suggested:.3f}"
        lines.append(f"out-of-sample probability: {both}")
    answer: dict[str, Any] = {"item": item_id, "lines": lines, "neighbours": [], "curve": None, "maps": []}
    audited = item.p_given is not None
    if audited and item.content_hash and ws.contents.kind == "image" and has_networks(ws.run):
        answer["maps"] = [
            {"name": name, "src": map_url(item.content_hash, ws.run.class_names.index(name))}
            for name in (item.given, item.suggested)
            if name in ws.run.class_names
        ]
    if ws.run.form is not None:
        if item.p_given is not None:
            lines.append(f"the label is right with a probability of {item.p_given:.3f}, says the run")
        return answer
    if ws.store.facts["n_items"] > MOST_ITEMS:
        return answer
    if not (ws.run.path / layout.DETECTORS).is_file():
        lines.append(_NOT_COMPUTED.format(run=quoted(ws.run.path), item=quoted(item_id)))
        return answer
    key = str(ws.run.path)
    if key not in _explainers:
        _explainers.clear()
        _explainers[key] = Explainer(ws.run)
    return _explained(ws, _explainers[key].explain(item_id), answer)


def _explained(ws: Workspace, facts: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    lines = answer["lines"]
    asked = [d for d in facts["detectors"] if d.get("applicable") and d.get("flagged") is not None]
    if asked:
        fired = ", ".join(facts["fired"]) or "none"
        lines.append(f"flagged by {len(facts['fired'])} of {len(asked)} detectors: {fired}")
    lines += model_lines(facts["models"])
    pair = facts["class_pair"]
    if pair["applicable"]:
        lines.append(
            f"{pair['given']} -> {pair['suggested']}: {pair['n_flagged']} flagged of {pair['n_given']:,} labelled "
            f"{pair['given']}; {pair['n_flagged_reverse']} the other way"
        )
    if facts["same_group"]:
        copies = ", ".join(f"{c['id']} ({c['given']})" for c in facts["same_group"][:5])
        lines.append(f"copies or near copies: {copies}")
    near = facts["neighbours"]
    if near["applicable"]:
        lines.append(f"{near['same_label']} of {len(near['items'])} nearest items carry the same label")
        rows = ws.rows.rows_of_ids([n["id"] for n in near["items"]])
        for n in near["items"][:8]:
            content_hash = ws.rows.facts(rows[n["id"]])["content_hash"]
            answer["neighbours"].append({k: n[k] for k in ("given", "similarity")} | face(ws, content_hash, 96))
    curve = facts["learning_curve"]
    if curve["applicable"]:
        answer["curve"] = {"in_sample": curve["in_sample"], "held_out": curve["held_out"]}
    return answer
