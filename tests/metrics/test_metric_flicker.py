"""Temporal flicker."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from image_helpers import natural, views, watch

from thbench.metrics.flicker import FlickerObserver, absolute_difference, steadiness
from thbench.metrics.observer import Missing

NAMES = {"flicker"}


def test_a_still_video_scores_one() -> None:
    frame = natural(40, 50, 0, channels=3)
    assert watch(FlickerObserver, NAMES, views([frame, frame.copy(), frame])) == {"flicker": 1.0}


def test_black_and_white_in_turn_score_zero() -> None:
    black, white = np.zeros((5, 7, 3), np.uint8), np.full((5, 7, 3), 255, np.uint8)
    assert watch(FlickerObserver, NAMES, views([black, white, black, white])) == {"flicker": 0.0}


def test_the_published_formula() -> None:
    """VBench: the mean over consecutive pairs of the mean absolute difference, taken from 255 and divided by 255."""
    frames = [natural(33, 47, seed, channels=3) for seed in range(6)]
    pairs = pairwise(frames)
    mean = np.mean([np.abs(a.astype(np.float64) - b.astype(np.float64)).mean() for a, b in pairs])
    value = watch(FlickerObserver, NAMES, views(frames))["flicker"]
    assert value == pytest.approx((255 - mean) / 255, rel=1e-14)
    assert steadiness(float(mean)) == pytest.approx(value)


def test_the_sum_is_exact_and_does_not_wrap() -> None:
    a, b = (np.random.default_rng(n).integers(0, 256, (721, 1281, 3), dtype=np.uint8) for n in range(2))
    assert absolute_difference(a, b) == int(np.abs(a.astype(np.int64) - b.astype(np.int64)).sum())
    white = np.full((2160, 3840, 3), 255, np.uint8)
    assert absolute_difference(white, np.zeros_like(white)) == 2160 * 3840 * 3 * 255


def test_backwards_is_the_same() -> None:
    frames = views(natural(20, 20, seed, channels=3) for seed in range(5))
    forwards = watch(FlickerObserver, NAMES, frames)["flicker"]
    assert watch(FlickerObserver, NAMES, frames[::-1])["flicker"] == pytest.approx(forwards)


def test_more_noise_flickers_more() -> None:
    frame = natural(60, 60, 1, channels=3)
    values = []
    for amount in (1, 3, 9):
        rng = np.random.default_rng(amount)
        noise = rng.integers(-amount, amount + 1, (8, *frame.shape))
        values.append(watch(FlickerObserver, NAMES, views(np.clip(frame + n, 0, 255).astype(np.uint8) for n in noise)))
    scores = [value["flicker"] for value in values]
    assert scores == sorted(scores, reverse=True)


def test_the_reference_is_not_looked_at() -> None:
    frames = views(natural(20, 20, seed, channels=3) for seed in range(3))
    other = views(natural(30, 20, seed, channels=3) for seed in range(3))
    assert watch(FlickerObserver, NAMES, frames, other) == watch(FlickerObserver, NAMES, frames)


@pytest.mark.parametrize("frames", [0, 1])
def test_one_frame_is_missing(frames: int) -> None:
    values = watch(FlickerObserver, NAMES, views([np.zeros((1, 1, 3), np.uint8)] * frames))
    assert values == {"flicker": Missing("a single frame; flicker needs at least two")}


def test_a_change_of_size_is_missing() -> None:
    sizes = [(4, 6, 3), (4, 6, 3), (8, 12, 3), (8, 12, 3)]
    value = watch(FlickerObserver, NAMES, views(np.zeros(size, np.uint8) for size in sizes))["flicker"]
    assert value == Missing("the size changes from 6x4 to 12x8 at instant 2; give a video of one size")
