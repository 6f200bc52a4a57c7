"""Why is this item suspected? Detectors, neighbours, learning curve and class pair of one item of a run."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from auditor.audit.detector_scores import DetectorScores, detector_scores
from auditor.core.errors import MemoryGuardError, StorageError, UnknownNameError
from auditor.core.progress import Progress
from auditor.detect.registry import DETECTORS
from auditor.runs.run import Run

__all__ = ["EXPLANATION_SCHEMA", "Explainer", "explain_item", "explanation_lines"]

EXPLANATION_SCHEMA = "auditor.explanation/1"

NO_EMBEDDINGS = (
    "this run kept no embeddings; repeat its command with --embeddings auto (or --embeddings log-probabilities)"
)
NO_DYNAMICS = "this run has no logits per epoch: its model has no epochs, or the probabilities were supplied"


class Explainer:
    """Explanations of the items of one run. Make one and ask it often: tables are read once.

    Parameters
    ----------
    run : Run
    progress : Progress, optional
        Told when the detectors have to be computed, which happens once per run.
    """

    def __init__(self, run: Run, progress: Progress | None = None) -> None:
        self.run = run
        self._progress = progress

    @cached_property
    def _detectors(self) -> DetectorScores | str:
        """The detectors' table, or why there is none; the rest of the explanation does not need it."""
        try:
            return detector_scores(self.run, self._progress)
        except (MemoryGuardError, StorageError) as error:
            return error.what

    @cached_property
    def _dynamics(self) -> dict[str, np.ndarray] | None:
        return self.run.dynamics() or None

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self.run.items["id"].tolist())}

    @cached_property
    def _place_of(self) -> dict[int, int]:
        return {int(row): place for place, row in enumerate(self.run.audited)}

    @cached_property
    def _judged(self) -> tuple[np.ndarray, np.ndarray]:
        """Per audited item, in the order of `pred_probs`: class suggested by the run, and its flag."""
        scores = self.run.scores
        number = {name: k for k, name in enumerate(self.run.class_names)}
        suggested, flagged = np.empty(len(scores), np.int64), np.empty(len(scores), bool)
        place = np.array([self._place_of[int(row)] for row in scores["row"]], dtype=np.int64)
        suggested[place] = scores["suggested"].map(number).to_numpy()
        flagged[place] = scores["flagged"].to_numpy()
        return suggested, flagged

    def explain(self, item: str) -> dict[str, Any]:
        """Everything known about the suspicion of one item, as JSON values.

        Parameters
        ----------
        item : str
            Item id.

        Returns
        -------
        dict
            ``schema, id, status, given, suggested, fired, detectors, neighbours, learning_curve, class_pair,
            same_group``; docs/run-folder.md describes them. A part that the run cannot tell says
            ``{"applicable": false, "reason": ...}``.

        Raises
        ------
        UnknownNameError
            If the run has no such item.
        """
        if item not in self._row_of:
            import difflib

            near = difflib.get_close_matches(item, list(self._row_of)[:20_000], n=3)
            raise UnknownNameError("item", item, [f"{len(self._row_of):,} items, see items.parquet"], near)
        row = self._row_of[item]
        record = self.run.items.iloc[row]
        document: dict[str, Any] = {
            "schema": EXPLANATION_SCHEMA,
            "id": item,
            "status": record["status"],
            "given": record["given"],
            "suggested": None,
            "same_group": self._same_group(row),
        }
        if row not in self._place_of:
            missing = _not_applicable(f"the item has no out-of-sample probabilities: it is {record['status']}")
            parts = ("neighbours", "learning_curve", "class_pair")
            return {**document, "fired": [], "detectors": [], **dict.fromkeys(parts, missing)}
        place = self._place_of[row]
        suggested = int(self._judged[0][place])
        detectors = self._detector_rows(place)
        return {
            **document,
            "suggested": self.run.class_names[suggested],
            "fired": [d["detector"] for d in detectors if d.get("flagged")],
            "detectors": detectors,
            "neighbours": self._neighbours(place),
            "learning_curve": self._learning_curve(row),
            "class_pair": self._class_pair(int(record["label"]), suggested),
        }

    def _detector_rows(self, place: int) -> list[dict[str, Any]]:
        found = self._detectors
        if isinstance(found, str):
            return [{"detector": name, **_not_applicable(found)} for name in DETECTORS.names()]
        n, names = len(found.table), self.run.class_names
        values = found.table.iloc[place]
        rows: list[dict[str, Any]] = []
        for column in found.table.columns:
            if not column.startswith("score_"):
                continue
            name = column.removeprefix("score_")
            rank = int(values[f"rank_{name}"])
            rows.append(
                {
                    "detector": name,
                    "applicable": True,
                    "score": float(values[column]),
                    "rank": rank,
                    "of": n,
                    "percentile": round(100 * (n - rank) / n, 3),
                    "flagged": bool(values[f"flagged_{name}"]) if f"flagged_{name}" in values else None,
                    "suggested": names[int(values[f"suggested_{name}"])],
                }
            )
        rows += [{"detector": name, **_not_applicable(why)} for name, why in found.not_applicable.items()]
        return rows

    def _neighbours(self, place: int) -> dict[str, Any]:
        found = self._detectors
        if isinstance(found, str):
            return _not_applicable(found)
        if found.neighbours is None or found.cosines is None:
            return _not_applicable(NO_EMBEDDINGS)
        labels, names = self.run.labels, self.run.class_names
        items = [
            {
                "id": str(self.run.ids[near]),
                "given": names[int(labels[near])],
                "similarity": round(float(cosine), 4),
                "flagged": bool(self._judged[1][near]),
            }
            for near, cosine in zip(found.neighbours[place], found.cosines[place], strict=True)
            if near >= 0
        ]
        return {
            "applicable": True,
            "embedding": self.run.manifest["embeddings"]["name"],
            "exact": found.exact_neighbours,
            "same_label": sum(n["given"] == names[int(labels[place])] for n in items),
            "items": items,
        }

    def _learning_curve(self, row: int) -> dict[str, Any]:
        arrays = self._dynamics
        if arrays is None:
            return _not_applicable(NO_DYNAMICS)
        parts = {part: _margins(arrays, part, row) for part in ("train", "heldout")}
        return {
            "applicable": True,
            "value": "logit of the given class - largest other logit, per epoch, mean over the models",
            "in_sample": _mean_curve(parts["train"]),
            "models_in_sample": len(parts["train"]),
            "held_out": _mean_curve(parts["heldout"]),
            "models_held_out": len(parts["heldout"]),
        }

    def _class_pair(self, given: int, suggested: int) -> dict[str, Any]:
        names, labels = self.run.class_names, self.run.labels
        if suggested == given:
            return _not_applicable("no other class is suggested")
        to, flagged = self._judged
        found = self._detectors
        joint = None if isinstance(found, str) else found.confident_joint
        return {
            "applicable": True,
            "given": names[given],
            "suggested": names[suggested],
            "n_given": int((labels == given).sum()),
            "n_flagged_given": int((flagged & (labels == given)).sum()),
            "n_flagged": int((flagged & (labels == given) & (to == suggested)).sum()),
            "n_flagged_reverse": int((flagged & (labels == suggested) & (to == given)).sum()),
            "confident_joint": None if joint is None else int(joint[given, suggested]),
            "confident_joint_reverse": None if joint is None else int(joint[suggested, given]),
        }

    def _same_group(self, row: int) -> list[dict[str, Any]]:
        items = self.run.items
        group = items["group"].to_numpy()
        others = np.flatnonzero(group == group[row]).tolist()
        return [
            {"id": items["id"].iat[i], "given": items["given"].iat[i], "status": items["status"].iat[i]}
            for i in others
            if i != row
        ]


def explain_item(run: Run, item: str, progress: Progress | None = None) -> dict[str, Any]:
    """`Explainer.explain` for a single question."""
    return Explainer(run, progress).explain(item)


def _not_applicable(reason: str) -> dict[str, Any]:
    return {"applicable": False, "reason": reason}


def _margins(arrays: dict[str, np.ndarray], part: str, row: int) -> list[np.ndarray]:
    """The item's margin per epoch in every model that had it in this part; NaN where it was not visited."""
    curves = []
    for key, rows in arrays.items():
        task, _, kind = key.rpartition("/")
        if kind != f"{part}_rows":
            continue
        for at in np.flatnonzero(rows == row):
            given, other = (arrays[f"{task}/{part}_{name}"][:, at].astype(np.float64) for name in ("given", "other"))
            curves.append(given - other)
    return curves


def _mean_curve(curves: list[np.ndarray]) -> list[float | None]:
    """Mean over the models that visited the item in an epoch; models of fewer epochs are aligned at their end."""
    epochs = max((len(curve) for curve in curves), default=0)
    table = np.full((len(curves), epochs), np.nan)
    for line, curve in zip(table, curves, strict=True):
        line[epochs - len(curve) :] = curve
    means: list[float | None] = []
    for column in table.T:
        visited = column[np.isfinite(column)]
        means.append(round(float(visited.mean()), 4) if len(visited) else None)
    return means


def explanation_lines(document: dict[str, Any]) -> list[str]:
    """The explanation for people."""
    lines = []
    for entry in document["detectors"]:
        if not entry["applicable"]:
            continue
        word = {True: "flags", False: "does not flag", None: "ranks only"}[entry["flagged"]]
        lines.append(
            f"  {entry['detector']:<28} {entry['score']:>9.3f}   rank {entry['rank']:>7,} of {entry['of']:,}   {word}"
        )
    if lines:
        lines.insert(0, f"detectors ({len(document['fired'])} flag it):")
    silent: dict[str, list[str]] = {}
    for entry in document["detectors"]:
        if not entry["applicable"]:
            silent.setdefault(entry["reason"], []).append(entry["detector"])
    lines += [f"  not applicable: {', '.join(names)}: {reason}" for reason, names in silent.items()]
    near, curve, pair = document["neighbours"], document["learning_curve"], document["class_pair"]
    if near["applicable"]:
        lines.append(
            f"nearest items ({near['embedding']}), {near['same_label']} of {len(near['items'])} with the same label: "
            + ", ".join(f"{n['id']} {n['given']} {n['similarity']:.2f}" for n in near["items"])
        )
    else:
        lines.append(f"nearest items: not applicable: {near['reason']}")
    if curve["applicable"]:
        for word, key in (("in sample", "in_sample"), ("held out", "held_out")):
            if any(value is not None for value in curve[key]):
                values = " ".join("-" if value is None else f"{value:.1f}" for value in curve[key])
                lines.append(f"margin by epoch, {word}: {values}")
    else:
        lines.append(f"learning curve: not applicable: {curve['reason']}")
    if pair["applicable"]:
        line = (
            f"{pair['given']} -> {pair['suggested']}: {pair['n_flagged']} flagged of {pair['n_given']:,} labelled "
            f"{pair['given']} ({pair['n_flagged_reverse']} the other way)"
        )
        if pair["confident_joint"] is not None:
            line += f"; confident joint {pair['confident_joint']} ({pair['confident_joint_reverse']})"
        lines.append(line)
    return lines
