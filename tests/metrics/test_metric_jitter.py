"""Landmark jitter: zero for smooth motion, known for noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from image_helpers import face_views, moved, real_face, watch
from numpy.typing import NDArray

from thbench.metrics.jitter import NAMES, STEADY, JitterObserver, aligned, mean_square_acceleration
from thbench.metrics.observer import Missing

WHOLE, SHAPE = NAMES
EYE_DISTANCE = 60.0


def jitter(faces: list[NDArray[np.float64] | None], fps: float = 25.0) -> dict[str, float]:
    values = watch(JitterObserver, NAMES, face_views(faces), fps=fps)
    assert not any(isinstance(value, Missing) for value in values.values())
    return dict(values)  # type: ignore[arg-type]


def steady(values: dict[str, float]) -> bool:
    """Nothing but the rounding of float32 landmarks: 1e-5 px at 25 fps and 60 px between the eyes."""
    return max(values.values()) < 1e-3


def test_rest_and_constant_velocity_do_not_jitter() -> None:
    face = np.rint(real_face())
    assert jitter([face] * 5) == dict.fromkeys(NAMES, 0.0)
    assert jitter([moved(face, 2 * n, -n) for n in range(8)])[WHOLE] == 0.0
    assert steady(jitter([moved(face, 2 * n, -n) for n in range(8)]))


def test_constant_acceleration_by_hand() -> None:
    """x = a t^2 / 2 moves every point by a / fps^2 from step to step, in one of two coordinates."""
    pixels_per_second_squared, fps = 120.0, 25.0
    faces = [moved(real_face(), 0.5 * pixels_per_second_squared * (n / fps) ** 2, 0) for n in range(9)]
    assert jitter(faces, fps)[WHOLE] == pytest.approx(pixels_per_second_squared / EYE_DISTANCE / math.sqrt(2), rel=1e-3)
    assert jitter(faces, fps)[SHAPE] < 1e-2


@pytest.mark.parametrize("amount", [0.2, 1.0])
def test_white_noise_has_the_known_factor(amount: float) -> None:
    """Independent noise of standard deviation s: sqrt(6) s fps^2 over the distance of the eyes."""
    rng = np.random.default_rng(0)
    faces = [real_face() + rng.normal(0, amount, (68, 2)) for _ in range(2000)]
    expected = math.sqrt(6) * amount * 25**2 / EYE_DISTANCE
    values = jitter(faces)
    assert values[WHOLE] == pytest.approx(expected, rel=0.02)
    # Alignment takes 4 of the 26 degrees of freedom of the 13 points.
    assert values[SHAPE] == pytest.approx(expected * math.sqrt(22 / 26), rel=0.02)


def test_a_shaking_crop_is_jitter_of_the_whole_and_not_of_the_shape() -> None:
    rng = np.random.default_rng(1)
    faces: list[NDArray[np.float64] | None] = [real_face() + rng.normal(0, 1, 2) for _ in range(500)]
    values = jitter(faces)
    assert values[WHOLE] == pytest.approx(math.sqrt(6) * 25**2 / EYE_DISTANCE, rel=0.1)
    assert values[SHAPE] < 1e-2


def test_speech_and_blinks_are_not_jitter() -> None:
    rng = np.random.default_rng(2)
    faces = []
    for _ in range(20):
        face = real_face()
        moving = [n for n in range(68) if n not in STEADY and not 36 <= n < 48]
        face[moving] += rng.normal(0, 5, (len(moving), 2))
        faces.append(face)
    assert jitter(faces) == dict.fromkeys(NAMES, 0.0)


def test_smooth_motion_jitters_less_than_the_same_motion_out_of_order() -> None:
    angle = np.linspace(0, 2 * np.pi, 100)
    smooth = [moved(real_face(), 8 * np.sin(a), 5 * np.cos(a)) for a in angle]
    shuffled = [smooth[n] for n in np.random.default_rng(3).permutation(100)]
    assert 50 * jitter(smooth)[WHOLE] < jitter(shuffled)[WHOLE]


def test_size_of_the_frame_does_not_matter_and_fps_enters_squared() -> None:
    rng = np.random.default_rng(4)
    faces = [real_face() + rng.normal(0, 1, (68, 2)) for _ in range(20)]
    expected = jitter(faces)
    assert jitter([4 * face for face in faces]) == pytest.approx(expected, rel=1e-4)
    assert jitter(faces, fps=50.0) == pytest.approx({name: 4 * value for name, value in expected.items()})


def test_no_difference_reaches_across_a_gap() -> None:
    face = np.rint(real_face())
    far = face + 80
    assert jitter([face] * 3 + [None] + [far] * 3)[WHOLE] == 0.0
    assert jitter([face] * 3 + [far] * 3)[WHOLE] > 100


@pytest.mark.parametrize("pattern", ["", "x", "xx", "xx-xx-", "---"])
def test_fewer_than_three_frames_in_a_row_are_missing(pattern: str) -> None:
    views = face_views([real_face() if letter == "x" else None for letter in pattern])
    values = watch(JitterObserver, NAMES, views)
    assert values == dict.fromkeys(NAMES, Missing("needs three frames in a row with a face; there are none"))


def test_alignment_undoes_turning_moving_and_scaling() -> None:
    rng = np.random.default_rng(5)
    template = rng.normal(0, 10, (13, 2))
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = 1.8 * template @ turn.T + (30, -7)
    np.testing.assert_allclose(aligned(moved, template), template - template.mean(axis=0), atol=1e-12)
    mirrored = template * (-1, 1)
    assert np.abs(aligned(mirrored, template) - template + template.mean(axis=0)).max() > 1


def test_leading_axes_are_kept() -> None:
    a, b, c = np.random.default_rng(6).normal(size=(3, 2, 13, 2))
    both = mean_square_acceleration(a, b, c)
    assert both.shape == (2,)
    assert both[1] == pytest.approx(float(np.mean((a[1] - 2 * b[1] + c[1]) ** 2)))
