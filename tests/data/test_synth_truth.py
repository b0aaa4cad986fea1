"""Truth files, determinism, and truth against pixels over whole clips."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synth_helpers import babble

from thbench.data.synth_heads.make import MadeClip, digest_of_frames
from thbench.data.synth_heads.plan import VERSION, plan
from thbench.data.synth_heads.truth import read_truth, select68, write_truth
from thbench.errors import MediaError, UsageError

SIZE, SECONDS = 64, 1.6


@pytest.fixture(scope="module")
def made():
    clip = MadeClip(plan("train", 5), size=SIZE, seconds=SECONDS, said=babble())
    frames = np.stack(list(clip.frames()))
    return clip, frames, clip.truth()


def test_shapes_and_ranges(made):
    clip, frames, truth = made
    count = round(SECONDS * 25)
    assert frames.shape == (count, SIZE, SIZE, 3) and frames.dtype == np.uint8
    assert len(truth) == count
    assert truth.pose.shape == (count, 3) and truth.gaze.shape == (count, 2)
    assert truth.landmarks68.shape == (count, 68, 2)
    assert truth.face.shape == (count, SIZE, SIZE) and truth.mask.shape == (count, 64, 64)
    assert truth.expression.min() >= 0 and truth.expression.max() <= 1
    assert len(clip.audio.samples) == round(SECONDS * 16000)
    assert len(truth.viseme_names) == count


def test_a_truth_file_gives_back_what_was_drawn(made, tmp_path):
    truth = made[2]
    write_truth(tmp_path / "a.npz", truth)
    write_truth(tmp_path / "b.npz", truth)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_truth(tmp_path / "a.npz")
    assert again.about == truth.about
    for name in ("expression", "gaze", "pose", "place", "chest"):
        assert np.array_equal(getattr(again.motion, name), getattr(truth.motion, name)), name
    assert np.array_equal(again.face, truth.face)
    assert np.array_equal(again.mouth, truth.mouth) and np.array_equal(again.opening, truth.opening)
    assert np.abs(again.landmarks68 - truth.landmarks68).max() <= 1 / 128 + 1e-6
    assert np.abs(again.visemes - truth.visemes).max() < 0.01
    assert np.allclose(select68(again.landmarks478()), truth.landmarks68, atol=1e-3)


def test_landmarks_of_another_generator_are_refused(made):
    from dataclasses import replace

    truth = made[2]
    old = replace(truth, about=truth.about.model_copy(update={"version": VERSION + 1}))
    with pytest.raises(UsageError, match=f"version {VERSION + 1}"):
        old.landmarks478()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 torn"])
def test_a_broken_truth_file_is_named(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(MediaError, match=r"x\.npz"):
        read_truth(tmp_path / "x.npz")


def test_the_opening_of_the_mouth_is_seen_in_the_pixels(made):
    truth = made[2]
    assert np.corrcoef(truth.opening, truth.mouth)[0, 1] > 0.9
    assert truth.mouth[truth.opening < 0.05].max(initial=0) < 4


def test_the_face_mask_moves_with_the_landmarks(made):
    truth = made[2]
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    centre = np.array([(x[f].mean(), y[f].mean()) for f in truth.face])
    nose = truth.landmarks68[:, 30]
    for axis in (0, 1):
        if np.ptp(nose[:, axis]) > 2:
            assert np.corrcoef(centre[:, axis], nose[:, axis])[0, 1] > 0.7
    inside = truth.face[np.arange(len(truth)), nose[:, 1].astype(int), nose[:, 0].astype(int)]
    assert inside.all()


def test_frames_must_be_drawn_before_their_truth():
    clip = MadeClip(plan("train", 6), size=64, seconds=1.6, said=babble())
    with pytest.raises(UsageError, match="0 of 40 frames"):
        clip.truth()


@pytest.mark.parametrize("size", [63, 32, 514, 65])
def test_sizes_that_cannot_be_drawn_are_refused(size):
    with pytest.raises(UsageError, match=str(size)):
        MadeClip(plan("train", 0), size=size, said=babble())


PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from synth_helpers import babble
from thbench.data.synth_heads.make import MadeClip, digest_of_frames
from thbench.data.synth_heads.plan import plan
clip = MadeClip(plan("train", 5), size={SIZE}, seconds={SECONDS}, said=babble())
print(digest_of_frames(clip.frames()))
"""


def test_same_seed_same_bytes_whatever_the_threads(made):
    here = digest_of_frames(iter(made[1]))
    for threads in ("1", "3"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        there = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
        )
        assert there.stdout.strip() == here


def test_clips_of_one_person_differ(made):
    other = MadeClip(plan("train", 5 + 256), size=SIZE, seconds=SECONDS, said=babble())
    assert other.about.identity == made[0].about.identity
    assert np.abs(other.performance.motion.pose - made[0].performance.motion.pose).max() > 1
