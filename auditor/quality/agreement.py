"""Whether two pictures that correlate are copies: laid on one another, they must agree everywhere, in colour too.

A correlation says that most of two pictures agree. Pictures that are drawn (letters, flags, signs, charts, forms,
screenshots) agree in most of what they show by design, and the little where they differ is what they mean. So what the
best alignment and change of light leave unexplained is looked for place by place.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.ndimage import minimum_filter, uniform_filter

from auditor.quality.alignment import IDENTITY, aligned, warped
from auditor.quality.pair_verification import gradient_correlation

#: What two pictures are to one another. `ALTERED`: one photograph with a part painted over (a watermark, a caption), or
#: one drawing much darker.
DIFFERENT, ALTERED, SAME = 0, 1, 2
#: Side of the windows in which brightness is compared, of 64 places.
WINDOW: Final = 5
#: Grey levels of noise in any window; what is unexplained is measured against the contrast there and this.
NOISE: Final = 12.0
#: Least ratio of what is unexplained to the contrast of a window that counts as a difference.
LEAST_RATIO: Final = 0.9
#: Grey levels (root mean square over a window) that a copy leaves unexplained at most, by the shorter side of the
#: smaller picture: of 32 px and less, and of 128 px and more; straight between. Between what CIFAR-10 and drawn
#: pictures leave that were saved, scaled, blurred and recoloured, and what drawn pictures do that mean different things
#: (benchmarks/near_duplicates.py).
LIGHT_LIMITS: Final = (50.0, 28.0)
#: The same of the colour (half differences from the brightness): between copies, and a red and a green lamp.
COLOUR_LIMITS: Final = (46.0, 28.0)
SIDES: Final = (32.0, 128.0)
#: A picture is drawn where most of it lies within `NEAR_LEVEL` of 255 levels of one level (`LEVEL_SHARE`), where that
#: share and the share of flat places of 4 x 4 together exceed `PLAIN_SHARE`, or where nearly all places of 8 x 8 are
#: planes (`SMOOTH_SHARE`). So are photographs on a plain background. The levels are those of the picture's own range,
#: so that light and contrast change nothing.
NEAR_LEVEL, LEVEL_SHARE, PLAIN_SHARE, SMOOTH_SHARE, FLAT = 8, 0.45, 0.8, 0.75, 4.0
#: Where things are and how large they are may be the meaning of a drawing, so it may not be moved (share of the side).
#: A photograph may be cropped, turned and enlarged.
MOVED_DRAWING, MOVED_PHOTOGRAPH = 0.02, 0.35
#: Gain of the brightness and of the colour, offset of the colour.
DRAWING_GAIN, PHOTOGRAPH_GAIN = (0.65, 1.55), (0.25, 4.0)
DRAWING_COLOUR_GAIN, COLOUR_OFFSETS = 0.45, (12.0, 25.0)
#: Share of a photograph that may be painted over; and least share of it that both pictures hold.
PAINTED_OVER, LEAST_OVERLAP = 0.3, 0.35
#: Least correlation of the brightness gradients once the pictures are aligned.
LEAST_ALIGNED: Final = 0.7


def agreement(
    fine: np.ndarray,
    colour: np.ndarray,
    sides: np.ndarray,
    pairs: np.ndarray,
    start: np.ndarray | None = None,
    mirrored: np.ndarray | None = None,
    block: int = 1024,
) -> np.ndarray:
    """Compare the pictures of each pair place by place.

    Parameters
    ----------
    fine : uint8 array (m, 64, 64)
    colour : uint8 array (m, 16, 16, 2)
        As `auditor.quality.thumbnails.fine_thumbnails`.
    sides : int array (m,)
        Shorter side of each picture in pixels.
    pairs : int64 array (p, 2)
        Rows of the arrays. The second is explained by the first, so the first is the one with more colour, or the whole
        of which the second is a part.
    start : float64 array (p, 6), optional
        As in `auditor.quality.alignment.aligned`; by default the pictures lie on one another already.
    mirrored : bool array (p,), optional
        Pairs whose second picture is compared as its mirror image.
    block : int
        Pairs at a time. Never changes the result.

    Returns
    -------
    int8 array (p,)
        `DIFFERENT`, `ALTERED` or `SAME`.
    """
    result = np.zeros(len(pairs), np.int8)
    drawn, smooth = drawn_or_smooth(fine)
    for at in range(0, len(pairs), block):
        here = slice(at, at + block)
        one, two = pairs[here].T
        turn = np.zeros(len(one), bool) if mirrored is None else mirrored[here]
        given = np.tile(IDENTITY, (len(one), 1)) if start is None else start[here]
        a, b = fine[one].astype(np.float32), _turned(fine[two], turn).astype(np.float32)
        maps, plain = aligned(a, b, given), drawn[one] & drawn[two]
        # Where little is on a picture, or all of it is a ramp, anything may follow from a little noise.
        lost = plain & (_moved(maps) > MOVED_DRAWING)
        maps[lost] = given[lost]
        seen, inside = warped(a, maps)
        light = _relit(seen, b, inside)
        left, bad, correlated = _differences(seen, b, inside, light, np.minimum(sides[one], sides[two]))
        hue, hue_gain, hue_offset, bad_hue = _colour_differences(
            colour[one], _turned(colour[two], turn), maps, np.minimum(sides[one], sides[two])
        )
        moved = _moved(maps)
        explained = left & hue
        lit = _between(light[:, 0], DRAWING_GAIN)
        drawing = (moved <= MOVED_DRAWING) & (hue_offset <= COLOUR_OFFSETS[0]) & (hue_gain >= DRAWING_COLOUR_GAIN)
        photograph = (moved <= MOVED_PHOTOGRAPH) & _between(light[:, 0], PHOTOGRAPH_GAIN)
        photograph &= (hue_offset <= COLOUR_OFFSETS[1]) & (inside.mean(axis=(1, 2)) >= LEAST_OVERLAP)
        photograph &= correlated >= LEAST_ALIGNED
        same = explained & np.where(plain, drawing & lit, photograph)
        altered = photograph & ~plain & (bad <= PAINTED_OVER) & (bad_hue <= PAINTED_OVER)
        # A drawing much darker than another is a copy of it or means another thing: no ramp, whose slope is all it has.
        dimmed = plain & explained & drawing & _between(light[:, 0], PHOTOGRAPH_GAIN) & ~(smooth[one] | smooth[two])
        altered |= dimmed & (correlated >= LEAST_ALIGNED)
        result[here] = np.where(same, SAME, np.where(altered, ALTERED, DIFFERENT))
    return result


def drawn_or_smooth(fine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures (as in `agreement`) are drawn rather than photographed, and which of these are ramps; bool (m,).

    See `NEAR_LEVEL`.
    """
    drawn, ramps = np.zeros((2, len(fine)), bool)
    for at in range(0, len(fine), 1024):
        part = fine[at : at + 1024].astype(np.float32)
        low, high = np.percentile(part, [1, 99], axis=(1, 2), keepdims=True)
        part = np.clip((part - low) / np.maximum(high - low, 32) * 255, 0, 255)
        flat = (_cells(part, 4).std(axis=2) < FLAT).mean(axis=1)
        codes = part.reshape(len(part), -1).astype(np.int64) + 256 * np.arange(len(part))[:, None]
        counts = np.bincount(codes.ravel(), minlength=256 * len(part)).reshape(len(part), 256).astype(np.float64)
        near = uniform_filter(counts, (0, 2 * NEAR_LEVEL + 1), mode="constant").max(axis=1)
        level = near * (2 * NEAR_LEVEL + 1) / part[0].size
        smooth = (_bent(_cells(part, 8)) < FLAT).mean(axis=1) > SMOOTH_SHARE
        drawn[at : at + 1024] = (level > LEVEL_SHARE) | (flat + level > PLAIN_SHARE) | smooth
        ramps[at : at + 1024] = smooth
    return drawn, ramps


def _cells(pictures: np.ndarray, size: int) -> np.ndarray:
    """Square cells, float32 (m, cells, size * size)."""
    n, count = len(pictures), pictures.shape[1] // size
    cells = pictures.reshape(n, count, size, count, size).transpose(0, 1, 3, 2, 4)
    return cells.reshape(n, count * count, size * size)


def _bent(cells: np.ndarray) -> np.ndarray:
    """Standard deviation of each cell about the plane through it, float32 (m, cells)."""
    size = round(cells.shape[2] ** 0.5)
    down, right = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    basis = np.linalg.qr(np.column_stack([np.ones(size**2), down.ravel(), right.ravel()]))[0].astype(np.float32)
    return np.asarray(np.sqrt(np.maximum((cells**2).sum(axis=2) - ((cells @ basis) ** 2).sum(axis=2), 0) / size**2))


def _turned(pictures: np.ndarray, turn: np.ndarray) -> np.ndarray:
    pictures = pictures.copy()
    pictures[turn] = pictures[turn][:, :, ::-1]
    return pictures


def _between(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (values >= limits[0]) & (values <= limits[1])


def _moved(maps: np.ndarray) -> np.ndarray:
    """Farthest that a map moves a corner of the picture, as a share of the side, float64 (p,)."""
    corners = np.array([[v, u, 1.0] for v in (-0.5, 0.5) for u in (-0.5, 0.5)])
    there = maps.reshape(-1, 2, 3) @ corners.T
    return np.asarray(np.abs(there - corners[:, :2].T).max(axis=(1, 2)))


def _relit(seen: np.ndarray, second: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Gain and offset of the brightness, float64 (p, 2), from the places that are neither black nor white."""
    use = inside & (second > 4) & (second < 251)
    few = use.mean(axis=(1, 2)) < 0.2
    use[few] = inside[few]
    n = np.maximum(use.sum(axis=(1, 2)), 1)
    x, y = (np.where(use, part, 0).astype(np.float64) for part in (seen, second))
    mean_x, mean_y = x.sum(axis=(1, 2)) / n, y.sum(axis=(1, 2)) / n
    spread = (x * x).sum(axis=(1, 2)) / n - mean_x**2
    shared = (x * y).sum(axis=(1, 2)) / n - mean_x * mean_y
    gain = np.where(spread > 1e-3, shared / np.maximum(spread, 1e-3), 1.0)
    return np.column_stack([gain, mean_y - gain * mean_x])


def _windows(values: np.ndarray) -> np.ndarray:
    return np.asarray(uniform_filter(values, (0, WINDOW, WINDOW), mode="constant"))


def _differences(
    seen: np.ndarray, second: np.ndarray, inside: np.ndarray, light: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether brightness is explained everywhere (bool), the share of windows where it is not, and the correlation."""
    # At the edge of what both hold, a bilinear value is a mixture with what lies outside.
    inside = np.asarray(minimum_filter(inside, (1, 5, 5), mode="nearest"))
    gain, offset = light[:, 0, None, None], light[:, 1, None, None]
    expected = np.where(inside, np.clip(gain * seen + offset, 0, 255), 0).astype(np.float32)
    second = np.where(inside, second, 0).astype(np.float32)
    share = _windows(inside.astype(np.float32))
    looked, weight = share > 0.6, np.maximum(share, 1e-3)

    def variance(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(_windows(values * values) / weight - (_windows(values) / weight) ** 2, 0))

    unexplained = np.maximum(_windows((second - expected) ** 2) / weight, 0)
    floor = (NOISE * np.clip(gain, 0.3, 3)) ** 2
    ratio = np.sqrt(unexplained / (np.maximum(variance(expected), variance(second)) + floor))
    differs = looked & (ratio > LEAST_RATIO)
    limit = _by_side(side, LIGHT_LIMITS)
    worst = np.sqrt(np.where(differs, unexplained, 0).max(axis=(1, 2)))
    strong = differs & (np.sqrt(unexplained) > limit[:, None, None] / 2)
    bad = strong.sum(axis=(1, 2)) / np.maximum(looked.sum(axis=(1, 2)), 1)
    n, together = len(seen), np.concatenate([expected, second])
    together = np.rint(together.reshape(2 * n, 32, 2, 32, 2).sum(axis=(2, 4))).astype(np.int16)
    correlated = gradient_correlation(together, np.column_stack([np.arange(n), np.arange(n) + n]))
    return (worst <= limit) & looked.any(axis=(1, 2)), bad, correlated


def _colour_differences(
    first: np.ndarray, second: np.ndarray, maps: np.ndarray, side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Whether the colour is explained everywhere, its gain and offset, and the share of places where it is not."""
    seen = np.empty(first.shape, np.float32)
    for channel in (0, 1):
        plane = np.ascontiguousarray(first[..., channel].astype(np.float32) - 128)
        seen[..., channel], inside = warped(plane, maps)
    there = second.astype(np.float32) - 128
    use = inside[..., None]
    power = (seen * seen * use).sum(axis=(1, 2, 3))
    gain = np.clip((seen * there * use).sum(axis=(1, 2, 3)) / np.maximum(power, 1), 0, 1.8)
    rest = np.where(use, there - gain[:, None, None, None] * seen, 0)
    offset = rest.sum(axis=(1, 2)) / np.maximum(use.sum(axis=(1, 2)), 1)
    unexplained = np.sqrt((np.where(use, rest - offset[:, None, None], 0) ** 2).sum(axis=3))
    limit = _by_side(side, COLOUR_LIMITS)
    bad = (unexplained > limit[:, None, None] / 2).sum(axis=(1, 2)) / np.maximum(inside.sum(axis=(1, 2)), 1)
    # Of a picture without colour any gain is right.
    gain = np.where(power > 9 * np.maximum(use.sum(axis=(1, 2, 3)), 1), gain, 1.0)
    return unexplained.max(axis=(1, 2)) <= limit, gain, np.abs(offset).max(axis=1), bad


def _by_side(side: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.interp(side, SIDES, limits)
