"""Label columns that hold a tag for each token: columns of lists, or texts of tags with blanks between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np

from auditor.core.errors import EmptyDataError, LabelError
from auditor.core.label_forms import TokenTags
from auditor.data.columns import MemoryTable
from auditor.data.label_kinds import encode_written
from auditor.data.labels import MISSING, EncodedLabels, is_missing, listed

#: Columns of lists that are called so hold the tokens of sentences.
TOKEN_NAMES: Final = ("tokens", "words")
#: The tag of tokens in no span, where the tags do not say which comes first.
OUTSIDE: Final = "O"
#: Tokens of one item, at most: predictions are kept as wide as the longest item.
MOST_TOKENS: Final = 2000
#: Rows that are looked at to see whether lists go together.
_SAMPLE: Final = 200


def token_column(table: MemoryTable, label: str, names: Sequence[str], said: bool) -> str | None:
    """The column of lists among `names` that is called so as one of tokens; unless the kind was `said`, only one with
    a token for each tag of the column `label`. None without one."""
    named = [name for wanted in TOKEN_NAMES for name in names if name.lower() == wanted]
    if label not in table.features.types or not is_list(table, label):
        return None
    for name in named:
        if is_list(table, name):
            if said:
                return name
            # Not `head`, which leaves out empty rows of each column by itself.
            both = (table.column(one).slice(0, _SAMPLE).to_pylist() for one in (name, label))
            if all(len(tokens or ()) == len(tags or ()) for tokens, tags in zip(*both, strict=True)):
                return name
    return None


def is_list(table: MemoryTable, name: str) -> bool:
    """Whether a column holds lists."""
    import pyarrow as pa

    kind = table.column(name).type
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def encode_token_tags(
    values: Sequence[Any] | np.ndarray,
    class_names: Sequence[str] | None,
    where: str,
    missing: Collection[str] | None = None,
) -> EncodedLabels:
    """Encode a tag for each token; parameters as of `auditor.data.labels.encode_labels`.

    Cells are lists of tags, or texts of them with blanks between. Numbers are places in `class_names`, where they are
    given, else names. Without class names the tags are those that occur, `OUTSIDE` first. Empty lists are no labels.

    Raises
    ------
    LabelError
        A cell that is no row of tags, a tag that is none of `class_names` or holds a blank, one tag only, or an item of
        more than `MOST_TOKENS`.
    EmptyDataError
        If no row has a label.
    """
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    rows: dict[int, list[Any]] = {}
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            tags: list[Any] = [] if is_missing(cell, MISSING if missing is None else missing) else cell.split()
        elif isinstance(cell, list | tuple | np.ndarray):
            tags = list(cell)
        elif is_missing(cell):
            continue
        else:
            raise LabelError(
                f"{where}: {cell!r} in row {row} is no row of tags.", "Write a list of tags, one for each token."
            )
        if len(tags) > MOST_TOKENS:
            raise LabelError(
                f"{where}: row {row} has {len(tags):,} tags, more than {MOST_TOKENS:,}.", "Make a row of each sentence."
            )
        if tags:
            rows[row] = tags
    if not rows:
        raise EmptyDataError(f"{where} holds no labels: all {len(cells)} rows are empty.")
    texts = {row: [_tag(tag, class_names, row, where) for tag in tags] for row, tags in rows.items()}
    found = {tag for tags in texts.values() for tag in tags}
    names = tuple(class_names or sorted(found, key=lambda tag: (tag != OUTSIDE, tag)))
    strange = sorted(found - set(names))
    if strange:
        row = next(row for row, tags in texts.items() if strange[0] in tags)
        raise LabelError(
            f"{where}: tag {strange[0]!r} in row {row} is none of {listed(names)}.", "Correct the row, or classes=."
        )
    if len(names) < 2 or any(not name or len(name.split()) != 1 for name in names) or len(set(names)) < len(names):
        raise LabelError(
            f"{where}: these are no tags of tokens: {listed(names)}.", "Two or more different names without blanks."
        )
    return encode_written(cells, {row: " ".join(tags) for row, tags in texts.items()}, TokenTags(names), where)


def _tag(cell: Any, class_names: Sequence[str] | None, row: int, where: str) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, int | np.integer) and not isinstance(cell, bool):
        if class_names is None:
            return str(cell)
        if 0 <= cell < len(class_names):
            return class_names[int(cell)]
    raise LabelError(f"{where}: {cell!r} in row {row} is no tag.", "Write names, or places in classes=.")


def joined_tokens(cells: Sequence[Any], labels: Sequence[str], where: str) -> list[str]:
    """Tokens of items as texts, one blank between them.

    Parameters
    ----------
    cells : sequence (n,)
        Lists of tokens, or texts with blanks between them.
    labels : sequence of str (n,)
        As `encode_token_tags` writes them.

    Raises
    ------
    LabelError
        A token that is no text, is empty or holds a blank; or another number of tokens than of tags. With the row.
    """
    texts = []
    for row, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        tokens = cell.split() if isinstance(cell, str) else list(cell or ())
        for token in tokens:
            if not isinstance(token, str) or len(token.split()) != 1 or token != token.strip():
                raise LabelError(
                    f"{where}: {token!r} of item {row} is no token.", "Tokens are texts without blanks: split them."
                )
        if len(tokens) != label.count(" ") + 1:
            raise LabelError(
                f"{where}: item {row} has {len(tokens)} tokens and {label.count(' ') + 1} tags.",
                "Give each token one tag.",
            )
        texts.append(" ".join(tokens))
    return texts
