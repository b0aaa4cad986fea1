"""Where in a frame to look for a face: pure arithmetic on boxes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from thbench.faces.recipe import CROP, SCALES, SLACK, SMALLEST_WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator


class Box(NamedTuple):
    """A rectangle in pixels of the frame."""

    left: float
    """First column."""
    top: float
    """First row."""
    right: float
    """Beyond the last column."""
    bottom: float
    """Beyond the last row."""

    @property
    def side(self) -> float:
        """The longer side."""
        return max(self.right - self.left, self.bottom - self.top)

    @property
    def area(self) -> float:
        """Pixels covered."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        """Column and row of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


class Window(NamedTuple):
    """A part of the frame, in whole pixels; never empty."""

    left: int
    """First column."""
    top: int
    """First row."""
    right: int
    """Beyond the last column."""
    bottom: int
    """Beyond the last row."""


Size = tuple[int, int]
"""Height and width of a frame."""


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0 to 1."""
    common = Box(max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)).area
    union = a.area + b.area - common
    return common / union if union > 0 else 0.0


def square_around(face: Box, size: Size) -> Window:
    """The square of `CROP` sides around a face, cut off at the edges of the frame."""
    height, width = size
    x, y = face.centre
    half = max(CROP * face.side / 2, 1.0)
    left, right = _span(x, half, width)
    top, bottom = _span(y, half, height)
    return Window(left, top, right, bottom)


def is_in_the_middle(face: Box, anchor: Box) -> bool:
    """Whether a square made for `anchor` still suits `face`: place and size within `SLACK`."""
    reach = SLACK * anchor.side
    near = all(abs(now - then) <= reach for now, then in zip(face.centre, anchor.centre, strict=True))
    return near and anchor.side <= face.side * (1 + SLACK) and face.side <= anchor.side * (1 + SLACK)


def whole(size: Size) -> Window:
    """The whole frame."""
    return Window(0, 0, size[1], size[0])


def windows(size: Size) -> Iterator[list[Window]]:
    """Squares that cover the frame and overlap by at least half, large ones first, one list for each scale.

    A face as large as half a window, wherever it is, lies wholly in one of them. A frame of `SMALLEST_WINDOW` or less
    has none; the whole frame is searched before.
    """
    longer = max(size)
    for side in sorted({max(math.ceil(longer / scale), SMALLEST_WINDOW) for scale in SCALES}, reverse=True):
        if side < longer:
            yield [
                Window(left, top, min(left + side, size[1]), min(top + side, size[0]))
                for top in _starts(size[0], side)
                for left in _starts(size[1], side)
            ]


def _span(centre: float, half: float, length: int) -> tuple[int, int]:
    start = min(max(round(centre - half), 0), length - 1)
    return start, max(min(round(centre + half), length), start + 1)


def _starts(length: int, side: int) -> list[int]:
    room = max(length - side, 0)
    steps = math.ceil(room / (side / 2))
    return [round(room * step / steps) for step in range(steps + 1)] if steps else [0]
