"""What differences over seeds allow to say, and the pages that say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auditor.report.markdown import interval
from auditor.report.rendering import own_markdown, render
from auditor.stats.seeds import mean_interval


def accuracy_row(scores: Sequence[float]) -> dict[str, Any]:
    """``accuracy``, its ``interval`` over seeds and ``accuracy_by_seed``."""
    mean, low, high = mean_interval(scores)
    return {"accuracy": mean, "interval": [low, high], "accuracy_by_seed": list(scores)}


def accuracy_cell(row: Mapping[str, Any]) -> str:
    """Of an `accuracy_row`, in per cent; the interval where there are several seeds."""
    return interval(row["accuracy"], row["interval"] if len(row["accuracy_by_seed"]) > 1 else None)


def label(row: Mapping[str, Any]) -> str:
    """What stands beside a network's accuracy: whether it is a reproduction, and what was looked at."""
    return f"{row['reproduction']}; {'image and mirror image averaged' if row['views'] > 1 else 'the image alone'}"


def points(value: float, low: float, high: float) -> str:
    """A difference of shares in points, with its interval."""
    return f"{100 * value:+.2f} points [{100 * low:+.2f}, {100 * high:+.2f}]"


def verdict(subject: str, other: str, less: Mapping[str, Any]) -> str:
    """Whether `subject` is better than `other`, by the interval of `auditor.stats.seeds.paired`."""
    if less["seeds"] < 2:
        return f"{subject} cannot be compared with {other} by one seed: {100 * less['difference']:+.2f} points"
    low, high = less["interval"]
    relation = "is better than" if low > 0 else "is worse than" if high < 0 else "is not distinguishable from"
    return f"{subject} {relation} {other}: {points(less['difference'], low, high)}, {less['seeds']} seeds"


def page(name: str, document: Mapping[str, Any], **values: Any) -> str:
    """The Markdown page of results, by the template of that name in ``auditor/lab/templates``."""
    figures = {"accuracy": own_markdown(accuracy_cell), "points": own_markdown(points)}
    text = render(f"{name}.md.jinja", "auditor.lab", r=document, **figures, **values)
    return text.rstrip() + "\n"
