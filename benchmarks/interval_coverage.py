"""Does the 95 % interval of the total cover? Replays on a grid of sizes, error rates, networks and numbers of draws.

    python benchmarks/interval_coverage.py [--replays 1500] [--only NAME ...] [--tables]

Every cell draws, reviews (the reviewer is the truth) and estimates `--replays` times. The arithmetic of
`auditor.stats.totals.estimate_total` is compiled here for speed, and every cell checks some of its replays against it.
Beside it stand the limits of earlier versions on the same draws. Populations: `interval_populations.py`. Cells that
are in the result already are not computed again. Writes benchmarks/results/interval-coverage.json and .md.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
from engine_data import RESULTS, conditions
from interval_populations import DEVELOPMENT, HELD_OUT, STRONG, WEAK, Population, population
from scipy.special import expit, gammaincinv
from scipy.stats import beta
from scipy.stats import t as student
from statistics_coverage import table

from auditor.estimation.estimate import LEAST_DRAWS, LEAST_ERRORS
from auditor.stats import totals
from auditor.stats.sampling import AuditSample, audit_probabilities, draw_audit, inclusion_probabilities

SIZES = (3_000, 500, 50_000)
SHARES = (0.12, 0.4, 0.05, 0.01, 0.002)
DRAWS = (100, 200, 500, 1_000)
#: Draws of the cells that count one class only; the tool gives those from 30 draws and five errors on.
CLASS_DRAWS, CLASS_SIZE = (500, 1_000), 3_000
#: Groups of neighbouring scores over which a calibration is summed: exact below as many items.
GROUPS = 10_000
#: Replays of every cell that are checked against the library.
CHECKED = 5
#: Share of the width by which they may differ, beside one label.
MOST_SHIFT = 0.005
#: By which a limit may miss a whole number and still be it.
ROUNDING = 1e-6
#: Effective draws of surprises from which a cell is to be within .94 and .965; with fewer, the limits jump.
ENOUGH = 5
#: Coverage that a cell is to have.
LEAST, MOST = 0.94, 0.965
#: Why it has not, in the order in which they are looked for: two Monte-Carlo errors explain it; at least this share of
#: the reviews has few effective draws, where limits jump; the estimate moves by so few labels that one decides.
WITHIN, CHANCE, FEW_DRAWS, COARSE, OPEN = "within", "chance", "few draws", "whole labels", "unexplained"
OFTEN, COARSE_SD = 0.1, 3.0
Row = dict[str, Any]

# What the compiled replay says of one review, in this order.
(VALUE, UP2, UP3, DOWN2, DOWN3, LIKELY_UP2, LIKELY_UP3, LIKELY_DOWN2, LIKELY_DOWN3) = range(9)
(UNSEEN_UP2, UNSEEN_UP3, UNSEEN_DOWN2, UNSEEN_DOWN3, WRONG_ITEMS, RIGHT_ITEMS) = range(9, 15)
N_FIELDS = 15
# The same of the earlier estimate, which counted draws.
(EARLIER, VARIANCE, KURTOSIS, HITS, RIGHT, TRUSTED_WRONG, TRUSTED_UNIFORM) = range(7)
N_EARLIER = 7


@numba.njit(cache=True)
def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + np.exp(-x))
    e = np.exp(x)
    return e / (1 + e)


@numba.njit(cache=True)
def _loss(score, wrong, weight, slope, intercept):
    value = 0.5 * slope * slope
    for i in range(len(score)):
        m = slope * score[i] + intercept
        value += weight[i] * (max(m, 0.0) + np.log1p(np.exp(-abs(m))) - wrong[i] * m)
    return value


@numba.njit(cache=True)
def _platt(score, wrong, weight):
    """`auditor.stats.totals._predictor`: slope and intercept."""
    hits = wrong.sum()
    if hits == 0 or hits == len(wrong):
        return 0.0, (-1e9 if hits == 0 and len(wrong) else 1e9 if len(wrong) else 0.0)
    w = 10.0 * weight
    slope = intercept = 0.0
    current = _loss(score, wrong, w, slope, intercept)
    for _ in range(100):
        g0, g1, h00, h01, h11 = slope, 0.0, 1.0 + 1e-9, 0.0, 1e-9
        for i in range(len(score)):
            p = _sigmoid(slope * score[i] + intercept)
            r, v = w[i] * (p - wrong[i]), w[i] * p * (1 - p)
            g0 += r * score[i]
            g1 += r
            h00 += v * score[i] * score[i]
            h01 += v * score[i]
            h11 += v
        determinant = h00 * h11 - h01 * h01
        s0, s1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        size, previous = 1.0, current
        current = _loss(score, wrong, w, slope - s0, intercept - s1)
        while current > previous and size > 1e-8:
            size /= 2
            current = _loss(score, wrong, w, slope - size * s0, intercept - size * s1)
        slope -= size * s0
        intercept -= size * s1
        if previous - current <= 1e-10 * (1.0 + abs(current)):
            break
    return slope, intercept


@numba.njit(cache=True)
def _calibrate(at, side_of, side, score, wrong, weight):
    """Slope and intercept for one half, of the items of the other."""
    k = 0
    for j in range(len(at)):
        k += side_of[j] != side
    s, e, w = np.empty(k), np.empty(k), np.empty(k)
    k = 0
    for j in range(len(at)):
        if side_of[j] != side:
            s[k], e[k], w[k] = score[at[j]], wrong[at[j]], weight[at[j]]
            k += 1
    return _platt(s, e, w)


@numba.njit(cache=True)
def _replay(at, half, score, wrong, inclusion, inside, group_score, group_size, unforeseen):
    """One row of fields per review; an item belongs to the half of its first draw."""
    replays, draws = at.shape
    n, least = len(score), inclusion.min()
    weight = draws / (n * inclusion)
    out = np.zeros((replays, N_FIELDS))
    seen = np.full(n, -1, np.int64)
    items, side_of = np.empty(draws, np.int64), np.empty(draws, np.int64)
    slope, intercept = np.empty(2), np.empty(2)
    for r in range(replays):
        o, m = out[r], 0
        for j in range(draws):
            if seen[at[r, j]] != r:
                seen[at[r, j]] = r
                items[m], side_of[m] = at[r, j], half[r, j]
                m += 1
        surest_up = surest_down = 0.0
        for side in range(2):
            slope[side], intercept[side] = _calibrate(items[:m], side_of[:m], side, score, wrong, weight)
            for g in range(len(group_score)):
                p = _sigmoid(slope[side] * group_score[g] + intercept[side])
                o[VALUE] += group_size[g] * p / 2
                surest_up, surest_down = max(surest_up, 1 - p), max(surest_down, p)
        up_odds = down_odds = 0.0
        for j in range(m):
            i, side, pi = items[j], side_of[j], inclusion[items[j]]
            if not inside[i]:
                continue
            f = _sigmoid(slope[side] * score[i] + intercept[side])
            other = _sigmoid(slope[1 - side] * score[i] + intercept[1 - side])
            o[VALUE] += f - (f + other) / 2 + (wrong[i] - f) / pi
            up, down, missed = (1 - f) / pi, f / pi, 1 - pi
            up2, up3 = missed * up**2, missed * (1 - pi / 2) * up**3
            down2, down3 = missed * down**2, missed * (1 - pi / 2) * down**3
            o[LIKELY_UP2] += f * up2
            o[LIKELY_UP3] += f * up3
            o[LIKELY_DOWN2] += (1 - f) * down2
            o[LIKELY_DOWN3] += (1 - f) * down3
            if wrong[i]:
                o[WRONG_ITEMS] += 1
                o[UP2] += up2
                o[UP3] += up3
                odds = missed * (1 - f + unforeseen / draws)
                down_odds += odds
                o[UNSEEN_DOWN2] += odds * down2
                o[UNSEEN_DOWN3] += odds * down3
            else:
                o[RIGHT_ITEMS] += 1
                o[DOWN2] += down2
                o[DOWN3] += down3
                odds = missed * (f + unforeseen / draws)
                up_odds += odds
                o[UNSEEN_UP2] += odds * up2
                o[UNSEEN_UP3] += odds * up3
        missed = 1 - least
        if up_odds > 0:
            o[UNSEEN_UP2] /= up_odds
            o[UNSEEN_UP3] /= up_odds
        elif o[RIGHT_ITEMS] == 0:
            o[UNSEEN_UP2] = missed * (surest_up / least) ** 2
            o[UNSEEN_UP3] = missed * (1 - least / 2) * (surest_up / least) ** 3
        if down_odds > 0:
            o[UNSEEN_DOWN2] /= down_odds
            o[UNSEEN_DOWN3] /= down_odds
        elif o[WRONG_ITEMS] == 0:
            o[UNSEEN_DOWN2] = missed * (surest_down / least) ** 2
            o[UNSEEN_DOWN3] = missed * (1 - least / 2) * (surest_down / least) ** 3
    return out


@numba.njit(cache=True)
def _earlier_replay(at, half, coins, score, wrong, weight, inside, trusted, group_score, group_size, least):
    """The same for the earlier estimate; `least` is the smallest probability of a trusted item times n."""
    replays, draws = at.shape
    n = len(score)
    out = np.zeros((replays, N_EARLIER))
    z = np.empty(draws)
    for r in range(replays):
        o = out[r]
        for side in range(2):
            slope, intercept = _calibrate(at[r], half[r], side, score, wrong, weight)
            mean = 0.0
            for g in range(len(group_score)):
                mean += group_size[g] * _sigmoid(slope * group_score[g] + intercept) / n
            for j in range(draws):
                if half[r, j] == side:
                    i = at[r, j]
                    f = _sigmoid(slope * score[i] + intercept)
                    z[j] = mean + (weight[i] * (wrong[i] - f) if inside[i] else 0.0)
        for j in range(draws):
            i = at[r, j]
            if inside[i]:
                o[HITS if wrong[i] else RIGHT] += 1
            if trusted[i]:
                o[TRUSTED_WRONG] += wrong[i]
                o[TRUSTED_UNIFORM] += coins[r, j] < least * weight[i]
        centre = z.mean()
        o[EARLIER] = n * centre
        o[VARIANCE] = ((z - centre) ** 2).mean()
        o[KURTOSIS] = ((z - centre) ** 4).mean() / o[VARIANCE] ** 2 if o[VARIANCE] > 0 else 3.0
    return out


def _distances(drawn: np.ndarray, likely: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, ...]:
    """`auditor.stats.totals.surprise_distances` of many reviews, from squares and cubes, each (replays, 2)."""
    second, third = (np.where(likely[:, :1] > drawn[:, :1], (likely + drawn) / 2, drawn) + unseen).T
    none = third <= 0
    weight = np.where(none, 1.0, third) / np.where(none, 1.0, second)
    count = np.where(none, 1.0, second) / weight**2
    low, high = (gammaincinv(count + 0.5, q) for q in (0.025, 0.975))
    return np.where(none, 0.0, weight * (count - low)), np.where(none, 0.0, weight * (high - count)), second, third


def limits(o: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Those of `auditor.stats.totals.estimate_total`, of many reviews, and the effective draws."""
    up = _distances(o[:, [UP2, UP3]], o[:, [LIKELY_UP2, LIKELY_UP3]], o[:, [UNSEEN_UP2, UNSEEN_UP3]])
    down = _distances(o[:, [DOWN2, DOWN3]], o[:, [LIKELY_DOWN2, LIKELY_DOWN3]], o[:, [UNSEEN_DOWN2, UNSEEN_DOWN3]])
    second, third = up[2] + down[2], up[3] + down[3]
    effective = np.where(third > 0, second**3 / np.where(third > 0, third, 1.0) ** 2, 0.0)
    least, most = o[:, WRONG_ITEMS], frame - o[:, RIGHT_ITEMS]
    low = np.clip(o[:, VALUE] - np.hypot(up[0], down[1]), least, most)
    high = np.clip(o[:, VALUE] + np.hypot(up[1], down[0]), least, most)
    outward = effective < totals._OUTWARD
    # The compiled sums are rounded: a limit that is a whole number stays one.
    whole_low = np.where(outward, np.floor(low + ROUNDING), np.ceil(low - ROUNDING))
    whole_high = np.where(outward, np.ceil(high - ROUNDING), np.floor(high + ROUNDING))
    none = whole_low > whole_high
    middle = np.round((low + high) / 2)
    return np.where(none, middle, whole_low), np.where(none, middle, whole_high), effective


def earlier_limits(
    o: np.ndarray, items: np.ndarray, n: int, draws: int, frame: int, max_weight: float, trusted: int
) -> tuple[np.ndarray, np.ndarray]:
    """Those before (`items`: fields of `_replay`): normal, Student's below 200 draws, exact with fewer than five finds
    of a kind, and an allowance where none of the drawn items that the model trusts was wrong."""
    value = o[:, EARLIER]
    multiple: Any = 1.96
    if draws < 200:
        multiple = student.isf(0.025, np.maximum(2.0, 2 * draws / np.maximum(o[:, KURTOSIS] - 1, 1.0)))
    error = n * np.sqrt(o[:, VARIANCE] / (draws - 1))
    low, high = value - multiple * error, value + multiple * error
    few = np.minimum(o[:, HITS], draws - o[:, HITS]) < 5

    def bound(count: np.ndarray) -> np.ndarray:
        return n * max_weight * np.where(count == draws, 1, beta.isf(0.025, count + 1, np.maximum(draws - count, 1)))

    low = np.where(few, np.maximum(0, frame - bound(o[:, RIGHT])), low)
    high = np.where(few, np.minimum(frame, bound(o[:, HITS])), high)
    least, most = items[:, WRONG_ITEMS], frame - items[:, RIGHT_ITEMS]
    low, high = np.clip(low, least, most), np.clip(high, least, most)
    hidden = trusted * (1 - np.where(o[:, TRUSTED_UNIFORM] > 0, 0.05 ** (1 / np.maximum(o[:, TRUSTED_UNIFORM], 1)), 0))
    allowed = (o[:, TRUSTED_WRONG] == 0) & ~few & (trusted > 0)
    return low, np.where(allowed, np.maximum(high, np.minimum(high + hidden, most)), high)


class _Halves:
    """Gives `estimate_total` the halves of a replay."""

    def __init__(self, half: np.ndarray) -> None:
        self.half = half

    def permutation(self, _: int) -> np.ndarray:
        return self.half


def reviews(
    items: Population, draws: int, replays: int, seed: int, counted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What the compiled replays say of each review, now and earlier; items drawn and their halves (replays, draws)."""
    rng = np.random.default_rng(seed)
    n, p = len(items.wrong), audit_probabilities(items.margin)
    trusted = (items.margin <= 0) & counted
    cumulative = np.cumsum(p)
    at = np.minimum(np.searchsorted(cumulative, rng.random((replays, draws)) * cumulative[-1], side="right"), n - 1)
    half = rng.permuted(np.tile(np.arange(draws) % 2, (replays, 1)), axis=1)
    groups = np.array_split(np.sort(items.score[counted]), min(GROUPS, int(counted.sum())))
    scores, sizes = np.array([g.mean() for g in groups]), np.array([len(g) for g in groups], float)
    drawn, coins = inclusion_probabilities(p, draws), rng.random((replays, draws))
    now = _replay(at, half, items.score, items.wrong, drawn, counted, scores, sizes, totals._UNFORESEEN)
    least = n * float(p[trusted].min(initial=1.0))
    weight = 1 / (n * p)
    before = _earlier_replay(at, half, coins, items.score, items.wrong, weight, counted, trusted, scores, sizes, least)
    return now, before, at, half


def cell(items: Population, draws: int, replays: int, seed: int, inside: np.ndarray | None = None) -> Row:
    """Coverage and width of the limits and of the earlier ones; of the items `inside`, all if None."""
    n, p = len(items.wrong), audit_probabilities(items.margin)
    counted = np.ones(n, bool) if inside is None else inside
    o, before, at, half = reviews(items, draws, replays, seed, counted)
    largest, trusted = 1 / (n * p.min()), int(((items.margin <= 0) & counted).sum())
    truth, frame = int((items.wrong & counted).sum()), int(counted.sum())
    low, high, effective = limits(o, frame)
    for r in range(CHECKED):
        sample = AuditSample(at[r], 1 / (n * p[at[r]]), n, largest)
        halves = _Halves(half[r][np.unique(at[r], return_index=True)[1]])
        checked = totals.estimate_total(items.score, sample, items.wrong[at[r]], halves, domain=inside).estimate
        # The groups of scores over which a calibration is summed here may shift both limits a little.
        shift = max(abs(checked.low - low[r]), abs(checked.high - high[r]))
        if shift > 1 + MOST_SHIFT * (high[r] - low[r]):
            raise SystemExit(f"limits {low[r]}, {high[r]} where the library has {checked}")
    earlier = earlier_limits(before, o, n, draws, frame, largest, trusted)
    told = np.ones(replays, bool)
    if inside is not None:
        told = (before[:, HITS] + before[:, RIGHT] >= LEAST_DRAWS) & (before[:, HITS] >= LEAST_ERRORS)
    width = float((high - low)[told].mean()) if told.any() else None
    earlier_width = float((earlier[1] - earlier[0])[told].mean()) if told.any() else None

    def covered(lo: np.ndarray, hi: np.ndarray) -> float | None:
        return float(((lo <= truth) & (truth <= hi))[told].mean()) if told.any() else None

    # Draws of equal jumps that would tell as much as the surprises of a review, on average.
    variance = o[:, UP2].mean() + o[:, DOWN2].mean()
    third = o[:, UP3].mean() + o[:, DOWN3].mean()
    return {
        "wrong": truth,
        "coverage": covered(low, high),
        "too_low": float((high < truth)[told].mean()) if told.any() else None,
        "too_high": float((low > truth)[told].mean()) if told.any() else None,
        "width": width,
        "sd": float(o[told, VALUE].std()) if told.any() else None,
        "few": float((effective < totals.FEW)[told].mean()) if told.any() else None,
        "earlier_coverage": covered(*earlier),
        "earlier_width": earlier_width,
        "width_ratio": width / earlier_width if width is not None and earlier_width else None,
        "effective_draws": float(variance**3 / third**2) if third else 0.0,
        "told": float(told.mean()),
    }


def cause(replays: int) -> list[Row]:
    """What is wrong with normal limits: not the variance, which is unbiased, but that it moves with the estimate."""
    rows = []
    for name, share, draws in itertools.product(("memorised", "texts"), (0.12,), DRAWS):
        items = population(name, 3_000, share, WEAK)
        n, truth = len(items.wrong), int(items.wrong.sum())
        o = reviews(items, draws, replays, draws, np.ones(n, bool))[1]
        value = o[:, EARLIER]
        error = n * np.sqrt(o[:, VARIANCE] / (draws - 1))
        rows.append(
            {
                "population": f"{name}, weak, n 3000, share {share:g}",
                "draws": draws,
                "bias": float(value.mean() / truth - 1),
                "true sd / estimated": float(value.std() / np.sqrt((error**2).mean())),
                "correlation of estimate and variance": float(np.corrcoef(value, error**2)[0, 1]),
                "normal limits too low": float((value + 1.96 * error < truth).mean()),
                "normal limits too high": float((value - 1.96 * error > truth).mean()),
            }
        )
    return rows


def _key(name: str, strength: str, n: int, share: float, draws: int, given: int | None) -> str:
    return f"{name}, {strength}, n {n}, share {share:g}, draws {draws}" + ("" if given is None else f", class {given}")


def grid(names: list[str], replays: int, done: dict[str, Row], save: Any) -> None:
    """Fill `done`."""
    for n, share, name, strength in itertools.product(SIZES, SHARES, names, (WEAK, STRONG)):
        wanted: list[tuple[int, int | None]] = [(draws, None) for draws in DRAWS]
        if n == CLASS_SIZE and share >= 0.05:
            wanted += [(draws, 0) for draws in CLASS_DRAWS]
        missing = [w for w in wanted if _key(name, strength, n, share, *w) not in done]
        if not missing:
            continue
        items = population(name, n, share, strength)
        for draws, given in missing:
            key = _key(name, strength, n, share, draws, given)
            inside = None if given is None else items.given == given
            row = cell(items, draws, replays, zlib.crc32(key.encode()), inside)
            set_of = "development" if name in DEVELOPMENT else "held out"
            done[key] = {"set": set_of, "population": name, "network": strength, "n": n, "share": share} | {
                "draws": draws,
                "class": given,
                **row,
            }
        save()


def summary(rows: list[Row], by: tuple[str, ...]) -> list[Row]:
    """Cells of a kind: how many cover how much, and how wide they are."""
    out = []
    for values in sorted({tuple(r[k] for k in by) for r in rows}):
        some = [r for r in rows if tuple(r[k] for k in by) == values and r["coverage"] is not None]
        if not some:
            continue
        cover, before = (np.array([r[k] for r in some]) for k in ("coverage", "earlier_coverage"))
        ratio = [r["width_ratio"] for r in some if r["width_ratio"] is not None]
        out.append(
            dict(zip(by, values, strict=True))
            | {
                "cells": len(some),
                "coverage": f"{cover.min():.3f} to {cover.max():.3f}",
                "mean": float(cover.mean()),
                "below .94": int((cover < LEAST).sum()),
                "above .965": int((cover > MOST).sum()),
                "earlier": f"{before.min():.3f} to {before.max():.3f}",
                "earlier below .94": int((before < LEAST).sum()),
                "width ratio": float(np.mean(ratio)),
            }
        )
    return out


def why(row: Row, error: float) -> str:
    """Why a cell of the total lies outside `LEAST` to `MOST`; `error` is that of a coverage of .95."""
    if LEAST <= row["coverage"] <= MOST:
        return WITHIN
    if LEAST - 2 * error <= row["coverage"] <= MOST + 2 * error:
        return CHANCE
    if row["few"] >= OFTEN:
        return FEW_DRAWS
    return COARSE if row["sd"] < COARSE_SD else OPEN


def reasons(rows: list[Row], surprises: str, error: float) -> Row:
    """How many of these cells lie outside, and why."""
    counts: Row = {"surprises": surprises, "cells": len(rows), WITHIN: 0}
    counts |= {f"{side}: {r}": 0 for side in ("below", "above") for r in (CHANCE, FEW_DRAWS, COARSE, OPEN)}
    for row in rows:
        reason = why(row, error)
        counts[reason if reason == WITHIN else f"{'below' if row['coverage'] < LEAST else 'above'}: {reason}"] += 1
    return counts


def _rounded(row: Row) -> Row:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def fingerprint() -> str:
    """Of what a stored cell rests on: the populations, and what the library says of a few fixed reviews."""
    said = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        score = rng.normal(-3, 3, 2000)
        p = audit_probabilities(score)
        sample = draw_audit(p, 50 + 20 * seed, rng)
        wrong = rng.random(2000) < expit(score / 2)
        said.append(str(totals.estimate_total(score, sample, wrong[sample.positions], rng).estimate))
    made = Path(__file__).with_name("interval_populations.py").read_text()
    return hashlib.sha256("\n".join([*said, made]).encode()).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replays", type=int, default=1500)
    parser.add_argument("--only", nargs="*", choices=[*DEVELOPMENT, *HELD_OUT])
    parser.add_argument("--tables", action="store_true", help="compute no more cells")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    path, started = options.out / "interval-coverage.json", time.process_time()
    stored = json.loads(path.read_text()) if path.exists() else {}
    same = stored.get("replays") == options.replays and stored.get("code") == fingerprint()
    done: dict[str, Row] = stored["cells"] if same else {}
    before = stored["cpu_seconds"] if same else 0

    def save() -> None:
        seconds = before + round(time.process_time() - started)
        document = {"what": __doc__, "conditions": conditions(), "replays": options.replays, "code": fingerprint()}
        # A cell a line: the file stays small, and what changed can be read.
        cells = ",\n".join(f"{json.dumps(key)}: {json.dumps(_rounded(row))}" for key, row in done.items())
        head = json.dumps({**document, "cpu_seconds": seconds}, indent=1)
        path.write_text(head.removesuffix("\n}") + f',\n "cells": {{\n{cells}\n}}}}\n')

    if options.tables and not done:
        raise SystemExit(f"{path} holds no cells of this code; leave --tables out")
    if not options.tables:
        grid(options.only or [*DEVELOPMENT, *HELD_OUT], options.replays, done, save)
        save()
    report(json.loads(path.read_text()), cause(options.replays), options.out / "interval-coverage.md")


def report(document: dict[str, Any], causes: list[Row], path: Path) -> None:
    """The tables."""
    rows = list(document["cells"].values())
    whole = [r for r in rows if r["class"] is None]
    enough = [r | {"surprises": "enough" if r["effective_draws"] >= ENOUGH else "few"} for r in whole]
    error = (0.95 * 0.05 / document["replays"]) ** 0.5
    outside = [
        {k: r[k] for k in ("population", "network", "n", "share", "draws", "coverage", "too_low", "too_high")}
        | {"effective draws": r["effective_draws"], "few": r["few"], "sd": r["sd"], "why": why(r, error)}
        | {"earlier": r["earlier_coverage"], "width ratio": r["width_ratio"]}
        for r in sorted(whole, key=lambda r: r["coverage"])
        if r["coverage"] < LEAST or (r["coverage"] > MOST and r["effective_draws"] >= ENOUGH)
    ]
    parts = [
        "# Does the interval of the total cover?",
        "",
        f"`python benchmarks/interval_coverage.py --replays {document['replays']}`: {len(whole):,} cells of the "
        f"total and {len(rows) - len(whole):,} of a class, {document['replays']:,} replays each, "
        f"{document['cpu_seconds']:,} s of one core. Monte-Carlo error of a coverage of .95: {error:.4f}. Conditions "
        "are in `interval-coverage.json`; the columns are explained in `docs/numbers.md`.",
        "",
        "## Development and held-out populations",
        "",
        table(summary(enough, ("set", "surprises"))),
        "",
        "## By population",
        "",
        table(summary(enough, ("set", "population", "network", "surprises"))),
        "",
    ]
    for title, key in (("draws", "draws"), ("size", "n"), ("share of wrong labels", "share")):
        parts += [
            f"## By {title}, held out",
            "",
            table(summary([r for r in enough if r["set"] != "development"], (key, "surprises"))),
            "",
        ]
    often = [r for r in rows if r["class"] is not None and r["told"] >= 0.9]
    parts += [
        "## One class, where at least 90 % of the reviews give a number",
        "",
        table(summary(often, ("set", "draws"))),
        "",
    ]
    parts += [
        "## Cells of the total outside .94 to .965, and why",
        "",
        table([reasons([r for r in enough if r["surprises"] == s], s, error) for s in ("enough", "few")]),
        "",
        "## All of them below .94, and those above .965 with five effective draws or more",
        "",
        table(outside) if outside else "none",
        "",
    ]
    parts += ["## Why not normal limits", "", table(causes), ""]
    path.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
