"""Measures of maps on networks whose answer is known, and overlays."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from auditor.core.errors import DataError  # noqa: E402
from auditor.explain.measures import centre_mask, centre_share, curves, occlusion, shuffled  # noqa: E402
from auditor.explain.overlays import heat, overlay  # noqa: E402


class Corner(nn.Module):
    """Looks at the top left quarter only: s = 4 x its mean, one logit."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        s = 4 * x[:, :, :8, :8].mean((1, 2, 3))
        return torch.stack([s, torch.zeros_like(s)], 1)


def test_centre_and_its_share() -> None:
    mask = centre_mask((16, 16))
    assert mask.sum() == 64
    assert mask[4:12, 4:12].all()
    maps = np.zeros((4, 16, 16))
    maps[0] = 1
    maps[1, 5, 5] = 2
    maps[2, 0, 0] = 2
    share = centre_share(maps, mask)
    assert share[:3].tolist() == [0.25, 1, 0]
    assert np.isnan(share[3])
    with pytest.raises(DataError):
        centre_mask((16, 16), 1.0)


def test_a_true_map_beats_its_shuffled_self_and_a_wrong_one() -> None:
    model, x, k = Corner().eval(), torch.ones(6, 3, 16, 16), torch.zeros(6, dtype=torch.int64)
    true = torch.zeros(6, 16, 16)
    true[:, :8, :8] = 1
    wrong = true.flip(1, 2)
    control = shuffled(true, seed=0)
    areas = {
        name: [a.mean() for a in curves(model, x, k, m).areas()]
        for name, m in (("true", true), ("wrong", wrong), ("control", control))
    }
    assert areas["true"][0] < areas["control"][0] - 0.05 < areas["wrong"][0]
    assert areas["true"][1] > areas["control"][1] + 0.05 > areas["wrong"][1]
    found = curves(model, x, k, true, steps=4)
    assert found.share.tolist() == [0, 0.25, 0.5, 0.75, 1]
    whole, grey = 1 / (1 + np.exp(-4)), 0.5
    np.testing.assert_allclose(found.deletion[0], [whole, grey, grey, grey, grey], atol=1e-6)
    np.testing.assert_allclose(found.insertion[0], [grey, whole, whole, whole, whole], atol=1e-6)
    # The other class's probability goes the other way.
    other = curves(model, x, 1 - k, true, steps=4)
    np.testing.assert_allclose(other.deletion, 1 - found.deletion, atol=1e-6)


def test_control_keeps_the_values_and_is_repeatable() -> None:
    maps = torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(0))
    first = shuffled(maps, 1)
    assert torch.equal(first, shuffled(maps, 1))
    assert not torch.equal(first, shuffled(maps, 2))
    assert torch.equal(first.reshape(5, -1).sort().values, maps.reshape(5, -1).sort().values)


def test_occlusion_needs_no_map() -> None:
    model, x, k = Corner().eval(), torch.ones(2, 3, 16, 16), torch.tensor([0, 1])
    corner = np.zeros((16, 16), bool)
    corner[:8, :8] = True
    np.testing.assert_allclose(occlusion(model, x, k, corner), [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(occlusion(model, x, k, ~corner), [1 / (1 + np.exp(-4)), 1 / (1 + np.exp(4))], atol=1e-6)


def test_curves_refuse_maps_of_another_size() -> None:
    with pytest.raises(DataError, match="do not fit"):
        curves(Corner().eval(), torch.ones(1, 3, 16, 16), torch.zeros(1, dtype=torch.int64), torch.ones(1, 8, 8))


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (500, 200)])
def test_overlay_colours_where_the_map_is_and_nowhere_else(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, (10, 200, 30))
    plain = overlay(picture, np.zeros((4, 4)), 160)
    assert np.asarray(plain).reshape(-1, 3).tolist() == [[10, 200, 30]] * (plain.width * plain.height)
    assert max(plain.size) <= 160
    full = np.asarray(overlay(picture, np.ones((4, 4)), 160)).astype(int)
    assert (np.abs(full - [10, 200, 30]).sum(axis=-1) > 60).all()
    with pytest.raises(DataError):
        overlay(picture, np.full((4, 4), np.nan))
    assert heat(np.array([0.0, 1.0])).tolist() == [[40, 60, 160], [255, 230, 60]]
