"""Adapters of the image and landmark metrics to their parity fixtures: published functions on given numbers."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thbench.metrics.image import CAP, channel_ssim, psnr, squared_error
from thbench.metrics.landmarks import FORMULAS, VELOCITY_FORMULA, distance
from thbench.metrics.ssim import MS_WEIGHTS, SKIMAGE, WANG, Pyramid, SsimKernel, weighted_product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.metrics.ssim import Plane
    from thbench.parity import Fixture

    Image = NDArray[np.uint8]
    """Shape (height, width, 3), RGB."""


def lmd(fixture: Fixture) -> Mapping[str, Any]:
    """Landmark distances as EAT, ATVGnet, ViCo and talking-head-metrics define them, and the forms between."""
    given = {name: np.asarray(values, np.float64) for name, values in fixture.inputs.items()}
    still = given["face"] + given["shift"]
    real = np.round(still + given["real_move"])
    fake = np.round(still + given["fake_shift"] + 0.6 * given["real_move"] + 0.5 * given["fake_move"])
    by_frame = {name: distance(formula, fake, real) for name, formula in FORMULAS.items()}
    steps = distance(VELOCITY_FORMULA, np.diff(fake, axis=0), np.diff(real, axis=0))
    names = {
        "eat.m_lmd": "m-lmd/eat",
        "eat.f_lmd": "f-lmd/eat",
        "atvgnet.lmd": "m-lmd/atvgnet",
        "vico.lip_lmd": "m-lmd/vico",
        "thm.f_lmd": "f-lmd/thm",
        "thm.m_lmd": "m-lmd/thm68",
        "plain.m_lmd": "m-lmd/plain",
        "centred.m_lmd": "m-lmd/centred",
        "interocular.m_lmd": "m-lmd/interocular",
        "akd.mean_abs": "akd/mediapipe68",
    }
    return {
        **{output: by_frame[name].mean(keepdims=True) for output, name in names.items()},
        "per_frame.centred.m_lmd": by_frame["m-lmd/centred"],
        "eat.m_lvd": np.array([steps.sum() / (len(steps) + 1)]),
    }


def ssim_psnr(fixture: Fixture) -> Mapping[str, Any]:
    """SSIM, MS-SSIM and PSNR as scikit-image, torchmetrics and common_metrics define them."""
    pairs = list(zip(*images(fixture), strict=True))
    wang, skimage = SsimKernel(WANG), SsimKernel(SKIMAGE)
    rgb = np.array([channel_ssim(wang, a, b) for a, b in pairs])
    errors = np.array([squared_error(a, b) / a.size for a, b in pairs])
    decibels = np.array([psnr(error) for error in errors])
    return {
        **dict.fromkeys(("skimage.wang_rgb", "common_metrics.ssim", "wang_valid_rgb"), rgb),
        "skimage.default_rgb": np.array([channel_ssim(skimage, a, b) for a, b in pairs]),
        "skimage.wang_gray": np.array([wang.terms(_gray(a), _gray(b)).similarity for a, b in pairs]),
        "torchmetrics.ssim": np.array([channel_ssim(wang, reflected(a), reflected(b)) for a, b in pairs]),
        "torchmetrics.ms_ssim_padded20": np.array(
            [torchmetrics_ms_ssim(wang, reflected(a, 20), reflected(b, 20)) for a, b in pairs]
        ),
        **dict.fromkeys(("skimage.psnr", "torchmetrics.psnr"), decibels),
        "torchmetrics.psnr_pooled": np.array([psnr(errors.mean())]),
        "common_metrics.psnr": np.minimum(decibels, CAP),
        "common_metrics.psnr_equal": np.minimum([psnr(0.0)], CAP),
    }


def images(fixture: Fixture) -> tuple[Image, Image]:
    """Build the two stacks of images of the fixture, shape (images, height, width, 3) each."""
    a, b, noise_a, noise_b = (fixture.inputs[name].astype(np.float64) for name in ("a", "b", "an", "bn"))
    share = fixture.shares("image_b", (0, 0.15, 0.5, 1)).reshape(-1, 1, 1, 1)
    first, second = (
        np.clip(np.floor(stack), 0, 255).astype(np.uint8)
        for stack in (a + noise_a, (1 - share) * a + share * b + noise_b)
    )
    return first, second


def reflected(image: NDArray[Any], pixels: int = WANG.size // 2) -> NDArray[Any]:
    """Extend an image by its mirror image on each side, the edge itself not repeated.

    SSIM over the valid windows of an image extended by half a window is torchmetrics' SSIM.
    """
    return np.asarray(cv2.copyMakeBorder(image, pixels, pixels, pixels, pixels, cv2.BORDER_REFLECT_101))


def torchmetrics_ms_ssim(kernel: SsimKernel, x: Image, y: Image) -> float:
    """MS-SSIM of RGB images as torchmetrics 1.9 computes it with `normalize="relu"`.

    Its contrast is the mean over valid windows, as ours; its similarity at the coarsest scale is the mean over all
    windows of the mirrored plane.
    """
    scales = [list(zip(*(_scales(image[..., c]) for image in (x, y)), strict=True)) for c in range(x.shape[2])]
    contrasts = [fmean(kernel.contrast(*channel[n]) for channel in scales) for n in range(len(MS_WEIGHTS) - 1)]
    similarity = fmean(kernel.terms(*map(reflected, channel[-1])).similarity for channel in scales)
    return weighted_product([*contrasts, similarity])


def _scales(plane: NDArray[np.uint8]) -> list[Plane]:
    return Pyramid((plane.shape[0], plane.shape[1])).scales(np.ascontiguousarray(plane))


def _gray(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
