"""The pieces of the encoders' training: against brute force, by hand, and at their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from thbench.backbones.mini.blocks import OverTime
from thbench.backbones.mini.clip_encoder import MiniClipEncoder
from thbench.backbones.mini.frame_encoder import MiniFrameEncoder
from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.train import strangers as strange
from thbench.backbones.mini.train.damage import MOTION, PICTURE, damaged, dose_of, order_of, told, unsteady
from thbench.backbones.mini.train.held_out import area_under_curve, graded
from thbench.backbones.mini.train.identity import MARGIN, SCALE, angular_margin_loss, augmented, other_clothes
from thbench.backbones.mini.train.knowledge import Scale
from thbench.backbones.mini.train.stills import EACH, FIRST, make_stills, open_stills
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.backbones.modes import prepare
from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.model import make_geometry
from thbench.data.synth_heads.person import make_person, reshaped
from thbench.data.synth_heads.plan import CLIPS, PEOPLE, plan
from thbench.data.synth_heads.truth import identity_vector
from thbench.errors import UsageError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_convolution_over_time_is_the_three_dimensional_one() -> None:
    torch.manual_seed(0)
    for stride in (1, 2):
        layer = OverTime(6, stride).eval()
        x = torch.randn(2 * 8, 6, 5, 3)
        clips = x.unflatten(0, (2, 8)).transpose(1, 2)
        weight = layer.conv.weight[..., None]
        moved = F.conv3d(clips, weight, stride=(stride, 1, 1), padding=(1, 0, 0)) / math.sqrt(1 + layer.bn.eps)
        wanted = F.relu(clips[:, :, ::stride] + moved).transpose(1, 2).flatten(0, 1)
        assert torch.allclose(layer(x, 8), wanted, atol=1e-5)


NETWORKS = [
    (MiniIdentity, (3, 112, 112), 128),
    (MiniFrameEncoder, (3, 128, 128), 256),
    (MiniClipEncoder, (16, 3, 64, 64), 128),
]


@pytest.mark.parametrize(("network", "shape", "size"), NETWORKS)
def test_a_network_made_ready_computes_the_same(network: type[nn.Module], shape: tuple[int, ...], size: int) -> None:
    torch.manual_seed(0)
    made = network()
    x = torch.randn(4, *shape)
    with torch.no_grad():
        made(x)  # Running means that are not those of a fresh network.
        made.eval()
        wanted = made(x)
        assert wanted.shape == (4, size)
        assert torch.allclose(prepare(made, "exact")(x), wanted, atol=1e-5, rtol=1e-4)


def test_order_over_time_matters_to_the_clip_encoder_and_only_there() -> None:
    torch.manual_seed(0)
    network = MiniClipEncoder().eval()
    x = torch.randn(1, 16, 3, 64, 64)
    with torch.no_grad():
        assert not torch.allclose(network(x), network(x.flip(1)), atol=1e-4)


def test_whole_frames_keep_their_mean_and_their_pixels() -> None:
    frame = rng().integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert whole_frame(frame, 128) is frame
    assert whole_frame(frame, 64).shape == (64, 64, 3)
    assert abs(whole_frame(frame, 64).mean() - frame.mean()) < 0.5
    assert np.array_equal(whole_frame(np.full((90, 160, 3), 7, np.uint8), 112), np.full((112, 112, 3), 7))
    assert as_input(frame[None]).shape == (1, 3, 128, 128)
    assert as_input(np.array([[[[0, 127, 255]]]], np.uint8)).flatten().tolist() == pytest.approx([-1, -1 / 255, 1])


def test_the_margin_turns_the_right_angle_by_the_margin() -> None:
    unit = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    centres = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(2)), dim=1)
    person = torch.tensor([0, 1, 2, 1, 0])
    logits = torch.empty(5, 3)
    for i in range(5):
        for k in range(3):
            angle = math.acos(float(unit[i] @ centres[k]))
            logits[i, k] = SCALE * math.cos(min(angle + (MARGIN if k == person[i] else 0), math.pi))
    assert float(angular_margin_loss(unit, centres, person)) == pytest.approx(
        float(F.cross_entropy(logits, person)), 1e-5
    )


def test_other_clothes_begin_below_the_chin() -> None:
    mine, other = np.zeros((10, 4, 3), np.uint8), np.arange(10, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(3, 2)
    changed = other_clothes(mine, other, 5.0, 3.0, below=1.0)
    assert changed[:, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 4, 5, 6, 7]
    assert not other_clothes(np.zeros_like(other), other, 12.0, 3.0, below=1.0).any()


def test_augmented_pictures_are_small_and_not_all_the_same() -> None:
    picture = rng().integers(0, 256, (128, 128, 3), dtype=np.uint8)
    drawn = [augmented(picture, rng(seed)) for seed in range(8)]
    assert all(d.shape == (112, 112, 3) and d.dtype == np.uint8 for d in drawn)
    assert len({d.tobytes() for d in drawn}) == 8
    assert np.array_equal(augmented(picture, rng(3)), drawn[3])


@pytest.mark.parametrize("kind", [*PICTURE, "shuffled", "held", "speed", "jitter", "wobble"])
def test_doses_are_told_in_order(kind: str) -> None:
    random = rng()
    doses = sorted(dose_of(kind, random) for _ in range(200))
    targets = [told(kind, dose) for dose in doses]
    assert targets == sorted(targets)
    assert 0 < targets[0] < 0.3
    assert 0.8 < targets[-1] <= 1


def test_orders_show_what_they_say() -> None:
    assert order_of("none", 1.0, 16, rng()).tolist() == list(range(16))
    assert order_of("reversed", 1.0, 4, rng()).tolist() == [3, 2, 1, 0]
    shuffled = order_of("shuffled", 1.0, 16, rng())
    assert sorted(shuffled) == list(range(16)) != shuffled.tolist()
    assert order_of("held", 1.0, 16, rng()).tolist() == [0] * 16
    held = order_of("held", 0.4, 16, rng())
    assert (np.diff(held) >= 0).all()
    assert (held == np.arange(16)).sum() == 16 - round(0.4 * 15)
    assert order_of("speed", 1.0, 4, rng()).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg", "jitter", "wobble"])
def test_damage_grows_with_its_dose(kind: str) -> None:
    frames = [np.asarray(127 + 90 * np.sin(np.mgrid[0:64, 0:64, 0:3].sum(0) / (3 + i)), np.uint8) for i in range(3)]
    change = damaged if kind in PICTURE else unsteady
    low, high = {"jpeg": (10, 90)}.get(kind, (2.0, 8.0))
    far = [
        np.abs(np.stack(change(frames, kind, d, rng())).astype(float) - np.stack(frames)).mean() for d in (low, high)
    ]
    assert 0 < far[0] < far[1]
    assert kind in PICTURE or kind in MOTION


def test_targets_are_standardised_and_cut_off() -> None:
    values = np.stack((rng().normal(5, 2, 1000), np.full(1000, 3.0)), axis=1).astype(np.float32)
    scaled = Scale.of(values)(values)
    assert abs(scaled[:, 0].mean()) < 0.01
    assert abs(scaled[:, 0].std() - 1) < 0.05
    assert not scaled[:, 1].any()
    assert Scale.of(values)(np.array([1e6, 3], np.float32)).tolist() == [3, 0]


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    features = rng().normal(size=(6, 2, 4))
    people = ("a", "b", "a", "c", "b", "c")
    unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
    same, other = [], []
    for i in range(6):
        for j in range(i + 1, 6):
            (same if people[i] == people[j] else other).extend((unit[i] @ unit[j].T).ravel())
    wanted = np.mean([s > o for s in same for o in other])
    found = area_under_curve(features, people, resamples=20)
    assert found.value == pytest.approx(wanted, abs=1e-12)
    assert found.low <= found.high


def test_a_network_that_sees_nothing_is_at_chance_and_one_that_knows_is_perfect() -> None:
    people = ("a", "b", "a", "b")
    assert area_under_curve(np.ones((4, 3, 5)), people, resamples=5).value == 0.5
    known = np.eye(2)[[0, 1, 0, 1]][:, None].repeat(2, 1)
    assert area_under_curve(known, people, resamples=20) == (1, 1, 1)


def test_distances_that_grow_with_the_dose_have_rank_correlation_one() -> None:
    random = rng()
    clean = random.normal(size=(8, 5, 3))
    sets = [clean + dose for dose in (0, 1, 2, 3)]
    people = tuple("aabbccdd")
    found = graded(sets, (0, 1, 2, 3), people, apart=False, resamples=10)
    assert found.rho == (1, 1, 1)
    assert found.distances[0] == pytest.approx(0, abs=1e-9)
    assert found.distances[2] == pytest.approx(12, abs=1e-6)
    assert graded([clean] * 4, (0, 1, 2, 3), people, apart=True, resamples=3).rho.value == 0
    assert graded(sets, (0, 1, 2, 3), people, apart=True, resamples=3).distances[0] > 0.01


def test_people_of_single_pictures_are_in_no_split() -> None:
    known = {plan(split, i).person for split in PEOPLE for i in range(CLIPS[split])}
    assert max(known) < FIRST


def test_single_pictures_are_made_once_and_are_of_their_people(tmp_path) -> None:
    make_stills(tmp_path, 1, clips_of()[:2])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    make_stills(tmp_path, 1, clips_of()[:2])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    stills = open_stills(tmp_path, 1)
    assert stills.frames.shape == (1, 8, 128, 128, 3)
    assert stills.vectors[0] == pytest.approx(list(identity_vector(FIRST).values()), rel=1e-6)
    inside = stills.landmarks68[0, :, 30]
    assert ((inside > 30) & (inside < 98)).all()
    with pytest.raises(UsageError, match="--people 2"):
        open_stills(tmp_path, 2)


def test_strangers_are_of_no_split_and_no_stills() -> None:
    assert FIRST + EACH * 100_000 < strange.FIRST


def test_strangers_are_made_once_and_every_one_has_a_face_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(strange, "EACH", 4)
    strange.make_strangers(tmp_path, 1, clips_of()[:2])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    strange.make_strangers(tmp_path, 1, clips_of()[:2])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    found = strange.open_strangers(tmp_path, 1)
    assert len(found) == 4 and found.frames.shape == (4, 128, 128, 3)
    assert ((found.landmarks68[:, 30] > 30) & (found.landmarks68[:, 30] < 98)).all()
    head = make_person(strange.FIRST)
    rng = np.random.default_rng(0)
    first, second = reshaped(head, rng), reshaped(head, rng)
    assert first.look == second.look == head.look
    assert len({tuple(someone.shape.values()) for someone in (head, first, second)}) == 3
    mine, other = make_geometry(head), make_geometry(first)
    assert (mine.triangles == other.triangles).all() and not np.allclose(mine.points, other.points)
    with pytest.raises(UsageError, match="--heads 2"):
        strange.open_strangers(tmp_path, 2)
