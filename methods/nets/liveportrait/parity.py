"""Adapters of the LivePortrait networks: fixture to outputs by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from thbench_methods.nets.liveportrait import keypoints as kp
from thbench_methods.nets.liveportrait.appearance import AppearanceExtractor
from thbench_methods.nets.liveportrait.generator import SpadeGenerator
from thbench_methods.nets.liveportrait.motion import MotionExtractor
from thbench_methods.nets.liveportrait.stitching import Sizes, StitchingRetargeting
from thbench_methods.nets.liveportrait.warping import WarpingNetwork

from thbench.parity.loading import network, tensors

if TYPE_CHECKING:
    from thbench.parity.fixture import Fixture

Outputs = dict[str, Any]


@torch.inference_mode()
def appearance(fixture: Fixture) -> Outputs:
    """`liveportrait.appearance`: the feature volume of an image."""
    net = network(fixture, lambda: AppearanceExtractor(**fixture.config))
    return {"volume": net(**tensors(fixture.inputs))}


@torch.inference_mode()
def motion(fixture: Fixture) -> Outputs:
    """`liveportrait.motion`: raw heads, and the angles."""
    config = {name: fixture.config[name] for name in ("num_kp", "depths", "widths", "num_bins")}
    net = network(fixture, lambda: MotionExtractor(**config))
    heads: Outputs = net(**tensors(fixture.inputs))
    return heads | {f"{angle}_degrees": kp.bins_to_degrees(heads[angle]) for angle in kp.HeadPose._fields}


@torch.inference_mode()
def keypoints(fixture: Fixture) -> Outputs:
    """`liveportrait.keypoints`: rotation and key-points of given angles, and of angles from bins."""
    given = tensors(fixture.inputs)
    direct = kp.HeadPose(*(given[angle][:, 0] for angle in kp.HeadPose._fields))
    binned = kp.HeadPose(*(kp.bins_to_degrees(given[f"{angle}_bins"]) for angle in kp.HeadPose._fields))
    placed = [
        kp.transform(given["canonical"], kp.Motion(pose, given["t"], given["exp"], given["scale"][:, 0]))
        for pose in (direct, binned)
    ]
    return {
        "rotation": kp.rotation_matrix(direct),
        "keypoints": placed[0],
        "degrees": torch.stack(binned, dim=1),
        "keypoints_from_bins": placed[1],
    }


@torch.inference_mode()
def warping(fixture: Fixture) -> Outputs:
    """`liveportrait.warping`: warped feature map, occlusion and deformation."""
    net = network(fixture, lambda: WarpingNetwork(**fixture.config))
    outputs: Outputs = net(**tensors(fixture.inputs))._asdict()
    return outputs


@torch.inference_mode()
def generator(fixture: Fixture) -> Outputs:
    """`liveportrait.generator`: the frame of a feature map."""
    net = network(fixture, lambda: SpadeGenerator(**fixture.config))
    return {"image": net(**tensors(fixture.inputs))}


@torch.inference_mode()
def stitching(fixture: Fixture) -> Outputs:
    """`liveportrait.stitching`: the stitching correction, the stitched key-points, and the eye and lip offsets."""
    sizes = {name: Sizes(**fixture.config[name]) for name in ("stitching", "lip", "eye")}
    net = network(fixture, lambda: StitchingRetargeting(**sizes))
    given = tensors(fixture.inputs)
    source, driving = given["kp_source"], given["kp_driving"]
    return {
        "stitching": net.retarget_shoulder(torch.cat((source.flatten(1), driving.flatten(1)), dim=1)),
        "stitched": net.stitch(source, driving),
        "eye": net.eyes(source, given["eye_ratio"]),
        "lip": net.lips(source, given["lip_ratio"]),
    }
