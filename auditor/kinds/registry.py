"""The table of label kinds and the one way to ask one."""

from __future__ import annotations

import inspect
from typing import Any

from auditor.core.errors import UsageError
from auditor.core.registry import Registry
from auditor.kinds.base import AuditedKind, KindFlags, LabelKind

#: Classes by name. Third parties add theirs through the entry-point group ``auditor.kinds``.
KINDS: Registry[type[LabelKind]] = Registry(
    "kind of labels",
    {
        "multilabel": "auditor.kinds.multilabel:MultiLabel",
        "regression": "auditor.kinds.regression:Regression",
        "ordinal": "auditor.kinds.ordinal:Ordinal",
        "tokens": "auditor.kinds.tokens:Tokens",
        "annotators": "auditor.kinds.annotators:SeveralAnnotators",
        "boxes": "auditor.kinds.boxes:Boxes",
        "masks": "auditor.kinds.masks:Masks",
    },
    "auditor.kinds",
)


def flag_kind(kind: str, **inputs: Any) -> KindFlags:
    """Flag suspicious labels of a kind that is more than one class an item, without training.

    Parameters
    ----------
    kind : str
        A name in `KINDS`: ``"multilabel"``, ``"regression"``, ``"ordinal"``, ``"tokens"``, ``"annotators"``,
        ``"boxes"``, ``"masks"`` (docs/label-kinds.md).
    **inputs
        What the kind takes, each a file or what is in memory; None counts as not given.

    Returns
    -------
    KindFlags
        ``scores``, higher = more likely wrong, in the form of the cells; ``flagged``, cells, most suspicious first;
        ``suggested`` and ``codes`` of these.

    Raises
    ------
    UnknownNameError
        No such kind.
    UsageError
        Something the kind does not take, or without what it needs.
    DataError
        What was given is wrong; with the place.

    Examples
    --------
    >>> import numpy as np, auditor
    >>> tags = np.tile([[1, 0, 1], [0, 1, 0]], (30, 1))
    >>> p = 0.1 + 0.8 * tags
    >>> tags[3, 1] = 0
    >>> flags = auditor.flag_kind("multilabel", pred_probs=p, labels=tags)
    >>> flags.flagged.tolist(), flags.suggested.tolist()
    ([[3, 1]], [1])
    """
    asked = KINDS.load(kind)()
    given = {name: value for name, value in inputs.items() if value is not None}
    parameters = inspect.signature(asked.read).parameters
    takes = f"It takes {', '.join(map(_option, parameters))}."
    if unknown := [name for name in given if name not in parameters]:
        raise UsageError(f"kind {kind!r} takes no {_option(unknown[0])}.", takes)
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in given]:
        raise UsageError(f"kind {kind!r} needs {' and '.join(map(_option, missing))}.", takes)
    return asked.flag(asked.read(**given))


def audited_kind(name: str) -> AuditedKind:
    """The kind called `name`, for an audit of a data set.

    Raises
    ------
    UnknownNameError
        No such kind.
    UsageError
        Its labels are taken as arrays only.
    """
    kind = KINDS.load(name)()
    if not isinstance(kind, AuditedKind):
        raise UsageError(
            f"no data set is audited for labels of the kind {name!r}.", f"Give arrays: auditor flag --kind {name} .."
        )
    return kind


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
