"""SSIM and MS-SSIM against scikit-image, torchmetrics, a plain float64 version, and closed forms."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import natural, noisy
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from thbench.errors import UsageError
from thbench.metrics import ssim
from thbench.metrics.ssim import (
    C1,
    C2,
    MS_WEIGHTS,
    SKIMAGE,
    WANG,
    MultiScaleSsim,
    Pyramid,
    SsimKernel,
    Terms,
    Window,
    smallest_side,
)

Plane = NDArray[np.uint8]


def plain(x: NDArray[np.generic], y: NDArray[np.generic], window: Window = WANG) -> Terms:
    """The published quotients, term by term, in float64."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    edge = window.size // 2

    def mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            image = correlate1d(image, window.taps, axis=axis, mode="reflect")
        return image[edge:-edge, edge:-edge]

    n = window.size**2
    factor = n / (n - 1) if window.sample_covariance else 1.0
    mx, my = mean(x), mean(y)
    vx, vy, cov = (factor * v for v in (mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my))
    contrast = (2 * cov + C2) / (vx + vy + C2)
    luminance = (2 * mx * my + C1) / (mx**2 + my**2 + C1)
    return Terms(float((luminance * contrast).mean()), float(contrast.mean()))


def halved(x: NDArray[np.generic]) -> NDArray[np.float64]:
    rows, columns = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * rows, : 2 * columns].astype(np.float64).reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def plain_ms_ssim(x: NDArray[np.generic], y: NDArray[np.generic]) -> float:
    value = 1.0
    for weight in MS_WEIGHTS[:-1]:
        value *= max(plain(x, y).contrast, 0) ** weight
        x, y = halved(x), halved(y)
    return value * max(plain(x, y).similarity, 0) ** MS_WEIGHTS[-1]


def pairs() -> list[tuple[str, Plane, Plane]]:
    picture = natural(300, 411, 0)
    bright = noisy(np.full((220, 250), 250, np.uint8), 1.0, 1)
    dark = noisy(np.full((220, 250), 3, np.uint8), 1.0, 2)
    return [
        ("photograph and noise", picture, noisy(picture, 8, 3)),
        ("photograph, one level brighter", picture, np.minimum(picture, 254) + np.uint8(1)),
        ("photograph moved", picture, np.roll(picture, 3, axis=1)),
        ("other photograph", picture, natural(300, 411, 4)),
        ("negative", picture, 255 - picture),
        ("bright wall", bright, noisy(bright, 1, 5)),
        ("dark wall", dark, noisy(dark, 1, 6)),
        ("wall turns dark", bright, dark),
    ]


@pytest.mark.parametrize(("x", "y"), [p[1:] for p in pairs()], ids=[p[0] for p in pairs()])
@pytest.mark.parametrize("window", [WANG, SKIMAGE], ids=["wang", "skimage"])
def test_float32_agrees_with_the_published_form_in_float64(x: Plane, y: Plane, window: Window) -> None:
    ours, exact = SsimKernel(window).terms(x, y), plain(x, y, window)
    assert ours.similarity == pytest.approx(exact.similarity, abs=1e-5)
    # A wall that turns dark has an error of 247^2 in float32 beside C2 = 58.5.
    assert ours.contrast == pytest.approx(exact.contrast, abs=1e-4 if y.max() < 10 else 1e-5)
    assert SsimKernel(window).contrast(x, y) == ours.contrast


@pytest.mark.parametrize(("x", "y"), [p[1:] for p in pairs()], ids=[p[0] for p in pairs()])
def test_ms_ssim_agrees_with_the_published_form_in_float64(x: Plane, y: Plane) -> None:
    terms, multi_scale = MultiScaleSsim().terms(x, y)
    assert terms == SsimKernel().terms(x, y)
    assert multi_scale == pytest.approx(plain_ms_ssim(x, y), abs=1e-5)


def test_scikit_image() -> None:
    from skimage.metrics import structural_similarity

    x = natural(181, 233, 7)
    y = noisy(x, 12, 8)
    wang = structural_similarity(x, y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert SsimKernel().terms(x, y).similarity == pytest.approx(wang, abs=1e-6)
    assert SsimKernel(SKIMAGE).terms(x, y).similarity == pytest.approx(
        structural_similarity(x, y, data_range=255), abs=1e-6
    )


def test_torchmetrics_on_the_windows_that_lie_inside_the_image() -> None:
    """torchmetrics mirrors the border and averages the whole map; cut to the valid windows it is Wang's."""
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("torchmetrics.functional.image")
    x = natural(200, 187, 9)
    y = noisy(x, 20, 10)
    a, b = (torch.from_numpy(p.astype(np.float64))[None, None] for p in (x, y))
    similarity = partial(image.structural_similarity_index_measure, data_range=255.0)
    whole, maps = similarity(a, b, return_full_image=True)
    ours = SsimKernel().terms(x, y)
    assert ours.similarity == pytest.approx(float(maps[..., 5:-5, 5:-5].mean()), abs=1e-6)
    assert abs(ours.similarity - float(whole)) > 1e-5, "the border rule matters, so the protocol names it"
    _, contrast = similarity(a, b, return_contrast_sensitivity=True)
    assert ours.contrast == pytest.approx(float(contrast), abs=1e-6)

    value = 1.0
    for weight in MS_WEIGHTS[:-1]:
        value *= float(similarity(a, b, return_contrast_sensitivity=True)[1]) ** weight
        a, b = (torch.nn.functional.avg_pool2d(p, 2) for p in (a, b))
    coarsest, maps = similarity(a, b, return_full_image=True)
    inside = float(maps[..., 5:-5, 5:-5].mean())
    ours = MultiScaleSsim().terms(x, y)[1]
    assert ours == pytest.approx(value * inside ** MS_WEIGHTS[-1], abs=1e-6)
    a, b = (torch.from_numpy(p.astype(np.float64))[None, None] for p in (x, y))
    theirs = image.multiscale_structural_similarity_index_measure(a, b, data_range=255.0, normalize="relu")
    # The whole difference to torchmetrics is the border of the coarsest map.
    assert ours * (float(coarsest) / inside) ** MS_WEIGHTS[-1] == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.real
def test_float32_on_real_frames(shared: Path) -> None:
    import av
    import cv2

    for path in sorted((shared / "real" / "reference").glob("*.mp4"))[:2]:
        with av.open(path) as container:
            frames = [f.to_ndarray(format="gray") for f, _ in zip(container.decode(video=0), range(9), strict=False)]
        x = np.ascontiguousarray(frames[0])
        for y in (np.ascontiguousarray(frames[-1]), np.asarray(cv2.GaussianBlur(x, (5, 5), 1.2))):
            assert tuple(SsimKernel().terms(x, y)) == pytest.approx(tuple(plain(x, y)), abs=1e-6)
            assert MultiScaleSsim().terms(x, y)[1] == pytest.approx(plain_ms_ssim(x, y), abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(0, 255), (10, 200), (100, 101), (0, 0), (255, 255)])
def test_flat_images_differ_in_luminance_only(a: int, b: int) -> None:
    x, y = np.full((180, 190), a, np.uint8), np.full((180, 190), b, np.uint8)
    terms = SsimKernel().terms(x, y)
    # The local variance of a flat plane is zero up to float32 rounding of 255^2 against C2 = 58.5.
    assert terms.contrast == pytest.approx(1.0, abs=5e-4)
    assert terms.similarity == pytest.approx((2 * a * b + C1) / (a * a + b * b + C1), abs=1e-4)


def test_an_image_equals_itself_exactly() -> None:
    x = natural(211, 190, 11)
    assert SsimKernel().terms(x, x.copy()) == (1.0, 1.0)
    assert MultiScaleSsim().terms(x, x.copy()) == ((1.0, 1.0), 1.0)


def test_a_checkerboard_against_its_negative_is_anticorrelated() -> None:
    x = (np.indices((192, 192)).sum(axis=0) % 2 * 255).astype(np.uint8)
    contrast = SsimKernel().terms(x, 255 - x).contrast
    assert contrast == pytest.approx((C2 - 2 * 127.5**2) / (C2 + 2 * 127.5**2), abs=1e-4)
    assert MultiScaleSsim().terms(x, 255 - x)[1] == 0.0


def test_more_noise_is_less_similar() -> None:
    x = natural(200, 200, 12)
    kernel, multi_scale = SsimKernel(), MultiScaleSsim()
    single = [kernel.terms(x, noisy(x, amount, 13)).similarity for amount in (1, 2, 4, 8, 16, 32)]
    multiple = [multi_scale.terms(x, noisy(x, amount, 13))[1] for amount in (1, 2, 4, 8, 16, 32)]
    assert single == sorted(single, reverse=True)
    assert multiple == sorted(multiple, reverse=True)
    assert single[-1] < multiple[-1], "white noise averages out at coarser scales"


@pytest.mark.parametrize("shape", [(11, 11), (11, 300), (97, 1101), (107, 556), (203, 12)])
def test_sizes_around_the_tiles(shape: tuple[int, int]) -> None:
    x = natural(*shape, 14)
    y = noisy(x, 9, 15)
    assert tuple(SsimKernel().terms(x, y)) == pytest.approx(tuple(plain(x, y)), abs=1e-5)


def test_the_cut_into_tiles_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    x = natural(257, 263, 16)
    y = noisy(x, 9, 17)
    values = []
    for rows, columns in ((96, 544), (7, 31), (1000, 1000), (33, 263)):
        monkeypatch.setattr(ssim, "TILE_ROWS", rows)
        monkeypatch.setattr(ssim, "TILE_COLUMNS", columns)
        values.append(MultiScaleSsim().terms(x, y))
    for terms, multi_scale in values:
        assert tuple(terms) == pytest.approx(tuple(values[0][0]), abs=1e-7)
        assert multi_scale == pytest.approx(values[0][1], abs=1e-7)


def test_a_result_does_not_depend_on_earlier_calls() -> None:
    kernel = MultiScaleSsim()
    images = [natural(200 + 5 * n, 190, n) for n in range(3)]
    fresh = [MultiScaleSsim().terms(x, noisy(x, 5, 18)) for x in images]
    assert [kernel.terms(x, noisy(x, 5, 18)) for x in images] == fresh
    assert [kernel.terms(x, noisy(x, 5, 18)) for x in reversed(images)] == fresh[::-1]


def test_memory_layout_does_not_matter() -> None:
    # Multiples of 16, so that mirroring does not change which odd edge is dropped.
    x = natural(192, 224, 19)
    y = noisy(x, 9, 20)
    expected = MultiScaleSsim().terms(x, y)
    wide = np.zeros((192, 230, 3), np.uint8)
    wide[:, :224, 1] = x
    assert MultiScaleSsim().terms(wide[:, :224, 1], y) == expected
    assert MultiScaleSsim().terms(np.asfortranarray(x), y) == expected
    mirrored = MultiScaleSsim().terms(x[:, ::-1], y[:, ::-1])
    assert tuple(mirrored[0]) == pytest.approx(tuple(expected[0]), abs=1e-7)
    assert mirrored[1] == pytest.approx(expected[1], abs=1e-7)


def test_pyramid_is_exact_and_drops_the_odd_edge() -> None:
    x = natural(177, 203, 21)
    scales = Pyramid((177, 203)).scales(x)
    assert [s.shape for s in scales] == [(177, 203), (88, 101), (44, 50), (22, 25), (11, 12)]
    expected = x.astype(np.float64)
    for scale in scales[1:]:
        expected = halved(expected)
        np.testing.assert_array_equal(scale, expected)


def test_what_is_too_small_or_unequal_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 11x11 samples; got 10x50"):
        SsimKernel().terms(np.zeros((50, 10), np.uint8), np.zeros((50, 10), np.uint8))
    with pytest.raises(UsageError, match="got 20x30 and 30x20"):
        SsimKernel().terms(np.zeros((30, 20), np.uint8), np.zeros((20, 30), np.uint8))
    assert smallest_side() == 176
    x = natural(176, 176, 22)
    assert 0 < MultiScaleSsim().terms(x, noisy(x, 5, 23))[1] < 1
    with pytest.raises(UsageError):
        MultiScaleSsim().terms(x[:175], x[:175])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(11, 60), st.integers(11, 60), st.sampled_from([2, 30, 256]))
def test_symmetric_and_in_range(seed: int, height: int, width: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, levels, (height, width), dtype=np.uint8) for _ in range(2))
    one, other = SsimKernel().terms(x, y), SsimKernel().terms(y, x)
    assert tuple(one) == pytest.approx(tuple(other), abs=1e-6)
    assert -1 <= one.similarity <= 1
    assert -1 <= one.contrast <= 1
