"""What the networks promise beyond parity: folding, layouts, batches, shapes, published key names."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from net_helpers import filled
from torch import nn

from thbench.backbones.arcface import IResNet, cosine_matrix
from thbench.backbones.folding import fold_batch_norms
from thbench.backbones.hopenet import Hopenet
from thbench.backbones.i3d import I3D, MIN_FRAMES
from thbench.backbones.inception import InceptionFID
from thbench.backbones.s3fd import S3FD
from thbench.backbones.sixdrepnet import SixDRepNet, euler_degrees, merge_branches, rotation_from_six
from thbench.backbones.syncnet import WINDOW, SyncNet

Case = tuple[Callable[[], nn.Module], tuple[int, ...], float]
CASES: dict[str, Case] = {
    "inception": (InceptionFID, (2, 3, 107, 107), 200.0),
    "i3d": (I3D, (1, 3, MIN_FRAMES, 224, 224), 100.0),
    "arcface": (lambda: IResNet((1, 1, 1, 1)), (2, 3, 112, 112), 1.0),
    "hopenet": (lambda: Hopenet((1, 1, 1, 1)), (2, 3, 224, 224), 3.0),
    "sixdrepnet": (lambda: SixDRepNet(deploy=False), (1, 3, 64, 64), 3.0),
}


@pytest.mark.parametrize("name", CASES)
def test_folding_batch_norms_changes_nothing_but_rounding(name: str) -> None:
    factory, shape, scale = CASES[name]
    net = filled(factory)
    before = copy.deepcopy(net.state_dict())
    folded = fold_batch_norms(net)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 * scale - scale
    with torch.inference_mode():
        expected, ours = net(x), folded(x)
    assert (expected - ours).abs().max() < 2e-5 * expected.abs().max()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    norms = [type(m).__name__ for m in folded.modules() if "BatchNorm" in type(m).__name__]
    # What stays: before a padded convolution (arcface), and alone in the identity branch (sixdrepnet).
    allowed = {"arcface": 5, "sixdrepnet": 3 + 5 + 15}.get(name, 0)
    assert len(norms) == allowed


@pytest.mark.parametrize("name", ["inception", "arcface", "hopenet"])
def test_channels_last_changes_nothing_but_rounding(name: str) -> None:
    factory, shape, scale = CASES[name]
    net = filled(factory)
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 * scale - scale
    with torch.inference_mode():
        expected = net(x)
        ours = net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    assert (expected - ours).abs().max() < 2e-5 * expected.abs().max()


def test_folding_refuses_training_mode() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_batch_norms(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))


def test_folding_needs_running_statistics() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, track_running_stats=False)).eval()
    with pytest.raises(ValueError, match="cannot be folded"):
        fold_batch_norms(net)


def test_inception_has_the_published_keys_and_taps() -> None:
    with torch.device("meta"):
        net = InceptionFID()
    assert len(net.state_dict()) == 566
    assert {"Mixed_7c.branch3x3dbl_3b.bn.running_var", "Conv2d_1a_3x3.conv.weight", "fc.bias"} <= set(net.state_dict())
    taps = net.taps(torch.zeros(2, 3, 299, 299, device="meta"))
    assert {size: tuple(tap.shape) for size, tap in taps.items()} == {s: (2, s) for s in (64, 192, 768, 2048)}


@pytest.mark.parametrize(("frames", "works"), [(MIN_FRAMES - 1, False), (MIN_FRAMES, True), (16, True), (32, True)])
def test_i3d_needs_nine_frames(frames: int, works: bool) -> None:
    with torch.device("meta"):
        net = I3D().eval()
    clip = torch.zeros(1, 3, frames, 224, 224, device="meta")
    if works:
        assert net(clip).shape == (1, 400)
    else:
        with pytest.raises(RuntimeError):
            net(clip)


def test_syncnet_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = SyncNet()
    assert sum(p.numel() for p in net.parameters()) == 13_631_616
    assert sum(p.numel() for p in net.netcnnaud.parameters()) == 4_875_712
    assert sum(p.numel() for p in net.netcnnlip.parameters()) == 7_177_920


def test_one_pass_over_a_clip_equals_its_windows() -> None:
    net = filled(SyncNet)
    frames = torch.rand(3, WINDOW + 2, 224, 224, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        windows = torch.stack([frames[:, i : i + WINDOW] for i in range(3)])
        assert torch.allclose(net.lips_of_clip(frames), net.lips(windows), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(240, 320), (97, 131)])
def test_s3fd_answers_for_every_prior(size: tuple[int, int]) -> None:
    net = filled(S3FD)
    with torch.inference_mode():
        loc, score, maps = net(torch.zeros(2, 3, *size))
    count = sum(rows * columns for rows, columns in maps)
    assert loc.shape == (2, count, 4) and score.shape == (2, count) and len(maps) == 6
    assert bool(((score > 0) & (score < 1)).all())


def test_merging_the_branches_of_repvgg_changes_nothing_but_rounding() -> None:
    net = filled(lambda: SixDRepNet(deploy=False))
    merged = merge_branches(net)
    assert not any("rbr_dense" in key for key in merged.state_dict())
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 4 - 2
    with torch.inference_mode():
        expected = net(x)
        assert (merged(x) - expected).abs().max() < 1e-5 * expected.abs().max()
        assert torch.equal(merge_branches(merged)(x), merged(x))


def test_six_numbers_give_a_rotation() -> None:
    six = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotation = rotation_from_six(six)
    eye = torch.eye(3, dtype=torch.float64).expand(50, 3, 3)
    assert torch.allclose(rotation.transpose(1, 2) @ rotation, eye, atol=1e-12)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(rotation_from_six(torch.cat((rotation[:, :, 0], rotation[:, :, 1]), dim=1)), rotation)


def turn(axis: int, degrees: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    matrix = torch.eye(3, dtype=torch.float64)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix[i, i] = matrix[j, j] = angle.cos()
    matrix[i, j], matrix[j, i] = -angle.sin(), angle.sin()
    return matrix


@pytest.mark.parametrize("angles", [(10.0, 0.0, 0.0), (0.0, 25.0, 0.0), (0.0, 0.0, -40.0), (12.0, -33.0, 50.0)])
def test_euler_angles_are_pitch_yaw_roll_about_x_y_z(angles: tuple[float, float, float]) -> None:
    pitch, yaw, roll = angles
    rotation = turn(2, roll) @ turn(1, yaw) @ turn(0, pitch)
    assert euler_degrees(rotation[None])[0].tolist() == pytest.approx(angles, abs=1e-9)


def test_roll_is_zero_where_it_cannot_be_told_from_pitch() -> None:
    rotation = turn(2, 20.0) @ turn(1, 90.0) @ turn(0, 5.0)
    pitch, yaw, roll = euler_degrees(rotation[None])[0].tolist()
    assert (yaw, roll) == (pytest.approx(90), 0) and pitch == pytest.approx(-15)


def test_the_pool_over_time_matters_only_for_long_clips() -> None:
    two, one = filled(I3D), filled(lambda: I3D(pool_frames=1))
    clip = torch.rand(1, 3, 32, 224, 224, generator=torch.Generator().manual_seed(0)) * 200 - 100
    with torch.inference_mode():
        assert torch.allclose(two(clip[:, :, :16]), one(clip[:, :, :16]), atol=1e-4)
        assert not torch.allclose(two(clip), one(clip), atol=1e-4)


def test_cosines_do_not_depend_on_length() -> None:
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    cosines = cosine_matrix(x * torch.tensor([[1.0], [10.0], [0.1], [3.0]]))
    assert torch.allclose(cosines, cosine_matrix(x), atol=1e-6)
    assert torch.allclose(cosines.diagonal(), torch.ones(4))
