"""Tags of tokens: sentences one after another, a class for each token, and a cell is the tag of one token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from auditor.core.errors import DataError, LabelError
from auditor.data.intake import check_probabilities, open_matrix, read_numbers
from auditor.detect.base import Evidence
from auditor.detect.findings import Findings, find
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.noise_models import log_pool
from auditor.engine.validate import check_columns
from auditor.kinds.base import KindFlags
from auditor.kinds.tag_chain import in_context

WRONG_TYPE, BOUNDARY, MISSED_SPAN, SURPLUS_SPAN = "LE021", "LE022", "LE023", "LE024"


@dataclass(frozen=True, eq=False)
class TaggedSentences:
    """Probabilities and given tags of tokens, checked.

    Attributes
    ----------
    probabilities : float array (N, K)
        Rows sum to 1.
    labels : int64 array (N,)
    offsets : int64 array (sentences + 1,)
        Strictly ascending from 0 to N: sentence i has the tokens ``offsets[i]`` to ``offsets[i + 1] - 1``.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    offsets: np.ndarray

    @property
    def outside(self) -> int:
        """The tag of tokens in no span: the most frequent one."""
        return int(np.bincount(self.labels).argmax())

    def same_sentence(self) -> np.ndarray:
        """bool (N,): whether the token before is of the same sentence."""
        inside = np.ones(len(self.labels), bool)
        inside[self.offsets[:-1]] = False
        return inside


class Tokens:
    """The kind ``tokens``."""

    name: ClassVar[str] = "tokens"
    summary: ClassVar[str] = "a class for each token of sentences"
    codes: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            WRONG_TYPE: "a token in a span has the wrong type",
            BOUNDARY: "a span begins or ends at the wrong token",
            MISSED_SPAN: "tokens without a tag are a span",
            SURPLUS_SPAN: "a span should have no tag",
        }
    )

    def read(self, *, pred_probs: Any, labels: Any, offsets: Any) -> TaggedSentences:
        """Open probabilities, tags and where the sentences begin.

        Parameters
        ----------
        pred_probs : path, array, data frame or list of rows (N, K)
            Out-of-sample probabilities of the tags of each token; rows sum to 1.
        labels : path or sequence (N,)
            Class numbers, 0 .. K - 1.
        offsets : path or sequence (sentences + 1,)
            First token of each sentence, and N: ascending from 0; no sentence is empty.

        Raises
        ------
        EmptyDataError, ProbabilityError
            No tokens; values that are no probabilities, with the row.
        LabelError
            Another number of tags than rows, or one that is no class; with the token.
        DataError
            Offsets that do not ascend from 0 to N; with the place.
        """
        source, _ = open_matrix(pred_probs, "pred_probs")
        check_columns(source.shape[0], source.shape[0], source.shape[1], source.name)
        p, _ = check_probabilities(source.read(0, source.shape[0]), source.name)
        n, n_classes = p.shape
        tags = whole_numbers(labels, "labels")
        if len(tags) != n:
            raise LabelError(f"{len(tags):,} labels for {n:,} rows of {source.name}.", "Give one label a token.")
        if len(bad := np.flatnonzero((tags < 0) | (tags >= n_classes))):
            raise LabelError(
                f"labels: {tags[bad[0]]} at token {bad[0]} is no class; {source.name} has {n_classes} columns.",
                "Number the tags in the order of the columns, from 0.",
            )
        return TaggedSentences(p, tags, _checked_offsets(whole_numbers(offsets, "offsets"), n))

    def flag(self, given: TaggedSentences) -> KindFlags:
        """Score every token by the default rule of single labels, alone and in context, and flag what both views flag.

        The score is the mean of two: of the model's probabilities, and of the same in a chain whose neighbouring tags
        attract each other as the given ones do (`auditor.kinds.tag_chain`).
        """
        p, tags = given.probabilities, given.labels
        alone = _findings(p, tags)
        pool, _ = log_pool([np.asarray(p, np.float64)], [LOG_FLOOR], tags)
        chained, strength = in_context(np.log(pool + LOG_FLOOR), tags, given.offsets)
        context = _findings(chained, tags)
        scores = (alone.score + context.score) / 2
        flagged = np.flatnonzero(alone.flagged & context.flagged)
        flagged = flagged[np.argsort(-scores[flagged], kind="stable")]
        suggested = context.suggested(flagged)
        return KindFlags(
            kind=self.name,
            axes=("token",),
            shape=scores.shape,
            flagged=flagged[:, None],
            given=tags[flagged],
            suggested=suggested,
            codes=_codes(given, flagged, suggested),
            expected_f1=None,
            blocks=lambda: [scores],
            facts={"sentence_scores": worst_token(scores, given.offsets), "context_strength": strength},
        )


def worst_token(scores: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Score of each sentence, (sentences,): that of its most suspicious token."""
    return np.maximum.reduceat(scores, offsets[:-1])


def sentence_quality(
    quality: np.ndarray, offsets: np.ndarray, method: Literal["min", "softmin"] = "min", temperature: float = 0.05
) -> np.ndarray:
    """cleanlab's quality of sentences from that of their tokens; **low is suspicious**.

    Parameters
    ----------
    quality : float array (N,)
        Quality of each token's label, in [0, 1].
    offsets : int array (sentences + 1,)
    method : "min" or "softmin"
        The least, or the mean weighted by ``softmax((1 - quality) / temperature)``.
    temperature : float
        Above 0.

    Returns
    -------
    float64 array (sentences,)

    Source
    ------
    `cleanlab.token_classification.rank.get_label_quality_scores`; Wang and Mueller 2022.
    """
    starts = offsets[:-1]
    least = np.minimum.reduceat(quality, starts)
    if method == "min":
        return least
    weights = np.exp((np.repeat(least, np.diff(offsets)) - quality) / temperature)
    return np.asarray(np.add.reduceat(weights * quality, starts) / np.add.reduceat(weights, starts))


def whole_numbers(values: Any, where: str) -> np.ndarray:
    """int64 (n,) of a file or sequence of whole numbers.

    Raises
    ------
    EmptyDataError, LabelError
        As `auditor.data.intake.read_numbers`, and for a number with a fraction; with the row.
    """
    numbers = read_numbers(values, where)
    whole = np.abs(numbers) < 2**53
    whole &= numbers == np.floor(numbers)
    if not whole.all():
        row = int(np.argmin(whole))
        raise LabelError(f"{where}: {numbers[row]} in row {row} is no whole number.", "Give class numbers from 0.")
    return numbers.astype(np.int64)


def _checked_offsets(offsets: np.ndarray, n: int) -> np.ndarray:
    way_out = "Give the first token of each sentence, then the number of tokens: numpy.cumsum([0, *lengths])."
    if len(offsets) < 2 or offsets[0] != 0:
        raise DataError(f"offsets begin with {offsets[0]} and have {len(offsets)} entries; the first is 0.", way_out)
    steps = np.diff(offsets)
    if (steps < 0).any():
        at = int(np.argmax(steps < 0))
        raise DataError(f"offsets: {offsets[at + 1]} at {at + 1} follows {offsets[at]}; they must ascend.", way_out)
    if offsets[-1] != n:
        raise DataError(f"offsets end with {offsets[-1]}, but there are {n:,} tokens.", way_out)
    if (steps == 0).any():
        at = int(np.argmax(steps == 0))
        raise DataError(
            f"offsets: sentence {at} is empty (both ends are {offsets[at]}); {(steps == 0).sum():,} such.",
            "Leave empty sentences out.",
        )
    return offsets


def _findings(p: np.ndarray, tags: np.ndarray) -> Findings:
    p = np.asarray(p)
    return find(Evidence(np.arange(len(tags)), tags, p.shape[1], probabilities=p))


def _codes(given: TaggedSentences, flagged: np.ndarray, suggested: np.ndarray) -> np.ndarray:
    """What is wrong with each flagged token, by the spans before and after all suggestions are taken.

    A tag lost or gained is a `BOUNDARY` where the rest of the span stays: some token of the same run had this tag
    before and has it after.
    """
    tags, outside, inside = given.labels, given.outside, given.same_sentence()
    after = tags.copy()
    after[flagged] = suggested
    stays = after == tags
    lost, gained = _some_of_run(tags, inside, stays)[flagged], _some_of_run(after, inside, stays)[flagged]
    to, old = suggested, tags[flagged]
    codes = np.full(len(flagged), WRONG_TYPE, dtype="<U5")
    codes[to == outside] = np.where(lost, BOUNDARY, SURPLUS_SPAN)[to == outside]
    codes[old == outside] = np.where(gained, BOUNDARY, MISSED_SPAN)[old == outside]
    return codes


def _some_of_run(tags: np.ndarray, inside: np.ndarray, which: np.ndarray) -> np.ndarray:
    """bool (N,): whether `which` holds for any token of the run of equal tags that a token is in."""
    new = ~inside
    new[1:] |= tags[1:] != tags[:-1]
    run = np.cumsum(new) - 1
    return np.asarray(np.bincount(run, which) > 0)[run]
