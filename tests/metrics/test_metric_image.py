"""PSNR and the observer of full-reference image metrics."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from image_helpers import Image, natural, noisy, views, watch

from thbench.errors import MediaError
from thbench.metrics import image as image_module
from thbench.metrics.image import CAP, SMALLEST_SIDE, ImageObserver, channel_ssim, psnr, squared_error
from thbench.metrics.observer import Missing, View
from thbench.metrics.ssim import SKIMAGE, MultiScaleSsim, SsimKernel

ALL = {"psnr", "psnr/pooled", "psnr/cap100", *SMALLEST_SIDE}


def clip(frames: int, size: tuple[int, int] = (180, 190), seed: int = 0) -> tuple[list[Image], list[Image]]:
    reference = [natural(*size, seed + n, channels=3) for n in range(frames)]
    return [noisy(frame, 4 + 3 * n, n) for n, frame in enumerate(reference)], reference


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_squared_error_is_exact(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))
    a, b = (data.draw(arrays(np.uint8, shape)) for _ in range(2))
    assert squared_error(a, b) == int(((a.astype(np.int64) - b.astype(np.int64)) ** 2).sum())


def test_squared_error_of_the_largest_difference_does_not_wrap() -> None:
    black, white = np.zeros((1080, 1920, 3), np.uint8), np.full((1080, 1920, 3), 255, np.uint8)
    assert squared_error(black, white) == squared_error(white, black) == 1080 * 1920 * 3 * 255**2


def test_psnr_against_scikit_image_and_torchmetrics() -> None:
    from skimage.metrics import peak_signal_noise_ratio

    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    ours, theirs = clip(3)
    values = watch(ImageObserver, ALL, views(ours), views(theirs))
    by_frame = [peak_signal_noise_ratio(r, g, data_range=255) for g, r in zip(ours, theirs, strict=True)]
    assert values["psnr"] == pytest.approx(np.mean(by_frame), rel=1e-12)
    assert values["psnr/cap100"] == values["psnr"]
    a, b = (torch.from_numpy(np.stack(frames)).double() for frames in (ours, theirs))
    pooled = functional.peak_signal_noise_ratio(a, b, data_range=255.0)
    assert values["psnr/pooled"] == pytest.approx(float(pooled), rel=1e-6)
    assert values["psnr/pooled"] < values["psnr"], "the mean of decibels favours good frames"


def test_known_decibels() -> None:
    grey = np.full((20, 20, 3), 100, np.uint8)
    values = watch(ImageObserver, {"psnr"}, views([grey + np.uint8(10)]), views([grey]))
    assert values["psnr"] == pytest.approx(20 * math.log10(25.5))
    assert psnr(255.0**2) == 0.0


def test_equal_frames_have_infinite_psnr_and_a_cap_in_the_variant_that_says_so() -> None:
    ours, theirs = clip(2)
    ours[1] = theirs[1].copy()
    values = watch(ImageObserver, ALL, views(ours), views(theirs))
    first = psnr(squared_error(ours[0], theirs[0]) / ours[0].size)
    assert values["psnr"] == math.inf
    assert values["psnr/cap100"] == pytest.approx((first + CAP) / 2)
    assert values["psnr/pooled"] == pytest.approx(first + 10 * math.log10(2))
    assert watch(ImageObserver, {"psnr/pooled"}, views(theirs), views(theirs)) == {"psnr/pooled": math.inf}


def test_one_level_in_one_pixel_is_above_the_cap() -> None:
    """common_metrics gives 100 to an error below 1e-10 of the range squared, which is more than 100 dB."""
    frame = np.zeros((600, 600, 3), np.uint8)
    other = frame.copy()
    other[0, 0, 0] = 1
    values = watch(ImageObserver, ALL, views([other]), views([frame]))
    assert values["psnr"] == pytest.approx(10 * math.log10(255**2 * 600 * 600 * 3))
    assert values["psnr/cap100"] == CAP


def test_values_are_means_over_frames() -> None:
    ours, theirs = clip(3)
    values = watch(ImageObserver, ALL, views(ours), views(theirs))
    gray = [tuple(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pair) for pair in zip(ours, theirs, strict=True)]
    assert values["ssim"] == pytest.approx(np.mean([SsimKernel().terms(*pair).similarity for pair in gray]))
    assert values["ms-ssim"] == pytest.approx(np.mean([MultiScaleSsim().terms(*pair)[1] for pair in gray]))
    for name, kernel in (("ssim/rgb", SsimKernel()), ("ssim/skimage", SsimKernel(SKIMAGE))):
        by_frame = [channel_ssim(kernel, *pair) for pair in zip(ours, theirs, strict=True)]
        assert values[name] == pytest.approx(np.mean(by_frame))


def test_colour_ssim_against_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    (x,), (y,) = clip(1)
    values = watch(ImageObserver, ALL, views([x]), views([y]))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    assert values["ssim/rgb"] == pytest.approx(
        structural_similarity(x, y, data_range=255, channel_axis=-1, **settings), abs=1e-6
    )
    assert values["ssim/skimage"] == pytest.approx(
        structural_similarity(x, y, data_range=255, channel_axis=-1), abs=1e-6
    )


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_metric_alone_has_the_value_it_has_among_all(name: str) -> None:
    ours, theirs = clip(2)
    together = watch(ImageObserver, ALL, views(ours), views(theirs))
    assert watch(ImageObserver, {name}, views(ours), views(theirs)) == {name: together[name]}


def test_short_cut_for_equal_frames_gives_what_the_long_path_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same object, equal bytes in another object, and the comparison itself."""
    _, frames = clip(2)
    same = views(frames)
    names = ALL - {"psnr", "psnr/pooled"}
    short = watch(ImageObserver, names, same, same)
    copied = watch(ImageObserver, names, views(f.copy() for f in frames), same)
    monkeypatch.setattr(image_module, "squared_error", lambda a, b: 1)
    long = watch(ImageObserver, names, views(f.copy() for f in frames), same)
    assert short == copied == dict.fromkeys(names, 1.0) | {"psnr/cap100": CAP}
    assert {n: long[n] for n in SMALLEST_SIDE} == dict.fromkeys(SMALLEST_SIDE, 1.0)


def test_the_same_object_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    _, frames = clip(1)
    view = View(frames[0])

    def never(*_: object) -> None:
        raise AssertionError("compared")

    monkeypatch.setattr(image_module, "squared_error", never)
    monkeypatch.setattr(SsimKernel, "terms", never)
    assert watch(ImageObserver, {"ssim", "ms-ssim"}, [view], [view]) == {"ssim": 1.0, "ms-ssim": 1.0}


def test_frames_beyond_the_reference_are_not_compared() -> None:
    ours, theirs = clip(3)
    full = watch(ImageObserver, ALL, views(ours[:2]), views(theirs[:2]))
    assert watch(ImageObserver, ALL, views(ours), views(theirs[:2])) == full


def test_no_instant_in_common_is_missing() -> None:
    values = watch(ImageObserver, ALL, views(clip(2)[0]), [])
    assert values == dict.fromkeys(ALL, Missing("no instant in common with the reference"))


def test_other_sizes_are_not_compared_silently() -> None:
    small, large = np.zeros((256, 200, 3), np.uint8), np.zeros((1080, 1920, 3), np.uint8)
    values = watch(ImageObserver, ALL, views([small]), views([large]))
    for value in values.values():
        assert isinstance(value, Missing)
        assert value.reason.startswith("generated is 200x256, reference 1920x1080; ")
        assert "bring one of the videos to the size of the other" in value.reason


def test_frames_below_a_window_lack_only_what_needs_it() -> None:
    ours, theirs = clip(2, (175, 300))
    values = watch(ImageObserver, ALL, views(ours), views(theirs))
    assert values["ms-ssim"] == Missing("frames are 300x175; ms-ssim needs at least 176 pixels on each side")
    assert all(math.isfinite(values[name]) for name in ALL - {"ms-ssim"})  # type: ignore[arg-type]
    tiny = watch(ImageObserver, ALL, views([np.zeros((1, 1, 3), np.uint8)]), views([np.ones((1, 1, 3), np.uint8)]))
    assert tiny["psnr"] == pytest.approx(20 * math.log10(255))
    assert {name for name, value in tiny.items() if isinstance(value, Missing)} == set(SMALLEST_SIDE)


@pytest.mark.parametrize("levels", [(0, 0), (0, 255), (128, 129)])
@pytest.mark.parametrize("size", [(176, 177), (201, 333)])
def test_flat_frames_give_numbers(levels: tuple[int, int], size: tuple[int, int]) -> None:
    ours, theirs = (np.full((*size, 3), level, np.uint8) for level in levels)
    values = watch(ImageObserver, ALL, views([ours] * 2), views([theirs.copy()] * 2))
    for name, value in values.items():
        assert not isinstance(value, Missing)
        assert not math.isnan(value), name


def test_views_into_larger_and_mirrored_arrays() -> None:
    (x,), (y,) = clip(1, (176, 192))
    expected = watch(ImageObserver, ALL, views([x]), views([y]))
    wide = np.zeros((200, 250, 4), np.uint8)
    wide[10:186, 20:212, :3] = x
    assert watch(ImageObserver, ALL, views([wide[10:186, 20:212, :3]]), views([y])) == expected
    mirrored = watch(ImageObserver, ALL, views([x[:, ::-1]]), views([y[:, ::-1]]))
    assert mirrored == pytest.approx(expected, abs=1e-6)
    assert watch(ImageObserver, ALL, views([x[..., ::-1][..., ::-1]]), views([y])) == expected


def test_swapped_colours_change_the_number() -> None:
    (x,), (y,) = clip(1)
    expected = watch(ImageObserver, ALL, views([x]), views([y]))
    swapped = watch(ImageObserver, ALL, views([x[..., ::-1].copy()]), views([y]))
    assert all(swapped[name] < expected[name] for name in ALL)  # type: ignore[operator]


def test_a_clip_does_not_depend_on_the_one_before() -> None:
    first, second = clip(2, seed=0), clip(2, (200, 211), seed=9)
    alone = watch(ImageObserver, ALL, views(second[0]), views(second[1]))
    watch(ImageObserver, ALL, views(first[0]), views(first[1]))
    assert watch(ImageObserver, ALL, views(second[0]), views(second[1])) == alone


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_pixels_that_are_no_bytes_are_refused(value: float) -> None:
    frame = np.full((20, 30, 3), 90.0, np.float32)
    frame[3, 4, 1] = value
    words = r"this one holds float32" if np.isfinite(value) else "1 of 1800 values NaN or infinite; round its pixels"
    with pytest.raises(MediaError, match=words):
        View(frame)  # type: ignore[arg-type]
