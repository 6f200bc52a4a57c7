"""The audit draw has the inclusion probabilities it states."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.review.sampling import BAND_EDGES, draw_audit, score_bands


def _case(n: int = 400, n_classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    return score_bands(n), np.random.default_rng(3).integers(0, n_classes, n)


def test_every_item_is_drawn_as_often_as_stated() -> None:
    band, classes = _case()
    draws, size = 2000, 60
    hits = np.zeros(len(band))
    for seed in range(draws):
        draw = draw_audit(band, classes, size, seed)
        assert len(draw.order) == size
        hits[draw.order] += 1
    p = draw.inclusion
    assert p.sum() == pytest.approx(size)
    spread = np.sqrt(p * (1 - p) / draws)
    z = (hits / draws - p)[p < 1] / spread[p < 1]
    assert np.abs(z).max() < 4.5
    assert (hits[p == 1] == draws).all()


def test_strata_get_their_share_and_the_top_gets_more() -> None:
    band, classes = _case(2000)
    draw = draw_audit(band, classes, 200, 0)
    for b in range(len(BAND_EDGES)):
        for k in range(7):
            cell = (band == b) & (classes == k)
            assert abs(cell[draw.order].sum() - draw.inclusion[cell].sum()) < 2
    rates = [draw.inclusion[band == b].mean() for b in range(len(BAND_EDGES))]
    assert rates == sorted(rates, reverse=True)
    weights = 1 / draw.inclusion
    assert weights.max() / (len(band) / 200) < 1 / 0.3


def test_a_draw_depends_on_its_seed_only() -> None:
    band, classes = _case()
    first, again, other = (draw_audit(band, classes, 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.order, again.order)
    assert not np.array_equal(first.order, other.order)
    assert not np.array_equal(first.order, np.sort(first.order))


def test_prefixes_are_random_parts_of_the_sample() -> None:
    band, classes = _case()
    head = np.zeros(len(BAND_EDGES))
    whole = np.zeros(len(BAND_EDGES))
    for seed in range(500):
        order = draw_audit(band, classes, 60, seed).order
        head += np.bincount(band[order[:15]], minlength=len(BAND_EDGES))
        whole += np.bincount(band[order], minlength=len(BAND_EDGES))
    assert head / head.sum() == pytest.approx(whole / whole.sum(), abs=0.02)


@pytest.mark.parametrize("size", [0, 1, 399, 400, 1000])
@pytest.mark.parametrize("n_classes", [1, 390])
def test_any_size_and_more_strata_than_draws(size: int, n_classes: int) -> None:
    band, classes = score_bands(400), np.random.default_rng(0).integers(0, n_classes, 400)
    draw = draw_audit(band, classes, size, 0)
    assert len(draw.order) == len(set(draw.order.tolist())) == min(size, 400)
    assert draw.inclusion.sum() == pytest.approx(min(size, 400))
    assert (draw.inclusion <= 1).all()


def test_horvitz_thompson_is_unbiased() -> None:
    band, classes = _case()
    wrong = np.random.default_rng(1).random(400) < np.linspace(0.8, 0.02, 400)
    totals = []
    for seed in range(600):
        draw = draw_audit(band, classes, 80, seed)
        totals.append((wrong[draw.order] / draw.inclusion[draw.order]).sum())
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - wrong.sum()) < 4 * error


@pytest.mark.parametrize("n", [0, 1, 3, 100])
def test_bands_cover_every_place(n: int) -> None:
    band = score_bands(n)
    assert len(band) == n
    assert (np.diff(band) >= 0).all()
    assert band.max(initial=0) < len(BAND_EDGES)
