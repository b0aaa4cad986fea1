"""Frame rates and times: which stored picture is on display at which instant.

A picture is on display from its own time until the next picture's. Resampling to another rate asks what is on display
at each instant `n / rate`, by time and never by index. Rounding is to the nearest instant, halves upwards, as FFmpeg's
`fps` filter does it by default (`round=near`, libavfilter/vf_fps.c); to round always one way would shift the picture
against the sound by half an instant on average.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

MAX_RATE = 1000
"""Highest frame rate that is accepted, frames per second."""

_HALF = Fraction(1, 2)


class Shown(NamedTuple):
    """When a picture is on display, in seconds from the first one."""

    start: Fraction
    """Its time."""
    end: Fraction
    """Its time plus its own duration; the next picture may come earlier or later."""


def as_rate(fps: float | Fraction) -> Fraction:
    """Return a frame rate as the fraction that is meant.

    Args:
        fps: Frames per second; 29.97 means 2997/100 and 29.97002997 means 30000/1001.

    Raises:
        UsageError: Not a number in (0, 1000].

    Example:
        >>> as_rate(30000 / 1001), as_rate(25)
        (Fraction(30000, 1001), Fraction(25, 1))
    """
    if not (math.isfinite(fps) and 0 < fps <= MAX_RATE):
        raise UsageError(f"the frame rate is {fps}; it must be above 0 and at most {MAX_RATE} frames per second")
    rate = Fraction(fps).limit_denominator(1001)
    if rate <= 0:
        raise UsageError(f"the frame rate is {fps}; the lowest that is understood is 1/1001 frames per second")
    return rate


def tick_at(time: Fraction, rate: Fraction) -> int:
    """Return the number of the instant nearest to `time`, halves upwards.

    Args:
        time: Seconds.
        rate: Instants per second.

    Example:
        >>> tick_at(Fraction(1, 2), Fraction(25)), tick_at(Fraction(1, 3), Fraction(25))
        (13, 8)
    """
    return math.floor(time * rate + _HALF)


def frame_count(duration: Fraction, rate: Fraction) -> int:
    """Return how many instants a video of `duration` seconds has: the nearest whole number, at least 1."""
    return max(1, tick_at(duration, rate))


def hold(pictures: Iterable[tuple[Shown, T]], rate: Fraction) -> Iterator[tuple[int, T]]:
    """Show each picture until the next one's instant, and the last one for its own duration.

    Of pictures that fall on one instant the last is shown, the others are not. Exactly `frame_count(end, rate)`
    instants come out, `end` being the end of the last picture.

    Args:
        pictures: Pictures with their times, in order, the first at 0.
        rate: Instants per second.

    Yields:
        Number of the instant, from 0 without gaps, and the picture on display.

    Example:
        >>> third = [(Shown(Fraction(n, 3), Fraction(n + 1, 3)), n) for n in range(3)]
        >>> [picture for _, picture in hold(third, Fraction(6))]
        [0, 0, 1, 1, 2, 2]
    """
    held: tuple[Shown, T] | None = None
    tick = 0
    for picture in pictures:
        if held is not None:
            until = tick_at(picture[0].start, rate)
            yield from _repeated(held[1], tick, until)
            tick = max(tick, until)
        held = picture
    if held is not None:
        yield from _repeated(held[1], tick, frame_count(held[0].end, rate))


def _repeated(picture: T, start: int, stop: int) -> Iterator[tuple[int, T]]:
    return ((tick, picture) for tick in range(start, stop))
