"""The results as one Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.detect.findings import STREAMED_FLAG_RULE
from auditor.lab.detectors.methods import COMBINED, DEFAULT, KNN, OURS, PEER, method_name
from auditor.report.markdown import interval, number, percent, table

COLUMNS = ("AP", "AUROC", "P@N", "P@100", "best F1", "F1", "flagged", "precision", "recall", "seconds")
#: Versions named on the page, where they are known.
PACKAGES = ("auditor", "numpy", "scipy", "scikit-learn", "torch", "cleanlab")


@dataclass(frozen=True)
class _Set:
    """What was measured on one set."""

    name: str
    about: dict[str, str]
    facts: dict[str, Any]
    rows: dict[str, dict[str, Any]]
    differences: dict[tuple[str, str], dict[str, Any]]

    def ours(self, what: str) -> dict[str, Any]:
        """The row of one of our methods."""
        return self.rows[method_name(OURS, what)]


def _sets(result: Mapping[str, Any]) -> list[_Set]:
    return [
        _Set(
            name,
            result["about"][name],
            one,
            {method_name(row["tool"], row["what"]): row for row in one["rows"]},
            {(row["figure"], row["note"]): row for row in result["comparisons"] if row["set"] == name},
        )
        for name, one in result["sets"].items()
    ]


def report_text(result: Mapping[str, Any]) -> str:
    """The page: conditions, short tables over all sets, differences, then every figure per set."""
    lines = ["# Detection benchmark", "", *_conditions(result), ""]
    if result["not run"]:
        reasons = [(row["set"], row["reason"]) for row in result["not run"]]
        lines += ["## Not run", "", *table(["set", "reason"], reasons), ""]
    if sets := _sets(result):
        lines += ["## Ranking: average precision", "", *_rankings(sets), ""]
        lines += ["## Flags without any verdict: the default rule", "", *_flags(sets), ""]
        lines += ["## Differences, in points", "", *_differences(result), "", "## Time", "", *_time(sets), ""]
        for one in sets:
            lines += [f"## {one.name}", "", *_one_set(one), ""]
    return "\n".join(lines).rstrip() + "\n"


def _conditions(result: Mapping[str, Any]) -> list[str]:
    machine, versions, options = result["machine"], result["versions"], result["options"]
    listed = ", ".join(f"{name} {versions[name]}" for name in PACKAGES if name in versions)
    return [
        f"Command: `{result['command']}`." if result["command"] else "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}; "
        f"{listed}. Up to {options['seeds']} seeds; {options['draws']} draws of the paired bootstrap; budget "
        f"{result['budget']}; noise rate {options['noise_rate']}; CIFAR-10 subset "
        f"{options['subset']}. Computing took {result['seconds of all parts']:.0f} s in all, training "
        "included; other jobs may have shared the machine, so seconds are rough.",
        "",
        "All methods of a set get the same probabilities. Figures are in per cent, means over seeds. `best F1` "
        "chooses its cut with the truth: an upper bound. Where a recipe is below a paper's this is "
        "not a reproduction, and no paper's figure belongs beside these.",
    ]


def _short(name: str) -> str:
    return name.partition("/")[2].removeprefix("score ").removeprefix("filter ")


def _points(row: dict[str, Any]) -> str:
    return interval(row["difference"], (row["low"], row["high"]), "+.2f")


def _rankings(sets: list[_Set]) -> Iterator[str]:
    yield "`find-errors` ranks by `combined`; `margin` is the log-odds margin. The best single detector and the best"
    yield "score of cleanlab are chosen with the truth. Last column: `combined` less the best single detector, points,"
    yield "95 % interval."
    yield ""
    header = ["set", "items", "wrong", "seeds", "margin", "combined", "best single", "cleanlab best", "kNN vote"]
    rows = []
    for one in sets:
        single, peer = (
            one.differences["AP", f"{which}"] for which in ("best single detector", "cleanlab's best score")
        )
        best = [f"{_figure('AP', one.rows[row['second']])} ({_short(row['second'])})" for row in (single, peer)]
        vote = next(row for row in one.rows.values() if row["tool"] == KNN)
        ours = [_figure("AP", one.ours(what)) for what in ("log_odds_margin", COMBINED)]
        n, wrong = one.facts["n"], one.facts["errors"]
        share = f"{percent(wrong / n)} %"
        rows.append([one.name, n, share, one.facts["seeds"], *ours, *best, _figure("AP", vote), _points(single)])
    yield from table([*header, "difference"], rows)


def _flags(sets: list[_Set]) -> Iterator[str]:
    yield "The default flags are those of `combined`; the last two columns are those of `class_adjusted`, which larger"
    yield "data get (`--detector class_adjusted`)."
    yield ""
    header = ["set", "flagged", "wrong", "precision", "recall", "F1", "cleanlab's default F1", "its best rule F1"]
    header += ["default - cleanlab's default", "F1 of class_adjusted (flagged)", "class_adjusted - cleanlab's default"]
    rows = []
    for one in sets:
        mine, streamed = one.ours(DEFAULT), one.ours(STREAMED_FLAG_RULE)
        usual, best = (one.differences["F1", note] for note in ("cleanlab's default", "cleanlab's best rule"))
        peers = [_figure("F1", one.rows[row["second"]], spread=False) for row in (usual, best)]
        rows.append(
            [
                one.name,
                _figure("flagged", mine),
                number(one.facts["errors"], ".0f"),
                *(_figure(name, mine, spread=False) for name in ("precision", "recall", "F1")),
                peers[0],
                f"{peers[1]} ({_short(best['second'])})",
                _points(usual),
                f"{_figure('F1', streamed, spread=False)} ({_figure('flagged', streamed)})",
                _points(one.differences["F1", "flags of larger data, cleanlab's default"]),
            ]
        )
    yield from table(header, rows)


def _differences(result: Mapping[str, Any]) -> Iterator[str]:
    yield "95 % paired bootstrap over items and, where there are several, over seeds. Beside it the smallest and the"
    yield "largest difference of a single seed."
    yield ""
    rows = []
    for row in result["comparisons"]:
        second = f"{row['second']} ({row['note']})" if row["note"] else row["second"]
        spread = f"{percent(row['smallest'], '+.2f')} to {percent(row['largest'], '+.2f')}" if row["seeds"] > 1 else "1"
        rows.append([row["set"], row["figure"], row["first"], second, _points(row), spread])
    yield from table(["set", "figure", "first", "second", "points", "seeds"], rows)


def _time(sets: list[_Set]) -> Iterator[str]:
    yield "What `combined` costs over plain confident learning, beside the training of the networks (sum over folds,"
    yield "embeddings not counted where they were kept)."
    yield ""
    rows = []
    for one in sets:
        mine = one.ours(COMBINED)["seconds"]
        plain = one.rows[method_name(PEER, "filter confident_learning")]["seconds"]
        trained = one.facts["training seconds"]
        share = f"{percent((mine - plain) / trained, '.1f')} %" if trained else ""
        shown = "not trained here" if trained is None else number(trained, ".1f")
        rows.append([one.name, number(mine, ".2f"), number(plain, ".2f"), shown, share])
    header = ["set", "combined, s", "cleanlab confident_learning, s", "training, s", "extra as share of training"]
    yield from table(header, rows)


def _one_set(one: _Set) -> Iterator[str]:
    facts = one.facts
    yield f"{one.about['summary']}. {one.about['limits']}"
    yield ""
    yield (
        f"{facts['n']} items, {facts['errors']:.0f} wrong labels, {facts['seeds']} seed(s); accuracy "
        f"{percent(facts['accuracy against given labels'])} % against the given labels, "
        f"{percent(facts['accuracy against truth'])} % against the truth."
    )
    yield ""
    rows = [row for row in one.rows.values() if not row["reason"]]
    cells = [[row["tool"], row["what"], *(_figure(column, row) for column in COLUMNS)] for row in rows]
    yield from table(["tool", "what", *COLUMNS], cells)
    if absent := [f"{row['what']} ({row['reason']})" for row in one.rows.values() if row["reason"]]:
        yield ""
        yield f"Not applicable: {'; '.join(absent)}."


def _figure(column: str, row: dict[str, Any], spread: bool = True) -> str:
    value = row[column]
    if value is None:
        return ""
    if column in ("flagged", "seconds"):
        return number(value, ".0f" if column == "flagged" else ".2f")
    deviation = row.get(f"{column} sd") if spread and column in ("AP", "F1") else None
    return percent(value) if deviation is None else f"{percent(value)} ± {percent(deviation)}"
