"""The resizes of the FID and FVD tools: Pillow as oracle, analytic ramps, sizes, invariances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from thbench.backbones import resize

RESIZES = (resize.bilinear, resize.bilinear_antialias, resize.bicubic_antialias, resize.bilinear_tf1)
SHAPES = ((100, 80), (299, 299), (360, 512), (97, 640), (1080, 608))


def images(shape: tuple[int, int], count: int = 1) -> torch.Tensor:
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, (count, 3, *shape)).astype(np.float32))


@pytest.mark.parametrize("shape", SHAPES)
def test_bicubic_is_pillows(shape: tuple[int, int]) -> None:
    pillow = pytest.importorskip("PIL.Image")
    x = images(shape)
    ours = resize.bicubic_antialias(x, (299, 299))[0].numpy()
    for channel in range(3):
        image = pillow.fromarray(x[0, channel].numpy()).resize((299, 299), pillow.Resampling.BICUBIC)
        np.testing.assert_allclose(ours[channel], np.asarray(image).clip(0, 255), atol=2e-5)


@pytest.mark.parametrize("function", RESIZES)
def test_an_image_of_the_right_size_stays_as_it_is(function) -> None:  # type: ignore[no-untyped-def]
    x = images((60, 70))
    assert torch.equal(function(x, (60, 70)), x)


@pytest.mark.parametrize("function", RESIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_flat_image_stays_flat(function, shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    flat = torch.full((1, 3, *shape), 77.0)
    assert torch.allclose(function(flat, (299, 299)), torch.tensor(77.0), atol=1e-4)


@pytest.mark.parametrize("function", RESIZES)
def test_images_do_not_depend_on_their_batch_or_layout(function) -> None:  # type: ignore[no-untyped-def]
    x = images((100, 80), 3)
    whole = function(x, (60, 60))
    single = torch.cat([function(x[i : i + 1], (60, 60)) for i in range(3)])
    assert torch.allclose(whole, single, atol=1e-4)
    assert torch.allclose(function(x.to(memory_format=torch.channels_last), (60, 60)), whole, atol=1e-4)


def test_tf1_starts_at_the_first_pixel_and_bilinear_at_its_centre() -> None:
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert resize.bilinear_tf1(ramp, (8, 4))[0, 0, 0].tolist() == [0, 2, 4, 6]
    assert resize.bilinear(ramp, (8, 4))[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert resize.bilinear_tf1(ramp, (8, 16))[0, 0, 0].tolist() == [i / 2 for i in range(15)] + [7.0]


def test_only_antialias_averages_what_lies_between() -> None:
    stripes = torch.zeros(1, 1, 4, 64)
    stripes[..., ::8] = 80.0
    assert resize.bilinear(stripes, (4, 8)).max() == 0
    assert resize.bilinear_antialias(stripes, (4, 8)).mean() == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "wide"), [((240, 320), True), ((320, 240), False), ((100, 333), True), ((50, 50), True)]
)
def test_the_shorter_side_fits_and_the_centre_is_cut(shape: tuple[int, int], wide: bool) -> None:
    rows, columns = torch.meshgrid(torch.arange(float(shape[0])), torch.arange(float(shape[1])), indexing="ij")
    out = resize.shorter_side_then_crop(torch.stack((rows, columns))[None], 224)[0]
    assert out.shape == (2, 224, 224)
    centres = [(shape[0] - 1) / 2, (shape[1] - 1) / 2]
    step = min(shape) / 224
    assert [float(plane.mean()) for plane in out] == pytest.approx(centres, abs=step)
