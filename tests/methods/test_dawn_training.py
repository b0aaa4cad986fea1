"""What DAWN's trainings draw and minimise, and that they are resumed where they stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.dawn import bundle
from thbench_methods.dawn.attention import TemporalAttention
from thbench_methods.dawn.bundle import MaskedDiffusion
from thbench_methods.dawn.config import MINI, HourglassSizes, LFGSizes
from thbench_methods.dawn.diffusion import flow_of, motion_of
from thbench_methods.dawn.examples import (
    ANCHORS,
    Motions,
    States,
    anchors_of,
    as_images,
    calm,
    draw_frames,
    draw_portrait,
    places_of,
    true_regions,
)
from thbench_methods.dawn.face_mask import published_encoder
from thbench_methods.dawn.head import MeanHead, Posture, head_motion, measured_head
from thbench_methods.dawn.lfg import flow_generator
from thbench_methods.dawn.lfg.blocks import coordinate_grid, warp
from thbench_methods.dawn.lfg.equivariance import Transform, equivariance, random_transform
from thbench_methods.dawn.lfg.flow import Flow, candidate_motions
from thbench_methods.dawn.lfg.regions import Regions, principal_axes, regions_of, round_regions
from thbench_methods.dawn.objective import mouth_mask
from thbench_methods.dawn.pbnet import PBNet
from thbench_methods.dawn.pipeline import Dawn
from thbench_methods.dawn.state import as_real_lids, mini_pose
from thbench_methods.dawn.train import train
from thbench_methods.dawn.train_a2v import STAGES, MotionTask, Told, apart
from thbench_methods.dawn.train_lfg import CLIPS, DRIVERS, Draws, FindTask, PaintTask, found_flow, reconstructed
from thbench_methods.dawn.train_pbnet import Rivals, StateTask, blinks, both_sides, deviation, lid_quantiles, mirrored
from thbench_methods.dawn.true_flow import (
    INNER,
    above_lips,
    covered,
    eye_cells,
    moved_places,
    painted,
    painted_eyes,
    true_flow,
)
from thbench_methods.dawn.unet import Condition
from thbench_methods.nets.liveportrait.train_renderer import pyramid_l1

from thbench.backbones.mini.face import BLINK
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.pictures import Pictures
from thbench.errors import UsageError
from thbench.media import read_frames
from thbench.training.order import Order
from thbench.types import Audio, Request

SMALL = LFGSizes(
    num_regions=len(ANCHORS),
    regions=HourglassSizes(4, 3, 16),
    region_scale=0.5,
    flow=HourglassSizes(8, 2, 16),
    background=HourglassSizes(4, 3, 16),
    block_expansion=16,
    max_features=64,
    num_bottleneck_blocks=1,
    spread=0.1,
    centred=True,
)
FRAMES = 40


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """The first frames of some shipped clips, as the train split is given."""
    clips = clips_of()[:CLIPS]
    truths = [truth_of(clip) for clip in clips]

    def stacked(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(truth, name))[:FRAMES] for truth in truths])

    frames = [[frame.rgb for frame in islice(read_frames(clip.path, threads=1), FRAMES)] for clip in clips]
    names = ("pose", "gaze", "expression", "visemes", "landmarks68", "mask", "opening")
    return Pictures(
        clips=tuple(clips),
        frames=np.stack([np.stack(clip) for clip in frames]),
        sound=np.zeros((len(clips), FRAMES * 640), np.float32),
        **{name: stacked(name) for name in names},
        person=np.arange(len(clips)),
        emotion=("neutral",) * len(clips),
        level=np.ones(len(clips), np.int64),
        intent=("none",) * len(clips),
        prompt=("",) * len(clips),
    )


def test_a_transforms_jacobian_is_its_derivative() -> None:
    torch.manual_seed(0)
    transform = random_transform(2)
    points = (torch.rand(2, 3, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    exact = Transform(
        transform.linear.double(), transform.offset.double(), 20 * transform.bends.double(), transform.controls.double()
    )
    moved = exact.places(points)
    rows = [torch.autograd.grad(moved[..., axis].sum(), points, retain_graph=True)[0] for axis in (0, 1)]
    torch.testing.assert_close(exact.jacobian(points), torch.stack(rows, dim=-2))


def test_regions_that_move_with_their_image_are_equivariant() -> None:
    # Principal axes follow rotation, scale and shift exactly; under shear they are those of another ellipse.
    turn = 1.06 * torch.tensor([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]], dtype=torch.float32)
    similar = Transform(turn[None], torch.tensor([[0.03, -0.05]]), torch.zeros(1, 25), torch.zeros(25, 2))
    grid = coordinate_grid(torch.zeros(1, 1, 64, 64))
    centre, spread = torch.tensor([0.15, -0.1]), torch.tensor([[0.02, 0.008], [0.008, 0.01]])

    def blob(places: torch.Tensor) -> Regions:
        offset = places - centre
        heat = (-0.5 * torch.einsum("hwi,ij,hwj->hw", offset, torch.linalg.inv(spread), offset)).exp()
        return regions_of((heat / heat.sum())[None, None])

    moved = similar.places(grid.flatten(0, 1)[None]).view(64, 64, 2)
    shift, axes = equivariance(blob(grid), blob(moved), similar)
    assert shift < 1e-3 and axes < 1e-2
    shift, axes = equivariance(blob(grid), blob(grid), similar)
    assert shift > 0.02 and axes > 0.05


def test_round_regions_move_without_turning() -> None:
    shift = torch.tensor([[[0.1, -0.2], [0.4, 0.3]]])
    regions = round_regions(shift, 0.1)
    torch.testing.assert_close(regions.covar, 0.01 * torch.eye(2).expand(1, 2, 2, 2))
    torch.testing.assert_close(regions.affine @ regions.affine.mT, regions.covar)
    moved = round_regions(shift + torch.tensor([0.05, 0.02]), 0.1)
    grid = coordinate_grid(torch.zeros(1, 1, 8, 8))
    motions = candidate_motions(grid, regions, moved, torch.eye(3)[None])[:, 1:]
    torch.testing.assert_close(motions, (grid - torch.tensor([0.05, 0.02])).expand(1, 2, 8, 8, 2))


def test_true_places_have_no_shape() -> None:
    with pytest.raises(UsageError, match="spread"):
        true_regions(torch.zeros(1, len(ANCHORS), 2), flow_generator(replace(SMALL, spread=None)))


def test_identity_keeps_the_image() -> None:
    none = Transform(torch.eye(2)[None], torch.zeros(1, 2), torch.zeros(1, 25), torch.zeros(25, 2))
    image = torch.rand(1, 3, 33, 33)
    # The grid's corners are those of the outermost pixels' centres, and sampling does not align them: as published.
    assert (none.image(image)[..., 16, 16] - image[..., 16, 16]).abs().max() < 1e-5


def test_anchors_are_means_of_landmarks() -> None:
    marks = np.zeros((1, 68, 2), np.float32)
    marks[0, 8] = (64, 128)
    marks[0, 51], marks[0, 62] = (10, 20), (30, 40)
    anchors = anchors_of(marks, 128)
    assert anchors.shape == (1, len(ANCHORS), 2)
    assert anchors[0, 0].tolist() == [0.0, 1.0]
    torch.testing.assert_close(anchors[0, 3], torch.tensor([20 / 64 - 1, 30 / 64 - 1]))


@pytest.mark.parametrize(
    ("task", "falling"),
    [
        (PaintTask, {"rest": 0.95, "mouth": 0.95}),
        (partial(PaintTask, lids=True), {"rest": 0.95, "mouth": 0.95, "eyes": 0.95}),
        (FindTask, {"loss": 0.85, "places": 0.8}),
    ],
    ids=["paint", "lids", "find"],
)
def test_the_flow_generator_learns(
    pictures: Pictures, task: Callable[..., PaintTask | FindTask], falling: dict[str, float]
) -> None:
    torch.manual_seed(0)
    whole = flow_generator(SMALL)
    part = task(whole, Draws(pictures, pictures))
    part.network.train()
    batch = part.batch(np.random.default_rng(0))
    assert batch.portrait.shape == (CLIPS, 3, 128, 128) and batch.frames.shape == (CLIPS * DRIVERS, 3, 128, 128)
    assert 0.005 < batch.mouth.mean() < 0.2 and 0.005 < batch.eyes.mean() < 0.2
    assert (batch.mouth * batch.eyes).max() == 0
    optimiser = torch.optim.Adam(part.network.parameters(), lr=5e-3)
    told = []
    for _ in range(8):
        losses = part.losses(batch)
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
        told.append({name: float(value.detach()) for name, value in losses.items()})
    for name, most in falling.items():
        assert told[-1][name] < most * told[0][name], name
    assert [name for name, weight in part.network.named_parameters() if weight.grad is None] == []


def test_both_parts_train_every_weight_once(pictures: Pictures) -> None:
    whole, draws = flow_generator(SMALL), Draws(pictures, pictures)
    parts = [id(w) for task in (PaintTask, FindTask) for w in task(whole, draws).network.parameters()]
    assert sorted(parts) == sorted(id(weight) for weight in whole.parameters())


def test_calm_frames_have_closed_mouths_and_open_eyes(pictures: Pictures) -> None:
    marks, expression = np.array(pictures.landmarks68[:1, :3]), np.zeros((1, 3, 53), np.float32)
    marks[:] = 0
    marks[0, 1, 66, 1] = 3.0
    expression[0, 2, BLINK[0]] = 0.9
    found = calm(replace(pictures, landmarks68=marks, expression=expression))
    assert found.tolist() == [[True, False, False]]
    rng = np.random.default_rng(0)
    drawn = [draw_portrait(found[0], rng) for _ in range(200)]
    assert 0.8 < drawn.count(0) / 200 < 0.95 and set(drawn) == {0, 1, 2}
    assert draw_portrait(np.zeros(3, bool), rng) in (0, 1, 2)


def test_frames_are_made_from_the_portrait_of_their_clip(pictures: Pictures) -> None:
    torch.manual_seed(0)
    net = flow_generator(SMALL).eval()
    images = as_images(pictures.frames[:2, 0])
    clips, numbers = [0, 0, 1, 1], [3, 9, 3, 9]
    frames = as_images(pictures.frames[clips, numbers])
    marks = np.concatenate((pictures.landmarks68[:2, 0], pictures.landmarks68[clips, numbers]))
    anchors = anchors_of(marks, 128)

    def alone(n: int) -> torch.Tensor:
        source, driving = (anchors[at : at + 1] for at in (n // 2, 2 + n))
        one, regions = images[n // 2 : n // 2 + 1], (true_regions(source, net), true_regions(driving, net))
        return net.generator.decode(net.generator.encode(one), net.flow(one, frames[n : n + 1], regions)).prediction

    with torch.inference_mode():
        flow = found_flow(net, images, frames, anchors)
        together = reconstructed(net, images, flow)
        torch.testing.assert_close(together, torch.cat([alone(n) for n in range(4)]), atol=1e-4, rtol=1e-4)
    assert flow.optical_flow.shape == (4, 32, 32, 2)
    assert pyramid_l1(together, frames, torch.ones(4, 1, 128, 128)).isfinite()


def test_the_true_flow_follows_heads_and_lips(pictures: Pictures) -> None:
    frames = as_images(pictures.frames[0, :2])
    marks = places_of(pictures.landmarks68[0, :1], 128)
    still = true_flow(frames[:1], frames[:1], (marks, marks))
    grid = coordinate_grid(torch.zeros(1, 1, 32, 32), centred=True)
    torch.testing.assert_close(still.optical_flow, grid[None], atol=1e-5, rtol=0)
    inner = covered(marks[:, INNER], 128)
    within = (..., slice(1, -1), slice(1, -1))  # pictures are read as black beyond their edges
    torch.testing.assert_close(still.occlusion_map[within], (1 - painted(marks, marks, 128))[within], atol=1e-3, rtol=0)
    # A head that goes to the right is read to the left, and what is far from it stays.
    moved = moved_places(marks, marks + torch.tensor([0.1, 0.0]), 32) - grid
    nose = ((pictures.landmarks68[0, 0, 30] + [6.4, 0]) / 4).astype(int)
    assert moved[0, nose[1], nose[0]].tolist() == pytest.approx([-0.1, 0.0], abs=1e-3)
    assert moved[0, 31, 0].abs().max() < 1e-3
    # A lower lip that falls is read above; upper lip and eyes stay.
    lower = [5, 6, 7, 8, 9, 10, 11, *range(55, 60), 65, 66, 67]
    fallen = marks.clone()
    fallen[:, lower] += torch.tensor([0.0, 0.06])
    moved = moved_places(marks, fallen, 32) - grid
    below, above, eye = (((fallen[0, at] + 1) * 16).long() for at in (57, 51, 39))
    assert moved[0, below[1], below[0], 1] < -0.04
    assert abs(moved[0, above[1], above[0], 1]) < 0.005 and moved[0, eye[1], eye[0]].abs().max() < 5e-3
    assert covered(fallen[:, INNER], 128).sum() > inner.sum() + 2
    assert painted(marks, fallen, 128).max() == 1


def test_eyes_whose_lids_moved_are_painted(pictures: Pictures) -> None:
    marks = places_of(pictures.landmarks68[0, :1], 128)
    shut = marks.clone()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        shut[:, upper] = shut[:, lower]
    assert painted_eyes(marks, marks, 128).max() == 0
    assert painted_eyes(marks, marks + torch.tensor([0.1, 0.05]), 128).max() < 1e-3  # a head that moves blinks not
    both = painted_eyes(marks, shut, 128)
    for eye in (slice(36, 42), slice(42, 48)):
        column, row = ((marks[0, eye].mean(0) + 1) * 16).long().tolist()
        assert both[0, 0, row - 1 : row + 2, column].max() > 0.9
    assert both[0, 0, 20:].max() == 0  # the mouth is no eye
    half = painted_eyes(marks, (marks + shut) / 2, 128)
    assert 0.4 < float(half.max()) < 0.8
    torch.testing.assert_close(painted_eyes(shut, marks, 128), both, atol=0.1, rtol=0)
    # Where the head has gone, there the eyes are painted.
    torch.testing.assert_close(
        painted_eyes(marks, shut + 2 / 32, 128)[..., 1:, 1:], both[..., :-1, :-1], atol=0.05, rtol=0
    )


def test_of_eyes_only_lids_are_painted(pictures: Pictures) -> None:
    marks = places_of(pictures.landmarks68[0, :1], 128)
    frames = as_images(pictures.frames[0, :1])
    eyes = eye_cells(marks, marks, 128).amax(dim=1, keepdim=True)
    other = frames.clone()  # a gaze that moves
    other[..., :64, :] = 1 - other[..., :64, :]
    occlusion = true_flow(frames, other, (marks, marks)).occlusion_map
    assert occlusion[eyes == 1].min() > 0.99
    assert occlusion[..., 8:12, 12:20][eyes[..., 8:12, 12:20] == 0].max() < 0.5


def test_lids_blink_as_real_ones_and_as_often_as_they_did() -> None:
    draw = torch.Generator().manual_seed(0)
    real = 0.95 + 0.05 * torch.rand(50, 100, 2, generator=draw)
    real[:, 20:25] = 0.1 * torch.rand(50, 5, 2, generator=draw)
    made = 0.9 + 0.2 * torch.rand(50, 100, 2, generator=draw)
    made[:, 40:43] = 0.5  # half shut, and for less long
    made[:, 70:73] = 0.55
    told = as_real_lids(made, torch.stack((lid_quantiles(made), lid_quantiles(real))))
    assert told.min() >= 0 and told.max() <= 1
    shut = torch.zeros(100, dtype=torch.bool)
    shut[[40, 41, 42, 70, 71, 72]] = True
    assert (told[:, shut] < 0.11).all() and (told[:, ~shut] > 0.9).all()
    assert blinks(told) == blinks(made) == pytest.approx(0.5)
    order = made.flatten().argsort()
    assert (told.flatten()[order].diff() >= 0).all()


def test_lids_that_never_blink_have_quantiles_too() -> None:
    for lids in (torch.full((2, 5, 2), 0.9), torch.zeros(2, 5, 2)):
        found = lid_quantiles(lids)
        assert (found.diff() >= 0).all() and found[0] <= 0.0 and found[-1] >= 0.9


def test_frames_with_lids_that_shut_are_drawn_more_often() -> None:
    rng = np.random.default_rng(0)
    lids = np.zeros(100, np.bool_)
    lids[40:44] = True
    drawn = np.array([draw_frames(lids, 4, rng) for _ in range(400)])
    assert all(len(set(row)) == 4 and np.all(np.diff(row) > 0) for row in drawn.tolist())
    assert 0.25 < lids[drawn].mean() < 0.4
    none = np.array([draw_frames(np.zeros(100, np.bool_), 1, rng) for _ in range(400)])
    assert 0.5 < len(np.unique(none)) / 100 <= 1


def test_what_is_above_the_line_between_lips() -> None:
    marks = torch.zeros(2, 68, 2)
    marks[:, [60, 61, 62, 63, 64]] = torch.tensor([[-0.2, 0.3], [-0.1, 0.25], [0, 0.2], [0.1, 0.25], [0.2, 0.3]])
    marks[:, [67, 66, 65]] = torch.tensor([[-0.1, 0.35], [0, 0.4], [0.1, 0.35]])
    marks[1] = marks[1].flip(1) * torch.tensor([1, -1])  # a head that lies on its side
    places = torch.tensor([[0.0, 0.29], [0.0, 0.31], [0.5, 0.29], [-0.5, 0.31]])
    asked = torch.stack((places, places.flip(1) * torch.tensor([1, -1])))
    assert above_lips(marks, asked).tolist() == [[True, False, True, False]] * 2


def measured() -> MeanHead:
    head = MeanHead()
    head.load_state_dict(measured_head())
    return head


def awake(pose: torch.Tensor) -> Posture:
    return Posture(pose, torch.ones(*pose.shape[:-1], 2))


def test_a_head_moves_turns_and_grows_as_its_pose_says() -> None:
    head = measured()
    grid = coordinate_grid(torch.zeros(1, 1, 32, 32), centred=True)
    source = torch.tensor([0, 0, 0, 0.1, 0.5, 0.5])

    def read(right: int, **changes: float) -> torch.Tensor:
        pose = source.clone()
        for name, value in changes.items():
            pose[{"yaw": 0, "roll": 2, "scale": 3, "x": 4, "y": 5}[name]] += value
        motion = head_motion(head, awake(source), awake(pose[None]), 32, MINI.motion)
        assert not motion[2].any()
        return grid[16, 16 + right] + motion[:2, 0, 16, 16 + right] / MINI.motion.gain

    for right in (-3, 0, 3):
        torch.testing.assert_close(read(right), grid[16, 16 + right], atol=2e-3, rtol=0)
    torch.testing.assert_close(read(0, x=0.05), grid[16, 16] - torch.tensor([0.1, 0.0]), atol=4e-3, rtol=0)
    torch.testing.assert_close(read(3, scale=0.1), grid[16, 19] / 2, atol=0.02, rtol=0)
    turned, right = read(3, roll=15.0), float(grid[16, 19, 0] - grid[16, 16, 0])
    assert turned.norm() == pytest.approx(float(grid[16, 19].norm()), abs=0.02)
    assert abs(turned[1] - grid[16, 16, 1]) == pytest.approx(right * np.sin(np.radians(15)), abs=0.02)
    assert (read(0, yaw=10.0) - grid[16, 16]).abs().max() > 0.01  # a nose is nearer than the axis of the head
    torch.testing.assert_close(read(-16, x=0.05), grid[16, 0], atol=1e-3, rtol=0)


def test_blinks_move_no_head(pictures: Pictures) -> None:
    marks = np.array(pictures.landmarks68[0, :1])
    closed = marks.copy()
    closed[:, [37, 38, 40, 41, 43, 44, 46, 47], 1] += 2
    assert torch.equal(*(mini_pose(pictures.pose[0, :1], points, 128) for points in (marks, closed)))


def test_the_pose_tells_most_of_the_true_flow_around_the_mouth(pictures: Pictures) -> None:
    left, whole = [], []
    head = measured()
    for clip in range(len(pictures)):
        motions = Motions(pictures, flow_generator(MINI.lfg).eval())
        pose = mini_pose(pictures.pose[clip], pictures.landmarks68[clip], 128)
        flow = motion_of(motions.flow(clip, 0, slice(0, FRAMES)), 1, MINI.motion)[0, :2]
        beyond = flow - head_motion(head, awake(pose[0]), awake(pose[:FRAMES]), 32, MINI.motion)[:2]
        near = mouth_mask(torch.from_numpy(pictures.landmarks68[clip][None, :, 48:68].copy()), (128, 128), 32)[0]
        left.append(float((beyond.square().sum(0) * near).sum()))
        whole.append(float((flow.square().sum(0) * near).sum()))
    assert sum(left) < 0.1 * sum(whole)


def test_lids_tell_most_of_what_is_painted_of_the_eyes(pictures: Pictures) -> None:
    head, left, whole = measured(), 0.0, 0.0
    for clip in range(len(pictures)):
        marks = places_of(pictures.landmarks68[clip], 128)
        pose = mini_pose(pictures.pose[clip], pictures.landmarks68[clip], 128)
        shut = marks.clone()
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
            shut[:, upper] = shut[:, lower] = (shut[:, upper] + shut[:, lower]) / 2
        wanted = painted_eyes(marks, shut, 128)[:, 0]
        asleep = Posture(pose, torch.zeros(len(pose), 2))
        told = head_motion(head, Posture(pose[0], torch.ones(2)), asleep, 32, MINI.motion)[2] / -2
        left, whole = left + float((told - wanted).square().sum()), whole + float(wanted.square().sum())
        one = head_motion(head, asleep._replace(pose=pose[0], blink=torch.ones(2)), asleep, 32, MINI.motion)
        assert torch.equal(one[2] / -2, told)
    assert left < 0.4 * whole
    half = Posture(pose[:1], torch.tensor([[1.0, 0.5]]))  # only the left eye, which is right in the picture
    painted_half = head_motion(head, awake(pose[0]), half, 32, MINI.motion)[2, 0] / -2
    middle = ((marks[0, 27, 0] + 1) * 16).long()
    assert painted_half[:, : middle - 1].max() == 0 and 0.4 < float(painted_half.max()) < 0.7


def test_what_lies_between_lips_is_told_by_area() -> None:
    marks = np.zeros((1, 68, 2), np.float32)
    left, right, top, bottom = 40.0, 52.0, 61.0, 62.5
    upper, lower = [(x, top) for x in (left, 44, 46, 48, right)], [(x, bottom) for x in (right, 46, left)]
    marks[0, INNER] = upper + lower
    inner = covered(places_of(marks, 128)[:, INNER], 128)
    assert inner.shape == (1, 1, 32, 32) and (inner > 0.1).sum() == 3
    assert inner[0, 0, 15, 10:13].tolist() == pytest.approx([1.5 / 4] * 3, abs=0.1)


@pytest.mark.parametrize("size", [32, 64])
def test_a_centred_grid_leaves_the_image_as_it_is(size: int) -> None:
    image = torch.rand(1, 3, 64, 64)
    grid = coordinate_grid(torch.zeros(1, 1, size, size), centred=True)[None]
    inner = slice(2, -2)
    torch.testing.assert_close(warp(image, grid)[..., inner, inner], image[..., inner, inner], atol=1e-4, rtol=0)
    other = warp(image, coordinate_grid(torch.zeros(1, 1, size, size))[None])
    assert (other - image)[..., inner, inner].abs().max() > 0.1


@pytest.mark.parametrize("residual", [False, True])
def test_motion_and_flow_are_two_views_of_the_same(residual: bool) -> None:
    space = replace(MINI.motion, residual=residual)
    grid = coordinate_grid(torch.zeros(1, 1, 8, 8), centred=space.centred)
    still = Flow(grid.expand(6, 8, 8, 2), torch.full((6, 1, 8, 8), 0.75))
    motion = motion_of(still, 2, space)
    assert motion.shape == (2, 3, 3, 8, 8)
    if residual:
        assert motion[:, :2].abs().max() == 0
    assert torch.equal(motion[:, 2], torch.full((2, 3, 8, 8), 0.5))
    back = flow_of(motion, space)
    torch.testing.assert_close(back.optical_flow, still.optical_flow)
    torch.testing.assert_close(back.occlusion_map, still.occlusion_map)


@pytest.fixture(scope="module")
def states() -> States:
    """Numbers that tell clip and frame."""
    count = torch.arange(FRAMES).float().expand(CLIPS, FRAMES) + 1000 * torch.arange(CLIPS)[:, None]
    return States(
        count[..., None].expand(-1, -1, 96).clone(), count[..., None] * torch.ones(6), count[..., None] * torch.ones(2)
    )


@pytest.mark.parametrize("number", [0, 1])
def test_clips_are_drawn_as_the_stage_says(pictures: Pictures, states: States, number: int) -> None:
    torch.manual_seed(0)
    stage = STAGES[number]
    told = Told(Motions(pictures, flow_generator(MINI.lfg).eval()), states)
    # The poses of these states are numbers of frames, which no head could have.
    config = replace(MINI, motion=replace(MINI.motion, beyond_head=False))
    task = MotionTask(MaskedDiffusion(MINI), told, told, stage, config)
    for seed in range(3):
        batch = task.batch(np.random.default_rng(seed))
        clips, _, frames, *_ = batch.motion.shape
        condition = batch.condition
        if stage.single:
            assert (clips, frames) == (stage.batch * stage.frames[0], 1)
            features = condition.source_feature.unflatten(0, (stage.batch, -1))
            assert torch.equal(features, features[:, :1].expand_as(features))  # one portrait for the frames of a clip
        else:
            assert clips == stage.batch and stage.frames[0] <= frames <= stage.frames[1]
            assert (condition.audio[:, :, 0].diff(dim=1) == 1).all()
        assert condition.source_feature.shape == (clips, 64, 32, 32)
        assert condition.audio.shape == (clips, frames, 96) and batch.weight.shape == (clips, frames, 32, 32)
        torch.testing.assert_close(condition.pose[..., 0] * 15, condition.blink[..., 0])
        stretches = ((batch.draws.time + 0.5) / 1000).square().mul(clips).long()
        assert len(set(stretches.tolist())) == clips  # one of each
        torch.testing.assert_close(batch.weight.mean(dim=(2, 3)), torch.ones(clips, frames), atol=1e-3, rtol=0)
        dropped = batch.draws.dropped
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))  # clips are told sound, or none
    again = task.batch(np.random.default_rng(2))
    assert torch.equal(again.motion, batch.motion) and torch.equal(again.draws.noise, batch.draws.noise)


def test_frames_apart_are_those_of_the_clip() -> None:
    motion, weight = torch.rand(1, 3, 4, 8, 8), torch.rand(1, 4, 8, 8)
    condition = Condition(*(torch.rand(1, *shape) for shape in ((5, 8, 8), (2, 8, 8), (4, 6), (4, 6), (4, 2))))
    one, told, weights = apart(motion, condition, weight)
    assert one.shape == (4, 3, 1, 8, 8) and weights.shape == (4, 1, 8, 8)
    for frame in range(4):
        assert torch.equal(one[frame, :, 0], motion[0, :, frame]) and torch.equal(weights[frame, 0], weight[0, frame])
        for part, whole in zip(told[2:], condition[2:], strict=True):
            assert torch.equal(part[frame, 0], whole[0, frame])
        assert torch.equal(told.source_feature[frame], condition.source_feature[0])


@pytest.mark.parametrize("number", [0, 1])
def test_diffusion_losses_reach_every_weight_that_is_used(pictures: Pictures, states: States, number: int) -> None:
    torch.manual_seed(0)
    network = MaskedDiffusion(MINI)
    small = replace(STAGES[number], frames=(3, 3), batch=2)
    told = Told(Motions(pictures, flow_generator(MINI.lfg).eval()), states)
    config = replace(MINI, motion=replace(MINI.motion, beyond_head=False))
    task = MotionTask(network, told, told, small, config)
    task.losses(task.batch(np.random.default_rng(0)))["loss"].backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None}
    # The mask encoder is a fixed projection; the output heads own attention that they never use, as published.
    heads = ("diffusion.denoise_fn.final_conv", "diffusion.denoise_fn.occlusion_map")
    over_time = {
        f"{name}.{own}"
        for name, module in network.named_modules()
        if isinstance(module, TemporalAttention)
        for own, _ in module.named_parameters()
    }
    assert any(name.startswith(heads) for name in idle)
    rest = {name for name in idle if not name.startswith(("face.", *heads))}
    if small.single:
        assert {name for name in over_time if name.endswith(("to_qkv.weight", "to_out.weight"))} <= rest
        temporal = [m for m in network.modules() if isinstance(m, TemporalAttention)]
        assert all(module.to_out.weight.abs().max() == 0 for module in temporal)
    else:
        assert rest == set()


@pytest.fixture
def rivals() -> StateTask:
    torch.manual_seed(0)
    sizes = replace(MINI.blink, audio=5, state_latent=8, audio_latent=8, feed_forward=8)
    draw = torch.Generator().manual_seed(1)
    return StateTask(
        Rivals(PBNet(sizes)), torch.rand(30, 100, 2, generator=draw), torch.randn(30, 100, 5, generator=draw), steps=10
    )


def test_neither_rival_moves_the_others_weights(rivals: StateTask) -> None:
    batch = rivals.batch(np.random.default_rng(0))
    losses = rivals.losses(batch)
    judge = list(rivals.network.judge.parameters())
    own = [p for name, p in rivals.network.net.named_parameters() if p.requires_grad and "init_proj" not in name]
    through_judged = torch.autograd.grad(losses["judged"], judge + own, retain_graph=True, allow_unused=True)
    assert all(g is not None for g in through_judged[: len(judge)])
    assert all(g is None for g in through_judged[len(judge) :])
    through_doubt = torch.autograd.grad(losses["adversarial"], judge + own, retain_graph=True, allow_unused=True)
    assert all(g is None for g in through_doubt[: len(judge)])
    assert any(g is not None for g in through_doubt[len(judge) :])


def test_the_divergence_counts_from_its_share_of_the_training_on(rivals: StateTask) -> None:
    batch = rivals.batch(np.random.default_rng(0))

    def weight() -> float:
        losses = rivals.losses(batch)
        rest = losses["reconstruction"] + rivals.weights.adversarial * losses["adversarial"] + losses["judged"]
        return float((losses["loss"] - rest) / losses["divergence"])

    assert weight() == pytest.approx(0, abs=1e-6)
    assert int(rivals.network.done) == 1
    rivals.network.done.fill_(10)
    assert weight() == pytest.approx(rivals.weights.divergence, rel=0.05)


def test_latents_are_measured_of_whole_clips(rivals: StateTask) -> None:
    net = rivals.network.net
    assert net.prior is not None
    before = net.prior.mean.clone()
    rivals.measure(deviation)
    assert not torch.equal(net.prior.mean, before) and all(p.isfinite().all() for p in net.prior.buffers())
    noise, initial = torch.randn(30, 100, 8), rivals.states[:, :1]
    factors = net.prior.over_frames.clone()
    asked = [0.8, 1.25]
    found = []
    for share in asked:
        scaled = deviation(initial + net.generate(initial, rivals.audio, noise)) * share

        def amount(states: torch.Tensor, wanted: float = scaled) -> float:
            return wanted if torch.equal(states, rivals.states) else deviation(states)

        rivals.measure(amount)
        found.append(float(net.prior.over_frames[0, 0, 0] / factors[0, 0, 0]))
        net.prior.over_frames.copy_(factors)
    # The more is wanted, the more is drawn, within the range that is looked in.
    assert found[0] < found[1]
    rivals.states = rivals.states[:, :60]
    with pytest.raises(UsageError, match="60 frames are too short to train on; make them of 100"):
        rivals.measure(deviation)


def test_what_is_drawn_is_measured_on_clips_that_are_not_trained_on(rivals: StateTask) -> None:
    rivals.held = 4
    marked = rivals.states.clone()
    marked[-4:] += 10
    rivals.states = marked
    assert all((rivals.batch(np.random.default_rng(seed)).states < 5).all() for seed in range(10))
    drawn = rivals.drawn()
    assert len(drawn) % 4 == 0 and (drawn[:, 0] > 5).all()
    rivals.held = 0
    assert (rivals.drawn()[:, 0] < 5).any()


def test_held_clips_are_last_with_their_mirror_images() -> None:
    clips = torch.arange(5.0)
    assert both_sides(clips, -clips, 2).tolist() == [0, 1, 2, 0, -1, -2, 3, 4, -3, -4]
    assert both_sides(clips, -clips, 0).tolist() == [*range(5), *range(0, -5, -1)]


def test_blinks_are_counted_by_the_second() -> None:
    lids = torch.ones(2, 100, 2)
    lids[0, 20:25] = lids[0, 60:65] = 0.1
    assert blinks(lids) == 0.25  # two in one of two clips of four seconds
    assert deviation(torch.zeros(2, 5, 3)) == 0


def test_a_mirror_turns_yaw_roll_and_place() -> None:
    pose = torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    torch.testing.assert_close(mirrored(pose), torch.tensor([0.8, 0.3, 0.6, 0.5, 0.4, 0.7]))
    torch.testing.assert_close(mirrored(mirrored(pose)), pose)


def test_principal_axes_have_gradients_that_are_numbers() -> None:
    covar = torch.tensor([[[0.02, 0.0], [0.0, 0.02 + 1e-5]], [[0.03, 0.01], [0.01, 0.01]]]).requires_grad_()
    principal_axes(covar).square().sum().backward()
    assert covar.grad is not None and covar.grad.isfinite().all()


def test_the_whole_training_writes_files_that_generate(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = tmp_path / "split"
    split.mkdir()
    first = pictures.clips[0].path
    manifest = json.loads((first.parent / "manifest.json").read_text())
    for clip in pictures.clips:
        for name in (clip.path.name, f"{clip.id}.npz"):
            shutil.copy(first.parent / name, split / name)
    kept = [entry for entry in manifest["clips"] if entry["id"] in {clip.id for clip in pictures.clips}]
    (split / "manifest.json").write_text(json.dumps({**manifest, "clips": kept}))
    order = Order("dawn", "mini", "typed", split, tmp_path / "work", tmp_path / "out", share=0.0005)
    train(order)
    names = {"LFG_FILE": bundle.LFG_FILE, "A2V_FILE": bundle.A2V_FILE, "PBNET_FILE": bundle.PBNET_FILE}
    written = {name: order.out / path.name for name, path in names.items() if order.out is not None}
    assert sum(path.stat().st_size for path in written.values()) < 6e6
    for name, path in written.items():
        assert path.with_suffix(".json").is_file() and path.with_suffix(".md").is_file()
        monkeypatch.setattr(bundle, name, path)
    before = [path.stat().st_mtime_ns for path in written.values()]
    train(order)  # what is there is kept
    assert [path.stat().st_mtime_ns for path in written.values()] == before
    method = Dawn("mini")
    own = published_encoder(bundle.PUBLISHED_SEED)
    torch.testing.assert_close(method.networks.face.conv1.weight, own.conv1.weight, atol=1e-3, rtol=0)
    request = Request(pictures.frames[0, 0], Audio(pictures.sound[0], 16_000), 25.0, 3, controls={"steps": 1})
    assert len(list(method.generate(request).frames)) == 3
