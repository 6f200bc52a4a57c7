"""The model of sets of tags and their noise, on sets drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from auditor.kinds import tag_model
from auditor.kinds.tag_model import fit_potentials, fit_tag_model


def _drawn(lost: float, added: float, swapped: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and tags of which some went wrong: 3,000 items, one tag of five each."""
    rng = np.random.default_rng(0)
    truth = np.eye(5, dtype=bool)[rng.integers(0, 5, 3000)]
    z = np.where(truth, 2.5, -3.5) + rng.normal(0, 1.2, truth.shape)
    tags = np.where(truth, rng.random(truth.shape) >= lost, rng.random(truth.shape) < added)
    moved = np.flatnonzero(rng.random(len(truth)) < swapped)
    tags[moved] = np.roll(truth[moved], 1, axis=1)
    return 1 / (1 + np.exp(-z)), tags


@pytest.mark.parametrize(("lost", "added", "swapped"), [(0.1, 0.0, 0.0), (0.0, 0.03, 0.0), (0.0, 0.0, 0.1)])
def test_what_went_wrong_is_told(lost: float, added: float, swapped: float) -> None:
    p, tags = _drawn(lost, added, swapped)
    rates = fit_tag_model(p, tags, np.arange(3000) % 2, 2).rates[-1]
    assert rates.lost.mean() == pytest.approx(lost, abs=0.05)
    assert rates.added.mean() == pytest.approx(added, abs=0.015)
    assert rates.swapped == pytest.approx(swapped, abs=0.04)
    assert (rates.swapped > 0) == (swapped > 0)


def test_rare_tags_have_the_rates_of_all_tags() -> None:
    p, tags = _drawn(0.1, 0.0, 0.0)
    p[:, 4], tags[:, 4] = 0.01 + 0.02 * p[:, 4], False
    tags[:2, 4] = True
    rates = fit_tag_model(p, tags, np.arange(3000) % 2, 2).rates[0]
    assert rates.lost[4] == pytest.approx(rates.lost[:4].mean(), rel=0.5)


def test_the_slope_of_the_fit_is_its_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def minimize(loss, theta, **options):  # type: ignore[no-untyped-def]
        seen["loss"], seen["theta"] = loss, theta
        return type("Fit", (), {"x": theta})()

    monkeypatch.setattr(tag_model, "minimize", minimize)
    p, tags = _drawn(0.1, 0.02, 0.0)
    z = np.log(p / (1 - p))[:40]
    fit_potentials(z, tags[:40])
    theta = seen["theta"] + np.random.default_rng(1).normal(0, 0.3, len(seen["theta"]))
    _, slope = seen["loss"](theta)
    numeric = approx_fprime(theta, lambda t: seen["loss"](t)[0], 1e-6)
    np.testing.assert_allclose(slope, numeric, rtol=1e-3, atol=1e-2)
