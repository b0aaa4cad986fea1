"""The published crops against the numbers and rules of their publishers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import medfilt

from thbench.errors import UsageError
from thbench.faces import (
    ARCFACE_TEMPLATE,
    MESH_OF_68,
    Face,
    SyncNetPlace,
    arcface_crop,
    arcface_matrix,
    ffhq_crop,
    ffhq_quad,
    five_points,
    smooth_track,
    syncnet_crop,
)
from thbench.faces.geometry import to_uint8, warp

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def face_at(five: NDArray[np.float64]) -> Face:
    """A face whose `five_points` are these: each eye contour is one point."""
    points = np.zeros((478, 3), dtype=np.float32)
    for index, place in (
        *((i, five[0]) for i in range(36, 42)),
        *((i, five[1]) for i in range(42, 48)),
        (30, five[2]),
        (48, five[3]),
        (54, five[4]),
    ):
        points[MESH_OF_68[index], :2] = place
    return Face(points, np.zeros(52, dtype=np.float32), np.eye(3))


def test_arcface_agrees_with_insightface(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(shared / "parity"))
    import fixture

    case = fixture.load(shared / "parity" / "metrics.arcface_align")
    image, landmarks = case.inputs["image"], case.expected["landmarks"].astype(np.float64)
    matrices = [arcface_matrix(points) for points in landmarks]
    exact = [warp(image, matrix, (112, 112)) for matrix in matrices]
    outputs = {
        "landmarks": landmarks,
        "matrices": np.stack(matrices),
        "matrices_128": np.stack([arcface_matrix(points, 128) for points in landmarks]),
        "matrix_swapped_eyes": arcface_matrix(landmarks[0][[1, 0, 2, 4, 3]]),
        "warped_exact": np.stack(exact),
        "warped": to_uint8(np.stack(exact)),
        "warped_256": to_uint8(warp(image, arcface_matrix(landmarks[0], 256), (256, 256))),
    }
    agreements = case.compare(outputs)
    assert set(agreements) == set(outputs)
    assert all(agreement.passed for agreement in agreements.values()), agreements
    for name in ("fixture", "recipe"):
        sys.modules.pop(name, None)


def test_arcface_crop_of_a_face_in_place_is_the_frame() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    # Half a pixel: `Face.points` count from the edge, the template from the centre of the first pixel.
    face = face_at(ARCFACE_TEMPLATE + 0.5)
    np.testing.assert_allclose(five_points(face.points), ARCFACE_TEMPLATE + 0.5, atol=1e-4)
    assert np.abs(arcface_crop(frame, face).astype(int) - frame).max() <= 1
    assert arcface_crop(frame, face, 256).shape == (256, 256, 3)


@pytest.mark.parametrize("size", [0, -112, 100, 113])
def test_arcface_size_is_a_multiple(size: int) -> None:
    with pytest.raises(UsageError, match=f"multiple of 112 or 128, not {size}"):
        arcface_matrix(ARCFACE_TEMPLATE, size)


def joonson_crop(image: NDArray[np.uint8], s: float, x: float, y: float) -> NDArray[np.uint8]:
    """The rule as the repository applies it: pad the whole frame, then slice."""
    pad = int(s * 1.8)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=110)
    row, column = y + pad, x + pad
    part = padded[int(row - s) : int(row + s * 1.8), int(column - s * 1.4) : int(column + s * 1.4)]
    return np.asarray(cv2.resize(part, (224, 224)))


@given(s=st.floats(2, 60), x=st.floats(0, 79), y=st.floats(0, 59))
def test_syncnet_crop_is_joonsons(s: float, x: float, y: float) -> None:
    frame = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    np.testing.assert_array_equal(syncnet_crop(frame, SyncNetPlace(s, x, y)), joonson_crop(frame, s, x, y))


def test_syncnet_crop_beyond_the_frame_is_grey_and_empty_is_refused() -> None:
    frame = np.zeros((50, 50, 3), dtype=np.uint8)
    assert (syncnet_crop(frame, SyncNetPlace(5, 500, -300)) == 110).all()
    with pytest.raises(UsageError, match="empty"):
        syncnet_crop(frame, SyncNetPlace(0, 25, 25))


def boxes_of(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    corner = rng.uniform(50, 100, (n, 2))
    return np.concatenate([corner, corner + rng.uniform(40, 80, (n, 2))], axis=1)


@pytest.mark.filterwarnings("ignore:kernel_size exceeds")
@pytest.mark.parametrize("n", [7, 8, 13, 50])
def test_track_is_smoothed_as_by_scipy(n: int) -> None:
    boxes = boxes_of(np.random.default_rng(n), n)
    left, top, right, bottom = boxes.T
    got = np.array(smooth_track(boxes))
    np.testing.assert_allclose(got[:, 0], medfilt(np.maximum(right - left, bottom - top) / 2, 13))
    np.testing.assert_allclose(got[:, 1], medfilt((left + right) / 2, 13))
    np.testing.assert_allclose(got[:, 2], medfilt((top + bottom) / 2, 13))
    assert (got[:, 0] > 0).all()
    # The stated trap: the first value is the least of the first seven.
    assert got[0, 1] == ((left + right) / 2)[:7].min()


def test_gaps_in_a_track_are_bridged() -> None:
    ramp = np.arange(20.0)
    boxes = np.stack([ramp, ramp, ramp + 40, ramp + 60], axis=1)
    holed = boxes.copy()
    holed[[3, 4, 9]] = np.nan
    assert smooth_track(holed) == smooth_track(boxes)


def test_short_and_open_tracks_are_refused() -> None:
    boxes = boxes_of(np.random.default_rng(0), 10)
    with pytest.raises(UsageError, match="at least 7 frames, not 6"):
        smooth_track(boxes[:6])
    boxes[0] = np.nan
    with pytest.raises(UsageError, match="starts and ends"):
        smooth_track(boxes)
    with pytest.raises(UsageError, match="at least 7 frames, not 0"):
        smooth_track(np.empty((0, 4)))


def upright(width: float = 60, height: float = 70) -> NDArray[np.float64]:
    """68 points of which only eyes and mouth corners matter: eyes `width` apart at y = 100, mouth `height` below."""
    points = np.zeros((68, 2))
    points[36:42] = 150 - width / 2, 100
    points[42:48] = 150 + width / 2, 100
    points[48], points[54] = (150 - 20, 100 + height), (150 + 20, 100 + height)
    return points


@pytest.mark.parametrize(("width", "height"), [(60, 70), (90, 40)])
def test_ffhq_quad_of_an_upright_face(width: float, height: float) -> None:
    half = max(2 * width, 1.8 * height)
    centre = np.array([150, 100 + 0.1 * height])
    expected = centre + half * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    np.testing.assert_allclose(ffhq_quad(upright(width, height)), expected)


@given(angle=st.floats(-3, 3), scale=st.floats(0.1, 9), x=st.floats(-99, 99))
def test_ffhq_quad_moves_with_the_face(angle: float, scale: float, x: float) -> None:
    points = upright() + np.random.default_rng(0).normal(size=(68, 2)) * 3
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(ffhq_quad(points @ turn.T + x), ffhq_quad(points) @ turn.T + x, atol=1e-7)


def test_ffhq_crop_of_a_square_in_place_is_the_frame() -> None:
    quad = ffhq_quad(upright())
    side = int(quad[2, 0] - quad[0, 0])
    frame = np.random.default_rng(2).integers(0, 256, (side, side, 3), dtype=np.uint8)
    points = upright() - quad[0]
    np.testing.assert_array_equal(ffhq_crop(frame, points, side), frame)
    # Half the size: means of 2 x 2 pixels.
    means = frame.reshape(side // 2, 2, side // 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(ffhq_crop(frame, points, side // 2), to_uint8(means))


def test_ffhq_crop_mirrors_beyond_the_frame() -> None:
    quad = ffhq_quad(upright())
    frame = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    side = int(quad[2, 0] - quad[0, 0])
    crop = ffhq_crop(frame, upright() - quad[0] - 10, side)  # the crop starts ten pixels outside
    np.testing.assert_array_equal(crop[10:50, 10:50], frame)
    np.testing.assert_array_equal(crop[:10, 10:50], frame[1:11][::-1])
