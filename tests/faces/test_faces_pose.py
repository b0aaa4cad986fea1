"""Head rotation: angles, their signs, and the fit to the face mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from thbench.faces import head_pose_degrees, rotation_from_degrees, rotation_of
from thbench.faces.pose import CANONICAL_PLACES, CANONICAL_VERTICES, CANONICAL_WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

angle = st.floats(-179, 179)
angles = st.tuples(angle, st.floats(-89, 89), angle)


def mesh_of(
    rotation: NDArray[np.float64], scale: float = 12.0, shift: tuple[float, float, float] = (300, 200, 5)
) -> NDArray[np.float32]:
    """Points of a canonical head in this rotation, as `Face.points`; vertices outside the fit are NaN."""
    points = np.full((478, 3), np.nan)
    points[CANONICAL_VERTICES] = CANONICAL_PLACES @ rotation.T * (1, -1, -1) * scale + shift
    return points.astype(np.float32)


@given(angles)
def test_angles_round_trip(given_angles: tuple[float, float, float]) -> None:
    rotation = rotation_from_degrees(given_angles)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(head_pose_degrees(rotation), given_angles, atol=1e-6)


@given(angles)
def test_angles_are_those_of_the_stated_order(given_angles: tuple[float, float, float]) -> None:
    yaw, pitch, roll = given_angles
    scipy = Rotation.from_euler("YXZ", (yaw, -pitch, roll), degrees=True).as_matrix()
    np.testing.assert_allclose(rotation_from_degrees(given_angles), scipy, atol=1e-12)


def test_signs() -> None:
    nose, crown = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (rotation_from_degrees((20, 0, 0)) @ nose)[0] > 0  # towards the right edge of the image
    assert (rotation_from_degrees((0, 20, 0)) @ nose)[1] > 0  # up
    assert (rotation_from_degrees((0, 0, 20)) @ crown)[0] < 0  # top of the head towards the left edge
    np.testing.assert_array_equal(head_pose_degrees(np.eye(3)), [0, 0, 0])


@given(angles)
def test_mirroring_flips_yaw_and_roll(given_angles: tuple[float, float, float]) -> None:
    mirror = np.diag([-1.0, 1, 1])
    mirrored = mirror @ rotation_from_degrees(given_angles) @ mirror
    np.testing.assert_allclose(head_pose_degrees(mirrored), np.array(given_angles) * (-1, 1, -1), atol=1e-6)


def test_many_rotations_at_once() -> None:
    many = np.array([[(10, 20, 30), (-10, 0, 5)], [(0, 0, 0), (80, -70, 179)]], dtype=float)
    rotations = rotation_from_degrees(many)
    assert rotations.shape == (2, 2, 3, 3)
    np.testing.assert_allclose(head_pose_degrees(rotations), many, atol=1e-9)


@given(angles, st.floats(0.5, 100), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_fit_recovers_a_rotated_head_anywhere_in_the_frame(
    given_angles: tuple[float, float, float], scale: float, x: float, y: float
) -> None:
    rotation = rotation_from_degrees(given_angles)
    fitted = rotation_of(mesh_of(rotation, scale, (x, y, 0)))
    np.testing.assert_allclose(fitted, rotation, atol=2e-3)  # float32 points, far from the origin
    np.testing.assert_allclose(fitted @ fitted.T, np.eye(3), atol=1e-12)


def test_fit_of_a_flat_or_inverted_mesh_is_still_a_rotation() -> None:
    mesh = mesh_of(np.eye(3))
    for depth in (0.0, -1.0):
        fitted = rotation_of(mesh * np.array([1, 1, depth], dtype=np.float32))
        np.testing.assert_allclose(fitted @ fitted.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(fitted) == pytest.approx(1)


def test_model_and_weights_are_those_of_the_weight_file(
    canonical: tuple[NDArray[np.float64], list[tuple[int, float]]],
) -> None:
    vertices, basis = canonical
    expected = dict(basis)
    assert sorted(CANONICAL_VERTICES) == sorted(expected)
    np.testing.assert_allclose(CANONICAL_PLACES, vertices[CANONICAL_VERTICES], atol=1e-6)
    np.testing.assert_allclose(CANONICAL_WEIGHTS, [expected[v] for v in CANONICAL_VERTICES], atol=1e-7)
