"""A stranger's face detector finds the heads."""

from __future__ import annotations

import numpy as np
import pytest
from synth_helpers import still

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.model import make_geometry, make_model
from thbench.data.synth_heads.motion import Motion
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks
from thbench.faces.pose import head_pose_degrees, rotation_of


@pytest.fixture(scope="module")
def landmarker(weights):
    pytest.importorskip("mediapipe")
    from thbench.faces import Landmarker

    network = Landmarker()
    yield network
    network.close()


def frames_of(clip, every):
    """Frames of a test clip, drawn at 256 pixels from its stored movements."""
    truth = truth_of(clip)
    whole = truth.motion
    motion = Motion(
        whole.fps, *(v[::every] for v in (whole.expression, whole.gaze, whole.pose, whole.place, whole.chest))
    )
    geometry = make_geometry(make_person(truth.about.person))
    model, scene = make_model(make_person(truth.about.person), 512, geometry=geometry), make_scene(truth.about.seed)
    for i, frame in enumerate(render(model, motion, scene, 256)):
        yield frame.rgb, landmarks(geometry, motion, scene.camera, 256, i)


def rate_and_error(landmarker, clips, every):
    found, total, errors = 0, 0, []
    for clip in clips:
        for rgb, truth in frames_of(clip, every):
            faces = landmarker.detect(rgb)
            total += 1
            found += bool(faces)
            if faces:
                eyes = np.linalg.norm(truth[33, :2] - truth[263, :2])
                errors.append(float(np.linalg.norm(faces[0].points[:, :2] - truth[:, :2], axis=1).mean() / eyes))
    return found / total, float(np.mean(errors))


def test_the_detector_finds_a_few_heads(landmarker):
    rate, error = rate_and_error(landmarker, clips_of()[:24:6], 25)
    assert rate >= 0.95
    assert error < 0.06


@pytest.mark.full
def test_the_detector_finds_the_heads_of_the_test_split(landmarker):
    rate, error = rate_and_error(landmarker, clips_of(), 10)
    assert rate >= 0.95
    assert error < 0.06


def test_the_detector_sees_the_pose_and_the_side_of_a_blink(landmarker):
    from thbench.faces.landmarks import BLENDSHAPES

    model, scene = make_model(make_person(2_000_010), 512), make_scene(4)
    poses = [(0.0, 0.0, 0.0), (18.0, 0.0, 0.0), (0.0, 0.0, 12.0)]
    seen = []
    for pose in poses:
        (face, *_) = landmarker.detect(next(render(model, still(pose=pose), scene, 256)).rgb)
        seen.append(head_pose_degrees(rotation_of(face.points)))
    assert seen[1][0] - seen[0][0] == pytest.approx(18, abs=4)
    assert seen[2][2] - seen[0][2] == pytest.approx(12, abs=3)
    (wink, *_) = landmarker.detect(next(render(model, still(eyeBlinkLeft=1.0), scene, 256)).rgb)
    left, right = (wink.blendshapes[BLENDSHAPES.index(n)] for n in ("eyeBlinkLeft", "eyeBlinkRight"))
    assert left > right + 0.1
