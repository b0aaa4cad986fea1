"""The pieces of the trainings of face regressor and SyncNet: pictures made by hand, losses against known values."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from thbench.backbones.mini.face import BLINK, CELLS, NEAR_SIDE, MiniFace, attitude_from, cell_middles, look
from thbench.backbones.mini.mirror import MIRROR_OF_EXPRESSIONS, MIRROR_OF_POINTS
from thbench.backbones.mini.places import attitude_of
from thbench.backbones.mini.sync import MiniSync
from thbench.backbones.mini.train import augment
from thbench.backbones.mini.train import face as face_training
from thbench.backbones.mini.train import sync as sync_training
from thbench.backbones.mini.train.strangers import Strangers
from thbench.backbones.modes import prepare
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.pictures import Pictures

MARKED = 36
"""A corner of an eye, whose mirror image is another point."""


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Truth of some clips with black frames in which one landmark shines, and clicks for sound."""
    clips = clips_of()[:8]
    truths = [truth_of(clip) for clip in clips]
    landmarks = np.stack([t.landmarks68 for t in truths])
    y, x = np.mgrid[:128, :128] + 0.5
    away = (x - landmarks[:, :, MARKED, 0, None, None]) ** 2 + (y - landmarks[:, :, MARKED, 1, None, None]) ** 2
    frames = np.repeat((255 * np.exp(-away / 8)).astype(np.uint8)[..., None], 3, axis=-1)
    return Pictures(
        clips=clips,
        frames=frames,
        sound=np.zeros((8, 64000), np.float32),
        pose=np.stack([t.pose for t in truths]),
        gaze=np.stack([t.gaze for t in truths]),
        expression=np.stack([t.expression for t in truths]),
        visemes=np.stack([t.visemes for t in truths]),
        landmarks68=landmarks,
        mask=np.zeros((8, 100, 64, 64), bool),
        opening=np.stack([t.opening for t in truths]),
        person=np.arange(8),
        emotion=("neutral",) * 8,
        level=np.ones(8, np.int64),
        intent=("none",) * 8,
        prompt=("",) * 8,
    )


@pytest.fixture(scope="module")
def strangers(pictures) -> Strangers:
    """As `pictures`, one frame of each clip."""
    return Strangers(*(getattr(pictures, name)[:, 7] for name in ("frames", "landmarks68", "pose", "expression")))


@pytest.fixture
def plain(monkeypatch) -> None:
    monkeypatch.setattr(augment, "recolour", lambda rng, frame, *_: frame)
    monkeypatch.setattr(augment, "damaged", lambda rng, frame, *_: frame)


def test_landmarks_lie_on_the_pictures_they_belong_to(pictures, strangers, plain) -> None:
    near, far = face_training.FaceTask(pictures, strangers).batch(np.random.default_rng(0))
    mirrored = 0
    for cut, landmarks in zip(near.cuts.numpy(), near.landmarks.numpy(), strict=True):
        brightest = np.array(np.unravel_index(cut[0].argmax(), cut[0].shape))[::-1] + 0.5
        here, there = landmarks[MARKED], landmarks[MIRROR_OF_POINTS[MARKED]]
        assert min(np.abs(brightest - here).max(), np.abs(brightest - there).max()) < 1.0
        mirrored += bool(np.abs(brightest - there).max() < 1.0)
    assert 10 < mirrored < len(near.cuts) - 10
    assert np.abs(far.attitude.numpy()).max() < 1


def test_a_head_is_where_the_far_sight_says() -> None:
    attitude = attitude_of(truth_of(clips_of()[0]).landmarks68[::25])
    told = torch.from_numpy(face_training.as_far(attitude))
    from thbench.backbones.mini.face import Far

    found = attitude_from(Far(torch.zeros(4), told[:, :2], told[:, 2], told[:, 3]))
    for mine, theirs in zip(found, attitude, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


def test_blobs_have_their_middle_at_the_landmark() -> None:
    landmarks = torch.rand(2, 68, 2) * 40 + 16
    shares = face_training.blobs(landmarks)
    assert shares.shape == (2, 68, CELLS**2)
    assert torch.allclose(shares.sum(dim=-1), torch.ones(2, 68))
    assert torch.allclose(shares @ cell_middles(), landmarks, atol=0.2)


def test_near_frames_are_of_shut_eyes_of_clips_and_of_strangers(pictures, strangers) -> None:
    shown = face_training.FaceTask(pictures, strangers)._shown(np.random.default_rng(0))
    assert len(shown.frames) == face_training.NEAR_BATCH
    lids = shown.expression[: face_training.SHUT, list(BLINK)].mean(axis=1)
    assert (lids >= 0.5).all()
    for at in range(face_training.NEAR_BATCH - face_training.STRANGERS, face_training.NEAR_BATCH):
        (whose,) = np.flatnonzero((strangers.landmarks68 == shown.landmarks[at]).all(axis=(1, 2)))
        assert (strangers.frames[whose] == shown.frames[at]).all()
        assert (strangers.pose[whose] == shown.pose[at]).all()
        assert (strangers.expression[whose] == shown.expression[at]).all()


def test_it_begins_with_the_usual_places(pictures, strangers) -> None:
    task = face_training.FaceTask(pictures, strangers)
    usual = task.network.near.prior.flatten(1).softmax(dim=1) @ cell_middles()
    near = task.batch(np.random.default_rng(1))[0]
    distance = (usual - near.landmarks).norm(dim=-1).mean() / face_training.interocular(near.landmarks).mean()
    assert distance < 0.2


def test_mirroring_twice_changes_nothing() -> None:
    for order in (MIRROR_OF_EXPRESSIONS, MIRROR_OF_POINTS):
        assert (order[order] == np.arange(len(order))).all()
    left = EXPRESSIONS.index("eyeBlinkLeft")
    assert EXPRESSIONS[MIRROR_OF_EXPRESSIONS[left]] == "eyeBlinkRight"


def test_damage_keeps_the_shape_of_any_picture() -> None:
    rng = np.random.default_rng(0)
    always = augment.Ranges(damage=1.0)
    for shape in ((72, 72, 3), (480, 48, 3)):
        frame = rng.integers(0, 255, shape, np.uint8)
        for _ in range(5):
            assert augment.damaged(rng, augment.recolour(rng, frame), always).shape == shape
    frame = rng.integers(0, 255, (64, 64, 3), np.uint8)
    for _ in range(40):
        spoiled = augment.without_head(rng, frame)
        assert spoiled.shape == frame.shape and spoiled.dtype == np.uint8 and (spoiled != frame).any()


def test_networks_made_ready_compute_the_same() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    face, sync = MiniFace(), MiniSync()
    frames = rng.integers(0, 255, (3, 128, 128, 3), np.uint8)
    lips, mfcc = torch.rand(3, 3, 5, 48, 48) * 255, torch.randn(3, 1, 13, 20)
    with torch.no_grad():
        face.near(torch.rand(4, 3, NEAR_SIDE, NEAR_SIDE) * 255)  # Running means that are not those of a fresh network.
        sync.lips(lips), sync.audio(mfcc)
        face.eval(), sync.eval()
        for mine, theirs in zip(look(face, frames), look(prepare(face, "exact"), frames), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=2e-2)
        ready = prepare(sync, "exact")
        assert torch.allclose(sync.lips(lips), ready.lips(lips), atol=1e-4)
        assert torch.allclose(sync.audio(mfcc), ready.audio(mfcc), atol=1e-4)


def test_a_clip_in_one_pass_is_its_windows() -> None:
    torch.manual_seed(0)
    sync = MiniSync().eval()
    frames = torch.rand(3, 9, 48, 48) * 255
    windows = torch.stack([frames[:, i : i + 5] for i in range(5)])
    with torch.no_grad():
        assert torch.allclose(sync.lips_of_clip(frames), sync.lips(windows), atol=1e-5)


def test_lips_and_sound_of_a_batch_belong_together(pictures, plain, monkeypatch) -> None:
    """Flashes and clicks in the same frames lie in the same windows."""
    frames, sound, opening = np.zeros_like(pictures.frames), np.zeros_like(pictures.sound), pictures.opening * 0
    for at in range(5, 100, 17):
        frames[:, at], sound[:, at * 640 : (at + 1) * 640], opening[:, at] = 255, 0.5, 1.0
    flashing = dataclasses.replace(
        pictures,
        frames=frames,
        sound=sound,
        opening=opening,
        visemes=np.zeros_like(pictures.visemes),
        expression=np.zeros_like(pictures.expression),
    )
    monkeypatch.setattr(sync_training, "_spoiled", lambda rng, s, silent: (s * 32767).astype(np.int16))
    monkeypatch.setattr(sync_training, "CLIPS", 4)
    batch = sync_training.SyncTask(flashing).batch(np.random.default_rng(0))
    lips = batch.lips.unfold(1, 5, 1).flatten(0, 1).flatten(1).max(dim=1).values > 200
    shown = batch.mouths.max(dim=1).values > 1
    loud = batch.mfcc[:, 0, 0].max(dim=1).values > 10
    assert lips.any() and (lips == shown).all()
    # A window of sound is 215 ms long, one of five frames 200 ms: it may hear the click that comes next.
    assert not (lips & ~loud).any()
    # Clicks are 17 frames apart, so that 20 windows hold at most two such.
    assert (loud & ~lips).view(4, -1).sum(dim=1).max() <= 2


def test_contrast_of_known_distances() -> None:
    near = torch.eye(4) * 100
    to_audio, to_video, right = sync_training.contrast(near, near, torch.ones(4, dtype=torch.bool))
    assert to_audio < 1e-6 and to_video < 1e-6 and right == 1
    # Zero is as near as each sound: five choices.
    same = torch.zeros(4, 4)
    to_audio, to_video, _ = sync_training.contrast(same, same, torch.ones(4, dtype=torch.bool))
    assert float(to_audio) == pytest.approx(math.log(5), abs=1e-4)
    assert float(to_video) == pytest.approx(math.log(4), abs=1e-4)


def test_most_cuts_are_placed_as_those_of_a_second_look() -> None:
    still = attitude_of(np.repeat(truth_of(clips_of()[0]).landmarks68[:1], 4000, axis=0))
    placed = face_training._looked_at(np.random.default_rng(0), still)
    away = np.abs(placed.centroid - still.centroid)[:, 0] / still.spread
    size = np.abs(np.log(placed.spread / still.spread))
    near = (away < 3 * face_training.SURE["shift"]) & (size < 3 * face_training.SURE["size"])
    # Those of a first look lie as near by chance: within 0.6 and 0.9 standard deviations.
    by_chance = math.erf(0.625 / math.sqrt(2)) * math.erf(0.9 / math.sqrt(2))
    wanted = face_training.SECOND + (1 - face_training.SECOND) * by_chance
    assert near.mean() == pytest.approx(wanted, abs=0.03)
    np.testing.assert_allclose(np.linalg.norm(placed.across, axis=1), 1)
