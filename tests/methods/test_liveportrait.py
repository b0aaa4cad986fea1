"""LivePortrait's networks and its key-point algebra."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.spatial.transform import Rotation
from thbench_methods.nets.liveportrait import (
    AppearanceExtractor,
    HeadPose,
    Motion,
    MotionExtractor,
    SpadeGenerator,
    StitchingRetargeting,
    WarpingNetwork,
    bins_to_degrees,
    extracted_motion,
    rotation_matrix,
    transform,
)

from thbench.parity import Outcome

SMALL_DENSE = {"block_expansion": 4, "max_features": 16, "num_blocks": 3, "reshape_depth": 4, "compress": 2}


@pytest.mark.parametrize("part", ["appearance", "generator", "keypoints", "motion", "stitching", "warping"])
def test_the_published_network_is_reproduced(parity: Callable[[str], Outcome], part: str) -> None:
    outcome = parity(f"liveportrait.{part}")
    assert outcome.status == "passed", (outcome.message, outcome.outputs)


@pytest.mark.parametrize(
    ("factory", "parameters", "keys"),
    [
        (AppearanceExtractor, 836_224, 107),
        (MotionExtractor, 28_118_728, 212),
        (WarpingNetwork, 45_529_829, 97),
        (SpadeGenerator, 55_365_388, 182),
        (StitchingRetargeting, 45_249 + 37_311 + 144_703, 28),
    ],
)
def test_published_sizes_are_the_defaults(factory: Callable[[], torch.nn.Module], parameters: int, keys: int) -> None:
    with torch.device("meta"):
        net = factory()
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == keys


def small_warping() -> WarpingNetwork:
    torch.manual_seed(0)
    return WarpingNetwork(
        num_kp=5, block_expansion=4, max_features=16, reshape_channel=4, dense_motion_params=SMALL_DENSE
    ).eval()


def test_equal_keypoints_leave_the_volume_where_it_is() -> None:
    volume, points = torch.rand(2, 4, 4, 16, 16), torch.rand(2, 5, 3) - 0.5
    deformation = small_warping()(volume, points, points).deformation
    axes = [torch.linspace(-1, 1, size) for size in (16, 16, 4)]
    expected = torch.stack(torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")[::-1], dim=-1)
    torch.testing.assert_close(deformation, expected.expand(2, -1, -1, -1, -1), atol=1e-5, rtol=0)


def test_a_batch_is_each_of_its_frames_alone() -> None:
    net = small_warping()
    volume, source, driving = torch.rand(3, 4, 4, 16, 16), torch.rand(3, 5, 3), torch.rand(3, 5, 3)
    together = net(volume, source, driving)
    for n in range(3):
        alone = net(volume[n : n + 1], source[n : n + 1], driving[n : n + 1])
        for ours, theirs in zip(together, alone, strict=True):
            torch.testing.assert_close(ours[n : n + 1], theirs, atol=1e-5, rtol=1e-4)


def test_the_pipeline_closes_at_a_small_size() -> None:
    torch.manual_seed(0)
    sizes = {"block_expansion": 4, "max_features": 16, "num_down_blocks": 2}
    appearance = AppearanceExtractor(**sizes, reshape_channel=4, reshape_depth=4, num_resblocks=1).eval()
    motion = MotionExtractor(num_kp=5, depths=(1, 1, 1, 1), widths=(4, 8, 8, 8), num_bins=66).eval()
    generator = SpadeGenerator(upscale=1, **sizes).eval()
    image = torch.rand(2, 3, 64, 64)
    found = motion(image)
    points = transform(found["kp"].reshape(2, 5, 3), extracted_motion(found))
    frames = generator(small_warping()(appearance(image), points, points).feature)
    assert frames.shape == (2, 3, 64, 64)
    assert 0 < frames.min() < frames.max() < 1


def test_rotation_is_that_of_scipy() -> None:
    angles = torch.tensor(
        [[10.0, 0.0, 0.0], [0.0, -40.0, 0.0], [0.0, 0.0, 25.0], [-20.0, 35.0, 50.0]], dtype=torch.float64
    )
    ours = rotation_matrix(HeadPose(*angles.T))
    theirs = Rotation.from_euler("xyz", angles.numpy(), degrees=True).as_matrix()
    torch.testing.assert_close(ours.transpose(-1, -2), torch.from_numpy(theirs))


def test_a_level_head_is_scaled_and_shifted_in_the_plane_only() -> None:
    zero = torch.zeros(1)
    canonical, shift = torch.rand(1, 21, 3), torch.tensor([[0.1, -0.2, 9.0]])
    motion = Motion(HeadPose(zero, zero, zero), shift, torch.zeros(1, 21, 3), torch.tensor([1.5]))
    expected = 1.5 * canonical + torch.tensor([0.1, -0.2, 0.0])
    torch.testing.assert_close(transform(canonical, motion), expected)


@pytest.mark.parametrize(("bin_index", "degrees"), [(0, -97.5), (32, -1.5), (65, 97.5)])
def test_a_certain_bin_is_its_angle(bin_index: int, degrees: float) -> None:
    logits = torch.full((66,), -math.inf)
    logits[bin_index] = 0.0
    assert bins_to_degrees(logits).item() == pytest.approx(degrees)
