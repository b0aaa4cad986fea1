"""Trains the small video networks, one after the other: CoarseNet, RefineNet, Portrait Enhancer.

Source: PoseTalk, section 3.3: lips take less than 4 % of a plain reconstruction loss, so RefineNet is trained after
CoarseNet with a loss in which they weigh as much as all else. The paper's loss is perceptual; no network for it is at
hand here, and pictures are compared at several sizes and by the differences between neighbouring pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from thbench_methods.common.training import About
from thbench_methods.dreamtalk.faces import MIRROR
from thbench_methods.nets.liveportrait.train_renderer import edge_l1, pixel_weight, pyramid_l1
from thbench_methods.posetalk.config import MINI, TRACK
from thbench_methods.posetalk.examples import EVERY
from thbench_methods.posetalk.lips import measured_lips
from thbench_methods.posetalk.objective import lip_loss, lip_share, refine_loss
from thbench_methods.posetalk.pose import from_portrait
from thbench_methods.posetalk.tracks import MIRROR_SIGN, Own
from thbench_methods.posetalk.video import around

from thbench.training import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from thbench_methods.posetalk.bundle import Drawing
    from thbench_methods.posetalk.examples import Examples
    from torch import Tensor

COARSE = Recipe(
    steps=800, learning_rate=2e-3, warm_up=50, last_rate=0.05, average=0.995, weight_decay=1e-3, bfloat16=False
)
REFINE = COARSE.model_copy(update={"steps": 1500, "learning_rate": 3e-3})
ENHANCE = COARSE.model_copy(update={"steps": 400, "last_rate": 0.01})
ABOUT = About(
    "PoseTalk mini: CoarseNet, RefineNet, Portrait Enhancer",
    "Ling et al., arXiv 2409.02657; Ren et al., PIRenderer, ICCV 2021; sizes are the project's own",
    "Frames of a clip made from another frame of it. CoarseNet: L1 at three sizes and L1 of neighbour differences."
    " RefineNet, CoarseNet frozen: L1 at every resolution, the lips weighted to half of it. Enhancer, both frozen: L1"
    f" at three sizes and of neighbour differences, weighted towards mouth and eyes. {COARSE.steps}, {REFINE.steps} and"
    f" {ENHANCE.steps} steps; this card's steps and curve are the enhancer's, its minutes are those of all three.",
    (
        "CoarseNet is given the flow of a mean head and finds what is to be added; networks of this size would need far"
        " longer to find the whole. RefineNet is given that of a mean head's lips, by a linear map from speech to"
        " expressions that is fitted before.",
        "Pose and gaze come from the truth; the portrait's own pose is read by the mini face regressor, as in use.",
        "Frames with shut eyes are left out: neither pose nor sound tells of blinks, and the frames have none.",
        "No perceptual and no adversarial loss.",
    ),
)
PORTRAITS, DRIVERS = 4, 4
"""Portraits in a batch, and frames made of each."""
LATER_DRIVERS = 2
"""Frames of each where RefineNet and the enhancer are trained: more people in the same time."""
EDGES = 2.0
LIPS = slice(48, 60)
LIP_REACH = 1.25
"""Of the outline of the lips, about their middle, that counts as lips."""


class Batch(NamedTuple):
    """Portraits and the frames to be made of them."""

    portrait: Tensor
    """Shape (N, 3, H, W), [-1, 1]."""
    own: Tensor
    """Shape (N, 8): pose and gaze of the portrait."""
    expression: Tensor
    """Shape (N, expressions): of the portrait."""
    windows: Tensor
    """Shape (N, 8 + audio, window)."""
    frames: Tensor
    """Shape (N, 3, H, W), [-1, 1]."""
    weight: Tensor
    """Shape (N, 1, H, W): how much each pixel counts, mean about 1."""
    lips: Tensor
    """Shape (N, 1, H, W): one on the lips, zero elsewhere."""

    @property
    def known(self) -> Own:
        """What is known of the portraits."""
        return Own(self.own, self.expression)


@dataclass
class VideoTask:
    """What the stages share: batches."""

    network: Drawing
    examples: Examples
    drivers: int = DRIVERS
    """Frames made of each portrait."""

    def __post_init__(self) -> None:
        self.network.unit.copy_(units(self.examples))
        self.network.lips.weight.copy_(measured_lips(self.examples, MINI.video.radius))

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw portraits and frames of the same clips, half of the clips mirrored."""
        clips = rng.integers(len(self.examples), size=PORTRAITS)
        drawn = [draw(self.examples, int(clip), rng, self.drivers) for clip in clips]
        batch = Batch(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))
        images = (batch.portrait, batch.frames)
        portrait, frames = (image.contiguous(memory_format=torch.channels_last) for image in images)
        return batch._replace(portrait=portrait, frames=frames)


@dataclass
class CoarseTask(VideoTask):
    """The whole frame, every pixel alike."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L1 of pictures and edges, and the share that lips have of it."""
        net = self.network
        made = net.moved_head(batch.portrait, batch.known, batch.windows).image
        even = torch.ones_like(batch.weight)
        picture, edges = pyramid_l1(made, batch.frames, even), edge_l1(made, batch.frames, even)
        share = lip_share(made.detach(), batch.frames, batch.lips)
        return {"loss": picture + EDGES * edges, "picture": picture, "edges": edges, "lip share": share}


@dataclass
class RefineTask(VideoTask):
    """The lips of the coarse frame."""

    drivers: int = LATER_DRIVERS

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """See `objective.refine_loss`; and the plain errors of the lips, coarse and refined."""
        net = self.network
        with torch.no_grad():
            coarse = net.moved_head(batch.portrait, batch.known, batch.windows).image
        refined = net.moved_lips(coarse, batch.known, batch.windows)
        made = refined[-1].image.detach()
        return {
            "loss": refine_loss(refined, batch.frames, batch.lips),
            "coarse lips": lip_loss(coarse, batch.frames, batch.lips),
            "lips": lip_loss(made, batch.frames, batch.lips),
            "picture": (made - batch.frames).abs().mean(),
        }


@dataclass
class EnhanceTask(VideoTask):
    """What is left to repair."""

    drivers: int = LATER_DRIVERS

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L1 of pictures and edges."""
        net = self.network
        with torch.no_grad():
            coarse = net.moved_head(batch.portrait, batch.known, batch.windows).image
            refined = net.moved_lips(coarse, batch.known, batch.windows)[-1].image
        made = net.enhance(refined, batch.portrait)
        picture, edges = (loss(made, batch.frames, batch.weight) for loss in (pyramid_l1, edge_l1))
        before = pyramid_l1(refined, batch.frames, batch.weight)
        return {"loss": picture + EDGES * edges, "picture": picture, "edges": edges, "refined": before}


def draw(examples: Examples, clip: int, rng: np.random.Generator, drivers: int) -> Batch:
    """Draw a portrait of a clip and frames that are made of it."""
    pictures, track = examples.pictures, examples.track[clip]
    rows = torch.nonzero(examples.seen[clip, ::EVERY])[:, 0].numpy()
    row = int(rng.choice(rows)) if len(rows) else 0
    portrait = row * EVERY
    open_frames = torch.nonzero(examples.seen[clip])[:, 0].numpy()
    chosen = rng.choice(open_frames if len(open_frames) >= drivers else len(track), drivers, replace=False)
    own, expression = (read[clip, row] for read in examples.own)
    driving = from_portrait(track - track[portrait], own)
    windows = around(torch.cat((driving, examples.audio[clip]), dim=1)[None], MINI.video.radius)[chosen]
    images = np.stack([pictures.frames[clip, frame] for frame in (portrait, *chosen)])
    rgb = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    size = rgb.shape[-1]
    marks = pictures.landmarks68[clip]
    weight = torch.stack([pixel_weight(marks[frame], pictures.mask[clip, frame], size) for frame in chosen])
    lips = torch.stack([lips_of(marks[frame], size) for frame in chosen])
    own, expression = (one.expand(drivers, -1) for one in (own, expression))
    batch = Batch(rgb[:1].expand(drivers, -1, -1, -1), own, expression, windows, rgb[1:], weight, lips)
    return in_a_mirror(batch) if rng.random() < 0.5 else batch


def lips_of(landmarks: NDArray[np.floating], size: int) -> Tensor:
    """Return one inside the lips, mouth included, and zero elsewhere, (1, size, size), of landmarks (68, 2)."""
    outline = np.asarray(landmarks[LIPS], np.float64)
    middle = outline.mean(axis=0)
    drawn = np.zeros((size, size), np.float32)
    hull = cv2.convexHull(np.rint(middle + LIP_REACH * (outline - middle)).astype(np.int32))
    cv2.fillConvexPoly(drawn, hull, 1.0)
    return torch.from_numpy(drawn)[None]


def in_a_mirror(batch: Batch) -> Batch:
    """Return the mirror image of a batch."""
    sign = batch.own.new_tensor(MIRROR_SIGN)
    track, audio = batch.windows[:, : len(TRACK)], batch.windows[:, len(TRACK) :]
    images = (batch.portrait, batch.frames, batch.weight, batch.lips)
    portrait, frames, weight, lips = (image.flip(-1) for image in images)
    windows = torch.cat((track * sign[:, None], audio), dim=1)
    return Batch(portrait, batch.own * sign, batch.expression[:, MIRROR], windows, frames, weight, lips)


def units(examples: Examples) -> Tensor:
    """Return the deviations (16,) of driving values and of their steps within a clip."""
    step = examples.track - examples.track.mean(dim=1, keepdim=True)
    both = torch.cat((examples.track.flatten(0, 1).std(dim=0), step.flatten(0, 1).std(dim=0)))
    return both.clamp(min=1e-3)
