"""Adapters of the image, landmark and alignment functions: fixture to outputs by name."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from thbench.faces.alignment import ARCFACE_TEMPLATE, arcface_matrix
from thbench.faces.geometry import to_uint8, warp
from thbench.metrics.image import CAP, channel_ssim, psnr, squared_error
from thbench.metrics.landmarks import FORMULAS, VELOCITY_FORMULA, Formula, distance
from thbench.metrics.ssim import SKIMAGE, WANG, Pyramid, SsimKernel, weighted_product

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


def arcface_align(fixture: Fixture) -> Outputs:
    """`metrics.arcface_align`: similarities onto the template and aligned crops."""
    image, size = fixture.inputs["image"], int(fixture.config["image_size"])
    landmarks = _landmarks(fixture.inputs["pose"], fixture.inputs["jitter"])
    matrices = np.stack([arcface_matrix(points, size) for points in landmarks])
    exact = np.stack([warp(image, matrix, (size, size)) for matrix in matrices])
    return {
        "landmarks": landmarks,
        "matrices": matrices,
        "matrices_128": np.stack([arcface_matrix(points, 128) for points in landmarks]),
        "matrix_swapped_eyes": arcface_matrix(landmarks[0][[1, 0, 2, 4, 3]], size),
        "warped_exact": exact,
        "warped": to_uint8(exact),
        "warped_256": to_uint8(warp(image, arcface_matrix(landmarks[0], 256), (256, 256))),
    }


def _landmarks(pose: NDArray[Any], jitter: NDArray[Any]) -> NDArray[np.float32]:
    """Return the template scaled, turned, moved and disturbed, one set of five points for each row of `pose`."""
    scale, turn, right, down = pose.astype(np.float64).T
    angle = 1.6 * (turn - 0.5)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    points = (0.6 + 1.6 * scale)[:, None, None] * (ARCFACE_TEMPLATE - 56) @ rotation
    shift = np.stack((70 + 90 * right, 70 + 90 * down), axis=1)
    return np.asarray(points + shift[:, None] + jitter, dtype=np.float32)


def lmd(fixture: Fixture) -> Outputs:
    """`metrics.lmd`: the landmark distances of several repositories on 20 frames of 68 points."""
    x = {name: array.astype(np.float64) for name, array in fixture.inputs.items()}
    base = x["face"] + x["shift"]
    real = np.round(base + x["real_move"])
    fake = np.round(base + x["fake_shift"] + 0.6 * x["real_move"] + 0.5 * x["fake_move"])

    def mean(formula: Formula) -> list[float]:
        return [float(distance(formula, fake, real).mean())]

    steps = distance(VELOCITY_FORMULA, np.diff(fake, axis=0), np.diff(real, axis=0))
    centred = distance(FORMULAS["m-lmd/centred"], fake, real)
    return {
        "eat.m_lmd": mean(FORMULAS["m-lmd/eat"]),
        "eat.f_lmd": mean(FORMULAS["f-lmd/eat"]),
        "eat.m_lvd": [float(steps.sum() / len(real))],
        "atvgnet.lmd": mean(FORMULAS["m-lmd/atvgnet"]),
        "vico.lip_lmd": mean(FORMULAS["m-lmd/vico"]),
        "thm.f_lmd": mean(FORMULAS["f-lmd/thm"]),
        "thm.m_lmd": mean(FORMULAS["m-lmd/thm68"]),
        "plain.m_lmd": mean(FORMULAS["m-lmd/plain"]),
        "centred.m_lmd": [float(centred.mean())],
        "per_frame.centred.m_lmd": centred,
        "interocular.m_lmd": mean(FORMULAS["m-lmd/interocular"]),
        "akd.mean_abs": mean(FORMULAS["akd/mediapipe68"]),
    }


def ssim_psnr(fixture: Fixture) -> Outputs:
    """`metrics.ssim_psnr`: SSIM, MS-SSIM and PSNR of pairs of images, as three packages have them."""
    first, second = _pairs(fixture.inputs)
    pairs = list(zip(first, second, strict=True))
    wang = [channel_ssim(SsimKernel(WANG), a, b) for a, b in pairs]
    mirrored = [(_mirrored(a, WANG.size // 2), _mirrored(b, WANG.size // 2)) for a, b in pairs]
    errors = np.array([squared_error(a, b) / a.size for a, b in pairs])
    ratios = [psnr(error) for error in errors]
    grey = [tuple(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pair) for pair in pairs]
    return {
        "skimage.wang_rgb": wang,
        "wang_valid_rgb": wang,
        "common_metrics.ssim": wang,
        "skimage.default_rgb": [channel_ssim(SsimKernel(SKIMAGE), a, b) for a, b in pairs],
        "skimage.wang_gray": [SsimKernel(WANG).terms(*pair).similarity for pair in grey],
        "torchmetrics.ssim": [channel_ssim(SsimKernel(WANG), a, b) for a, b in mirrored],
        "torchmetrics.ms_ssim_padded20": [_ms_ssim(_mirrored(a, 20), _mirrored(b, 20)) for a, b in pairs],
        "skimage.psnr": ratios,
        "torchmetrics.psnr": ratios,
        "torchmetrics.psnr_pooled": [psnr(float(errors.mean()))],
        "common_metrics.psnr": [min(ratio, CAP) for ratio in ratios],
        "common_metrics.psnr_equal": [min(psnr(0.0), CAP)],
    }


def _pairs(inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return pairs that grow apart: the share of another image in the second is 0, 0.15, 0.5 and 1 over the batch."""
    x = {name: array.astype(np.float64) for name, array in inputs.items()}
    share = np.array([0, 0.15, 0.5, 1])[:, None, None, None]
    first = x["a"] + x["an"]
    second = (1 - share) * x["a"] + share * x["b"] + x["bn"]
    return tuple(np.clip(np.floor(image), 0, 255).astype(np.uint8) for image in (first, second))  # type: ignore[return-value]


def _mirrored(image: NDArray[np.uint8], border: int) -> NDArray[np.uint8]:
    return np.pad(image, ((border, border), (border, border), (0, 0)), mode="reflect")


def _ms_ssim(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return MS-SSIM as torchmetrics has it: means over colours before the product, the last scale with its border."""
    kernel = SsimKernel(WANG)
    factors: list[list[float]] = []
    for channel in range(first.shape[2]):
        planes = [np.ascontiguousarray(image[..., channel]) for image in (first, second)]
        scales = [Pyramid(plane.shape).scales(plane) for plane in planes]
        last = [np.pad(np.asarray(plane[-1], np.float32), WANG.size // 2, mode="reflect") for plane in scales]
        finer = zip(scales[0][:-1], scales[1][:-1], strict=True)
        factors.append([kernel.contrast(a, b) for a, b in finer] + [kernel.terms(last[0], last[1]).similarity])
    return weighted_product([fmean(scale) for scale in zip(*factors, strict=True)])
