"""A drawing of 600 units width, built of a few marks, as SVG text.

Letters are at least 18 units high, so that they can be read on a phone of 360 points. Marks differ
in form and lightness, not in hue alone, so that a picture survives a printer without colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH = 600
INK, ACCENT, PALE, FAINT = "#1c1c1c", "#0b4f8a", "#9db4c8", "#dfe5ea"


@dataclass
class Drawing:
    """Marks that are collected, and written as one picture.

    Args:
        height: Units from top to bottom.
        title: What the picture shows, for those who cannot see it.
    """

    height: int
    title: str
    marks: list[str] = field(default_factory=list)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        size: int = 19,
        bold: bool = False,
        colour: str = INK,
    ) -> None:
        """Write words whose baseline is at `y`; `anchor` is start, middle or end."""
        weight = ' font-weight="700"' if bold else ""
        self.marks.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}" '
            f'fill="{colour}"{weight}>{escape(words)}</text>'
        )

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        colour: str = INK,
        width: float = 2,
        dashes: str = "",
    ) -> None:
        """Join points by a line."""
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.marks.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{dash}/>'
        )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        edge: str = "none",
        corner: float = 0,
    ) -> None:
        """Draw a rectangle."""
        self.marks.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{corner:g}" '
            f'fill="{fill}" stroke="{edge}" stroke-width="2"/>'
        )

    def dot(self, x: float, y: float, *, radius: float = 8, filled: bool = True) -> None:
        """Draw a disc, or a ring where it is not filled."""
        fill = ACCENT if filled else "#ffffff"
        self.marks.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{ACCENT}" '
            'stroke-width="2.5"/>'
        )

    def square(self, x: float, y: float, *, side: float = 14, filled: bool = False) -> None:
        """Draw a square around a point."""
        fill = INK if filled else "#ffffff"
        self.marks.append(
            f'<rect x="{x - side / 2:g}" y="{y - side / 2:g}" width="{side:g}" height="{side:g}" '
            f'fill="{fill}" stroke="{INK}" stroke-width="2.5"/>'
        )

    def cross(self, x: float, y: float, *, arm: float = 7) -> None:
        """Draw a cross."""
        self.line([(x - arm, y - arm), (x + arm, y + arm)], width=3)
        self.line([(x - arm, y + arm), (x + arm, y - arm)], width=3)

    def svg(self) -> str:
        """The picture as a file's text, ended by a newline."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'width="{WIDTH}" height="{self.height}" '
            f'role="img" font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif">'
        )
        ground = f'<rect width="{WIDTH}" height="{self.height}" fill="#ffffff"/>'
        lines = [head, f"<title>{escape(self.title)}</title>", ground, *self.marks, "</svg>"]
        return "\n".join(lines) + "\n"
