"""The head does what its names say, and lands where its truth says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synth_helpers import still

from thbench.data.synth_heads import topology as topo
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.model import make_geometry, make_model
from thbench.data.synth_heads.motion import landmarks_in_space, posed
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.raster import rasterise
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks
from thbench.faces.landmarks import BLENDSHAPES
from thbench.faces.pose import head_pose_degrees, rotation_of

UPPER, LOWER = list(topo.LIP_UPPER_INNER[1:-1]), list(topo.LIP_LOWER_INNER[1:-1])


@pytest.fixture(scope="module", params=(0, 5, 2_000_003))
def geometry(request):
    return make_geometry(make_person(request.param))


def lid_gap(points, upper, lower):
    return np.linalg.norm(points[upper[4]] - points[lower[4]])


def test_expression_names_are_those_of_the_detector_and_two_of_the_tongue():
    assert set(EXPRESSIONS) - set(BLENDSHAPES) == {"tongueOut", "tongueUp"}


def test_lips_are_closed_at_rest_and_part_with_the_jaw(geometry):
    rest = posed(geometry, still(), 0)
    assert (rest[UPPER, 1] - rest[LOWER, 1]).max() < 0
    wide = posed(geometry, still(jawOpen=0.6), 0)
    assert (wide[UPPER, 1] - wide[LOWER, 1]).max() > 0.8


def test_closing_the_mouth_undoes_the_jaw_at_the_lips(geometry):
    shut = posed(geometry, still(jawOpen=0.6, mouthClose=0.6), 0)
    assert (shut[UPPER, 1] - shut[LOWER, 1]).max() < 0.05
    assert shut[152, 1] < posed(geometry, still(), 0)[152, 1] - 0.5


def test_a_blink_closes_the_eye_of_its_side_only(geometry):
    rest, shut = posed(geometry, still(), 0), posed(geometry, still(eyeBlinkRight=1.0), 0)
    right, left = (topo.RIGHT_EYE_UPPER, topo.RIGHT_EYE_LOWER), (topo.LEFT_EYE_UPPER, topo.LEFT_EYE_LOWER)
    assert lid_gap(shut, *right) < 0.15 * lid_gap(rest, *right)
    assert lid_gap(shut, *left) == pytest.approx(lid_gap(rest, *left))


@pytest.mark.parametrize("closure", np.linspace(0, 1, 5))
def test_lids_never_sink_into_the_eyeball(geometry, closure):
    points = posed(geometry, still(eyeBlinkLeft=closure, eyeBlinkRight=closure), 0)
    for eye, lids in zip(geometry.eyeballs, geometry.lids, strict=True):
        distance = np.linalg.norm(points[lids.vertices] - eye.centre, axis=1)
        assert (distance >= lids.least - 1e-6).all()
        assert lids.least.min() > eye.radius


@pytest.mark.parametrize(
    ("name", "vertex", "axis", "sign"),
    [
        ("browInnerUp", 107, 1, 1),
        ("browDownRight", 107, 1, -1),
        ("mouthSmileRight", 61, 1, 1),
        ("mouthSmileLeft", 291, 0, 1),
        ("mouthFrownLeft", 291, 1, -1),
        ("mouthPucker", 61, 0, 1),
        ("mouthPucker", 0, 2, 1),
        ("mouthLeft", 0, 0, 1),
        ("jawRight", 152, 0, -1),
        ("mouthUpperUpLeft", 270, 1, 1),
        ("mouthLowerDownRight", 91, 1, -1),
        ("cheekPuff", 425, 0, 1),
        ("noseSneerLeft", 358, 1, 1),
        ("eyeLookDownRight", 159, 1, -1),
    ],
)
def test_expressions_move_their_part_in_their_direction(geometry, name, vertex, axis, sign):
    move = posed(geometry, still(**{name: 1.0}), 0)[vertex] - posed(geometry, still(), 0)[vertex]
    assert sign * move[axis] > 0.1


def test_pose_signs():
    geometry = make_geometry(make_person(1))
    camera = make_scene(0).camera

    def pixels(pose):
        return landmarks(geometry, still(pose=pose), camera, 256, 0)

    front = pixels((0, 0, 0))
    # Yaw > 0 turns the face towards the right edge, pitch > 0 lifts the nose, roll > 0 tips the top to the left edge.
    assert pixels((20, 0, 0))[1, 0] > front[1, 0] + 5
    assert pixels((0, 20, 0))[1, 1] < front[1, 1] - 5
    assert pixels((0, 0, 20))[10, 0] < front[10, 0] - 5


@pytest.mark.parametrize("pose", [(25.0, 0.0, 0.0), (0.0, -12.0, 0.0), (-10.0, 8.0, 15.0)])
def test_the_pose_fit_of_the_metrics_finds_the_pose_back(pose):
    geometry = make_geometry(make_person(4))
    camera = make_scene(1).camera
    found, rest = (
        head_pose_degrees(rotation_of(landmarks(geometry, still(pose=p), camera, 256, 0))) for p in (pose, (0, 0, 0))
    )
    # The person's own face is not the canonical one: a constant offset of the fit is not the pose's.
    assert np.allclose(found - rest, pose, atol=1.2)


def test_gaze_moves_the_iris_as_said(geometry):
    ahead = landmarks_in_space(geometry, still(), 0)
    aside = landmarks_in_space(geometry, still(gaze=(15.0, 10.0)), 0)
    for centre in (468, 473):
        assert aside[centre, 0] > ahead[centre, 0] + 0.2
        assert aside[centre, 1] > ahead[centre, 1] + 0.1
    assert ahead[468, 0] < 0 < ahead[473, 0]


def test_landmarks_lie_on_their_own_vertices_in_the_picture(geometry):
    """Id pass: the triangle seen at the projection of a front-facing landmark has that landmark as a corner."""
    motion = still(pose=(12.0, -6.0, 4.0), jawOpen=0.3)
    camera = make_scene(3).camera
    size = 1024
    points = posed(geometry, motion, 0)
    seen = rasterise(camera.project(points, size), geometry.triangles, size, size)
    triangle = np.full(size * size, -1)
    triangle[seen.pixel] = seen.triangle
    truth = landmarks(geometry, motion, camera, size, 0)
    on_skin = 0
    for vertex in (4, 1, 152, 9, 151, 50, 280, 105, 334, 17, 199, 205, 425, 67, 297, 101, 330, 195, 0):
        column, row = truth[vertex, :2].astype(int)
        found = triangle[row * size + column]
        # Hair and glasses may hide a landmark; where skin is seen it has to be the landmark's own.
        if geometry.skin[found]:
            on_skin += 1
            assert vertex in geometry.triangles[found], vertex
    assert on_skin >= 14


def test_landmarks_agree_with_rendered_colours():
    """Paint the texture black but for a dot at a landmark, draw the real frame, and look for the dot."""
    model = make_model(make_person(9), 1024)
    scene = make_scene(2)
    scene = replace(scene, backdrop="gradient", palette=np.zeros((3, 3)))
    motion = still(pose=(-14.0, 5.0, 6.0), jawOpen=0.25, browInnerUp=0.6)
    size = 256
    truth = landmarks(model.geometry, motion, scene.camera, size, 0)
    dark = next(render(replace(model, atlas=np.zeros_like(model.atlas)), motion, scene, size))
    for vertex in (4, 175, 9, 205, 425, 107, 17, 199):
        atlas = np.zeros_like(model.atlas)
        column, row = np.rint(model.texel[vertex]).astype(int)
        atlas[row - 3 : row + 4, column - 3 : column + 4, :3] = 1.0
        frame = next(render(replace(model, atlas=atlas), motion, scene, size))
        light = (frame.rgb.astype(float) - dark.rgb).sum(axis=2).clip(0)
        y, x = np.mgrid[0:size, 0:size] + 0.5
        centre = np.array(((x * light).sum(), (y * light).sum())) / light.sum()
        assert np.linalg.norm(centre - truth[vertex, :2]) < 1.0, f"landmark {vertex}"


def test_inner_mouth_pixels_fill_the_contour_of_the_inner_lips():
    model, scene = make_model(make_person(9), 512), make_scene(2)
    motion = still(6, jawOpen=np.linspace(0, 0.7, 6))
    area = np.array([float(f.mouth.sum()) / 255 for f in render(model, motion, scene, 256)])
    contour = [landmarks(model.geometry, motion, scene.camera, 256, i)[list(topo.MOUTH_RING), :2] for i in range(6)]
    inside = np.array([0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) for x, y in (c.T for c in contour)])
    assert area[0] < 5
    assert np.all(np.diff(area) > 5)
    assert np.allclose(area[1:], inside[1:], rtol=0.1)


def test_the_face_mask_holds_the_face_landmarks_and_not_the_corners():
    model, scene = make_model(make_person(2), 256), make_scene(5)
    motion = still(pose=(8.0, 0.0, 0.0))
    frame = next(render(model, motion, scene, 128))
    truth = landmarks(model.geometry, motion, scene.camera, 128, 0)
    for vertex in (4, 50, 280, 9, 13, 468, 473):
        column, row = truth[vertex, :2].astype(int)
        assert frame.face[max(row - 1, 0), column] > 100, vertex
    assert frame.face[0, 0] == frame.face[0, -1] == frame.face[-1, 0] == 0
    assert 0.08 < (frame.face >= 128).mean() < 0.5


@pytest.fixture(scope="module")
def quarter_thousand():
    return next(render(make_model(make_person(6), 512), still(), make_scene(6), 256)).rgb


@pytest.mark.parametrize("size", [64, 128, 512])
def test_every_size_shows_the_same_picture(size, quarter_thousand):
    import cv2

    person, scene, big = make_person(6), make_scene(6), quarter_thousand
    other = next(render(make_model(person, max(2 * size, 256)), still(), scene, size)).rgb
    assert other.shape == (size, size, 3)
    same = [cv2.resize(i, (64, 64), interpolation=cv2.INTER_AREA).astype(float) for i in (big, other)]
    assert np.abs(same[0] - same[1]).mean() < 3
