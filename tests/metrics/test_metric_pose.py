"""Head-pose metrics."""

from __future__ import annotations

import numpy as np
import pytest
from motion_helpers import evaluate, make_face
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from thbench.faces.face import Face
from thbench.faces.pose import rotation_from_degrees
from thbench.metrics.observer import Missing
from thbench.metrics.pose import (
    PoseObserver,
    axis_angle_variance,
    geodesic_degrees,
    head_motion_theval,
    hopenet_degrees,
    hopenet_logit_diversity,
    mean_jerk,
    mean_rotation_speed,
    mean_step,
    pose_error,
    temporal_std,
)
from thbench.metrics.specs_motion import POSE_METRICS

NAMES = {spec.name for spec in POSE_METRICS}
ALONE = {name for name in NAMES if not name.startswith("apd/")}
FPS = 25.0


def turning(yaw: NDArray[np.float64]) -> NDArray[np.float64]:
    return rotation_from_degrees(np.column_stack([yaw, np.zeros(len(yaw)), np.zeros(len(yaw))]))


def heads(degrees: NDArray[np.float64]) -> list[Face]:
    return [make_face(degrees=row) for row in degrees]


def sway(amplitude: float, frequency: float = 0.5, seconds: int = 20) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * FPS)) / FPS)


def test_geodesic_angle_agrees_with_scipy_and_is_precise_when_small() -> None:
    rng = np.random.default_rng(0)
    a, b = Rotation.random(50, random_state=rng), Rotation.random(50, random_state=rng)
    found = geodesic_degrees(a.as_matrix(), b.as_matrix())
    np.testing.assert_allclose(found, np.degrees((a * b.inv()).magnitude()), atol=1e-6)
    assert geodesic_degrees(turning(np.array([10.0])), turning(np.array([10 + 1e-7])))[0] == pytest.approx(
        1e-7, rel=1e-4
    )


def test_a_constant_yaw_offset_costs_a_third_of_it_and_its_full_angle() -> None:
    yaw = sway(20)
    error = pose_error(turning(yaw + np.degrees(0.1)), turning(yaw))
    assert np.radians(error.angles) == pytest.approx(0.1 / 3)
    assert np.radians(error.geodesic) == pytest.approx(0.1)


def test_differences_are_taken_the_short_way_round() -> None:
    error = pose_error(turning(np.array([179.0])), turning(np.array([-179.0])))
    assert error.angles == pytest.approx(2 / 3)
    assert error.geodesic == pytest.approx(2)


def test_frames_that_one_side_lacks_are_left_out() -> None:
    ours, theirs = turning(np.array([0.0, 5.0, 9.0])), turning(np.array([3.0, 5.0, 0.0]))
    ours[2], theirs[0] = np.nan, np.nan
    assert pose_error(ours, theirs).geodesic == 0
    ours[1] = np.nan
    assert np.isnan(pose_error(ours, theirs)).all()


def test_identical_videos_have_no_error_and_a_still_head_no_motion() -> None:
    faces = heads(np.column_stack([sway(10), sway(3), sway(1)]))
    values = evaluate(PoseObserver, NAMES, faces, reference=faces)
    assert {values[name] for name in NAMES - ALONE} == {0.0}
    still = evaluate(PoseObserver, NAMES, [make_face()] * 50, reference=[make_face()] * 50)
    assert set(still.values()) == {0.0}


def test_a_sinusoidal_yaw_has_the_known_statistics() -> None:
    amplitude, frequency = 12.0, 0.5
    values = evaluate(PoseObserver, ALONE, heads(np.column_stack([sway(amplitude), *[np.zeros(500)] * 2])), fps=FPS)
    omega = 2 * np.pi * frequency
    assert values["pose-div/yaw-deg"] == pytest.approx(amplitude / 2**0.5)
    assert values["pose-div/deg"] == pytest.approx(amplitude / 2**0.5 / 3)
    assert values["pose-div/pitch-deg"] == pytest.approx(0, abs=1e-9)
    assert values["pose-div/3dxtalker"] == pytest.approx(np.radians(amplitude) ** 2 / 2 / 3)
    # Four amplitudes in each period; sampled, the turning points lose a little.
    assert values["pose-intensity"] == pytest.approx(4 * amplitude * frequency, rel=0.01)
    assert values["pose-jerk"] == pytest.approx(amplitude * omega**3 * 2 / np.pi / 3, rel=0.01)


@pytest.mark.parametrize("fps", [25.0, 50.0])
def test_rates_do_not_depend_on_the_frame_rate(fps: float) -> None:
    times = np.arange(round(20 * fps)) / fps
    angles = np.column_stack([10 * np.sin(2 * np.pi * 0.4 * times), *[np.zeros(len(times))] * 2])
    assert mean_rotation_speed(rotation_from_degrees(angles), fps) == pytest.approx(16, rel=5e-3)
    assert mean_jerk(angles, fps) == pytest.approx(10 * (2 * np.pi * 0.4) ** 3 * 2 / np.pi / 3, rel=5e-3)


def test_a_turn_through_180_degrees_is_no_jump() -> None:
    values = evaluate(PoseObserver, ALONE, heads(np.column_stack([np.linspace(170, 190, 21), *[np.zeros(21)] * 2])))
    assert values["pose-div/yaw-deg"] == pytest.approx(np.std(np.arange(21.0)))
    assert values["pose-jerk"] == pytest.approx(0, abs=1e-6)


def test_short_gaps_are_bridged_and_no_step_reaches_across_long_ones() -> None:
    yaw = np.concatenate([np.arange(0, 30.0), np.arange(100, 130.0)])
    faces: list[Face | None] = list(heads(np.column_stack([yaw, *[np.zeros(60)] * 2])))
    faces[10:14] = [None] * 4
    faces[27:33] = [None] * 6
    values = evaluate(PoseObserver, ALONE, faces, fps=FPS)
    assert values["pose-intensity"] == pytest.approx(1.0 * FPS)
    assert values["pose-jerk"] == pytest.approx(0, abs=1e-6)
    kept = np.concatenate([yaw[:27], yaw[33:]])
    assert values["pose-div/yaw-deg"] == pytest.approx(kept.std())


def test_theval_mixes_degrees_and_pixels_as_written() -> None:
    rng = np.random.default_rng(1)
    angles, centres = rng.normal(size=(80, 3)) * 5, rng.normal(size=(80, 2)) * 3
    expected = np.sqrt(angles.std(0).mean() * np.diff(angles, axis=0).var(0).mean() + centres.var(0).mean())
    assert head_motion_theval(angles, centres) == pytest.approx(expected)
    shaking = [make_face(at=3.0 * (index % 2)) for index in range(40)]
    assert evaluate(PoseObserver, {"head-motion/theval"}, shaking)["head-motion/theval"] == pytest.approx(1.5)


def test_axis_angle_variance_and_steps_on_known_tracks() -> None:
    vectors = np.random.default_rng(2).normal(size=(60, 3)) * 0.2
    assert axis_angle_variance(Rotation.from_rotvec(vectors).as_matrix()) == pytest.approx(vectors.var(0).mean())
    assert np.isnan(axis_angle_variance(np.eye(3)[None]))
    assert mean_step(np.array([[0.0, 1.0], [2.0, 1.0], [np.nan, np.nan], [0.0, 0.0]])) == pytest.approx(1.0)
    assert np.isnan(temporal_std(np.array([[1.0, 2.0]]))).all()


def test_white_noise_logits_have_their_own_standard_deviation_as_diversity() -> None:
    logits = np.random.default_rng(3).normal(size=(200, 3, 66)) * 0.7
    np.testing.assert_allclose(hopenet_logit_diversity(logits), 0.7, rtol=0.02)
    longer = np.concatenate([logits, logits * 100])
    np.testing.assert_array_equal(hopenet_logit_diversity(longer), hopenet_logit_diversity(logits))
    assert (hopenet_logit_diversity(longer, None) > 10).all()


def test_hopenet_degrees_are_the_expectation_over_bins() -> None:
    sure = np.full((4, 66), -1000.0)
    sure[range(4), [0, 33, 43, 65]] = 1000.0
    np.testing.assert_allclose(hopenet_degrees(sure), [-99, 0, 30, 96])
    assert hopenet_degrees(np.zeros(66)) == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("faces", "reference", "expected"),
    [
        ([None] * 9, None, {"pose-div/deg": "no face in any frame", "apd/geodesic-deg": "no face in any frame"}),
        ([make_face()], None, {"pose-div/deg": "needs 2", "pose-intensity": "needs 2", "pose-jerk": "needs 4"}),
        ([make_face(), None, None, None, None, None, None, make_face()], None, {"pose-intensity": "needs 2"}),
        ([make_face()] * 3, None, {"pose-jerk": "needs 4", "apd/mediapipe-deg": "no frame in which both"}),
        ([make_face()] * 2, [None], {"apd/mediapipe-rad": "no frame in which both", "head-motion/theval": "needs 3"}),
    ],
)
def test_degenerate_tracks_have_reasons(
    faces: list[Face | None], reference: list[Face | None] | None, expected: dict[str, str]
) -> None:
    values = evaluate(PoseObserver, NAMES, faces, reference=reference)
    for name, reason in expected.items():
        value = values[name]
        assert isinstance(value, Missing)
        assert reason in value.reason


def test_without_a_reference_the_error_says_so() -> None:
    values = evaluate(PoseObserver, {"apd/geodesic-deg"}, [make_face()] * 3)
    assert values["apd/geodesic-deg"] == Missing("no frame in which both videos show a face")
    values = evaluate(PoseObserver, {"apd/geodesic-deg"}, [make_face()] * 3, has_reference=False)
    assert values["apd/geodesic-deg"] == Missing("no reference video")


def test_a_head_that_stands_still_has_no_diversity_at_all() -> None:
    assert (temporal_std(np.full((97, 3), 12.3456789)) == 0).all()
