"""One item of a finished run: what the run knows about it, and why it is suspected."""

from __future__ import annotations

from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from auditor.audit.detector_scores import DetectorScores, detector_scores
from auditor.core.config import Settings
from auditor.core.errors import AuditorError, MemoryGuardError, StorageError, UsageError
from auditor.core.escaping import quoted
from auditor.core.files import atomic_path, atomic_write
from auditor.core.label_forms import TokenTags
from auditor.core.progress import Progress
from auditor.data.base import item_word
from auditor.detect.margins import preferred_class
from auditor.detect.registry import DETECTORS
from auditor.explain.opening import item_content, items_of
from auditor.report.pictures import excerpt
from auditor.runs.run import Run

EXPLANATION_SCHEMA = "auditor.explanation/1"
ITEM_SCHEMA = "auditor.item/1"
#: Characters of a text or a row among the facts of an item.
CONTENT = 1_000

NO_EMBEDDINGS = (
    "this run kept no embeddings; repeat its command with --embeddings auto (or --embeddings log-probabilities)"
)
ONE_MODEL = "this run has one model; --second-model pools it with one of another kind"
NO_DYNAMICS = "this run has no logits per epoch: its model has no epochs, or the probabilities were supplied"


class Explainer:
    """Explanations of the items of one run. Make one and ask it often: tables are read once.

    Parameters
    ----------
    run : Run
    progress : Progress, optional
        Receives an event when the detectors have to be computed, which happens once per run.
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
    def _dynamics(self) -> dict[str, np.ndarray]:
        return self.run.dynamics() or {}

    @cached_property
    def _judged(self) -> tuple[np.ndarray, np.ndarray]:
        """Per audited item, in the order of `pred_probs`: class suggested by the run, and its flag."""
        scores = self.run.scores.iloc[np.argsort(self.run.positions[self.run.scores["row"].to_numpy()])]
        number = {name: k for k, name in enumerate(self.run.class_names)}
        return scores["suggested"].map(number).to_numpy(), scores["flagged"].to_numpy()

    def explain(self, item: str) -> dict[str, Any]:
        """Everything known about the suspicion of one item, as JSON values.

        Parameters
        ----------
        item : str
            Item id.

        Returns
        -------
        dict
            ``schema, id, status, given, suggested, models, fired, detectors, neighbours, learning_curve, class_pair,
            same_group``; docs/run-folder.md describes them. A part the run knows nothing about is
            ``{"applicable": false, "reason": ...}``.

        Raises
        ------
        UnknownNameError
            If the run has no such item.
        """
        row = self.run.row(item)
        record = self.run.items.iloc[row]
        document: dict[str, Any] = {
            "schema": EXPLANATION_SCHEMA,
            "id": item,
            "status": record["status"],
            "given": record["given"],
            "suggested": None,
            "same_group": self._same_group(row),
        }
        position = int(self.run.positions[row])
        why = f"the item has no out-of-sample probabilities: it is {record['status']}" if position < 0 else None
        if self.run.form is not None:
            why = f"this compares classes, and each label is a {self.run.form.word}"
        if why is not None:
            parts = ("models", "neighbours", "learning_curve", "class_pair")
            return {**document, "fired": [], "detectors": [], **dict.fromkeys(parts, _not_applicable(why))}
        suggested = int(self._judged[0][position])
        detectors = self._detector_rows(position)
        return {
            **document,
            "suggested": self.run.class_names[suggested],
            "models": self._models(position, int(record["label"])),
            "fired": [d["detector"] for d in detectors if d.get("flagged")],
            "detectors": detectors,
            "neighbours": self._neighbours(position),
            "learning_curve": self._learning_curve(row),
            "class_pair": self._class_pair(int(record["label"]), suggested),
        }

    @cached_property
    def _model_probs(self) -> dict[str, np.ndarray]:
        return self.run.model_probs

    def _models(self, position: int, given: int) -> dict[str, Any]:
        if not self._model_probs:
            return _not_applicable(ONE_MODEL)
        items = []
        for name, probabilities in self._model_probs.items():
            row = probabilities[position]
            prefers, doubts = (int(part[0]) for part in preferred_class(row[None], np.array([given])))
            items.append(
                {
                    "model": name,
                    "prefers": self.run.class_names[prefers],
                    "p_given": round(float(row[given]), 6),
                    "p_preferred": round(float(row[prefers]), 6),
                    "doubts": bool(doubts),
                }
            )
        return {"applicable": True, "doubting": sum(item["doubts"] for item in items), "items": items}

    def _detector_rows(self, position: int) -> list[dict[str, Any]]:
        computed = self._detectors
        if isinstance(computed, str):
            return [{"detector": name, **_not_applicable(computed)} for name in DETECTORS.names()]
        n, values = len(computed.table), computed.table.iloc[position]
        applicable = [c.removeprefix("score_") for c in computed.table.columns if c.startswith("score_")]
        rows = [
            {
                "detector": name,
                "applicable": True,
                "score": float(values[f"score_{name}"]),
                "rank": int(values[f"rank_{name}"]),
                "of": n,
                "percentile": round(100 * (n - int(values[f"rank_{name}"])) / n, 3),
                "flagged": bool(values[f"flagged_{name}"]) if f"flagged_{name}" in values else None,
                "suggested": self.run.class_names[int(values[f"suggested_{name}"])],
            }
            for name in applicable
        ]
        return rows + [{"detector": name, **_not_applicable(why)} for name, why in computed.not_applicable.items()]

    def _neighbours(self, position: int) -> dict[str, Any]:
        computed = self._detectors
        if isinstance(computed, str):
            return _not_applicable(computed)
        if computed.neighbours is None or computed.cosines is None:
            return _not_applicable(NO_EMBEDDINGS)
        labels, names = self.run.labels, self.run.class_names
        items = [
            {
                "id": str(self.run.ids[near]),
                "given": names[int(labels[near])],
                "similarity": round(float(cosine), 4),
                "flagged": bool(self._judged[1][near]),
            }
            for near, cosine in zip(computed.neighbours[position], computed.cosines[position], strict=True)
            if near >= 0
        ]
        return {
            "applicable": True,
            "embedding": self.run.manifest["embeddings"]["name"],
            "exact": computed.exact_neighbours,
            "same_label": sum(n["given"] == names[int(labels[position])] for n in items),
            "items": items,
        }

    def _learning_curve(self, row: int) -> dict[str, Any]:
        if not self._dynamics:
            return _not_applicable(NO_DYNAMICS)
        in_sample, held_out = (_margins(self._dynamics, part, row) for part in ("train", "heldout"))
        return {
            "applicable": True,
            "value": "logit of the given class - largest other logit, per epoch, mean over the models",
            "in_sample": _mean_curve(in_sample),
            "models_in_sample": len(in_sample),
            "held_out": _mean_curve(held_out),
            "models_held_out": len(held_out),
        }

    def _class_pair(self, given: int, suggested: int) -> dict[str, Any]:
        if suggested == given:
            return _not_applicable("no other class is suggested")
        names, labels, (to, flagged) = self.run.class_names, self.run.labels, self._judged
        joint = None if isinstance(self._detectors, str) else self._detectors.confident_joint
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
        others = (items["group"] == items["group"].iat[row]).to_numpy() & (np.arange(len(items)) != row)
        return items.loc[others, ["id", "given", "status"]].to_dict("records")


def inspect_item(
    run: Run, item: str, progress: Progress | None = None, settings: Settings | None = None
) -> dict[str, Any]:
    """Facts about one item as JSON values; ``explanation`` is what `Explainer.explain` says about it.

    Parameters
    ----------
    run : Run
    item : str
        Item id.
    progress : Progress, optional
        Receives an event when the detectors are computed, once per run.
    settings : Settings, optional
        Where the data set is looked for: ``content`` is the text or the row, in `CONTENT` characters, or why it is not
        here; None for images and probabilities.

    Raises
    ------
    UnknownNameError
        If the run has no such item; with the nearest ids.
    """
    row, content = run.row(item), None
    if run.manifest["data"]["modality"] in ("text", "table"):
        (itself,) = items_of(run, [item], settings)
        content = f"not here: {itself.what}" if isinstance(itself, AuditorError) else excerpt(itself, CONTENT)
    record, position = run.items.iloc[row], run.positions[row]
    explanation = Explainer(run, progress).explain(item)
    facts: dict[str, Any] = {
        "schema": ITEM_SCHEMA,
        "id": item,
        "index": int(record["index"]),
        **{name: record[name] for name in ("split", "given", "status")},
        "fold": int(record["fold"]),
        "content": content,
        "content_hash": record["content_hash"],
        "duplicates": [copy["id"] for copy in explanation["same_group"]],
    }
    if position >= 0:
        if run.form is None:
            probabilities = np.asarray(run.pred_probs[position], dtype=np.float64)
            order = np.argsort(-probabilities, kind="stable")[:5]
            facts["probabilities"] = {run.class_names[k]: round(float(probabilities[k]), 6) for k in order}
        else:
            predicted = np.asarray(run.predictions[position], np.float64).round(6).tolist()
            names = run.class_names or run.models
            if run.kind == TokenTags.kind:  # of each token, that its tag is right
                (given,) = run.form.values([record["given"]]) if run.form else ((),)
                predicted = [predicted[place * len(names) + tag] for place, tag in enumerate(given)]
                names = tuple(f"{place}:{run.class_names[tag]}" for place, tag in enumerate(given))
            facts["predictions"] = dict(zip(names, predicted, strict=True))
        score = run.scores[run.scores["id"] == item].iloc[0]
        facts |= {
            "rank": int(score["rank"]),
            "flagged": bool(score["flagged"]),
            "suggested": score["suggested"],
            "scores": {c.removeprefix("score_"): float(score[c]) for c in score.index if c.startswith("score")},
        }
    findings = run.findings[run.findings["id"] == item]
    return {**facts, "findings": findings[["code", "message"]].to_dict(orient="records"), "explanation": explanation}


def save_item(run: Run, item: str, path: Path, settings: Settings) -> None:
    """Write the item's image (by the file name's suffix) or text to `path`. Errors as `item_content`."""
    content = item_content(run, item, settings)
    if run.manifest["data"]["modality"] != "image":
        with atomic_write(path) as handle:
            handle.write(str(content).encode())
        return
    from PIL import Image

    form = Image.registered_extensions().get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path.name!r} has no image suffix.", "Use for example .png.")
    with atomic_path(path) as temporary:
        content.save(temporary, format=form)


def _not_applicable(reason: str) -> dict[str, Any]:
    return {"applicable": False, "reason": reason}


def _margins(arrays: dict[str, np.ndarray], part: str, row: int) -> list[np.ndarray]:
    """The item's margin per epoch in every model that had it in this part; NaN where it was not visited."""
    end = f"/{part}_rows"
    return [
        arrays[f"{task}/{part}_given"][:, at].astype(np.float64) - arrays[f"{task}/{part}_other"][:, at]
        for task in (key.removesuffix(end) for key in arrays if key.endswith(end))
        for at in np.flatnonzero(arrays[task + end] == row)
    ]


def _mean_curve(curves: list[np.ndarray]) -> list[float | None]:
    """Mean over the models that visited the item in an epoch; models of fewer epochs are aligned at their end."""
    last_first = zip_longest(*(curve[::-1] for curve in curves), fillvalue=np.nan)
    visited = [[margin for margin in epoch if np.isfinite(margin)] for epoch in last_first]
    return [round(float(np.mean(margins)), 4) if margins else None for margins in visited[::-1]]


def explanation_lines(document: dict[str, Any]) -> list[str]:
    """The explanation for people."""
    lines, silent = list[str](), dict[str, list[str]]()
    for entry in document["detectors"]:
        if not entry["applicable"]:
            silent.setdefault(entry["reason"], []).append(entry["detector"])
            continue
        word = {True: "flags", False: "does not flag", None: "ranks only"}[entry["flagged"]]
        lines.append(
            f"  {entry['detector']:<28} {entry['score']:>9.3f}   rank {entry['rank']:>7,} of {entry['of']:,}   {word}"
        )
    if lines:
        lines.insert(0, f"detectors ({len(document['fired'])} flag it):")
    lines[:0] = model_lines(document["models"])
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


def model_lines(models: dict[str, Any]) -> list[str]:
    """What each model alone says, and whether they agree; nothing where there is one."""
    if not models["applicable"]:
        return []
    rows = models["items"]
    said = [f"{r['model']} {r['prefers']} {r['p_preferred']:.3f} (the given label {r['p_given']:.3f})" for r in rows]
    if len({row["prefers"] for row in rows}) == 1:
        verdict = "both models doubt the label" if models["doubting"] else "both models agree with the label"
    else:
        verdict = "the models disagree"
    return [f"{verdict}: {'; '.join(said)}"]


def item_lines(facts: dict[str, Any], run: Run) -> list[str]:
    """The facts of `inspect_item` for people."""
    lines = [f"{facts['id']}  (row {facts['index']} of {facts['split']}), labelled {facts['given']}: {facts['status']}"]
    if facts["content"] is not None:
        lines.append(f"{item_word(run.manifest['data']['modality'])}: {facts['content']}")
    if "rank" in facts:
        word = "flagged" if facts["flagged"] else "not flagged"
        lines.append(f"rank {facts['rank']:,}, {word}; the model suggests {facts['suggested']}")
        for name in ("probabilities", "predictions"):
            if name in facts:
                lines.append(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in facts[name].items()))
        lines.append("scores: " + ", ".join(f"{k} {v:.3f}" for k, v in facts["scores"].items()))
    if facts["duplicates"]:
        lines.append("same group: " + ", ".join(facts["duplicates"][:10]))
    lines += [f"{f['code']}: {f['message']}" for f in facts["findings"]]
    lines += explanation_lines(facts["explanation"])
    if "saved" not in facts and run.manifest["data"]["modality"] != "probabilities":
        command = f"auditor show {quoted(run.path)} --item {quoted(facts['id'])} --save FILE"
        lines.append(f"Next: {command} writes the item itself")
    return lines
