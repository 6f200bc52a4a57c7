"""The page of pipelines/quality.py."""

from __future__ import annotations

from typing import Any

from auditor.report.markdown import percent, table

_ABOUT = {
    "pictures": "Faults planted in CIFAR-10 test pictures, one a picture, beside *hard negatives* that only look like "
    "them and pictures as they are, some of which have the fault, too: those of odd mode are grey pictures stored in "
    "colour, which CleanVision does not look for, the near copies a pair of CIFAR-10's own. Recall and precision in %.",
    "texts": "The same in texts of AG-News that have nothing but letters, digits and plain marks; neither Datalab nor "
    "CleanVision checks texts so.",
    "outliers": "Test items, some of them planted, and training items to compare with. One set of features for all; "
    "probabilities of a logistic regression on them. Datalab's check is made for one set: it sees the test items.",
    "slices": "Digits with out-of-sample probabilities of a logistic regression; in how many of the repeats a weak "
    "slice is named. The model's own errors lie together, too; where they lie anywhere, every name is a false alarm, "
    "and 5 % are allowed.",
    "cues": "400 pictures of cats and dogs of CIFAR-10. A mark on one of the classes, ten of whose pictures go without "
    "it, and on half of both, where it tells nothing. Datalab: properties that it scores below its threshold of 0.3.",
    "classes": "Digits whose classes are changed, with pixels as embeddings and out-of-sample probabilities of a "
    "logistic regression; in how many of the repeats a check finds something. The nines of this set are of two kinds "
    "as they are, with a foot and without, and named always: they are not counted, but where they were merged with "
    "another.",
    "clean": "What the checks say of sets in which nothing is planted, without embeddings of the pictures.",
    "speed": "The 100,000 training pictures of CIFAKE (32 px, JPEG): reading, decoding and measuring, and all checks "
    "that need no embeddings, in seconds. *Load*: processes that wanted one of the two cores.",
}


def markdown(result: dict[str, Any]) -> str:
    """The report."""
    lines = [
        "# Data-quality checks on planted faults",
        "",
        "Made by `python pipelines/quality.py`, which describes the parts.",
        "",
    ]
    for part, about in _ABOUT.items():
        if part in result["parts"]:
            one = result["parts"][part]
            lines += [f"## {part.capitalize()}", "", about, "", *table(*_TABLES[part](one["rows"])), ""]
            lines += [f"`{one['command']}`: {one['seconds']} s, {one['conditions']}.", ""]
    return "\n".join(lines)


Table = tuple[list[str], list[list[Any]]]


def _planted(rows: list[dict[str, Any]]) -> Table:
    header = ["check", "planted", "hard negatives", "others"]
    methods = ["auditor", "CleanVision"] if any("CleanVision" in row for row in rows) else ["auditor"]
    header += [
        f"{method}: {figure}" for method in methods for figure in ("recall", "precision", "hard named", "others named")
    ]
    body = []
    for row in rows:
        cells: list[Any] = [f"`{row['code']}` {row['check']}", row["planted"], row["hard"], f"{row['others']:,}"]
        for method in methods:
            told = row.get(method)
            figures = ("recall", "precision")
            cells += [None] * 4 if told is None else [percent(told[f], ".0f") for f in figures]
            cells += [] if told is None else [told["hard_named"], told["others_named"]]
        body.append(cells)
    return header, body


def _outliers(rows: list[dict[str, Any]]) -> Table:
    body = [
        [
            r["set"],
            r["method"],
            r["AP"],
            r["AUROC"],
            r.get("named"),
            percent(r.get("recall"), ".0f"),
            percent(r.get("precision"), ".0f"),
        ]
        for r in rows
    ]
    return ["set", "method", "AP", "AUROC", "named", "recall", "precision"], body


def _repeats(rows: list[dict[str, Any]], what: str) -> Table:
    return ["case", what, "found", "repeats"], [[r["case"], r[what], r["found"], r["repeats"]] for r in rows]


def _cues(rows: list[dict[str, Any]]) -> Table:
    peer = any("Datalab" in row for row in rows)
    body = [
        [
            r["mark"],
            r["in"],
            ", ".join(r["properties"]) or "nothing",
            r["breaking"],
            *([", ".join(r["Datalab"]) or "nothing"] if peer else []),
        ]
        for r in rows
    ]
    return [
        "mark",
        "on",
        "auditor: properties, informedness",
        "breaking it, named",
        *(["Datalab: properties, score"] if peer else []),
    ], body


def _clean(rows: list[dict[str, Any]]) -> Table:
    body = [[r["set"], f"{r['items']:,}", f"`{r['code']}` {r['check']}", r["severity"], r["said"]] for r in rows]
    return ["set", "items", "check", "severity", "said"], body


def _speed(rows: list[dict[str, Any]]) -> Table:
    body = [
        [
            f"{r['items']:,}",
            r["workers"],
            r["pass"],
            r["checks"],
            r["total"],
            ", ".join(f"{k} {v}" for k, v in r["slowest"].items()),
            r["load"],
        ]
        for r in rows
    ]
    return ["pictures", "processes", "the pass", "the checks", "in all", "slowest checks", "load"], body


_TABLES = {
    "pictures": _planted,
    "texts": _planted,
    "outliers": _outliers,
    "slices": lambda rows: _repeats(rows, "method"),
    "cues": _cues,
    "classes": lambda rows: _repeats(rows, "check"),
    "clean": _clean,
    "speed": _speed,
}
