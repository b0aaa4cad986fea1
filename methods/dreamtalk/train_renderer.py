"""Trains the mini renderer: frames of a clip from another frame of it and from coefficients.

The portrait's own coefficients are what the face regressor reads of it, the driving ones are true; both err alike where
they are steps from the portrait's pose, as in use. Losses are PIRenderer's where they need no network from elsewhere: a
reconstruction of the warped portrait and one of the frame.
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
    from thbench_methods.dreamtalk.bundle import Renderer
    from thbench_methods.dreamtalk.examples import Examples
    from torch import Tensor

RECIPE = Recipe(
    steps=3600, learning_rate=2e-3, warm_up=100, last_rate=0.01, average=0.995, weight_decay=1e-3, bfloat16=False
)
"""Of a training from nothing. The shipped file had as many steps in two trainings, which its card tells."""
PORTRAITS, DRIVERS = 4, 4
"""Portraits in a batch, and frames made of each."""
EXPRESSION_ERROR, POSE_ERROR = 0.1, 0.002
"""Deviation of what is added to driving coefficients, each frame by itself: generated ones are not exact. That of
expression in deviations of each coefficient."""
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

    def __post_init__(self) -> None:
        self.network.face.load_state_dict(measured_face())
        self.network.generator.unit.copy_(units(self.examples))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips, half of the clips mirrored."""
        clips = rng.integers(len(self.examples), size=PORTRAITS)
        drawn = [draw(self.examples, int(clip), self.network.generator.unit, rng) for clip in clips]
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
    """Draw a portrait of a clip and frames that are made of it; `unit` is the network's."""
    truth, read, pictures = examples.truth, examples.read, examples.pictures
    row = int(rng.integers(read.pose.shape[1]))
    portrait = row * EVERY
    chosen = rng.choice(truth.pose.shape[1], DRIVERS, replace=False)
    own = torch.cat((read.expression[clip, row], read.pose[clip, row]))
    # The first of a track is the portrait, from which it goes on: its errors are those of the portrait.
    track = torch.cat((truth.pose[clip, portrait][None], truth.pose[clip]))
    pose = moved_track(track, read.pose[clip, row])[1:]
    driving = torch.cat((truth.expression[clip], pose), dim=1)
    windows = render_windows(disturbed(driving, unit, rng), MINI.render_radius)[chosen]
    frames = np.stack([pictures.frames[clip, frame] for frame in (portrait, *chosen)])
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    images = tinted(images, rng)
    size = images.shape[-1]
    weight = torch.stack(
        [pixel_weight(pictures.landmarks68[clip, frame], pictures.mask[clip, frame], size) for frame in chosen]
    )
    portraits, owns = images[:1].expand(DRIVERS, -1, -1, -1), own.expand(DRIVERS, -1)
    batch = Batch(portraits, owns, windows, images[1:], weight)
    return in_a_mirror(batch) if rng.random() < 0.5 else batch


def disturbed(driving: Tensor, unit: Tensor, rng: np.random.Generator) -> Tensor:
    """Return coefficients (frames, values) as a generator may give them."""
    deviation = EXPRESSION_ERROR * unit[: driving.shape[1]]
    deviation[-POSE:] = POSE_ERROR
    return driving + deviation * torch.from_numpy(rng.standard_normal(driving.shape).astype(np.float32))


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
    """Return the deviations of driving values and of their steps from the portrait's."""
    driving = torch.cat((examples.truth.expression, examples.truth.pose), dim=-1)
    step = driving - driving.mean(dim=1, keepdim=True)
    deviations = torch.cat((driving.flatten(0, 1).std(dim=0), step.flatten(0, 1).std(dim=0)))
    return torch.where(deviations < LEAST_UNIT, 1.0, deviations)
