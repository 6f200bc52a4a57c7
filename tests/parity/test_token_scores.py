"""cleanlab's scores of sentences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from auditor.kinds.tokens import sentence_quality


@pytest.mark.parametrize("method", ["min", "softmin"])
def test_quality_of_sentences_equals_cleanlab(method: str) -> None:
    rank = pytest.importorskip("cleanlab.token_classification.rank")
    rng = np.random.default_rng(0)
    for _ in range(1000):
        offsets = np.cumsum([0, *rng.integers(1, 9, rng.integers(1, 6))])
        quality = rng.random(offsets[-1]) ** rng.choice([0.1, 1, 10])
        nested = [quality[a:b] for a, b in pairwise(offsets)]
        theirs = (
            [q.min() for q in nested] if method == "min" else rank._softmin_sentence_score(nested, temperature=0.05)
        )
        np.testing.assert_allclose(sentence_quality(quality, offsets, method), theirs, rtol=1e-12)
