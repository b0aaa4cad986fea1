"""Trains the mini renderer: frames of a clip from another frame of it and from coefficients.

In one half of a batch the frames are the clip's own, in the other the person shows in them what others show in theirs
(`acted`): within a clip the emotion stays. The portrait's own coefficients are what the face regressor reads of it, the
driving ones are true; both err alike where they are steps from the portrait's pose, as in use. Losses are PIRenderer's
where they need no network from elsewhere: a reconstruction of the warped portrait and one of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.dreamtalk.config import MINI
from thbench_methods.dreamtalk.examples import EVERY
from thbench_methods.dreamtalk.faces import mirrored, moved_track
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.dreamtalk.motion import POSE, render_windows
from thbench_methods.nets.liveportrait.train_renderer import edge_l1, pixel_weight, pyramid_l1

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.acted import Acted
    from thbench_methods.dreamtalk.bundle import Renderer
    from thbench_methods.dreamtalk.examples import Examples
    from torch import Tensor

RECIPE = Recipe(
    steps=3600, learning_rate=2e-3, warm_up=100, last_rate=0.01, average=0.995, weight_decay=1e-3, bfloat16=False
)
"""Of a training from nothing. The shipped file had as many steps in two trainings, which its card tells."""
PORTRAITS, ACTED, DRIVERS = 4, 2, 4
"""Portraits in a batch, how many of them of people who act, and frames made of each."""
EXPRESSION_ERROR, POSE_ERROR = 0.1, 0.002
"""Deviation of what is added to driving coefficients, each frame by itself: generated ones are not exact. That of
expression in deviations of each coefficient."""
READING_ERROR = 0.3
"""Deviation of what is added to the portrait's own expression, in deviations of each coefficient: the face regressor
reads people whom it was trained on with about 0.24 of error, others with about 0.4."""
BROWS, BROW_WEIGHT, BROW_MARGIN = slice(17, 27), 4.0, 2
"""Landmarks of the brows, what their box counts more, and pixels around it: as the eyes in `pixel_weight`."""
WARP_WEIGHT, EDGE_WEIGHT = 0.4, 2.0
LEAST_UNIT = 0.02
"""Deviation below which a coefficient counts as constant."""
TINT = 0.08
"""Deviation of the gain of each colour of a clip."""


class Batch(NamedTuple):
    """Portraits and the frames to be made of them."""

    portrait: Tensor
    """Shape (N, 3, H, W), [-1, 1]."""
    own: Tensor
    """Shape (N, values): coefficients of the portrait."""
    windows: Tensor
    """Shape (N, values, window): driving coefficients."""
    frames: Tensor
    """Shape (N, 3, H, W), [-1, 1]."""
    weight: Tensor
    """Shape (N, 1, H, W): how much each pixel counts."""


@dataclass
class RendererTask:
    """Pictures of frames by coefficients."""

    network: Renderer
    examples: Examples
    acted: Acted
    """Of the first of the same clips."""

    def __post_init__(self) -> None:
        self.network.face.load_state_dict(measured_face())
        self.network.generator.unit.copy_(units(self.examples))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same people in the same scenes, half of them mirrored."""
        unit = self.network.generator.unit
        clips = rng.integers(len(self.examples), size=PORTRAITS - ACTED)
        actors = rng.integers(len(self.acted), size=ACTED)
        drawn = [draw(self.examples, int(clip), unit, rng) for clip in clips]
        drawn += [draw_acted(self.examples, self.acted, int(clip), unit, rng) for clip in actors]
        return Batch(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L1 at three sizes of frame and warped portrait, L1 of differences between neighbours."""
        made = self.network(batch.portrait, batch.own, batch.windows)
        picture = pyramid_l1(made.image, batch.frames, batch.weight)
        edges = edge_l1(made.image, batch.frames, batch.weight)
        warped = pyramid_l1(made.warped, batch.frames, batch.weight)
        return {
            "loss": picture + EDGE_WEIGHT * edges + WARP_WEIGHT * warped,
            "picture": picture,
            "edges": edges,
            "warped": warped,
        }


def draw(examples: Examples, clip: int, unit: Tensor, rng: np.random.Generator) -> Batch:
    """Draw a portrait of a clip and frames of the clip that are made of it; `unit` is the network's."""
    pictures = examples.pictures
    row = int(rng.integers(examples.read.pose.shape[1]))
    chosen = rng.choice(examples.truth.pose.shape[1], DRIVERS, replace=False)
    driving = torch.cat((examples.truth.expression[clip], steps_on(examples, clip, row)), dim=1)
    frames = [(pictures.frames[clip, at], pictures.landmarks68[clip, at], pictures.mask[clip, at]) for at in chosen]
    return _batch(examples, (clip, row), render_windows(driving, MINI.render_radius)[chosen], frames, unit, rng)


def draw_acted(examples: Examples, acted: Acted, clip: int, unit: Tensor, rng: np.random.Generator) -> Batch:
    """Draw a portrait of a clip and frames in which its person shows what others show."""
    row = int(rng.integers(examples.read.pose.shape[1]))
    chosen = rng.choice(acted.body.shape[1], DRIVERS, replace=False)
    poses = render_windows(steps_on(examples, clip, row), MINI.render_radius)[acted.body[clip, chosen]]
    shown = [
        render_windows(examples.truth.expression[source], MINI.render_radius)[at]
        for source, at in zip(acted.source[clip, chosen], acted.instant[clip, chosen], strict=True)
    ]
    frames = [(acted.frames[clip, at], acted.landmarks68[clip, at], acted.mask[clip, at]) for at in chosen]
    return _batch(examples, (clip, row), torch.cat((torch.stack(shown), poses), dim=1), frames, unit, rng)


def steps_on(examples: Examples, clip: int, row: int) -> Tensor:
    """Return the pose track (frames, 9) of a clip as it goes on from what is read of a portrait."""
    true, read = examples.truth.pose[clip], examples.read.pose[clip, row]
    # The first of a track is the portrait, from which it goes on: its errors are those of the portrait.
    return moved_track(torch.cat((true[row * EVERY][None], true)), read)[1:]


def _batch(
    examples: Examples,
    portrait: tuple[int, int],
    windows: Tensor,
    frames: Sequence[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]],
    unit: Tensor,
    rng: np.random.Generator,
) -> Batch:
    """Return what is made of a portrait (clip and row), with errors and light of the hour.

    Args:
        examples: Clips of the portraits.
        portrait: Its clip and row.
        windows: Shape (n, values, window).
        frames: Picture, landmarks and face mask of each.
        unit: The network's.
        rng: Of this batch.
    """
    clip, row = portrait
    pictures = np.stack([examples.pictures.frames[clip, row * EVERY], *(frame for frame, _, _ in frames)])
    images = tinted(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1, rng)
    weight = torch.stack([pixels_count(points, mask, images.shape[-1]) for _, points, mask in frames])
    expression = examples.read.expression[clip, row]
    wrong = torch.from_numpy(rng.standard_normal(len(expression)).astype(np.float32))
    own = torch.cat((expression + READING_ERROR * unit[: len(expression)] * wrong, examples.read.pose[clip, row]))
    count = len(frames)
    batch = Batch(
        images[:1].expand(count, -1, -1, -1),
        own.expand(count, -1),
        disturbed(windows, unit, rng),
        images[1:],
        weight,
    )
    return in_a_mirror(batch) if rng.random() < 0.5 else batch


def disturbed(windows: Tensor, unit: Tensor, rng: np.random.Generator) -> Tensor:
    """Return driving values (n, values, window) as a generator may give them."""
    deviation = EXPRESSION_ERROR * unit[: windows.shape[1]]
    deviation[-POSE:] = POSE_ERROR
    wrong = torch.from_numpy(rng.standard_normal(windows.shape).astype(np.float32))
    return windows + deviation[:, None] * wrong


def pixels_count(landmarks: NDArray[np.float32], face: NDArray[np.bool_], size: int) -> Tensor:
    """Return how much each pixel counts, (1, size, size): most on mouth, eyes and brows."""
    weight = pixel_weight(landmarks, face, size)
    brows = landmarks[BROWS]
    low = np.clip(brows.min(axis=0).astype(int) - BROW_MARGIN, 0, size)
    high = np.clip(brows.max(axis=0).astype(int) + BROW_MARGIN + 1, 0, size)
    weight[:, low[1] : high[1], low[0] : high[0]] += BROW_WEIGHT
    return weight


def tinted(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return pictures (n, 3, H, W) in [-1, 1] under light of another colour."""
    gain = torch.from_numpy(rng.normal(1, TINT, (1, 3, 1, 1)).astype(np.float32))
    return ((images + 1) * gain - 1).clamp(-1, 1)


def in_a_mirror(batch: Batch) -> Batch:
    """Return the mirror image of a batch."""
    return Batch(
        batch.portrait.flip(-1),
        mirrored(batch.own[..., None])[..., 0],
        mirrored(batch.windows),
        batch.frames.flip(-1),
        batch.weight.flip(-1),
    )


def units(examples: Examples) -> Tensor:
    """Return the deviations of driving values and of their steps from the portrait's.

    A step of expression may be one from any expression to any other, so its unit is that of the expressions themselves;
    those of pose stay within a clip.
    """
    driving = torch.cat((examples.truth.expression, examples.truth.pose), dim=-1)
    pose = examples.truth.pose
    step = (pose - pose.mean(dim=1, keepdim=True)).flatten(0, 1).std(dim=0)
    values = driving.flatten(0, 1).std(dim=0)
    deviations = torch.cat((values, values[:-POSE], step))
    return torch.where(deviations < LEAST_UNIT, 1.0, deviations)
