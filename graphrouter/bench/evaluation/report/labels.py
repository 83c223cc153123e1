"""Where the names of points go in a plot, so that they cover no name and no point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

CHAR_WIDTH, LINE_HEIGHT = 6.3, 14.0
"""Pixels that a character takes on average, and a line, at the font size of the labels."""
_RADII = (14.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0)
_NUM_ANGLES = 16
_POINT = 6.0  # half the width of what a point covers
_LINE = 4.0

Point = tuple[float, float]
"""Pixels from the top left corner."""


class Offset(NamedTuple):
    """Centre of a label relative to its point, in pixels; y grows downward."""

    x: float
    y: float


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Self:
        """The box with this centre."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def meets(self, other: _Box) -> bool:
        """True when the two overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def meets_any(self, others: Iterable[_Box]) -> bool:
        """True when one of the others overlaps with it."""
        return any(self.meets(other) for other in others)

    def is_inside(self, width: float, height: float) -> bool:
        """True when it lies in a plot of this size."""
        return self.left >= 0 and self.top >= 0 and self.right <= width and self.bottom <= height


def place_labels(
    points: Sequence[Point],
    texts: Sequence[str],
    *,
    width: float,
    height: float,
    avoid: Sequence[Point] = (),
) -> list[Offset | None]:
    """Where each label goes; None where there is no room near its point.

    Earlier points choose first, the nearest free place, to the right if they can. Where every free
    place lies on a point to avoid, the nearest of them is taken.

    Args:
        points: Pixel position of each point from the top left corner of the plot.
        texts: Label of each point, one line.
        width: Width of the plot in pixels.
        height: Its height.
        avoid: Positions that labels should not cover if they can help it, such as those along
            lines.

    Example:
        >>> place_labels([(50.0, 50.0)], ["nano"], width=200, height=100)
        [Offset(x=26.6, y=0.0)]
    """
    taken = [_Box.around(x, y, 2 * _POINT, 2 * _POINT) for x, y in points]
    lines = [_Box.around(x, y, _LINE, _LINE) for x, y in avoid]
    offsets: list[Offset | None] = []
    for point, text in zip(points, texts, strict=True):
        free = [
            (offset, box)
            for offset in _candidates(len(text) * CHAR_WIDTH)
            if (box := _label_box(point, offset, text)).is_inside(width, height)
            and not box.meets_any(taken)
        ]
        clear = next((place for place in free if not place[1].meets_any(lines)), None)
        chosen = clear or (free[0] if free else None)
        if chosen is not None:
            taken.append(chosen[1])
        offsets.append(None if chosen is None else chosen[0])
    return offsets


def _label_box(point: Point, offset: Offset, text: str) -> _Box:
    return _Box.around(
        point[0] + offset.x, point[1] + offset.y, len(text) * CHAR_WIDTH, LINE_HEIGHT
    )


def _candidates(text_width: float) -> list[Offset]:
    """Places around a point, nearest first.

    At each distance to the right first, then up and down in turn.
    """
    turns = sorted(range(_NUM_ANGLES), key=lambda k: min(k, _NUM_ANGLES - k))
    angles = [2 * math.pi * k / _NUM_ANGLES for k in turns]
    # The label's edge, not its centre, is what stands at the distance.
    return [
        Offset(
            round(math.cos(a) * (radius + text_width / 2), 1), round(-math.sin(a) * radius, 1) + 0.0
        )
        for radius in _RADII
        for a in angles
    ]
