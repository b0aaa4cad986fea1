"""Trains motion encoder and video generator together: single frames first, then windows with their motion modules.

The motion encoder sees the driving face in other colours, another size and another place than the picture has, so that
it cannot tell the renderer more than motion. X-NeMo also has a decoder with two adversaries beside it, whose design is
not published; here a linear layer reads the true expression, pose and gaze from the latent in its place.

What is denoised is what a frame changes of the portrait whose head was moved along by the placement. Half of the clips
are those with heads at rest: where heads move, lips are a small part of what changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About
from thbench_methods.nets.unet3d.layout import frames_apart
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.reference import split
from thbench_methods.nets.unet3d.train import PORTRAITS, LatentClips, Velocity
from thbench_methods.xactor.bundle import lit
from thbench_methods.xactor.config import MINI, Config
from thbench_methods.xactor.crop import based
from thbench_methods.xactor.networks import Rendering, neutral
from thbench_methods.xactor.renderer import ActingModule, Condition
from thbench_methods.xactor.schedule import training_signal
from torch import Tensor, nn

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from thbench_methods.xactor.examples import Faces

    from thbench.data.synth_heads.pictures import Pictures

FRAMES_RECIPE = Recipe(steps=600, learning_rate=1e-3, warm_up=50, last_rate=0.3, average=0.995, bfloat16=False)
WINDOWS_RECIPE = Recipe(steps=1500, learning_rate=7e-4, warm_up=50, last_rate=0.02, average=0.998, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "X-Actor mini, stage 2: motion encoder and video generator",
    "Zhang et al., arXiv 2508.02944; X-NeMo, arXiv 2507.23143; sizes are the project's own",
    "Velocity prediction with zero terminal SNR, squared error weighted by where face, eyes and lips are, of frames"
    " that are told their motion latent: single frames first, then windows of 16. Beside it the squared error of"
    " expression, pose and gaze, read from the latent by a linear layer. This card is of the windows.",
    (
        "What it has in common with the mini Hallo begins with that one's weights, where they are there.",
        "What is denoised are changes of the portrait, whose head is moved along by the placement. Half of the clips"
        " are drawn with heads at rest.",
        "The embedding of the portrait comes from the mini identity network of the metrics; identity similarity (mini)"
        " is measured by the same network.",
        "X-Actor's own renderer and motion encoder are not published.",
    ),
)
CLIPS_1, FRAMES_1 = 6, 6
"""Clips of a batch of single frames, and frames of each."""
CLIPS_2 = 2
"""Windows of a batch."""
RESTING = 0.5
"""Share of clips with heads at rest."""
DROPPED = 0.1
"""Share of clips without any condition but the portrait's own motion, for guidance."""
READ = 0.3
"""Weight of the error of what is read from the latent."""
ALIVE = 1.0
"""First bias of the one map that ends in a ReLU without a norm: below 0 everywhere, it would never learn."""
GAIN, SHADE, SCALE, SHIFT = 0.3, 0.3, 0.1, 0.06
"""How far a driving face may be off: gain and shade of each colour (black and white are 2 apart), size, and place in
shares of the crop."""


class Batch(NamedTuple):
    """Clips of a batch; those without condition come first."""

    clean: Tensor
    """What is denoised, (B, C, F, h, w)."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""
    base: Tensor
    """Latents of the portraits, their heads moved along, (B, C, F, h, w)."""
    plain: int
    """How many clips are without condition."""
    latents: Tensor
    """Of the portraits, (B, C, h, w)."""
    embedding: Tensor
    """Shape (B, E)."""
    lit: Tensor
    """Shape (B, 3, H, W)."""
    faces: Tensor
    """Face crops (B, 1 + F, 3, side, side): of the portrait, then of the frames."""
    placement: Tensor
    """Shape (B, F, 3)."""
    truth: Tensor
    """Shape (B, 1 + F, k): expression, pose and gaze, of deviation 1."""


class Supervised(nn.Module):
    """The networks of the stage with what reads the latent, which is not shipped."""

    def __init__(self, rendering: Rendering, motion: int, truth: int) -> None:
        super().__init__()
        self.rendering = rendering
        self.read = nn.Linear(motion, truth)


@dataclass(frozen=True)
class Corpus:
    """A split in one kind of pictures."""

    clips: LatentClips
    faces: Faces
    truth: Tensor
    """Expression, pose and gaze, as `truth_of` gives them, (clips, frames, k)."""


@dataclass
class RenderingTask:
    """One part of the stage."""

    network: Supervised
    moving: Corpus
    """With latents in the channels that the networks know."""
    resting: Corpus
    """The same clips with heads at rest."""
    vae: AutoencoderKL
    config: Config = MINI
    windows: bool = True
    """Windows of frames, and everything runs. Otherwise frames by themselves, without motion modules."""

    def __post_init__(self) -> None:
        self.velocity = Velocity(training_signal(self.config.renderer))
        for module in self.network.modules():
            if isinstance(module, MotionModule):
                module.runs = self.windows

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait and frames."""
        count, total = CLIPS_2 if self.windows else CLIPS_1, self.moving.clips.frames
        sources = [self.resting if rests else self.moving for rests in rng.random(count) < RESTING]
        chosen = rng.choice(len(self.moving.clips), count, replace=False)
        which = rng.integers(len(PORTRAITS), size=count)
        if self.windows:
            length = self.config.renderer.frames
            frames = rng.integers(total - length + 1, size=(count, 1)) + np.arange(length)
        else:
            frames = rng.integers(total, size=(count, FRAMES_1))
        rows = [
            self._row(source, int(clip), int(portrait), own, rng)
            for source, clip, portrait, own in zip(sources, chosen, which, frames, strict=True)
        ]
        known, weight, base, *told = (torch.stack(column) for column in zip(*rows, strict=True))
        clean = self.network.rendering.video.latents.changes(known, base)
        return Batch(clean, weight, base, int((rng.random(count) < DROPPED).sum()), *told)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity, and of what is read from the latent.

        Windows are of few clips, and are read as in use: with the statistics of single frames, and no dropout.
        """
        self.network.rendering.encoder.train(not self.windows)
        motion = self.network.rendering.encoder(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        condition, clean, weight = self.condition(batch, motion), batch.clean, batch.weight
        if not self.windows:
            # Each frame is a clip of one frame, with a time of its own.
            acting = condition.acting.flatten(0, 1)[:, None]
            locator = condition.locator
            if locator is not None:
                locator = frames_apart(locator.expand(-1, -1, clean.shape[2], -1, -1))
            condition = replace(condition.repeated(clean.shape[2]), acting=acting, locator=locator)
            clean, weight = frames_apart(clean), frames_apart(weight)
        noisy, velocity, times = self.velocity.noisy(clean)
        predicted, _ = self.network.rendering.video.denoising_unet.full(noisy, times, condition)
        found = self.velocity.losses(predicted, velocity, weight, (weight > weight.amax() / 2).float())
        read = F.mse_loss(self.network.read(motion), batch.truth)
        return {**found, "loss": found["loss"] + READ * read, "read": read}

    def condition(self, batch: Batch, motion: Tensor) -> Condition:
        """Return what the denoiser is told; the leading clips are told the portrait's own motion alone.

        Args:
            batch: Clips.
            motion: Latents (B, 1 + F, m) of portraits and frames.
        """
        video, encoder = self.network.rendering.video, self.network.rendering.encoder
        kept = (torch.arange(len(motion)) >= batch.plain).float()
        appearance = video.appearance(batch.embedding * kept[:, None])
        own = encoder.tokens(motion[:, :1], neutral(motion[:, :1]))
        acting = encoder.tokens(motion[:, 1:], batch.placement)
        locator = video.placed(batch.base)
        if video.face_locator is not None:
            lit_place = video.face_locator(batch.lit[:, :, None])
            locator = lit_place if locator is None else lit_place + locator
        return Condition(
            appearance=appearance,
            acting=torch.where(kept[:, None, None, None] > 0, acting, own),
            reference=split(video.reference_unet(batch.latents, appearance), past=0).image,
            locator=None if locator is None else locator * kept[:, None, None, None, None],
            guided=False,
            plain=batch.plain,
        )

    def _row(
        self, source: Corpus, clip: int, which: int, frames: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """Latents (C, F, h, w) of frames of a clip, and what a batch has of them beside, in its order."""
        clips, faces, portrait = source.clips, source.faces, PORTRAITS[which]
        shown = np.concatenate(([portrait], frames))
        known = clips.latents[clip, shown].float()
        placement = faces.placed(clip, frames, portrait)
        return (
            known[1:].transpose(0, 1),
            clips.weight[clip, frames].float().transpose(0, 1),
            self._base(clips.pictures, clip, portrait, placement),
            known[0],
            clips.identity[clip, which],
            self._lit(clips, clip, portrait),
            driving(faces.cut(clip, shown), rng),
            placement,
            source.truth[clip, shown],
        )

    @torch.no_grad()
    def _base(self, pictures: Pictures, clip: int, portrait: int, placement: Tensor) -> Tensor:
        """Latents (C, F, h, w) of a portrait whose head is moved along."""
        heads = based(np.array(pictures.frames[clip, portrait]), pictures.landmarks68[clip, portrait], placement)
        return self.network.rendering.video.latents.known(self.vae.encode(heads)).transpose(0, 1)

    def _lit(self, clips: LatentClips, clip: int, frame: int) -> Tensor:
        picture = clips.portrait(clip, frame)[None]
        return lit(clips.pictures.landmarks68[clip, frame] / self.config.size, picture)[0]


def driving(faces: Tensor, rng: np.random.Generator) -> Tensor:
    """Return the face crops (n, 3, side, side) of a clip in other colours, in another size and place."""
    gain, shade = 1 + rng.uniform(-GAIN, GAIN, 3), rng.uniform(-SHADE, SHADE, 3)
    gain_of, shade_of = (torch.from_numpy(a).float()[None, :, None, None] for a in (gain, shade))
    coloured = (faces * gain_of + shade_of).clamp(-1, 1)
    zoom, (right, down) = 1 + rng.uniform(-SCALE, SCALE), rng.uniform(-2 * SHIFT, 2 * SHIFT, 2)
    moved = torch.tensor([[zoom, 0, right], [0, zoom, down]], dtype=torch.float32).expand(len(faces), -1, -1)
    grid = F.affine_grid(moved, list(faces.shape), align_corners=False)
    return F.grid_sample(coloured, grid, padding_mode="border", align_corners=False)


def truth_of(pictures: Pictures, over: Pictures | None = None) -> Tensor:
    """Return expression, pose and gaze of a split, (clips, frames, k), of mean 0 and deviation about 1.

    Args:
        pictures: The split.
        over: The same clips, whose mean and deviation are meant; its own unless stated.
    """
    whole, known = (
        np.concatenate((one.expression, one.pose, one.gaze), axis=-1) for one in (pictures, over or pictures)
    )
    flat = known.reshape(-1, known.shape[-1])
    return torch.from_numpy(((whole - flat.mean(axis=0)) / (flat.std(axis=0) + 0.02)).astype(np.float32))


def fresh_rendering(config: Config, begun: Mapping[str, Tensor] | None = None) -> tuple[Rendering, frozenset[str]]:
    """Return the networks before training; acting and motion modules begin as identities.

    Args:
        config: Sizes.
        begun: Weights of the mini Hallo; what has the same name and shape is taken over.

    Returns:
        The networks, and the names of what the video generator took over.
    """
    network = Rendering(config)
    nn.init.constant_(_bias(network.encoder.one), ALIVE)
    for module in network.video.denoising_unet.modules():
        if isinstance(module, ActingModule | MotionModule):
            nn.init.zeros_(module.temporal_transformer.proj_out.weight)
            nn.init.zeros_(module.temporal_transformer.proj_out.bias)
    own = network.video.state_dict()
    taken = {name: value for name, value in (begun or {}).items() if name in own and own[name].shape == value.shape}
    network.video.load_state_dict({**own, **taken})
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, frozenset(taken)


def _bias(layer: nn.Conv2d) -> Tensor:
    return dict(layer.named_parameters())["bias"]
