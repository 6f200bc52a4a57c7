"""The reliability plot: what was said of the labels against what reviewers found. Plain SVG, no library."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.stats.calibration import ReliabilityBin

__all__ = ["reliability_svg"]

SIDE, LEFT, TOP, BOTTOM, RIGHT = 300, 58, 34, 48, 16


def reliability_svg(bins: Sequence[ReliabilityBin]) -> str:
    """One mark per bin with its Wilson interval, and the diagonal on which they should lie.

    The text of the picture says the same as the marks: it can be read aloud.
    """
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
    x = lambda share: LEFT + SIDE * share  # noqa: E731
    y = lambda share: TOP + SIDE * (1 - share)  # noqa: E731
    told = "; ".join(f"said {b.predicted:.0%}, found {b.observed:.0%} of {b.n}" for b in bins)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="Reliability: {told}">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="13">P(label wrong): said and found</text>',
    ]
    for tick in range(0, 101, 25):
        share = tick / 100
        parts += [
            f'<line x1="{x(share):.1f}" y1="{TOP}" x2="{x(share):.1f}" y2="{TOP + SIDE}" stroke="#e2e2e2"/>',
            f'<line x1="{LEFT}" y1="{y(share):.1f}" x2="{LEFT + SIDE}" y2="{y(share):.1f}" stroke="#e2e2e2"/>',
            f'<text x="{x(share):.1f}" y="{TOP + SIDE + 18}" text-anchor="middle">{tick} %</text>',
            f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end">{tick} %</text>',
        ]
    parts.append(
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="#8d8d8d" stroke-dasharray="5 4"/>'
        f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 38}" text-anchor="middle">said</text>'
        f'<text transform="translate(14 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">found</text>'
    )
    for b in bins:
        at = x(b.predicted)
        parts += [
            f'<line x1="{at:.1f}" y1="{y(b.low):.1f}" x2="{at:.1f}" y2="{y(b.high):.1f}" stroke="#0b5fa5" '
            'stroke-width="2"/>',
            f'<circle cx="{at:.1f}" cy="{y(b.observed):.1f}" r="4.5" fill="#0b5fa5"/>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
