"""From evidence and a rule to findings: the one answer to "which labels are suspect?".

A rule is a name: `DEFAULT`, a rule of the engine (cleanlab's filters and ``paper``), or a detector. Every command, the
reviewer and the Python class ask here, so that the same probabilities get the same answer everywhere.

===================  ==========================================  ==========================================
rule                 ranked by                                   flagged by
===================  ==========================================  ==========================================
default              `RANKING`; `STREAMED_RANKING` above          `RANKING`; `STREAMED_FLAG_RULE` above
                     `IN_MEMORY_VALUES` probabilities             `IN_MEMORY_VALUES` probabilities
a rule of the engine `STREAMED_RANKING`                           the rule
a detector           the detector                                 the detector, where it has a flag rule
===================  ==========================================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.detect.base import Detection, Evidence, NotApplicable
from auditor.detect.class_adjusted import adjusted_probabilities, levels_from_given
from auditor.detect.margins import best_other, id_keys, log_odds, log_odds_margin, preferred_class, rank_order
from auditor.detect.registry import DETECTORS, run_detector
from auditor.engine.analysis import Analysis, analyze
from auditor.engine.mixture import given_probabilities
from auditor.engine.rules import RULES, flag
from auditor.engine.semantics import MAX_CLIP

#: The rule when nothing is named.
DEFAULT = "default"
#: Detector that ranks and flags when nobody has given verdicts.
RANKING = "combined"
#: What ranks and what flags larger data: they need one row at a time. `combined` passes over all probabilities some
#: 400 times.
STREAMED_RANKING = "log_odds_margin"
STREAMED_FLAG_RULE = "class_adjusted"
#: Items x classes, and pairs of classes, up to which `combined` ranks (160 MB in float64); it holds a noise matrix of
#: all pairs. A fixed number, so that the result does not depend on the machine.
IN_MEMORY_VALUES = 20_000_000


@dataclass(frozen=True, eq=False)
class Findings:
    """What a rule says about every item.

    Attributes
    ----------
    score : float64 array (n,)
        Higher is more suspicious.
    flagged : bool array (n,)
    ranking : str
        Name of the detector whose score it is.
    flag_rule : str or None
        What flagged; None where the detector ranks only, and nothing is flagged.
    meta : dict
        JSON-serialisable facts of the detectors.
    """

    evidence: Evidence = field(repr=False)
    score: np.ndarray
    flagged: np.ndarray
    #: int64 (n,): the class the rule prefers; where it is the given one, the rule would keep the label.
    _preferred: np.ndarray = field(repr=False)
    ranking: str
    flag_rule: str | None
    meta: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def order(self) -> np.ndarray:
        """Positions, most suspicious first; equal scores by item id."""
        return rank_order(self.score, self.evidence.ids)

    @property
    def flagged_in_order(self) -> np.ndarray:
        """Positions of the flagged items, most suspicious first."""
        return self.order[self.flagged[self.order]]

    def suggested(self, positions: np.ndarray | None = None) -> np.ndarray:
        """The class each item (or each at `positions`) should have if its given label is wrong; int64.

        **Never the given label**: where the rule would keep that, the most probable other class, the first on ties.
        Only the rows of those items are read.
        """
        wanted = np.arange(len(self.score)) if positions is None else np.asarray(positions, dtype=np.int64)
        labels = self.evidence.labels
        suggested = self._preferred[wanted]
        same = np.flatnonzero(suggested == labels[wanted])
        same = same[np.argsort(wanted[same], kind="stable")]
        rows = wanted[same]
        for start, stop, block in self.evidence.blocks_with(rows):
            here = slice(*np.searchsorted(rows, (start, stop)))
            suggested[same[here]] = best_other(block[rows[here] - start], labels[rows[here]])[0]
        return suggested


def check_rule(rule: str) -> None:
    """Refuse what is neither the default nor a rule of the engine nor a detector (UnknownNameError)."""
    if rule != DEFAULT and rule not in RULES and rule not in DETECTORS:
        raise UnknownNameError("rule", rule, (DEFAULT, *RULES, *DETECTORS))


def streams(rule: str, n_items: int, n_classes: int) -> bool:
    """Whether `find` reads the probabilities in pieces and looks at nothing else."""
    return rule in RULES or (rule == DEFAULT and max(n_items, n_classes) * n_classes > IN_MEMORY_VALUES)


def find(
    evidence: Evidence, rule: str = DEFAULT, *, analysis: Analysis | None = None, chunk_rows: int | None = None
) -> Findings:
    """Score, rank and flag.

    Parameters
    ----------
    evidence : Evidence
        With probabilities; the rest is used by the detectors that know what to do with it.
    rule : str
        See the table above.
    analysis : Analysis, optional
        Of ``evidence.source``, where it is there already: the rules of the engine need it, and it has checked the rows.
    chunk_rows : int, optional
        Rows read at once where the rule `streams`; never changes the result.

    Raises
    ------
    UnknownNameError
        No such rule.
    DataError
        No probabilities.
    UsageError
        The detector is not applicable to this evidence.
    """
    check_rule(rule)
    if evidence.probabilities is None:
        raise DataError("no findings: out-of-sample probabilities are needed.")
    if rule in RULES:
        analysis = analysis or analyze(evidence.source, evidence.labels, clip=MAX_CLIP)
        given, other = (a.astype(np.float64) for a in (analysis.self_confidence, analysis.largest_other))
        preferred = analysis.predicted.astype(np.int64)
        return Findings(evidence, log_odds(other, given), flag(analysis, rule), preferred, STREAMED_RANKING, rule)
    if streams(rule, len(evidence), evidence.n_classes):
        return _default_in_pieces(evidence, chunk_rows, analysis is not None)
    name = RANKING if rule == DEFAULT else rule
    detection = run_detector(name, evidence)
    if isinstance(detection, NotApplicable):
        raise UsageError(f"detector {name!r} cannot run here: {detection.reason}.", "Choose another detector or rule.")
    return findings_of(evidence, name, detection)


def findings_of(evidence: Evidence, name: str, detection: Detection) -> Findings:
    """What the detector `name` said of the evidence, as findings."""
    flags, flag_rule = (np.zeros(len(evidence), bool), None) if detection.flagged is None else (detection.flagged, name)
    return Findings(evidence, detection.score, flags, detection.suggested, name, flag_rule, detection.meta)


def _default_in_pieces(evidence: Evidence, chunk_rows: int | None, checked: bool = False) -> Findings:
    """`STREAMED_RANKING` and `STREAMED_FLAG_RULE`, the probabilities read twice, block by block.

    Equal to what the two detectors say of the whole for any block size: all that crosses rows is the sum of each
    class's probabilities, which is formed from the whole column at once, in the order of the ids.
    """
    labels, n = evidence.labels, len(evidence)
    given = given_probabilities(evidence.source, labels, checked)
    by_id = np.argsort(id_keys(evidence.ids), kind="stable")
    levels = levels_from_given(given[by_id], labels[by_id], evidence.n_classes)
    score, flagged, preferred = np.empty(n), np.empty(n, bool), np.empty(n, np.int64)
    for start, rows in evidence.blocks(chunk_rows):
        at = slice(start, start + len(rows))
        mine = labels[at]
        score[at] = log_odds_margin(rows, mine)
        preferred[at], flagged[at] = preferred_class(adjusted_probabilities(rows, levels), mine)
    meta = {"class_levels": levels.tolist()}
    return Findings(evidence, score, flagged, preferred, STREAMED_RANKING, STREAMED_FLAG_RULE, meta)
