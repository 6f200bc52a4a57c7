"""Texts made from one template: equal but for numbers, links and addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from auditor.quality.base import Found, NotApplicable, Severity
from auditor.quality.common import groups_of, share_of
from auditor.quality.hashes import normalised_text
from auditor.quality.subject import Subject

__all__ = ["TemplateTexts", "skeleton"]

_LINK = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_NUMBER = re.compile(r"\d[\d.,:/%-]*")


@dataclass(frozen=True)
class TemplateTexts:
    """Groups of at least `fewest` texts with one skeleton of at least `words` words, several of them different."""

    code: ClassVar[str] = "DQ503"
    name: ClassVar[str] = "template_texts"
    severity: ClassVar[Severity] = "info"
    about: ClassVar[str] = "the text is made from a template that others share"

    fewest: int = 3
    words: int = 4

    def run(self, subject: Subject) -> Found | NotApplicable:
        if subject.texts is None:
            return NotApplicable(f"the items are no texts ({subject.modality})")
        first: dict[str, int] = {}
        group = np.arange(len(subject))
        for k in subject.looked_at:
            bones = skeleton(subject.texts[k])
            if len(bones.split()) >= self.words:
                group[k] = first.setdefault(bones, int(k))
        groups = tuple(
            g
            for g in groups_of(group, "template", subject.exact)
            if len(np.unique(subject.exact[g.members])) >= self.fewest
        )
        items = np.concatenate([g.members for g in groups]) if groups else np.empty(0, np.int64)
        n = len(subject.looked_at)
        return Found(f"{share_of(len(items), n)} texts come from {len(groups):,} template(s)", items, groups=groups)


def skeleton(text: str) -> str:
    """A text without its numbers, links, case and punctuation."""
    return normalised_text(_NUMBER.sub(" 0 ", _LINK.sub(" link ", text)))
