"""Boxes and windows: cover everything, stay inside, and keep still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thbench.faces.recipe import CROP, SLACK
from thbench.faces.search import Box, Window, is_in_the_middle, overlap, square_around, whole, windows

lengths = st.integers(1, 4000)
places = st.floats(-5000, 5000)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(places), draw(places)
    return Box(left, top, left + draw(st.floats(0, 3000)), top + draw(st.floats(0, 3000)))


@given(height=lengths, width=lengths)
def test_windows_lie_inside_and_cover_the_frame(height: int, width: int) -> None:
    for scale in windows((height, width)):
        assert all(0 <= w.left < w.right <= width and 0 <= w.top < w.bottom <= height for w in scale)
        assert min(w.left for w in scale) == min(w.top for w in scale) == 0
        assert max(w.right for w in scale) == width
        assert max(w.bottom for w in scale) == height


@given(height=lengths, width=lengths, x=st.floats(0, 1), y=st.floats(0, 1))
def test_a_face_of_half_a_window_lies_wholly_in_one(height: int, width: int, x: float, y: float) -> None:
    for scale in windows((height, width)):
        side = max(max(w.right - w.left, w.bottom - w.top) for w in scale)
        reach_x, reach_y = min(side / 2 - 1, width), min(side / 2 - 1, height)  # a window starts at a whole pixel
        left, top = x * (width - reach_x), y * (height - reach_y)
        assert any(
            w.left <= left and left + reach_x <= w.right and w.top <= top and top + reach_y <= w.bottom for w in scale
        )


@given(height=lengths, width=lengths)
def test_the_number_of_windows_is_bounded(height: int, width: int) -> None:
    assert sum(map(len, windows((height, width)))) <= 9 + 49


def test_small_frames_have_no_windows() -> None:
    assert list(windows((256, 200))) == []
    assert [len(scale) for scale in windows((1920, 1080))] == [6, 28]
    assert whole((20, 30)) == Window(0, 0, 30, 20)


@given(face=boxes(), height=lengths, width=lengths)
def test_square_is_never_empty_and_inside(face: Box, height: int, width: int) -> None:
    window = square_around(face, (height, width))
    assert 0 <= window.left < window.right <= width
    assert 0 <= window.top < window.bottom <= height


def test_square_is_centred_on_the_face() -> None:
    assert square_around(Box(400, 300, 500, 420), (1000, 1000)) == Window(
        round(450 - CROP * 60), round(360 - CROP * 60), round(450 + CROP * 60), round(360 + CROP * 60)
    )


@given(a=boxes(), b=boxes())
def test_overlap_is_symmetric_and_a_share(a: Box, b: Box) -> None:
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, b) == pytest.approx(overlap(b, a))
    assert overlap(a, a) == (1 if a.area > 0 else 0)


def test_overlap_of_known_boxes() -> None:
    assert overlap(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert overlap(Box(0, 0, 2, 2), Box(2, 0, 4, 2)) == 0


def test_square_stays_until_the_face_leaves_its_middle() -> None:
    anchor = Box(100, 100, 200, 200)
    assert is_in_the_middle(anchor, anchor)
    inside, outside = 100 * SLACK - 1, 100 * SLACK + 1
    assert is_in_the_middle(Box(100 + inside, 100, 200 + inside, 200), anchor)
    assert not is_in_the_middle(Box(100 + outside, 100, 200 + outside, 200), anchor)
    assert not is_in_the_middle(Box(100, 100 - outside, 200, 200 - outside), anchor)
    assert not is_in_the_middle(Box(85, 85, 215, 215), anchor)
    assert not is_in_the_middle(Box(110, 110, 190, 190), anchor)
