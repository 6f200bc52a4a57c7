"""Texts that went through the wrong decoder: mojibake, replacement characters, control characters, entities."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import share_of
from auditor.quality.subject import Subject

__all__ = ["EncodingDamage", "damage_of"]

#: A lead byte of UTF-8 read as Latin-1 or Windows-1252, and what its continuation bytes look like there.
_MOJIBAKE = re.compile(
    "[\u00c2-\u00df][\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
    "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178]"
    "|\u00e2[\u0080\u20ac][\u0080-\u00bf\u201a-\u203a\u02dc\u2122\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192]"
)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: "&amp;", "&#39;", and what is left of them where the ampersand was lost: " #39;".
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#[xX][0-9a-fA-F]{1,5});|(?:^|\s)#\d{2,4};")


@dataclass(frozen=True)
class EncodingDamage:
    """The kind of damage is said for each item."""

    code: ClassVar[str] = "DQ501"
    name: ClassVar[str] = "encoding_damage"
    severity: ClassVar[Severity] = "warning"
    about: ClassVar[str] = "the text went through the wrong decoder, or entities were left in it"

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.texts is None:
            return NotApplicable(f"the items are no texts ({subject.modality})")
        rows = subject.looked_at
        kinds = [damage_of(subject.texts[k]) for k in rows]
        hit = np.array([bool(k) for k in kinds], dtype=bool)
        notes = tuple(", ".join(k) for k in kinds if k)
        counts = Counter(kind for found in kinds for kind in found)
        items = rows[hit].astype(np.int64)
        return Found(
            f"{share_of(len(items), len(rows))} texts are damaged",
            items,
            notes=notes,
            facts={"kinds": dict(sorted(counts.items()))},
        )


def damage_of(text: str) -> list[str]:
    """Kinds of damage in one text; empty for a sound one."""
    found = ["entity"] if ("&" in text or "#" in text) and _ENTITY.search(text) else []
    if not text.isprintable() and _CONTROL.search(text):
        found.append("control character")
    if text.isascii():
        return found
    if "\ufffd" in text:
        found.append("replacement character")
    if _SURROGATE.search(text):
        found.append("half of a surrogate pair")
    if _MOJIBAKE.search(text):
        found.append("mojibake")
    return found
