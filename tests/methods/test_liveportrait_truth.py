"""LivePortrait's motion of synth-heads clips against the generator's own landmarks."""

import numpy as np
import pytest
import torch
from thbench_methods.nets.liveportrait.keypoints import rotation_matrix, transform
from thbench_methods.nets.liveportrait.mini import Renderer
from thbench_methods.nets.liveportrait.train_renderer import places_l1
from thbench_methods.nets.liveportrait.truth_motion import POINTS, UNIT, truth_motion
from thbench_methods.nets.liveportrait.warping import coordinate_grid, flattened, heat_maps, moved_portrait

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.faces.pose import rotation_from_degrees


@pytest.fixture(scope="module")
def clip():
    return clips_of()[3]


@pytest.fixture(scope="module")
def motion(clip):
    return truth_motion(clip)


def test_keypoints_are_where_the_landmarks_are_seen(clip, motion):
    truth = truth_of(clip)
    seen = (transform(motion.canonical, motion.motion)[..., :2].numpy() + 1) * truth.about.size / 2
    landmarks = truth.landmarks478()[..., :2]
    for point, (first, second, share) in enumerate(POINTS):
        if share == 0:
            assert first == second
            assert np.abs(seen[:, point] - landmarks[:, first]).max() < 0.01


def test_rotation_is_the_generators(clip, motion):
    truth = truth_of(clip)
    flip = np.diag((1.0, -1.0, -1.0))
    ours = rotation_matrix(motion.motion.pose).numpy()
    for frame in range(0, len(truth), 20):
        theirs = flip @ rotation_from_degrees(truth.pose[frame]) @ flip
        assert np.abs(ours[frame] - theirs.T).max() < 1e-4


def test_canonical_keypoints_belong_to_the_person(motion):
    assert motion.canonical.shape == (len(POINTS), 3)
    mirrored = motion.canonical * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(mirrored[7], motion.canonical[10], atol=0.05)


def test_open_mouth_is_in_the_lips_alone(clip, motion):
    opening = truth_of(clip).opening
    points = transform(motion.canonical, motion.motion) / motion.motion.scale[:, None, None]
    gap = (points[:, 12] - points[:, 6]).norm(dim=1) * UNIT
    assert np.abs(gap.numpy() - opening).max() < 0.05 * opening.max()
    ears = motion.motion.expression[:, [7, 10]].abs().max()
    assert ears < 0.3 * motion.motion.expression[:, 12].abs().max()


def test_identity_deformation_leaves_the_portrait():
    image = torch.rand(2, 3, 128, 128)
    line = torch.linspace(-1, 1, 32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack((x, y, torch.zeros_like(x)), dim=-1).expand(2, 2, 32, 32, 3)
    assert torch.allclose(moved_portrait(image, grid), image, atol=1e-4)


def test_shift_moves_the_portrait():
    image = torch.rand(1, 3, 128, 128)
    line = torch.linspace(-1, 1, 32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack((x + 2 / 127 * 5, y, torch.zeros_like(x)), dim=-1).expand(1, 2, 32, 32, 3)
    assert torch.allclose(moved_portrait(image, grid)[..., :120], image[..., 5:125], atol=1e-4)


def test_places_loss_is_zero_for_the_shift_of_the_keypoints():
    source, shift = 0.5 * (torch.rand(1, 21, 3) - 0.5), torch.tensor([0.1, -0.05, 0.0])
    driving = (source + shift)[:, None]
    line = torch.linspace(-1, 1, 32)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack((x, y, torch.zeros_like(x)), dim=-1).expand(1, 2, 32, 32, 3)
    assert places_l1(grid - shift, source, driving) < 1e-5
    assert places_l1(grid, source, driving) == pytest.approx(0.075, abs=1e-4)


def test_moved_keypoints_are_seen_in_the_one_plane(motion):
    points = flattened(transform(motion.canonical, motion.motion))
    grid = coordinate_grid(torch.zeros(1, 1, 1, 32, 32))
    heat = heat_maps(grid, points[:1].expand_as(points), points).abs()
    moved = (points - points[:1]).norm(dim=-1)
    assert heat.shape == (len(points), 22, 1, 32, 32)
    far = moved > 0.1
    assert far.any()
    assert (heat[:, 1:].amax(dim=(2, 3, 4))[far] > 0.3).all()


def test_a_single_plane_lies_at_depth_0_and_more_span_the_volume():
    assert (coordinate_grid(torch.zeros(1, 1, 1, 4, 4))[..., 2] == 0).all()
    assert coordinate_grid(torch.zeros(1, 1, 3, 4, 4))[:, 0, 0, 2].tolist() == [-1, 0, 1]


def test_depth_of_keypoints_does_not_matter_in_one_plane():
    torch.manual_seed(0)
    net = Renderer().eval()
    portrait, source, driving = torch.rand(1, 3, 128, 128), torch.rand(1, 21, 3), torch.rand(1, 2, 21, 3)
    with torch.inference_mode():
        made, _ = net(portrait, source, driving)
        deeper, _ = net(portrait, source - torch.tensor([0, 0, 0.5]), driving + torch.tensor([0, 0, 0.7]))
    assert torch.equal(made, deeper)


def test_renderer_makes_pictures_of_the_portraits_size():
    net = Renderer().eval()
    with torch.inference_mode():
        made, deformation = net(torch.rand(2, 3, 128, 128), torch.rand(2, 21, 3), torch.rand(2, 3, 21, 3))
    assert made.shape == (6, 3, 128, 128) and deformation.shape == (6, 1, 32, 32, 3)
    assert made.min() >= 0 and made.max() <= 1
