"""What PBNet and A2V-FDM are trained on: sound, pose and blinks of synth-heads, and the motion between its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.dawn.hearing import MiniHearing
from thbench_methods.dawn.lfg.regions import Regions
from thbench_methods.dawn.state import box_of, mini_blink, mini_pose

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg import Flow, LatentFlowGenerator
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

FPS = 25.0


@dataclass(frozen=True)
class States:
    """What is heard, and how heads and lids move, in the truth of a split. All begin with (clips, frames)."""

    audio: Tensor
    """Features of the mini speech encoder, last layer."""
    pose: Tensor
    """Six numbers, as `State.pose` of the mini preset."""
    blink: Tensor
    """Two numbers."""


def states_of(pictures: Pictures) -> States:
    """Read the states of a split."""
    hear, frames, size = MiniHearing(), pictures.frames.shape[1], pictures.frames.shape[2]
    audio = torch.stack([hear(np.array(sound), frames, FPS) for sound in pictures.sound]).clone()
    pose = torch.stack(
        [mini_pose(a, m, size) for a, m in zip(pictures.pose, np.asarray(pictures.landmarks68), strict=True)]
    )
    return States(audio, pose, torch.stack([mini_blink(e) for e in pictures.expression]))


@dataclass(frozen=True)
class Motions:
    """The frozen latent flow generator beside a split: flows between any two frames of a clip."""

    pictures: Pictures
    lfg: LatentFlowGenerator
    """In evaluation mode."""

    @torch.inference_mode()
    def flow(self, clip: int, reference: int, frames: slice) -> Flow:
        """Return the flow from a frame of a clip to a stretch of its frames."""
        images = torch.cat((self.images(clip, slice(reference, reference + 1)), self.images(clip, frames)))
        regions: Regions = self.lfg.region_predictor(images)
        driving = images[1:]
        source = images[:1].expand(len(driving), -1, -1, -1)
        of_source = Regions(*(part[:1].expand(len(driving), *part.shape[1:]) for part in regions))
        of_driving = Regions(*(part[1:] for part in regions))
        background = self.lfg.bg_predictor(source, driving)
        flow: Flow = self.lfg.generator.pixelwise_flow_predictor(source, of_source, of_driving, background)
        return flow

    @torch.inference_mode()
    def feature(self, clip: int, reference: int) -> Tensor:
        """Return the feature (1, C, h, w) of a frame."""
        return self.lfg.generator.encode(self.images(clip, slice(reference, reference + 1))).feature

    def images(self, clip: int, frames: slice) -> Tensor:
        """Return frames (n, 3, H, W) in [0, 1]."""
        return as_images(np.asarray(self.pictures.frames[clip, frames]))

    def box(self, clip: int, frame: int) -> Tensor:
        """Return the face box (6,) of a frame."""
        size = self.pictures.frames.shape[2]
        return box_of(np.asarray(self.pictures.landmarks68[clip, frame]), size, size)


def as_images(frames: np.ndarray) -> Tensor:
    """Return frames (n, H, W, 3) uint8 as (n, 3, H, W) in [0, 1], channels last in memory."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
