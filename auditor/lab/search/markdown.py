"""Results of a search as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["results_markdown"]

_ROLES = {"found": "found", "control": "best random", "start": "start"}


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _between(value: float, low: float, high: float) -> str:
    return f"{100 * value:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]"


def results_markdown(document: dict[str, Any], pictures: Mapping[str, str]) -> str:
    """Tables, verdicts, pictures and conditions.

    Parameters
    ----------
    document : dict
        Of ``results.json``.
    pictures : mapping of str to str
        What a picture shows -> its file.
    """
    machine, versions, data = document["machine"], document["versions"], document["data"]
    pooled = document["pooled"]
    lines = [
        f"# Architecture search: {document['space']}, {data['name']}: **{document['reproduction']}**",
        "",
        f"Budget class `{document['budget']}`; {document['seeds']} search(es), {document['train_seeds']} final "
        f"training(s) of each network. {document['split_note']} The search trained on {data['train']:,} images and "
        f"chose by {data['validation']:,} others. {machine['cpu']}, {machine['cores']} cores; auditor "
        f"{versions['auditor']}, torch {versions.get('torch', '-')}. Command: `{document['command']}`.",
        "",
        "## The search beside random architectures",
        "",
        "| seed | arm | children | trained | mean % | best % | cost, 10^12 MACs | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for search in document["searches"]:
        for arm in ("search", "control"):
            own = search[arm]
            lines.append(
                f"| {search['seed']} | {arm} | {own['children']} | {own['trained']} | {_percent(own['mean'])} | "
                f"{_percent(own['curve'][-1]['best'])} | {own['spent'] / 1e12:.3g} | {own['seconds']:.0f} |"
            )
    lines += ["", f"- {pooled['verdict']} {_difference(pooled['difference'])}, later half less control."]
    lines.append(
        f"- {pooled['progress']}" + (f" {_difference(pooled['improvement'])}." if pooled["improvement"] else "")
    )
    lines += [*_gains(document), *_latency(document)]
    lines += [
        "- The best child of an arm is the best of many on the same validation items, and flattered by it: the final "
        "training below is the fair comparison.",
        "",
        *(f"![{what}]({name})\n" for what, name in pictures.items() if what == "search curve"),
        "## Trained alike, tested once",
        "",
        *_final_table(document),
        "",
        *(f"- {sentence}." for sentence in document["final"]["verdict"]),
        "- Every network is trained from scratch by the recipe of the budget class, and its test labels are looked at "
        "once per network and seed.",
        "",
        *(f"![{what}]({name})\n" for what, name in pictures.items() if what != "search curve"),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _difference(found: dict[str, float]) -> str:
    return _between(found["value"], found["low"], found["high"])


def _gains(document: dict[str, Any]) -> list[str]:
    """Of searches that grow networks from a start: their children beside the start trained on for as long."""
    lines = []
    for search in document["searches"]:
        for arm, gains in search["facts"].get("gains", {}).items():
            for gain in gains:
                best = gain["best_gain"]
                lines.append(
                    f"- Seed {search['seed']}, {arm}: children less their start trained on for as long: mean "
                    f"{100 * gain['mean_gain']:+.2f} points, best {_difference(best)}."
                )
    return lines


def _latency(document: dict[str, Any]) -> list[str]:
    """Of searches with a latency term: what became of the latency."""
    lines = []
    for search in document["searches"]:
        if found := search["facts"].get("latency"):
            checked = found["validation"]
            lines.append(
                f"- Seed {search['seed']}, latency by the measured table: found network {found['found_ms']:.2f} ms, "
                f"derived before the search {found['start_ms']:.2f} ms, mean of the random ones "
                f"{found['control_mean_ms']:.2f} ms. The table misses the measured latency of {checked['networks']} "
                f"random networks by {checked['rmse_ms']:.2f} ms (RMSE)."
            )
        if whole := found and found.get("measured"):  # absent from searches stored before it was measured
            less = "; ".join(
                f"less {_ROLES[role]} {100 * d['value'] / whole['ms'][role]:+.1f} % "
                f"[{100 * d['low'] / whole['ms'][role]:+.1f}, {100 * d['high'] / whole['ms'][role]:+.1f}]"
                for role, d in whole["found_less"].items()
            )
            lines.append(
                f"- Seed {search['seed']}, latency of whole networks, timed in turns ({whole['passes']} passes each): "
                + ", ".join(f"{_ROLES[role]} {ms:.2f} ms" for role, ms in whole["ms"].items())
                + f"; found {less}."
            )
    return lines


def _final_table(document: dict[str, Any]) -> list[str]:
    lines = [
        "| network | role | parameters | MMAC | accuracy % (95 % over seeds) | epochs x images | seeds | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in document["final"]["networks"]:
        low, high = row["interval"]
        spread = f" [{_percent(low)}, {_percent(high)}]" if len(row["accuracy_by_seed"]) > 1 else ""
        lines.append(
            f"| {row['name']} | {_ROLES[row['role']]} | {row['parameters']:,} | {row['macs'] / 1e6:.2f} | "
            f"{_percent(row['accuracy'])}{spread} | {row['epochs']} x {row['images']:,} | "
            f"{len(row['accuracy_by_seed'])} | {document['reproduction']} |"
        )
    for one in document["published"]:
        lines.append(f"| {one['network']} | published | | | {100 - one['error']:.2f} | | | the paper |")
    return lines
