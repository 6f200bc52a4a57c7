"""Checks of texts: wrong decoding, hardly any content, templates."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from auditor.quality.base import Findings, NotApplicable, check, made_for_others, share_of
from auditor.quality.groups import groups_of
from auditor.quality.hashes import normalised_text
from auditor.quality.nature import decided_by_nature
from auditor.quality.subject import Subject

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: "&amp;", "&#39;", and what is left of them where the ampersand was lost: " #39;".
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6}|#[xX][0-9a-fA-F]{1,5});|(?:^|\s)#\d{2,4};")
_LINK = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_NUMBER = re.compile(r"\d[\d.,:/%-]*")


@check("DQ501", "warning", "the text was decoded with the wrong encoding, or HTML entities were left in it")
def encoding_damage(subject: Subject) -> Findings | NotApplicable:
    """Mojibake, replacement characters, control characters, entities; the kind is said for each item."""
    if subject.texts is None:
        return made_for_others(subject.modality)
    rows = subject.looked_at
    kinds = [damage_of(subject.texts[k]) for k in rows]
    items = rows[np.array([bool(k) for k in kinds], dtype=bool)].astype(np.int64)
    counts = Counter(kind for damage in kinds for kind in damage)
    notes, facts = tuple(", ".join(k) for k in kinds if k), {"kinds": dict(sorted(counts.items()))}
    return Findings(f"{share_of(len(items), len(rows))} texts are damaged", items, notes=notes, facts=facts)


def damage_of(text: str) -> list[str]:
    """Kinds of damage in one text; empty for a sound one."""
    kinds = ["entity"] if ("&" in text or "#" in text) and _ENTITY.search(text) else []
    if not text.isprintable() and _CONTROL.search(text):
        kinds.append("control character")
    if text.isascii():
        return kinds
    if "\ufffd" in text:
        kinds.append("replacement character")
    if _SURROGATE.search(text):
        kinds.append("half of a surrogate pair")
    from ftfy.badness import is_bad

    # What UTF-8 looks like once it was read as another encoding; a replacement character alone is none.
    if is_bad(text.replace("\ufffd", "")):
        kinds.append("mojibake")
    return kinds


@check("DQ502", "warning", "the text has hardly any letters or digits")
def near_empty_text(subject: Subject, fewest: int = 5) -> Findings | NotApplicable:
    """Texts of fewer than `fewest` letters and digits; blank ones are missing values.

    Where more than a tenth of the texts are that short, it is how the data looks (names, codes), and only those
    without any letter or digit count.
    """
    if subject.texts is None:
        return made_for_others(subject.modality)
    rows = subject.looked_at
    filled = np.array([bool(subject.texts[k].strip()) for k in rows], dtype=bool)
    size = np.array([sum(map(str.isalnum, subject.texts[k])) for k in rows], dtype=np.int64)
    hit = filled & (size < fewest)
    if decided_by_nature(hit, filled):
        hit = filled & (size == 0)
    order = np.argsort(size[hit], kind="stable")
    items, measured = rows[hit][order].astype(np.int64), size[hit][order].astype(np.float64)
    return Findings(f"{share_of(len(items), len(rows))} texts have hardly any letters or digits", items, measured)


@check("DQ503", "info", "several texts are one template filled in differently")
def template_texts(subject: Subject, fewest: int = 3, words: int = 4) -> Findings | NotApplicable:
    """Groups of at least `fewest` different texts with one skeleton of at least `words` words."""
    if subject.texts is None:
        return made_for_others(subject.modality)
    first: dict[str, int] = {}
    group = np.arange(len(subject))
    for k in subject.looked_at:
        bones = skeleton(subject.texts[k])
        if len(bones.split()) >= words:
            group[k] = first.setdefault(bones, int(k))
    groups = groups_of(group, "template", subject.exact)
    groups = tuple(g for g in groups if len(np.unique(subject.exact[g.members])) >= fewest)
    items = np.concatenate([np.empty(0, np.int64), *(g.members for g in groups)])
    summary = f"{share_of(len(items), len(subject.looked_at))} texts come from {len(groups):,} template(s)"
    return Findings(summary, items, groups=groups)


def skeleton(text: str) -> str:
    """A text without its numbers, links, case and punctuation."""
    return normalised_text(_NUMBER.sub(" 0 ", _LINK.sub(" link ", text)))
