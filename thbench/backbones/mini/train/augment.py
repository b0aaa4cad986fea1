"""Changes of pictures that a network must not mind: place, size, tilt, mirror, colour, blur, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from thbench.backbones.mini.places import Attitude, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far pictures are changed."""

    gain: float = 0.25
    """Largest change of brightness, as a share; colours change by half as much each."""
    mixing: float = 0.06
    """Standard deviation of the matrix that mixes colours."""
    offset: float = 18.0
    """Largest constant added to all colours, levels."""
    damage: float = 0.2
    """Probability of each of blur, small size, noise and compression."""


RANGES = Ranges()


def jittered(rng: np.random.Generator, attitude: Attitude, *, shift: float, size: float, tilt: float) -> Attitude:
    """Attitudes of several frames as somebody would see them who is not quite sure.

    Args:
        rng: Source of randomness.
        attitude: Arrays that begin with (frames,).
        shift: Standard deviation of the centroid, in spreads.
        size: Standard deviation of the logarithm of the spread.
        tilt: Standard deviation of the direction, degrees.
    """
    count = len(attitude.spread)
    turn = np.radians(rng.normal(0, tilt, count))
    cosine, sine = np.cos(turn), np.sin(turn)
    x, y = attitude.across.T
    return Attitude(
        attitude.centroid + rng.normal(0, shift, (count, 2)) * attitude.spread[:, None],
        attitude.spread * np.exp(rng.normal(0, size, count)),
        np.stack((cosine * x - sine * y, sine * x + cosine * y), axis=-1),
    )


def random_windows(rng: np.random.Generator, side: int, count: int) -> Place:
    """Windows onto a frame that show it smaller or larger, shifted and tilted."""
    turn = np.radians(rng.uniform(-10, 10, count))
    return Place(
        side * (0.5 + rng.uniform(-0.1, 0.1, (count, 2))),
        side * np.exp(rng.uniform(-0.2, 0.2, count)),
        np.stack((np.cos(turn), np.sin(turn)), axis=-1),
    )


def recolour(rng: np.random.Generator, frame: NDArray[np.uint8], ranges: Ranges = RANGES) -> NDArray[np.uint8]:
    """Change light and colours; the matrix mixes them slightly."""
    half = ranges.gain / 2
    gains = rng.uniform(1 - ranges.gain, 1 + ranges.gain) * rng.uniform(1 - half, 1 + half, 3)
    matrix = (np.eye(3) + rng.normal(0, ranges.mixing, (3, 3))) * gains[:, None]
    offset = np.full((3, 1), rng.uniform(-ranges.offset, ranges.offset))
    return np.asarray(cv2.transform(frame, np.concatenate((matrix, offset), axis=1)), np.uint8)


def damaged(rng: np.random.Generator, frame: NDArray[np.uint8], ranges: Ranges = RANGES) -> NDArray[np.uint8]:
    """Blur, shrink and enlarge, add noise, compress: each or none."""
    happens = rng.random(4) < ranges.damage
    if happens[0]:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), float(rng.exponential(0.7)) + 0.2), np.uint8)
    if happens[1]:
        share = float(rng.uniform(0.4, 0.9))
        shrunk = cv2.resize(frame, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        frame = np.asarray(cv2.resize(shrunk, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    if happens[2]:
        noise = rng.standard_normal(frame.shape, np.float32) * float(rng.uniform(1, 16))
        frame = np.clip(frame + noise, 0, 255).astype(np.uint8)
    if happens[3]:
        coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 85))])[1]
        frame = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return frame


def without_head(rng: np.random.Generator, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Spoil a frame (side, side, 3), side divisible by 8: torn, far too small or large, turned, or background."""
    side = frame.shape[0]
    kind = int(rng.integers(5))
    if kind == 0:
        return _torn(rng, frame, side // int(rng.choice((2, 4, 8))))
    if kind == 1:
        scale = float(np.exp(rng.choice((rng.uniform(-2, -1), rng.uniform(1, 1.6)))))
        matrix = np.column_stack((np.eye(2) * scale, np.full(2, side / 2 * (1 - scale))))
        return np.asarray(cv2.warpAffine(frame, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    if kind == 2:
        return np.ascontiguousarray(np.rot90(frame, int(rng.integers(1, 4))))
    if kind == 3:
        corner = frame[: side // 4, : side // 4] if rng.random() < 0.5 else frame[-side // 4 :, : side // 4]
        return np.asarray(cv2.resize(corner, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
    away = float(rng.choice((-1, 1)) * rng.uniform(0.6, 0.9)) * side
    matrix = np.array(((1.0, 0.0, away), (0.0, 1.0, float(rng.uniform(-0.2, 0.2)) * side)))
    return np.asarray(cv2.warpAffine(frame, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _torn(rng: np.random.Generator, frame: NDArray[np.uint8], cell: int) -> NDArray[np.uint8]:
    """Square cells of a frame in another order."""
    rows = frame.shape[0] // cell
    cells = frame.reshape(rows, cell, rows, cell, 3).swapaxes(1, 2).reshape(-1, cell, cell, 3)
    cells = rng.permutation(cells).reshape(rows, rows, cell, cell, 3)
    return np.ascontiguousarray(cells.swapaxes(1, 2).reshape(frame.shape))
