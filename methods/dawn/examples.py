"""What PBNet and A2V-FDM are trained on: sound, pose and blinks of synth-heads, and the motion between its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.dawn.hearing import MiniHearing
from thbench_methods.dawn.lfg import round_regions
from thbench_methods.dawn.state import box_of, mini_blink, mini_pose
from thbench_methods.dawn.true_flow import true_flow
from thbench_methods.nets.unet3d.train import cell_weights

from thbench.backbones.mini.face import BLINK
from thbench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.dawn.lfg import Flow, LatentFlowGenerator, Regions
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

    Frames = slice | NDArray[np.int64]

FPS = 25.0
CALM = 0.8
"""Share of portraits that are drawn among calm frames."""
SHUTTING = 1 / 3
"""Share of single frames that are drawn among those in which lids are not open: of all frames they are few."""
CLOSED, OPEN = 1.5 / 128, 0.3
"""Opening of a closed mouth, of the picture's side, and coefficient of a lid that is open."""
ANCHORS = ((8,), (48,), (54,), (51, 62), (57, 66), (37, 38), (43, 44), (30,), (3,), (13,))
"""Landmarks of the 68 whose mean is the centre of each region: chin, lips, lids, nose and jaw."""


@dataclass(frozen=True)
class States:
    """What is heard, and how heads and lids move, in the truth of a split. All begin with (clips, frames)."""

    audio: Tensor
    """Features of the mini speech encoder, last layer."""
    pose: Tensor
    """Six numbers, as `State.pose` of the mini preset."""
    blink: Tensor
    """Two numbers."""


def states_of(pictures: Pictures, audio: Tensor | None = None) -> States:
    """Read the states of a split; `audio` where its features are known."""
    frames, size = pictures.frames.shape[1:3]
    if audio is None:
        hear = MiniHearing()
        audio = torch.stack([hear(np.array(sound), frames, FPS) for sound in pictures.sound]).clone()
    pose = torch.stack(
        [mini_pose(a, m, size) for a, m in zip(pictures.pose, np.asarray(pictures.landmarks68), strict=True)]
    )
    return States(audio, pose, torch.stack([mini_blink(e) for e in pictures.expression]))


@dataclass(frozen=True)
class Motions:
    """The frozen latent flow generator beside a split: flows between any two frames of a clip.

    The flows are those of the truth, which the flow predictor was taught.
    """

    pictures: Pictures
    lfg: LatentFlowGenerator
    """In evaluation mode."""

    @torch.inference_mode()
    def flow(self, clip: int, reference: int, frames: Frames) -> Flow:
        """Return the flow from a frame of a clip to others of its frames."""
        one, images = slice(reference, reference + 1), self.images(clip, frames)
        marks, source = self.marks(clip, frames), self.marks(clip, one)
        return true_flow(self.images(clip, one).expand_as(images), images, (source.expand_as(marks), marks))

    @torch.inference_mode()
    def feature(self, clip: int, reference: int) -> Tensor:
        """Return the feature (1, C, h, w) of a frame."""
        return self.lfg.generator.encode(self.images(clip, slice(reference, reference + 1))).feature

    def weight(self, clip: int, frames: Frames, side: int) -> Tensor:
        """Return how much the error of each place of frames counts, (n, side, side), mean 1."""
        size = self.pictures.frames.shape[2]
        rows = [cell_weights(marks, size, side) for marks in np.asarray(self.pictures.landmarks68[clip, frames])]
        return torch.from_numpy(np.stack(rows))

    def marks(self, clip: int, frames: Frames) -> Tensor:
        """Return the landmarks (n, 68, 2) of frames, from -1 to 1."""
        return places_of(np.asarray(self.pictures.landmarks68[clip, frames]), self.pictures.frames.shape[2])

    def images(self, clip: int, frames: Frames) -> Tensor:
        """Return frames (n, 3, H, W) in [0, 1]."""
        return as_images(np.asarray(self.pictures.frames[clip, frames]))

    def box(self, clip: int, frame: int) -> Tensor:
        """Return the face box (6,) of a frame."""
        size = self.pictures.frames.shape[2]
        return box_of(np.asarray(self.pictures.landmarks68[clip, frame]), size, size)


def calm(pictures: Pictures) -> NDArray[np.bool_]:
    """Return which frames of clips could be a portrait, (clips, frames): with a closed mouth and open eyes.

    A method is mostly given such ones, and what lies between open lips cannot be brought from closed ones.
    """
    marks = np.asarray(pictures.landmarks68)
    upper, lower = marks[:, :, 61:64], marks[:, :, [67, 66, 65]]
    opening = np.linalg.norm(upper - lower, axis=-1).max(axis=-1) / pictures.frames.shape[2]
    return np.asarray((opening < CLOSED) & ~shutting(pictures))


def shutting(pictures: Pictures) -> NDArray[np.bool_]:
    """Return in which frames of clips a lid is not open, (clips, frames)."""
    return np.asarray(np.asarray(pictures.expression)[:, :, list(BLINK)].max(axis=-1) >= OPEN)


def draw_frames(shutting: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw frames of a clip, none twice, in their order: more than there are of the (frames,) in which lids shut."""
    few = np.flatnonzero(shutting)
    chance = np.full(len(shutting), 1 / len(shutting))
    if len(few):
        chance *= 1 - SHUTTING
        chance[few] += SHUTTING / len(few)
    return np.sort(rng.choice(len(shutting), count, replace=False, p=chance))


def draw_portrait(calm: NDArray[np.bool_], rng: np.random.Generator) -> int:
    """Draw which frame of a clip is its portrait, mostly one of the calm (frames,) ones, if there are such."""
    ready = np.flatnonzero(calm)
    return int(rng.choice(ready) if len(ready) and rng.random() < CALM else rng.integers(len(calm)))


def anchors_of(landmarks: np.ndarray, size: int) -> Tensor:
    """Return where regions belong (frames, K, 2), x and y from -1 to 1, of landmarks (frames, 68, 2) in pixels."""
    return places_of(np.stack([landmarks[:, list(points)].mean(axis=1) for points in ANCHORS], axis=1), size)


def places_of(points: np.ndarray, size: int) -> Tensor:
    """Return points of a picture (..., 2), in pixels, as coordinates from -1 to 1."""
    return torch.from_numpy((points * (2 / size) - 1).astype(np.float32))


def true_regions(anchors: Tensor, lfg: LatentFlowGenerator) -> Regions:
    """Return round regions at their true places (N, K, 2), of the size that a latent flow generator knows.

    Raises:
        UsageError: It knows each region by its own shape, which no truth tells.
    """
    spread = lfg.region_predictor.spread
    if spread is None:
        raise UsageError("true places give regions no shape; set LFGSizes.spread, so that all are round")
    return round_regions(anchors, spread)


def as_images(frames: np.ndarray) -> Tensor:
    """Return frames (n, H, W, 3) uint8 as (n, 3, H, W) in [0, 1], channels last in memory."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
