"""Degradations of sound, frames and timing are what they say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from thbench.errors import UsageError
from thbench.types import Audio
from thbench.validate.catalogue import CHANGES, UNCHANGED, Variant, apply
from thbench.validate.material import Material
from thbench.validate.picture import blurred, compressed, noised, tinted
from thbench.validate.sound import delayed, replaced
from thbench.validate.timing import held, kept, shifted, warped

RATE = 16000


@pytest.fixture
def frame() -> np.ndarray:
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (16, 16, 3), dtype=np.uint8)
    return cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def material(frame) -> Material:
    random = np.random.default_rng(1)
    frames = [np.roll(frame, 2 * i, axis=1) for i in range(12)]
    sound, other = (random.uniform(-0.5, 0.5, 12 * RATE // 25).astype(np.float32) for _ in range(2))
    return Material(frames, Audio(sound, RATE), Audio(other, RATE), 25.0, seed=5)


def luma(image: np.ndarray) -> np.ndarray:
    return image.astype(float) @ (0.299, 0.587, 0.114)


def error(a, b) -> float:
    return float(np.mean([(np.asarray(x, float) - y) ** 2 for x, y in zip(a, b, strict=True)]))


STATIC = [name for name, change in CHANGES.items() if ":" in change.function and ".acting:" not in change.function]


@pytest.mark.parametrize("name", STATIC)
def test_a_change_is_repeatable_and_leaves_its_material_alone(name, material) -> None:
    before = [f.copy() for f in material.frames], material.audio.samples.copy()
    amount = {"jpeg": 50.0, "blur": 2.0, "noise": 8.0, "colour": 10.0, "sound-delay": 2.0}.get(name, 0.5)
    first, second = (apply(Variant(name, amount), material) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.frames, second.frames, strict=True))
    assert np.array_equal(first.audio.samples, second.audio.samples)
    assert all(np.array_equal(a, b) for a, b in zip(material.frames, before[0], strict=True))
    assert np.array_equal(material.audio.samples, before[1])
    assert all(f.dtype == np.uint8 and f.flags.c_contiguous for f in first.frames)
    changed = len(first.frames) != len(material.frames) or error(first.frames, material.frames) > 0
    # Either the picture or the sound, never both.
    assert changed == np.array_equal(first.audio.samples, material.audio.samples)


def test_no_change_is_the_clip_itself(material) -> None:
    assert apply(UNCHANGED, material).frames is material.frames


@pytest.mark.parametrize("name", ["repeats", "drops", "jitter", "wobble", "noise", "colour", "wrong-sound"])
def test_a_neutral_amount_changes_nothing(name, material) -> None:
    video = apply(Variant(name, CHANGES[name].neutral), material)
    assert all(np.array_equal(a, b) for a, b in zip(video.frames, material.frames, strict=True))
    assert np.array_equal(video.audio.samples, material.audio.samples)


@pytest.mark.parametrize("name", ["noise", "jitter", "wobble", "repeats", "colour"])
def test_more_of_a_change_changes_more(name, material) -> None:
    amounts = (0.2, 0.4, 0.8) if name == "repeats" else (1.0, 2.0, 4.0)
    errors = [error(apply(Variant(name, a), material).frames, material.frames) for a in amounts]
    assert errors == sorted(errors)
    assert errors[0] < errors[-1]


def test_a_delay_moves_the_sound_and_keeps_its_length(material) -> None:
    late = delayed(material.audio, 0.08).samples
    assert len(late) == len(material.audio.samples)
    assert not late[:1280].any()
    assert np.array_equal(late[1280:], material.audio.samples[:-1280])
    assert not delayed(material.audio, 99.0).samples.any()


def test_a_share_of_the_sound_is_replaced(material) -> None:
    half = replaced(material.audio, material.other, 0.5).samples
    middle = len(half) // 2
    assert np.array_equal(half[:middle], material.other.samples[:middle])
    assert np.array_equal(half[middle:], material.audio.samples[middle:])
    short = Audio(material.other.samples[:100], RATE)
    assert np.array_equal(replaced(material.audio, short, 1.0).samples[100:200], short.samples)


def test_blur_keeps_flat_frames_and_the_mean(frame) -> None:
    flat = np.full_like(frame, 77)
    assert np.array_equal(blurred(flat, 4.0), flat)
    assert abs(blurred(frame, 4.0).mean() - frame.mean()) < 0.5
    assert blurred(frame, 8.0).std() < blurred(frame, 4.0).std() < frame.std()


def test_blur_is_meant_at_256_pixels() -> None:
    for side in (256, 512):
        edge = np.zeros((side, side, 3), np.uint8)
        edge[side // 2 :] = 255
        spread = np.diff(blurred(edge, 4.0)[:, 0, 0].astype(float))
        rows = np.arange(side - 1) - (side / 2 - 1)
        sigma = np.sqrt((spread * rows**2).sum() / spread.sum())
        assert sigma * 256 / side == pytest.approx(4.0, rel=0.03)


def test_noise_has_the_stated_deviation() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    noisy = noised(grey, 8.0, np.random.default_rng(0)).astype(float)
    assert noisy.std() == pytest.approx(np.sqrt(64 + 1 / 12), rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.2)


def test_jpeg_loses_more_and_keeps_the_colours(frame) -> None:
    errors = [error([compressed(frame, loss)], [frame]) for loss in (5, 50, 90)]
    assert errors == sorted(errors)
    assert np.abs(compressed(frame, 5).mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 1.0
    with pytest.raises(UsageError, match="between 0 and 99"):
        compressed(frame, 100)


def test_a_tint_keeps_luma(frame) -> None:
    tinted_frame = tinted(frame, 15)
    assert np.abs(luma(tinted_frame) - luma(frame)).max() < 1.0
    assert (tinted_frame[..., 0] > frame[..., 0]).all()
    assert (tinted_frame[..., 2] < frame[..., 2]).all()


def test_held_frames_are_nested_and_never_run_ahead() -> None:
    small, large = (held(100, share, np.random.default_rng(3)) for share in (0.2, 0.5))
    for shown, share in ((small, 0.2), (large, 0.5)):
        assert (np.diff(shown) >= 0).all()
        assert (shown <= np.arange(100)).all()
        assert np.sum(np.diff(shown) == 0) == round(share * 99)
    assert set(np.flatnonzero(np.diff(small) == 0)) < set(np.flatnonzero(np.diff(large) == 0))


def test_drops_are_spread_evenly() -> None:
    left = kept(100, 0.2)
    assert len(left) == 80
    assert left[0] == 0
    assert set(np.diff(left)) == {1, 2}
    assert np.abs(left - np.arange(80) * 100 / 80).max() < 1
    assert len(kept(5, 1.0)) == 1


def test_a_whole_shift_moves_pixels(frame) -> None:
    assert np.array_equal(shifted(frame, 3, -2)[10:-10, 10:-10], np.roll(frame, (-2, 3), axis=(0, 1))[10:-10, 10:-10])


def test_a_field_of_equal_knots_is_a_shift_and_of_none_nothing(frame) -> None:
    knots = np.zeros((7, 7, 2), np.float32)
    assert np.array_equal(warped(frame, knots), frame)
    knots[...] = (3, -2)
    assert np.array_equal(warped(frame, knots)[10:-10, 10:-10], shifted(frame, 3, -2)[10:-10, 10:-10])
