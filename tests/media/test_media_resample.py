"""Resampling by time: properties, and FFmpeg's own fps filter as the oracle."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import av.filter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thbench.errors import UsageError
from thbench.media.resample import Shown, as_rate, frame_count, hold, tick_at

if TYPE_CHECKING:
    from collections.abc import Sequence

RATES = st.sampled_from(
    [Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(12), Fraction(50)]
)


@st.composite
def timelines(draw: st.DrawFn) -> list[Shown]:
    """Pictures of variable length, in ticks of 1/12800 s, each on display until the next."""
    lengths = draw(st.lists(st.integers(1, 6400), min_size=1, max_size=40))
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    return [
        Shown(Fraction(start, 12800), Fraction(start + length, 12800))
        for start, length in zip(starts, lengths, strict=True)
    ]


def shown_by(timeline: Sequence[Shown], rate: Fraction) -> list[tuple[int, int]]:
    return list(hold(zip(timeline, range(len(timeline)), strict=True), rate))


@given(timelines(), RATES)
def test_as_many_frames_as_the_duration_asks_for(timeline: list[Shown], rate: Fraction) -> None:
    out = shown_by(timeline, rate)
    assert [tick for tick, _ in out] == list(range(frame_count(timeline[-1].end, rate)))


@given(timelines(), RATES)
def test_each_instant_shows_the_last_picture_that_began(timeline: list[Shown], rate: Fraction) -> None:
    for tick, picture in shown_by(timeline, rate):
        begun = [n for n, shown in enumerate(timeline) if tick_at(shown.start, rate) <= tick]
        assert picture == begun[-1]


@given(timelines(), RATES)
def test_no_picture_is_more_than_half_an_instant_off(timeline: list[Shown], rate: Fraction) -> None:
    out = shown_by(timeline, rate)
    first_shown = {picture: tick for tick, picture in reversed(out)}
    for picture, tick in first_shown.items():
        assert abs(tick / rate - timeline[picture].start) <= 1 / (2 * rate)


@given(st.integers(1, 200), RATES)
def test_own_rate_changes_nothing(count: int, rate: Fraction) -> None:
    timeline = [Shown(n / rate, (n + 1) / rate) for n in range(count)]
    assert [picture for _, picture in shown_by(timeline, rate)] == list(range(count))


@given(timelines(), RATES, st.integers(1, 8))
def test_a_multiple_of_the_rate_refines(timeline: list[Shown], rate: Fraction, factor: int) -> None:
    """Monotone: pictures never go backwards, whatever the rate."""
    pictures = [picture for _, picture in shown_by(timeline, rate * factor)]
    assert all(a <= b for a, b in pairwise(pictures))


@settings(deadline=None, max_examples=60)
@given(timelines(), RATES)
def test_agrees_with_the_fps_filter_of_ffmpeg(timeline: list[Shown], rate: Fraction) -> None:
    ours = [picture for _, picture in shown_by(timeline, rate)]
    theirs = _fps_filter(timeline, rate)
    if tick_at(timeline[-1].end, rate) >= 1:
        assert ours == theirs
    else:
        assert ours == [len(timeline) - 1]  # FFmpeg gives nothing for less than half a frame, we give one


def _fps_filter(timeline: list[Shown], rate: Fraction) -> list[int]:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=Fraction(1, 12800))
    middle = graph.add("fps", f"fps={rate.numerator}/{rate.denominator}:round=near")
    sink = graph.add("buffersink")
    source.link_to(middle)
    middle.link_to(sink)
    graph.configure()
    for number, shown in enumerate(timeline):
        frame = av.VideoFrame(16, 16, "gray")
        frame.planes[0].update(bytes([number]) * frame.planes[0].buffer_size)
        frame.time_base = Fraction(1, 12800)
        frame.pts = int(shown.start * 12800)
        frame.duration = int((shown.end - shown.start) * 12800)
        graph.push(frame)
    graph.push(None)
    out = []
    while True:
        try:
            out.append(bytes(graph.pull().planes[0])[0])
        except (av.EOFError, av.BlockingIOError):
            return out


def test_variable_rate_of_the_brief_case() -> None:
    """55 stored pictures over 3 s are 75 instants at 25 per second."""
    starts = [Fraction(n * n, 1000) for n in range(54)] + [Fraction(2900, 1000)]
    timeline = [Shown(a, b) for a, b in pairwise([*starts, Fraction(3)])]
    assert len(timeline) == 55
    assert len(shown_by(timeline, Fraction(25))) == 75


def test_nothing_gives_nothing() -> None:
    assert shown_by([], Fraction(25)) == []


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (25, Fraction(25)),
        (29.97, Fraction(2997, 100)),
        (30000 / 1001, Fraction(30000, 1001)),
        (23.976, Fraction(2997, 125)),
    ],
)
def test_rates_mean_what_people_mean(fps: float, rate: Fraction) -> None:
    assert as_rate(fps) == rate


@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf"), 1001, 1e-9])
def test_impossible_rates_are_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="frame rate"):
        as_rate(fps)
