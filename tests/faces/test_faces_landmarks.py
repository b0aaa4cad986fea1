"""Point orders, on the canonical face model inside the weight file."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from thbench.faces import BLENDSHAPES, MESH_OF_68, MIRROR_OF_68, face_box, five_points, landmarks68

# Mean of the 51 inner points over the 300-W training faces, unit square, y down; the mean shape in common use.
# fmt: off
MEAN_X = (
    0.000213256, 0.0752622, 0.18113, 0.29077, 0.393397, 0.586856, 0.689483, 0.799124, 0.904991, 0.98004,
    0.490127, 0.490127, 0.490127, 0.490127, 0.36688, 0.426036, 0.490127, 0.554217, 0.613373, 0.121737,
    0.187122, 0.265825, 0.334606, 0.260918, 0.182743, 0.645647, 0.714428, 0.793132, 0.858516, 0.79751,
    0.719335, 0.254149, 0.340985, 0.428858, 0.490127, 0.551395, 0.639268, 0.726104, 0.642159, 0.556721,
    0.490127, 0.423532, 0.338094, 0.290379, 0.428096, 0.490127, 0.552157, 0.689874, 0.553364, 0.490127,
    0.42689,
)
MEAN_Y = (
    0.106454, 0.038915, 0.0187482, 0.0344891, 0.0773906, 0.0773906, 0.0344891, 0.0187482, 0.038915, 0.106454,
    0.203352, 0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326, 0.216423,
    0.178758, 0.179852, 0.231733, 0.245099, 0.244077, 0.231733, 0.179852, 0.178758, 0.216423, 0.244077,
    0.245099, 0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405, 0.780233, 0.864805, 0.902192,
    0.909281, 0.902192, 0.864805, 0.784792, 0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803,
    0.824182,
)
# fmt: on

Canonical = tuple[NDArray[np.float64], list[tuple[int, float]]]


@pytest.fixture
def frontal(canonical: Canonical) -> NDArray[np.float32]:
    """The canonical face as `Face.points` would show it: image axes, ten pixels a centimetre."""
    vertices = canonical[0]
    mesh = np.concatenate([vertices, np.repeat(vertices[[133, 362]], 5, axis=0)])
    return (mesh * (10, -10, -10) + (200, 150, 0)).astype(np.float32)


def test_the_orders_are_complete() -> None:
    assert len(MESH_OF_68) == len(set(MESH_OF_68)) == 68
    assert max(MESH_OF_68) < 468
    assert sorted(MIRROR_OF_68) == list(range(68))
    assert [MIRROR_OF_68[i] for i in MIRROR_OF_68] == list(range(68))
    assert len(BLENDSHAPES) == len(set(BLENDSHAPES)) == 52


def test_left_and_right_mirror_each_other(canonical: Canonical) -> None:
    face = canonical[0][list(MESH_OF_68)]
    np.testing.assert_allclose(face[list(MIRROR_OF_68)] * (-1, 1, 1), face, atol=1e-6)


def test_inner_points_fit_the_mean_shape(frontal: NDArray[np.float32]) -> None:
    points = landmarks68(frontal)[17:].astype(float)
    mean = np.stack([MEAN_X, MEAN_Y], axis=1)
    system = np.concatenate([points, np.ones((51, 1))], axis=1)
    fitted = system @ np.linalg.lstsq(system, mean, rcond=None)[0]
    residual = np.linalg.norm(fitted - mean, axis=1)
    # Half the distance between neighbours of one contour, so that no two of them can have been swapped.
    assert residual.max() < 0.05
    nearest = np.linalg.norm(fitted[:, None] - mean[None], axis=2).argmin(axis=1)
    assert (nearest == np.arange(51)).mean() > 0.95


def test_jaw_runs_from_the_left_of_the_image_over_the_chin(frontal: NDArray[np.float32]) -> None:
    points = landmarks68(frontal)
    jaw = points[:17]
    np.testing.assert_array_less(0, np.diff(jaw[1:16, 0]))
    np.testing.assert_array_less(0, np.diff(jaw[:9, 1]))
    np.testing.assert_array_less(np.diff(jaw[8:, 1]), 0)
    eye_level = points[36:48, 1].mean()
    assert abs(jaw[0, 1] - eye_level) < 0.1 * (jaw[8, 1] - eye_level)


def test_jaw_points_are_the_nearest_to_equal_steps_along_the_oval(canonical: Canonical) -> None:
    half = [127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152]  # the mesh's oval from eye level to the chin
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(canonical[0][half], axis=0), axis=1))])
    wanted = np.linspace(0, way[-1], 9)
    assert [half[i] for i in np.abs(way[:, None] - wanted).argmin(axis=0)] == list(MESH_OF_68[:9])


def test_contours_turn_as_in_dlib(frontal: NDArray[np.float32]) -> None:
    points = landmarks68(frontal)
    for start, end in ((36, 42), (42, 48), (48, 60), (60, 68)):
        contour = points[start:end]
        x, y = contour.T
        # Clockwise on the screen (y down): positive signed area.
        assert np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
        assert contour[:, 0].argmin() == 0
        assert contour[:, 0].argmax() == len(contour) // 2
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) > 0).all()
    assert (np.diff(points[31:36, 0]) > 0).all()


def test_inner_lips_lie_within_the_outer(frontal: NDArray[np.float32]) -> None:
    points = landmarks68(frontal)
    outer, inner = points[48:60], points[60:68]
    assert (inner.min(axis=0) >= outer.min(axis=0)).all()
    assert (inner.max(axis=0) <= outer.max(axis=0)).all()
    assert inner[2, 1] >= outer[3, 1]
    assert inner[6, 1] <= outer[9, 1]


def test_five_points_are_eyes_nose_and_mouth_from_the_left(frontal: NDArray[np.float32]) -> None:
    five = five_points(frontal)
    left_eye, right_eye, nose, left_mouth, right_mouth = five
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    np.testing.assert_allclose(left_eye, landmarks68(frontal)[36:42].mean(axis=0), rtol=1e-6)


def test_several_faces_at_once(frontal: NDArray[np.float32]) -> None:
    both = np.stack([frontal, frontal + 7])
    np.testing.assert_array_equal(landmarks68(both)[1], landmarks68(frontal + 7))
    np.testing.assert_allclose(five_points(both)[1], five_points(frontal + 7))


def test_box_bounds_all_points(frontal: NDArray[np.float32]) -> None:
    left, top, right, bottom = face_box(frontal)
    np.testing.assert_allclose([left, right], [frontal[:, 0].min(), frontal[:, 0].max()])
    np.testing.assert_allclose([top, bottom], [frontal[:, 1].min(), frontal[:, 1].max()])
