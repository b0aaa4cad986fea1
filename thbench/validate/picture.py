"""Degradations of single frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.errors import UsageError
from thbench.validate.material import Video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from thbench.validate.material import Material

    Image = NDArray[np.uint8]
    """Shape (height, width, 3), RGB."""

SIDE = 256
"""Lengths in pixels are meant in a frame whose shorter side is this, and scaled to the frame at hand."""
CHROMA_TO_RGB = np.array((1.402, -0.714136 + 0.344136, -1.772))
"""What Cr + 1 and Cb - 1 add to R, G and B (ITU-R BT.601); luma stays."""


def pixels_of(length: float, frame: Image) -> float:
    """Pixels of this frame for a length in pixels of a frame of 256."""
    return float(length * min(frame.shape[:2]) / SIDE)


def blurred(frame: Image, sigma: float) -> Image:
    """Gaussian blur; `sigma` above 0 in pixels at 256."""
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), pixels_of(sigma, frame), borderType=cv2.BORDER_REFLECT))


def noised(frame: Image, deviation: float, random: np.random.Generator) -> Image:
    """White Gaussian noise; `deviation` in levels of 255."""
    noise = random.standard_normal(frame.shape, dtype=np.float32)
    return eight_bit(frame.astype(np.float32) + np.float32(deviation) * noise)


def compressed(frame: Image, loss: float) -> Image:
    """Baseline JPEG of quality 100 - `loss`.

    Raises:
        UsageError: `loss` is outside [0, 99].
    """
    if not 0 <= loss <= 99:
        raise UsageError(f"the JPEG loss is {loss:g}; it must be between 0 and 99")
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(100 - loss)]
    _, code = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), quality)
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1])


def tinted(frame: Image, levels: float) -> Image:
    """Redder and less blue at equal luma, except where a channel is at its limit; `levels` of Cr and Cb."""
    return eight_bit(frame.astype(np.float32) + (levels * CHROMA_TO_RGB).astype(np.float32))


def eight_bit(image: NDArray[np.floating]) -> Image:
    """Round to 0..255."""
    return np.asarray(np.rint(image).clip(0, 255), dtype=np.uint8)


def blur(material: Material, sigma: float) -> Video:
    """Every frame blurred."""
    return _each(material, lambda frame: blurred(frame, sigma))


def noise(material: Material, deviation: float) -> Video:
    """Noise, new in each frame."""
    random = np.random.default_rng([material.seed, 1])
    return _each(material, lambda frame: noised(frame, deviation, random))


def jpeg(material: Material, loss: float) -> Video:
    """Every frame compressed by itself."""
    return _each(material, lambda frame: compressed(frame, loss))


def colour(material: Material, levels: float) -> Video:
    """The same tint in every frame."""
    return _each(material, lambda frame: tinted(frame, levels))


def _each(material: Material, change: Callable[[Image], Image]) -> Video:
    frames: Iterable[Image] = (change(frame) for frame in material.frames)
    return Video(list(frames), material.audio)
