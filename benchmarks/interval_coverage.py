"""Does the 95 % interval of the total cover? Replays on a grid of sizes, error rates, networks and numbers of draws.

    python benchmarks/interval_coverage.py [--replays 1500] [--only NAME ...]

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
from auditor.stats.sampling import AuditSample, audit_probabilities, draw_audit

SIZES = (3_000, 500, 50_000)
SHARES = (0.12, 0.4, 0.05, 0.01, 0.002)
DRAWS = (100, 200, 500, 1_000)
#: Draws of the cells that count one class only; the tool gives those from 30 draws and five errors on.
CLASS_DRAWS, CLASS_SIZE = (500, 1_000), 3_000
#: Groups of neighbouring scores over which a calibration is summed: exact below as many items.
GROUPS = 1_000
#: Replays of every cell that are checked against the library.
CHECKED = 5
#: Effective draws of surprises from which a cell is to be within .94 and .965; with fewer, the limits jump.
ENOUGH = 5
Row = dict[str, Any]

# What the compiled replay says of one review, in this order.
(EXPECTED, UP, UP2, UP3, DOWN, DOWN2, DOWN3, UNSEEN_UP2, UNSEEN_UP3, UNSEEN_DOWN2, UNSEEN_DOWN3) = range(11)
(HITS, RIGHT, WRONG_ITEMS, RIGHT_ITEMS, TRUSTED_WRONG, TRUSTED_UNIFORM, VARIANCE, KURTOSIS) = range(11, 19)
(LIKELY_UP2, LIKELY_UP3, LIKELY_DOWN2, LIKELY_DOWN3) = range(19, 23)
N_FIELDS = 23


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
def _replay(at, half, coins, score, wrong, weight, inside, trusted, group_score, group_size, most, unforeseen, least):
    """One row of fields per review; `least` is the smallest probability of a trusted item times n."""
    replays, draws = at.shape
    n = len(score)
    out = np.zeros((replays, N_FIELDS))
    seen = np.zeros(n, np.int64)
    f, expected, z = np.empty(draws), np.empty(draws), np.empty(draws)
    for r in range(replays):
        o = out[r]
        surest_up = surest_down = 0.0
        for side in range(2):
            k = 0
            for j in range(draws):
                k += half[r, j] != side
            s, e, w = np.empty(k), np.empty(k), np.empty(k)
            k = 0
            for j in range(draws):
                if half[r, j] != side:
                    i = at[r, j]
                    s[k], e[k], w[k] = score[i], wrong[i], weight[i]
                    k += 1
            slope, intercept = _platt(s, e, w)
            mean = 0.0
            for g in range(len(group_score)):
                p = _sigmoid(slope * group_score[g] + intercept)
                mean += group_size[g] * p
                surest_up, surest_down = max(surest_up, 1 - p), max(surest_down, p)
            for j in range(draws):
                if half[r, j] == side:
                    f[j] = _sigmoid(slope * score[at[r, j]] + intercept)
                    expected[j] = mean / n
        up_chance = down_chance = 0.0
        for j in range(draws):
            i = at[r, j]
            o[EXPECTED] += expected[j]
            z[j] = expected[j]
            if not inside[i]:
                continue
            if seen[i] != r + 1:
                seen[i] = r + 1
                o[WRONG_ITEMS if wrong[i] else RIGHT_ITEMS] += 1
            up, down = weight[i] * (1 - f[j]), weight[i] * f[j]
            o[LIKELY_UP2] += f[j] * up * up
            o[LIKELY_UP3] += f[j] * up**3
            o[LIKELY_DOWN2] += (1 - f[j]) * down * down
            o[LIKELY_DOWN3] += (1 - f[j]) * down**3
            if wrong[i]:
                z[j] += up
                o[HITS] += 1
                o[UP] += up
                o[UP2] += up * up
                o[UP3] += up**3
                chance = 1 - f[j] + unforeseen / draws
                down_chance += chance
                o[UNSEEN_DOWN2] += chance * down * down
                o[UNSEEN_DOWN3] += chance * down**3
            else:
                z[j] -= down
                o[RIGHT] += 1
                o[DOWN] += down
                o[DOWN2] += down * down
                o[DOWN3] += down**3
                chance = f[j] + unforeseen / draws
                up_chance += chance
                o[UNSEEN_UP2] += chance * up * up
                o[UNSEEN_UP3] += chance * up**3
            if trusted[i]:
                o[TRUSTED_WRONG] += wrong[i]
                o[TRUSTED_UNIFORM] += coins[r, j] < least * weight[i]
        if up_chance > 0:
            o[UNSEEN_UP2] /= up_chance
            o[UNSEEN_UP3] /= up_chance
        else:
            o[UNSEEN_UP2], o[UNSEEN_UP3] = (most * surest_up) ** 2, (most * surest_up) ** 3
        if down_chance > 0:
            o[UNSEEN_DOWN2] /= down_chance
            o[UNSEEN_DOWN3] /= down_chance
        else:
            o[UNSEEN_DOWN2], o[UNSEEN_DOWN3] = (most * surest_down) ** 2, (most * surest_down) ** 3
        centre = z.mean()
        o[VARIANCE] = ((z - centre) ** 2).mean()
        o[KURTOSIS] = ((z - centre) ** 4).mean() / o[VARIANCE] ** 2 if o[VARIANCE] > 0 else 3.0
    return out


def _distances(drawn: np.ndarray, likely: np.ndarray, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`auditor.stats.totals.surprise_distances` of many reviews, from squares and cubes, each (replays, 2)."""
    second, third = (np.where(likely[:, :1] > drawn[:, :1], likely, drawn) + unseen).T
    none = third <= 0
    weight = np.where(none, 1.0, third) / np.where(none, 1.0, second)
    count = np.where(none, 1.0, second) / weight**2
    low, high = (gammaincinv(count + 0.5, q) for q in (0.025, 0.975))
    return np.where(none, 0.0, weight * (count - low)), np.where(none, 0.0, weight * (high - count))


def limits(o: np.ndarray, n: int, draws: int, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Those of `auditor.stats.totals.estimate_total`, of many reviews."""
    up = _distances(o[:, [UP2, UP3]], o[:, [LIKELY_UP2, LIKELY_UP3]], o[:, [UNSEEN_UP2, UNSEEN_UP3]])
    down = _distances(o[:, [DOWN2, DOWN3]], o[:, [LIKELY_DOWN2, LIKELY_DOWN3]], o[:, [UNSEEN_DOWN2, UNSEEN_DOWN3]])
    value = o[:, EXPECTED] + o[:, UP] - o[:, DOWN]
    low, high = value - np.hypot(up[0], down[1]), value + np.hypot(up[1], down[0])
    least, most = o[:, WRONG_ITEMS], frame - o[:, RIGHT_ITEMS]
    return np.round(np.clip(n / draws * low, least, most)), np.round(np.clip(n / draws * high, least, most))


def earlier_limits(
    o: np.ndarray, n: int, draws: int, frame: int, max_weight: float, trusted: int
) -> tuple[np.ndarray, np.ndarray]:
    """Those before: normal, Student's below 200 draws, exact with fewer than five finds of a kind, and an allowance
    where none of the drawn items that the model trusts was wrong."""
    value = n / draws * (o[:, EXPECTED] + o[:, UP] - o[:, DOWN])
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
    least, most = o[:, WRONG_ITEMS], frame - o[:, RIGHT_ITEMS]
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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the compiled replay says of each review; the items drawn and their halves, both (replays, draws)."""
    rng = np.random.default_rng(seed)
    n, p = len(items.wrong), audit_probabilities(items.margin)
    trusted = (items.margin <= 0) & counted
    cumulative = np.cumsum(p)
    at = np.minimum(np.searchsorted(cumulative, rng.random((replays, draws)) * cumulative[-1], side="right"), n - 1)
    half = rng.permuted(np.tile(np.arange(draws) % 2, (replays, 1)), axis=1)
    groups = np.array_split(np.sort(items.score[counted]), min(GROUPS, int(counted.sum())))
    said = _replay(
        at,
        half,
        rng.random((replays, draws)),
        items.score,
        items.wrong,
        1 / (n * p),
        counted,
        trusted,
        np.array([g.mean() for g in groups]),
        np.array([len(g) for g in groups], float),
        1 / (n * p.min()),
        totals._UNFORESEEN,
        n * float(p[trusted].min(initial=1.0)),
    )
    return said, at, half


def cell(items: Population, draws: int, replays: int, seed: int, inside: np.ndarray | None = None) -> Row:
    """Coverage and width of the limits and of the earlier ones; of the items `inside`, all if None."""
    n, p = len(items.wrong), audit_probabilities(items.margin)
    counted = np.ones(n, bool) if inside is None else inside
    o, at, half = reviews(items, draws, replays, seed, counted)
    largest, trusted = 1 / (n * p.min()), int(((items.margin <= 0) & counted).sum())
    truth, frame = int((items.wrong & counted).sum()), int(counted.sum())
    low, high = limits(o, n, draws, frame)
    for r in range(CHECKED):
        sample = AuditSample(at[r], 1 / (n * p[at[r]]), n, largest)
        checked = totals.estimate_total(
            items.score, sample, items.wrong[at[r]], _Halves(half[r]), domain=inside
        ).estimate
        if not np.allclose((checked.low, checked.high), (low[r], high[r]), rtol=2e-3, atol=1):
            raise SystemExit(f"limits {low[r]}, {high[r]} where the library has {checked}")
    earlier = earlier_limits(o, n, draws, frame, largest, trusted)
    told = np.ones(replays, bool)
    if inside is not None:
        told = (o[:, HITS] + o[:, RIGHT] >= LEAST_DRAWS) & (o[:, HITS] >= LEAST_ERRORS)
    width = float((high - low)[told].mean()) if told.any() else None
    before = float((earlier[1] - earlier[0])[told].mean()) if told.any() else None

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
        "earlier_coverage": covered(*earlier),
        "earlier_width": before,
        "width_ratio": width / before if width is not None and before else None,
        "effective_draws": float(variance**3 / third**2) if third else 0.0,
        "told": float(told.mean()),
    }


def cause(replays: int) -> list[Row]:
    """What is wrong with normal limits: not the variance, which is unbiased, but that it moves with the estimate."""
    rows = []
    for name, share, draws in itertools.product(("memorised", "texts"), (0.12,), DRAWS):
        items = population(name, 3_000, share, WEAK)
        n, truth = len(items.wrong), int(items.wrong.sum())
        o, _, _ = reviews(items, draws, replays, draws, np.ones(n, bool))
        value = n / draws * (o[:, EXPECTED] + o[:, UP] - o[:, DOWN])
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
                "below .94": int((cover < 0.94).sum()),
                "above .965": int((cover > 0.965).sum()),
                "earlier": f"{before.min():.3f} to {before.max():.3f}",
                "earlier below .94": int((before < 0.94).sum()),
                "width ratio": float(np.mean(ratio)),
            }
        )
    return out


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
        wrong = rng.random(len(sample)) < expit(score[sample.positions] / 2)
        said.append(str(totals.estimate_total(score, sample, wrong, rng).estimate))
    made = Path(__file__).with_name("interval_populations.py").read_text()
    return hashlib.sha256("\n".join([*said, made]).encode()).hexdigest()[:16]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replays", type=int, default=1500)
    parser.add_argument("--only", nargs="*", choices=[*DEVELOPMENT, *HELD_OUT])
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

    grid(options.only or [*DEVELOPMENT, *HELD_OUT], options.replays, done, save)
    save()
    report(json.loads(path.read_text()), cause(options.replays), options.out / "interval-coverage.md")


def report(document: dict[str, Any], causes: list[Row], path: Path) -> None:
    """The tables."""
    rows = list(document["cells"].values())
    whole = [r for r in rows if r["class"] is None]
    enough = [r | {"surprises": "enough" if r["effective_draws"] >= ENOUGH else "few"} for r in whole]
    outside = [
        {k: r[k] for k in ("population", "network", "n", "share", "draws", "coverage", "too_low", "too_high")}
        | {"effective draws": r["effective_draws"], "earlier": r["earlier_coverage"], "width ratio": r["width_ratio"]}
        for r in sorted(whole, key=lambda r: r["coverage"])
        if r["coverage"] < 0.94
    ]
    error = (0.95 * 0.05 / document["replays"]) ** 0.5
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
    parts += [f"## All {len(outside)} cells of the total below .94", "", table(outside) if outside else "none", ""]
    parts += ["## Why not normal limits", "", table(causes), ""]
    path.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
