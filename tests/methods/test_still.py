"""Clips drawn with heads at rest: nothing moves but what speech and the face do."""

from pathlib import Path

import numpy as np
import pytest
from thbench_methods.common.still import resting_frame, still

from thbench.data.synth_heads.backdrop import Backdrop
from thbench.data.synth_heads.dataset import clips_of, embedded_folder, truth_of
from thbench.data.synth_heads.manifest import read_manifest, write_manifest
from thbench.data.synth_heads.pictures import Pictures, open_pictures
from thbench.data.synth_heads.scene import make_scene

HEAD = slice(27, 31)
"""The bridge of the nose among the 68 points, which expressions hardly move."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two embedded clips, one of them in front of a backdrop that drifts."""
    source, place = embedded_folder(), tmp_path_factory.mktemp("split")
    manifest = read_manifest(source)
    assert manifest is not None
    drifts = [Backdrop(make_scene(truth_of(clip).about.seed), 16).moves for clip in clips_of()]
    entries = [manifest.clips[drifts.index(True)], manifest.clips[drifts.index(False)]]
    for entry in entries:
        for file in (entry.video, entry.truth):
            (place / file.name).symlink_to(source / file.name)
    write_manifest(place, manifest.model_copy(update={"clips": tuple(sorted(entries, key=lambda e: e.id))}))
    return place


@pytest.fixture(scope="module")
def moving(folder: Path) -> Pictures:
    return open_pictures(folder)


@pytest.fixture(scope="module")
def resting(folder: Path, moving: Pictures) -> Pictures:
    return still(folder, moving)


def test_heads_and_backdrops_rest_as_in_one_frame(moving: Pictures, resting: Pictures) -> None:
    for clip in range(2):
        at = resting_frame(truth_of(moving.clips[clip]).about.seed, len(moving.pose[clip]))
        heads = resting.landmarks68[clip][:, HEAD]
        assert np.abs(heads - moving.landmarks68[clip, at, HEAD]).max() < 0.3
        assert np.abs(moving.landmarks68[clip][:, HEAD] - heads).max() > 1
        assert np.array_equal(resting.pose[clip], np.tile(moving.pose[clip, at], (len(heads), 1)))
        # What is left and right of the head at the height of its crown: the backdrop.
        beside = resting.frames[clip][:, :12, :12].astype(int)
        assert np.array_equal(beside, np.broadcast_to(beside[:1], beside.shape))


def test_lips_and_eyes_move_as_they_did(moving: Pictures, resting: Pictures) -> None:
    for clip in range(2):
        points = resting.landmarks68[clip]
        gap = np.linalg.norm(points[:, 62] - points[:, 66], axis=-1)
        assert np.corrcoef(gap, moving.opening[clip])[0, 1] > 0.95
        low, high = points[:, 48:68].min(axis=(0, 1)).astype(int), points[:, 48:68].max(axis=(0, 1)).astype(int)
        mouths = resting.frames[clip][:, low[1] : high[1] + 1, low[0] : high[0] + 1].astype(int)
        assert np.abs(mouths - mouths[0]).max() > 40
    for name in ("sound", "expression", "visemes", "gaze", "opening"):
        assert np.array_equal(getattr(resting, name), getattr(moving, name))


def test_clips_are_drawn_once(folder: Path, moving: Pictures, resting: Pictures) -> None:
    drawn: list[int] = []
    again = still(folder, moving, on_clip=lambda done, total: drawn.append(done))
    assert drawn == []
    assert np.array_equal(again.frames, resting.frames)
