"""Cropping, pasting back, motion vectors, published checkpoint files, and rendering with small networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from thbench_methods.kdtalker.motion import LAYOUT as KDTALKER
from thbench_methods.moda.motion import LAYOUT as MODA
from thbench_methods.nets.liveportrait import (
    AppearanceExtractor,
    HeadPose,
    LivePortrait,
    Motion,
    MotionExtractor,
    SpadeGenerator,
    StitchingRetargeting,
    WarpingNetwork,
    load_published,
)
from thbench_methods.nets.liveportrait.animate import FILES, STITCHING_ENTRIES, _load_stitching
from thbench_methods.nets.liveportrait.crop import CropRule, crop, crop_matrix, feathered, paste, prepare_paste
from thbench_methods.nets.liveportrait.stitching import Sizes

from thbench.errors import MissingWeightsError, WeightsMismatchError


def face(centre: tuple[float, float] = (300.0, 260.0), size: float = 100.0, degrees: float = 0.0) -> np.ndarray:
    """68 points of a schematic face: a square outline, eye corners, mouth corners."""
    points = np.zeros((68, 2))
    points[:17] = [(-1, -1), (1, -1), (1, 1), (-1, 1)] * 4 + [(-1, -1)]
    points[36], points[39], points[42], points[45] = (-0.6, -0.4), (-0.2, -0.4), (0.2, -0.4), (0.6, -0.4)
    points[48], points[54] = (-0.3, 0.5), (0.3, 0.5)
    turn = np.deg2rad(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return points @ rotation.T * size / 2 + centre


def moved(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_an_upright_face_lies_below_the_middle_of_the_crop() -> None:
    matrix = crop_matrix(face(size=100))
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 512 / 230)
    middle = moved(matrix, np.array([[300.0, 260.0]]))[0]
    np.testing.assert_allclose(middle, [256, 256 + 0.125 * 512])


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 12.5, 90.0])
def test_a_turned_face_is_upright_in_the_crop(degrees: float) -> None:
    upright = moved(crop_matrix(face()), face())
    turned = face(centre=(120.0, 400.0), size=160, degrees=degrees)
    np.testing.assert_allclose(moved(crop_matrix(turned), turned), upright, atol=1e-6)


def test_without_rotation_the_crop_stays_level() -> None:
    matrix = crop_matrix(face(degrees=20), CropRule(rotate=False))
    assert matrix[0, 1] == matrix[1, 0] == 0


def test_the_mask_is_full_inside_and_empty_at_the_edge() -> None:
    mask = feathered(64)
    assert (mask[0] == 0).all()
    assert (mask[2:-2, 2:-2] == 1).all()
    np.testing.assert_array_equal(mask, mask.T)


@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_an_unchanged_crop_pastes_back_to_nearly_the_same_portrait(degrees: float) -> None:
    y, x = np.mgrid[:480, :640]
    portrait = np.stack((127 + 100 * np.sin(x / 40), 127 + 100 * np.cos(y / 50), x / 3), axis=-1).astype(np.uint8)
    matrix = crop_matrix(face(degrees=degrees))
    prepared = prepare_paste(portrait, matrix, 512)
    result = paste(crop(portrait, matrix, 512), prepared)
    assert result.shape == portrait.shape
    assert np.abs(result.astype(int) - portrait).max() <= 4
    outside = np.ones(portrait.shape[:2], dtype=bool)
    outside[prepared.region] = False
    np.testing.assert_array_equal(result[outside], portrait[outside])


def test_a_new_crop_replaces_the_face_and_not_the_portrait_given() -> None:
    portrait = np.zeros((480, 640, 3), np.uint8)
    prepared = prepare_paste(portrait, crop_matrix(face()), 512)
    result = paste(np.full((512, 512, 3), 200, np.uint8), prepared)
    assert (result[260, 300] == 200).all()
    assert result[:100].max() == 0
    assert portrait.max() == 0


def test_a_face_at_the_corner_of_the_portrait_can_be_pasted() -> None:
    portrait = np.full((200, 200, 3), 50, np.uint8)
    prepared = prepare_paste(portrait, crop_matrix(face(centre=(5.0, 195.0))), 512)
    assert paste(np.full((512, 512, 3), 90, np.uint8), prepared)[190, 5, 0] == 90


@pytest.mark.parametrize("layout", [KDTALKER, MODA])
def test_layouts_are_turned_into_each_other(layout: object) -> None:
    vectors = torch.randn(5, 70)
    assert KDTALKER.size == MODA.size == 70
    motion = layout.unpack(vectors)
    torch.testing.assert_close(layout.pack(motion), vectors)
    torch.testing.assert_close(layout.pack(MODA.unpack(MODA.pack(motion))), vectors)


def test_the_published_orders() -> None:
    index = torch.arange(70.0)
    kdtalker, moda = KDTALKER.unpack(index), MODA.unpack(index)
    assert [float(kdtalker.scale), *map(float, kdtalker.pose)] == [0, 2, 1, 3]
    assert kdtalker.translation.tolist() == [4, 5, 6]
    assert kdtalker.expression[1].tolist() == [10, 11, 12]
    assert [float(moda.scale), *map(float, moda.pose)] == [63, 67, 68, 69]
    assert moda.translation.tolist() == [64, 65, 66]
    assert moda.expression[20].tolist() == [60, 61, 62]


def small_liveportrait() -> LivePortrait:
    torch.manual_seed(0)
    sizes = {"block_expansion": 4, "max_features": 16, "num_down_blocks": 2}
    dense = {"block_expansion": 4, "max_features": 16, "num_blocks": 3, "reshape_depth": 4, "compress": 2}
    stitching = StitchingRetargeting(Sizes(30, (8,), 17), Sizes(17, (8,), 15), Sizes(18, (8,), 15))
    return LivePortrait(
        AppearanceExtractor(**sizes, reshape_channel=4, reshape_depth=4, num_resblocks=1).eval(),
        MotionExtractor(num_kp=5, depths=(1, 1, 1, 1), widths=(4, 8, 8, 8)).eval(),
        WarpingNetwork(num_kp=5, **sizes, reshape_channel=4, dense_motion_params=dense).eval(),
        SpadeGenerator(upscale=1, **sizes).eval(),
        stitching.eval(),
    )


def test_frames_do_not_depend_on_the_batch() -> None:
    net = small_liveportrait()
    source = net.read(torch.rand(1, 3, 64, 64))
    keypoints = net.stitched(source, source.keypoints + 0.1 * torch.randn(5, 5, 3))
    one, two = (torch.cat(list(net.frames(source, keypoints, batch))) for batch in (1, 2))
    assert one.shape == (5, 3, 64, 64)
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(one[0], one[1])
    assert list(net.frames(source, keypoints[:0])) == []


def test_stitching_reads_source_then_driving() -> None:
    net = small_liveportrait()
    source = net.read(torch.rand(1, 3, 64, 64))
    driving = torch.randn(2, 5, 3)
    raw = net.stitching.retarget_shoulder(
        torch.cat((source.keypoints.expand(2, -1, -1).flatten(1), driving.flatten(1)), dim=1)
    )
    shift = torch.cat((raw[:, 15:], torch.zeros(2, 1)), dim=1)[:, None]
    expected = driving + raw[:, :15].reshape(2, 5, 3) + shift
    torch.testing.assert_close(net.stitched(source, driving), expected)


def test_the_published_stitching_file_is_read(tmp_path: Path) -> None:
    net = StitchingRetargeting()
    content = {
        entry: {f"module.{key}": tensor for key, tensor in getattr(net, entry).state_dict().items()}
        for entry in STITCHING_ENTRIES
    }
    path = tmp_path / FILES["stitching"]
    torch.save(content, path)
    for key, tensor in _load_stitching(path).state_dict().items():
        torch.testing.assert_close(tensor, net.state_dict()[key])
    torch.save({"retarget_eye": content["retarget_eye"]}, path)
    with pytest.raises(WeightsMismatchError, match="retarget_shoulder"):
        _load_stitching(path)


def test_an_absent_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match=r"appearance_feature_extractor\.pth"):
        load_published(tmp_path)


def test_a_file_in_a_sub_folder_is_found_and_checked(tmp_path: Path) -> None:
    (tmp_path / "base_models").mkdir()
    torch.save({"first.conv.weight": torch.zeros(1)}, tmp_path / "base_models" / FILES["appearance"])
    with pytest.raises(WeightsMismatchError, match="AppearanceExtractor"):
        load_published(tmp_path)


def test_source_keypoints_are_those_of_its_own_motion() -> None:
    source = small_liveportrait().read(torch.rand(1, 3, 64, 64))
    assert isinstance(source.motion, Motion)
    assert isinstance(source.motion.pose, HeadPose)
    assert source.canonical.shape == source.keypoints.shape == (1, 5, 3)
