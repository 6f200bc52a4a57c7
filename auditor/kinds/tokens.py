"""Tags of tokens: sentences one after another, a class for each token, and a cell is the tag of one token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import numpy as np

from auditor.core.errors import DataError, LabelError
from auditor.core.label_forms import LabelForm
from auditor.data.intake import check_probabilities, open_matrix, read_numbers
from auditor.detect.base import Evidence
from auditor.detect.findings import Findings, find
from auditor.detect.margins import LOG_FLOOR
from auditor.detect.noise_models import log_pool
from auditor.engine.validate import check_columns
from auditor.kinds.base import Judged, KindFlags, Table
from auditor.kinds.multilabel import MultiLabel
from auditor.kinds.tag_chain import in_context

#: Of the tags so many are taken to be wrong beforehand, with every other tag alike, where P(wrong) is asked for.
WRONG: Final = 0.01
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
    output: ClassVar[Literal["tags", "number", "sequence"]] = "sequence"
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
        return _judged(given)[0]

    def strata(self, values: np.ndarray) -> np.ndarray:
        """By the rarest tag of each item, as `MultiLabel.strata`."""
        n_tags = max(int(row.max()) for row in values) + 1
        return MultiLabel().strata(np.array([np.bincount(row, minlength=n_tags) > 0 for row in values]))

    def outputs(self, form: LabelForm, values: np.ndarray) -> int:
        """One for each tag at each place of the longest item."""
        return len(form.names) * max(map(len, values))

    def pool(self, predictions: list[np.ndarray]) -> np.ndarray:
        """The mean of the models' logarithms, float32 (n, longest * K), NaN behind the end of each item."""
        logs = np.mean([np.log(p.astype(np.float64) + LOG_FLOOR) for p in predictions], axis=0)
        return np.asarray(np.exp(logs), np.float32)

    def judge(
        self, predictions: np.ndarray, values: np.ndarray, form: LabelForm, texts: Sequence[str] | None = None
    ) -> Judged:
        """Items with a flagged token are flagged, and ranked by their most suspicious token; a suggestion changes the
        flagged tokens, or the most suspicious one."""
        lengths = np.array([len(row) for row in values])
        p = predictions.reshape(len(values), -1, len(form.names)).astype(np.float64)
        p = p[np.arange(p.shape[1]) < lengths[:, None]]
        p /= p.sum(axis=1, keepdims=True)
        given = TaggedSentences(p, np.concatenate(list(values)), np.cumsum([0, *lengths]))
        flags, wrong, suggest = _judged(given)
        item = np.repeat(np.arange(len(values)), lengths)
        changed = np.zeros(len(p), bool)
        changed[flags.flagged[:, 0]] = True
        flagged: np.ndarray = np.bincount(item, changed, len(values)) > 0
        first = np.lexsort((-flags.scores, ~changed, item))[given.offsets[:-1]]  # flagged ones before others
        changed[first] = True
        at = np.flatnonzero(changed)
        right = given.labels.copy()
        right[at] = suggest(at)
        codes = np.full(len(p), WRONG_TYPE, dtype="<U5")
        codes[at] = _codes(given, at, right[at])
        names = form.names
        said = [_said(k, given, right, names, texts) if flagged[k] else "" for k in range(len(values))]
        rights = np.split(right, given.offsets[1:-1])
        is_flagged = np.bincount(flags.flagged[:, 0], minlength=len(p)) > 0
        by_tag = tuple(
            (name, *(int(part.sum()) for part in (own, own & is_flagged, (right == k) & is_flagged)))
            for k, (name, own) in enumerate((name, given.labels == k) for k, name in enumerate(names))
        )
        none_wrong = np.add.reduceat(np.log1p(-np.minimum(wrong, 1 - 1e-12)), given.offsets[:-1])
        return Judged(
            score=np.asarray(flags.facts["sentence_scores"], np.float64),
            wrong=-np.expm1(none_wrong),
            flagged=flagged,
            suggested=np.array([form.write(row) for row in rights], dtype=object),
            codes=codes[first],
            messages=said,
            expected_f1=None,
            agreement=("accuracy of tags", float((p.argmax(axis=1) == given.labels).mean())),
            tables=(Table("By tag", ("tag", "tokens", "flagged", "suggested instead of another"), by_tag),),
        )


def _judged(given: TaggedSentences) -> tuple[KindFlags, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """`Tokens.flag`, P(the tag of each token is wrong), float64 (N,), and the tags that tokens at positions should
    have."""
    p, tags = given.probabilities, given.labels
    alone = _findings(p, tags)
    pool, _ = log_pool([np.asarray(p, np.float64)], [LOG_FLOOR], tags)
    chained, strength = in_context(np.log(pool + LOG_FLOOR), tags, given.offsets)
    context = _findings(chained, tags)
    scores = (alone.score + context.score) / 2
    flagged = np.flatnonzero(alone.flagged & context.flagged)
    flagged = flagged[np.argsort(-scores[flagged], kind="stable")]
    suggested = context.suggested(flagged)
    flags = KindFlags(
        kind=Tokens.name,
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
    own = chained[np.arange(len(tags)), tags]
    by_error = WRONG * (1 - own) / max(p.shape[1] - 1, 1)
    return flags, by_error / np.maximum(by_error + (1 - WRONG) * own, 1e-300), context.suggested


def _said(k: int, given: TaggedSentences, right: np.ndarray, names: Sequence[str], texts: Sequence[str] | None) -> str:
    """What is wrong with an item, in words: each run of tokens with one given and one right tag."""
    start, stop = int(given.offsets[k]), int(given.offsets[k + 1])
    words = [str(place + 1) for place in range(stop - start)] if texts is None else texts[k].split(" ")
    parts, place = [], start
    while place < stop:
        end = place + 1
        pair = given.labels[place], right[place]
        while end < stop and (given.labels[end], right[end]) == pair:
            end += 1
        if pair[0] != pair[1]:
            parts.append(f"{' '.join(words[place - start : end - start])}: {names[pair[0]]}, likely {names[pair[1]]}")
        place = end
    return "; ".join(parts)


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
