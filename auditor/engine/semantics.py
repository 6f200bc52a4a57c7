"""Constants of confident learning, with their sources, and the names of columns that are no classes.

Deliberate differences to cleanlab 2.9: ``docs/engine.md``.

Parity means: same input, same process, same answer, bit for bit. Ties are decided by ``numpy.argsort`` with its
default kind, whose tie order depends on the processor; masks made on two machines may therefore differ at ties.
"""

from __future__ import annotations

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

#: Classes up to which a matrix of all pairs of classes is written out; above, the pairs that occur.
MATRIX_CLASSES = 1000

#: Width by which bounds on margins are relaxed before rows are left unread: values may lie EPSILON below 0, and
#: a row that is no candidate may still have a margin of EPSILON.
MARGIN_SLACK = 4e-6

#: Columns of tables (and members of archives) that are no classes: the label, and what the row is called.
LABEL_KEYS = (
    *("label", "labels", "given_label", "given_labels", "noisy_label", "class", "target", "category", "given", "y"),
)
ID_KEYS = ("id", "ids", "item_id", "item_ids", "uuid")
