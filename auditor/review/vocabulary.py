"""The words of a verdict, what they say about the given label, and where verdicts are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal

from auditor.core.label_forms import LabelForm, form_of, refuse_unlike

#: Name of the verdict store in a run folder.
REVIEW_FILE: Final = "review.sqlite"
#: Verdicts without a class of their own; ``other:<class>`` comes on top.
VERDICTS: Final = ("given", "suggested", "both", "neither", "unsure", "bad_item")
#: Prefix of the verdict that names a class.
OTHER: Final = "other:"
#: Prefix of the verdict that names a class which the data does not have.
NEW: Final = "new:"
#: Longest name of a new class.
LONGEST_NAME: Final = 100

#: How ambiguous verdicts (both, unsure, no agreement) count: ``strict`` = label wrong, ``lenient`` = label right.
Treatment = Literal["strict", "lenient"]

_OUTCOME: Final = {
    "given": "right",
    "suggested": "wrong",
    "neither": "wrong",
    "both": "ambiguous",
    "unsure": "ambiguous",
    "bad_item": "bad_item",
    "no_agreement": "ambiguous",
    "incomplete": "incomplete",
}


#: What a verdict may name: classes, or labels of a form.
Labels = Collection[str] | LabelForm


def labels_of(facts: Mapping[str, Any]) -> Labels:
    """What verdicts may name in a store that says this of its run (``class_names``, ``label_form``)."""
    form = form_of(facts.get("label_form"))
    return tuple(facts["class_names"]) if form is None else form


def spelled(name: str, labels: Labels) -> str:
    """The text of a label that somebody names.

    Raises
    ------
    ValueError
        If it is none of the classes, or no label of the form.
    """
    if isinstance(labels, LabelForm):
        return labels.canonical(name)
    if name not in labels:
        raise ValueError(f"unknown class {name[:80]!r}")
    return name


def other(class_name: str) -> str:
    """The verdict "another class is right"."""
    return OTHER + class_name


def canonical(verdict: str, given: str, suggested: str | None, classes: Labels) -> str:
    """The one spelling of a verdict: a class that is the given or the suggested one is called so, and one that the data
    has is not new. Labels of a form have one text each, and none of them is new.

    Raises
    ------
    ValueError
        If it is no verdict, names an unknown class, or speaks of a suggestion where there is none.
    """
    if verdict.startswith(NEW):
        name = verdict[len(NEW) :].strip()
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise ValueError(f"a new class needs a printable name of 1 to {LONGEST_NAME} characters")
        if not isinstance(classes, LabelForm) and name not in classes:
            return NEW + name
        verdict = OTHER + name
    if verdict.startswith(OTHER):
        name = spelled(verdict[len(OTHER) :], classes)
        if isinstance(classes, LabelForm):
            refuse_unlike(classes, name, given)
        return "given" if name == given else "suggested" if name == suggested else OTHER + name
    if verdict not in VERDICTS:
        raise ValueError(f"unknown verdict {verdict[:80]!r}")
    if verdict == "both" and isinstance(classes, LabelForm):
        raise ValueError(f"'both' is for classes: write the right {classes.word}, as {OTHER}LABEL")
    if verdict in ("suggested", "both") and suggested is None:
        raise ValueError(f"the verdict {verdict!r} needs a suggestion, and the item has none")
    return verdict


def label_of(verdict: str, given: str, suggested: str | None) -> str | None:
    """The class of the data that a verdict says is right; None where it names no single one."""
    if verdict == "given":
        return given
    if verdict == "suggested":
        return suggested
    return verdict[len(OTHER) :] if verdict.startswith(OTHER) else None


def names_class(verdict: str) -> bool:
    """Whether a verdict says that a class besides the given one and the candidate is right, a new one included."""
    return verdict.startswith((OTHER, NEW))


def outcome(verdict: str) -> str:
    """``right, wrong, ambiguous, bad_item`` or ``incomplete``: what a verdict or consensus says of the given label.

    ``no_agreement`` is ambiguous: the published counts take it for an error, which is the strict treatment.
    """
    return "wrong" if names_class(verdict) else _OUTCOME[verdict]
