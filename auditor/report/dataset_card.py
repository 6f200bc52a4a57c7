"""The dataset card of a corrected copy: what was changed, by whom, how it is taken back; for a Hub of data sets.

Source: huggingface.co/docs/hub, "Dataset Cards". Nothing is sent anywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from auditor.core.errors import UsageError
from auditor.core.escaping import markdown_text, printable
from auditor.core.files import atomic_write
from auditor.core.reading import reading
from auditor.patch.combine import summary
from auditor.patch.copies import ASIDE, copy_state
from auditor.patch.files import write_patch
from auditor.patch.records import Patch
from auditor.report.rendering import render

CARD: Final = "README.md"
#: The part of a card that is ours begins and ends so; what stands around it stays.
_BEGIN, _END = "<!-- auditor: corrected labels -->", "<!-- auditor: end -->"
#: Pairs of classes in the card; the patch has all.
_SHOWN: Final = 15
#: The Hub's names for sizes, each up to so many rows.
_SIZES: Final = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}


def write_card(patch: Patch, copy: Path) -> tuple[Path, Path]:
    """Describe a corrected copy in its ``README.md``, and put the patch beside its memory.

    A card that is there keeps its text: the part about the corrections is added at its end, or takes the place of the
    one that was written before.

    Parameters
    ----------
    patch : Patch
        One that `auditor patch apply` applied to the copy.
    copy : Path
        Folder of the copy.

    Returns
    -------
    card, patch : Path

    Raises
    ------
    UsageError
        If the folder is no corrected copy, or another patch made it.
    """
    state = copy_state(copy)
    if state is None:
        raise UsageError(
            f"{str(copy)!r} is no corrected copy.", "Make one with: auditor patch apply PATCH DATASET --out FOLDER"
        )
    if patch.digest not in {applied["digest"] for applied in state.patches}:
        raise UsageError(f"the patch was not applied to {str(copy)!r}.", "Name the patch that the copy was made with.")
    facts, kept = summary(patch), copy / ASIDE / f"{patch.digest.removeprefix('sha256:')[:12]}.labelpatch.jsonl"
    where = kept.relative_to(copy).as_posix()
    part = render("dataset_card.md.jinja", facts=facts, pairs=facts["pairs"][:_SHOWN], patch=where)
    part, card = f"{_BEGIN}\n{part.strip()}\n{_END}\n", copy / CARD
    if card.is_file():
        with reading(card, "Markdown") as file:
            text = file.read_text(encoding="utf-8")
        before, found, rest = text.partition(_BEGIN)
        text = f"{before}{part}{rest.partition(_END)[2][1:]}" if found else f"{text.rstrip()}\n\n{part}"
    else:
        text = f"{_head(facts['dataset'], facts['n'])}{part}"
    write_patch(patch, kept)
    with atomic_write(card) as handle:
        handle.write(text.encode())
    return card, kept


def _head(name: str, n: int) -> str:
    """What the Hub reads, and a title. The licence of the data is not ours to say."""
    size = next((word for most, word in _SIZES.items() if n < most), "n>10M")
    about = {"pretty_name": f"{printable(name)}, labels corrected", "license": "unknown", "size_categories": [size]}
    about["tags"] = ["label-errors", "corrected-labels", "auditor"]
    lines = [f"{key}: {json.dumps(value)}" for key, value in about.items()]  # JSON is YAML
    return "\n".join(["---", *lines, "---", "", f"# {markdown_text(name)}, labels corrected", "", ""])
