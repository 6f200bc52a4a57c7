"""A small SVG canvas; plain text, no library."""

from __future__ import annotations

from html import escape

__all__ = ["COLOURS", "Canvas"]

#: Colours differ in brightness too, for those who see no colours.
COLOURS = ("#0b5fa5", "#d1495b", "#e3a018", "#5b8c5a", "#7a4fa3", "#3c3c3c", "#8d8d8d")


class Canvas:
    """White, in pixels, with a title."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height = width, height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" font-family="sans-serif" font-size="13">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        ]
        self.text(10, 22, title, size=15)

    def text(
        self, x: float, y: float, words: str, anchor: str = "start", size: int = 13, fill: str = "#000000"
    ) -> None:
        """One line of text; `anchor` is start, middle or end."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}">'
            f"{escape(words)}</text>"
        )

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "#3c3c3c", dash: str = ""
    ) -> None:
        """A rectangle with round corners."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" fill="{fill}" '
            f'stroke="{stroke}"{dashed}/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = "#3c3c3c", width: float = 1.0) -> None:
        """A straight line."""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
            f'stroke-width="{width:g}"/>'
        )

    def path(self, points: str, stroke: str, fill: str = "none", opacity: float = 1.0, width: float = 1.5) -> None:
        """SVG path data."""
        self.parts.append(
            f'<path d="{points}" stroke="{stroke}" fill="{fill}" fill-opacity="{opacity:g}" stroke-width="{width:g}"/>'
        )

    def dot(self, x: float, y: float, radius: float, fill: str, opacity: float = 1.0) -> None:
        """A filled circle."""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" fill-opacity="{opacity:g}"/>'
        )

    def done(self) -> str:
        """The picture."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"
