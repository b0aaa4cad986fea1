"""Crops by published rules: ArcFace, SyncNet, FFHQ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from thbench.errors import UsageError
from thbench.faces.geometry import sample, similarity, to_uint8, warp
from thbench.faces.landmarks import five_points

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from thbench.faces.face import Face

ARCFACE_TEMPLATE: NDArray[np.float64] = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Shape (5, 2): where `five_points` go in a 112-pixel crop; pixel indices (deepinsight/insightface, face_align.py)."""
ARCFACE_TEMPLATE.setflags(write=False)

SYNCNET_SIZE = 224
"""Side of the SyncNet crop in pixels."""
_SYNCNET_GREY = 110
_SYNCNET_MEDIAN = 13
_FROM_EDGE = 0.5
"""`Face.points` count from the frame's edge, the published rules from the centre of the first pixel."""
_FFHQ_ROWS = 64


class SyncNetPlace(NamedTuple):
    """Where the SyncNet crop of one frame lies."""

    s: float
    """Half the longer side of the face box, pixels."""
    x: float
    """Centre of the face box, column."""
    y: float
    """Centre of the face box, row."""


def arcface_matrix(points: ArrayLike, size: int = 112) -> NDArray[np.float64]:
    """Fit the similarity that aligns a face for ArcFace.

    Args:
        points: Shape (5, 2) in pixel indices: eye and eye, nose tip, mouth corner and mouth corner, image left first.
        size: Side of the crop: a multiple of 112 scales the template; a multiple of 128 also shifts it by 8 / 128 of
            the side to the right.

    Returns:
        Shape (2, 3): image point to crop point.

    Raises:
        UsageError: `size` is a multiple of neither.
    """
    if size <= 0 or (size % 112 and size % 128):
        raise UsageError(f"an ArcFace crop has a side that is a multiple of 112 or 128, not {size}")
    scale, shift = (size / 112, 0.0) if size % 112 == 0 else (size / 128, 8.0)
    return similarity(points, (ARCFACE_TEMPLATE + np.array([shift, 0.0])) * scale)


def arcface_crop(rgb: NDArray[np.uint8], face: Face, size: int = 112) -> NDArray[np.uint8]:
    """Align a face for ArcFace: least-squares similarity onto the template, exact bilinear, black outside the frame.

    Args:
        rgb: Shape (height, width, 3).
        face: The face in that frame.
        size: Side of the crop, see `arcface_matrix`.

    Returns:
        Shape (size, size, 3), RGB.
    """
    matrix = arcface_matrix(five_points(face.points) - _FROM_EDGE, size)
    return to_uint8(warp(rgb, matrix, (size, size)))


def smooth_track(boxes: ArrayLike) -> list[SyncNetPlace]:
    """Turn the face boxes of consecutive frames into SyncNet crop places, as joonson/syncnet_python does.

    Frames without a box between two with one are interpolated linearly; then half-size, column and row each pass a
    median filter of 13 frames with zeros beyond the ends, which pulls the six values at each end down (part of the
    rule).

    Args:
        boxes: Shape (n, 4), n >= 7: left, top, right, bottom in pixels, e.g. `face_box`; a row of NaN where there is
            none. The first and the last row are boxes.

    Returns:
        n places.

    Raises:
        UsageError: Fewer than 7 frames (the filter would give empty crops), or no box in the first or the last one.
    """
    track = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    needed = _SYNCNET_MEDIAN // 2 + 1
    if len(track) < needed:
        raise UsageError(f"a SyncNet track has at least {needed} frames, not {len(track)}; use a longer clip")
    known = ~np.isnan(track.sum(axis=1))
    if not (known[0] and known[-1]):
        raise UsageError("a SyncNet track starts and ends with a face box; leave out the frames before and after")
    frames = np.arange(len(track))
    left, top, right, bottom = (np.interp(frames, frames[known], track[known, side]) for side in range(4))
    half = np.maximum(right - left, bottom - top) / 2
    smooth = (_median_filter(values) for values in (half, (left + right) / 2, (top + bottom) / 2))
    return [SyncNetPlace(*map(float, place)) for place in zip(*smooth, strict=True)]


def syncnet_crop(rgb: NDArray[np.uint8], place: SyncNetPlace) -> NDArray[np.uint8]:
    """Cut the SyncNet crop of one frame, as joonson/syncnet_python does.

    A square of side 2.8 s whose centre lies 0.4 s below that of the face: rows from y - s to y + 1.8 s, columns x +-
    1.4 s, ends truncated to integers; grey 110 beyond the frame; resized bilinearly by OpenCV. The lossy encodings in
    between that the original also makes are left out.

    Args:
        rgb: Shape (height, width, 3).
        place: Where, from `smooth_track`.

    Returns:
        Shape (224, 224, 3), RGB (the network takes BGR).

    Raises:
        UsageError: The crop is empty.
    """
    s, x, y = place
    pad = int(1.8 * s)
    rows = int(y + pad - s) - pad, int(y + pad + 1.8 * s) - pad
    columns = int(x + pad - 1.4 * s) - pad, int(x + pad + 1.4 * s) - pad
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        raise UsageError(f"the SyncNet crop at {place} is empty; leave out frames without a face")
    window = np.full((rows[1] - rows[0], columns[1] - columns[0], 3), _SYNCNET_GREY, dtype=np.uint8)
    top, left = max(rows[0], 0), max(columns[0], 0)
    part = rgb[top : max(rows[1], 0), left : max(columns[1], 0)]
    window[top - rows[0] :, left - columns[0] :][: part.shape[0], : part.shape[1]] = part
    resized = cv2.resize(window, (SYNCNET_SIZE, SYNCNET_SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def ffhq_quad(points68: ArrayLike) -> NDArray[np.float64]:
    """Find the oriented square of the FFHQ alignment (NVlabs/ffhq-dataset, `recreate_aligned_images`).

    With e the vector from eye to eye, m that from the middle of the eyes to the middle of the mouth corners, and J the
    quarter turn: the half side is x = (e - J m) / |e - J m| * max(2 |e|, 1.8 |m|), and the centre lies 0.1 m below the
    middle of the eyes.

    Args:
        points68: Shape (68, 2), as `landmarks68`.

    Returns:
        Shape (4, 2), same unit: corners top left, bottom left, bottom right, top right.
    """
    p = np.asarray(points68, dtype=np.float64)
    eyes = p[36:42].mean(axis=0), p[42:48].mean(axis=0)
    middle = (eyes[0] + eyes[1]) / 2
    across = eyes[1] - eyes[0]
    down = (p[48] + p[54]) / 2 - middle
    half = across + np.array([down[1], -down[0]])
    half *= max(2 * np.hypot(*across), 1.8 * np.hypot(*down)) / np.hypot(*half)
    turned = np.array([-half[1], half[0]])
    centre = middle + 0.1 * down
    return np.stack([centre - half - turned, centre - half + turned, centre + half + turned, centre + half - turned])


def ffhq_crop(rgb: NDArray[np.uint8], points68: ArrayLike, size: int = 256) -> NDArray[np.uint8]:
    """Align a face as FFHQ does.

    The square is that of `ffhq_quad`. The resampling is our own: a square larger than the crop is sampled bilinearly
    on a grid k times as fine and averaged, k the ratio rounded up; beyond the frame the image is mirrored, without
    the blur that FFHQ adds there.

    Args:
        rgb: Shape (height, width, 3).
        points68: Shape (68, 2), as `landmarks68`.
        size: Side of the crop in pixels.

    Returns:
        Shape (size, size, 3), RGB.
    """
    corner, lower, _, right = ffhq_quad(points68) - _FROM_EDGE
    fine = max(1, int(np.ceil(np.hypot(*(right - corner)) / size)))
    grid = (np.arange(size * fine) + 0.5) / (size * fine)
    bands = (
        _sampled_band(rgb, corner, (right - corner, lower - corner), grid, rows, fine)
        for rows in _bands(grid, _FFHQ_ROWS * fine)
    )
    return to_uint8(np.concatenate(list(bands)))


def _sampled_band(
    rgb: NDArray[np.uint8],
    corner: NDArray[np.float64],
    sides: tuple[NDArray[np.float64], NDArray[np.float64]],
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    fine: int,
) -> NDArray[np.float64]:
    """Some rows of the crop; the whole fine grid at once would take much memory."""
    u, v = np.meshgrid(columns, rows)
    x, y = (corner[axis] + u * sides[0][axis] + v * sides[1][axis] for axis in (0, 1))
    band = sample(rgb, x, y, border="reflect").reshape(len(rows) // fine, fine, len(columns) // fine, fine, 3)
    return np.asarray(band.mean(axis=(1, 3)), dtype=np.float64)


def _bands(grid: NDArray[np.float64], rows: int) -> Iterable[NDArray[np.float64]]:
    return (grid[start : start + rows] for start in range(0, len(grid), rows))


def _median_filter(values: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.pad(values, _SYNCNET_MEDIAN // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SYNCNET_MEDIAN)
    return np.asarray(np.median(windows, axis=1), dtype=np.float64)
