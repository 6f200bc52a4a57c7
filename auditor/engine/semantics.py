"""Constants of confident learning, with their sources, and every deliberate difference to cleanlab 2.9.

Parity means: same input, same process, same answer, bit for bit. Ties are decided by ``numpy.argsort`` with its
default kind, whose tie order depends on the processor; masks made on two machines may therefore differ at ties.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BIG_THRESHOLD",
    "DIFFERENCES",
    "EPSILON",
    "MARGIN_SLACK",
    "MAX_CLIP",
    "NOISE_RATE_CEILING",
    "PRIOR_FLOOR",
    "ROW_SUM_TOLERANCE",
    "THRESHOLD_FLOOR",
    "TINY",
    "Difference",
]

#: Tolerance of "p >= threshold" and of the un-flag comparison (cleanlab: FLOATING_POINT_COMPARISON). It is also
#: how far below 0 or above 1 a probability may lie.
EPSILON = 1e-6

#: Lower bound of a class threshold (cleanlab: CONFIDENT_THRESHOLDS_LOWER_BOUND = 2e-6).
THRESHOLD_FLOOR = 2e-6

#: Threshold of a class without rows: no probability reaches it (cleanlab: BIG_VALUE, a Python integer, which
#: turns the array of thresholds into float64).
BIG_THRESHOLD = 2

#: Guard of divisions (cleanlab: TINY_VALUE).
TINY = 1e-100

#: Floor of the class priors of `latent` (cleanlab: CLIPPING_LOWER_BOUND).
PRIOR_FLOOR = 1e-6

#: Ceiling of the off-diagonal noise rates (cleanlab: clip_noise_rates).
NOISE_RATE_CEILING = 0.9999

#: How far a row of probabilities may sum from 1. Ours: cleanlab does not look. float16 files are off by up to
#: 5e-4 (one part in 2**11, measured 4e-4), probabilities written with three decimals by .0005 per class.
ROW_SUM_TOLERANCE = 1e-2

#: Largest distance from [0, 1] that callers may ask to clip away: beyond it the numbers are not probabilities
#: with rounding errors. The published IMDB probabilities reach 1.00001.
MAX_CLIP = 1e-3

#: Width by which bounds on margins are relaxed before rows are left unread: values may lie EPSILON below 0, and
#: a row that is no candidate may still have a margin of EPSILON.
MARGIN_SLACK = 4e-6


@dataclass(frozen=True)
class Difference:
    """One case in which the engine answers differently from cleanlab 2.9, on purpose."""

    case: str
    cleanlab: str
    ours: str
    why: str


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "NaN or infinity",
        "accepted silently",
        "ProbabilityError naming the row",
        "a NaN makes every comparison of its row false and hides the item",
    ),
    Difference(
        "float16 probabilities",
        "computed in float16, where the threshold means, the cut and the tolerance lose their meaning",
        "converted exactly to float32, chunk by chunk; parity is defined against cleanlab on the float32 copy",
        "in float16 adding 1e-6 changes nothing above 1/256",
    ),
    Difference(
        "other number types (integers, float128, big-endian)",
        "computed in that type",
        "float32 and float64 as they are; everything else converted to float64",
        "one kernel per type that occurs",
    ),
    Difference(
        "rows that do not sum to 1",
        "accepted",
        f"accepted within {ROW_SUM_TOLERANCE:g} (row_sum_tolerance), else ProbabilityError naming the row",
        "unnormalised scores are the most common wrong input",
    ),
    Difference(
        "values slightly outside [0, 1]",
        "error beyond 1e-6",
        "the same, or with clip=x set to 0 or 1 when no further out than x; parity is then defined against "
        "cleanlab on numpy.clip(P, 0, 1)",
        "the published IMDB probabilities reach 1.00001",
    ),
    Difference(
        "labels outside 0..K-1, not integers, or of one class only",
        "ValueError for some rules; all-zero labels pass for others; numbers with a fraction may pass",
        "LabelError, always",
        "the outcome must not depend on the rule",
    ),
    Difference(
        "type of the result",
        "mask or ranked indices, depending on return_indices_ranked_by",
        "flag() gives the mask, rank() the indices",
        "one type per function",
    ),
    Difference(
        "ranked indices of tied scores",
        "argsort over the flagged rows",
        "the same; listed because the order of ties depends on the processor",
        "exact compatibility",
    ),
    Difference(
        "memory order of the probabilities",
        "row sums in the entropy and adjusted scores depend on it in the last bits",
        "rows are always C-contiguous when summed: equal to cleanlab on numpy.ascontiguousarray(P)",
        "the same answer for an array, a file and any chunk size",
    ),
    Difference(
        "entropy score of probabilities outside [0, 1] by up to 1e-6",
        "error",
        "clipped to [0, 1] first",
        "the other scores accept them",
    ),
    Difference(
        "the streaming variant (find_label_issues_batched)",
        "another rule: running float64 thresholds, another count, un-flagging after the cut",
        "streaming gives exactly the in-memory answer",
        "a file and an array hold the same data",
    ),
    Difference(
        "the paper's rule",
        "not in 2.9",
        "rule 'paper': thresholds without tolerance, argmax among the confident classes, uncalibrated joint "
        "without a raised diagonal, int((1 - trace/sum) * N) rows of the lowest margin (cleanlab 1.0)",
        "it reproduces the published sets of cifar10 and imdb",
    ),
)
