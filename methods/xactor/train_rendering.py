"""Trains motion encoder and video generator: the encoder by itself, then both, in single frames and then in windows.

The motion encoder sees the driving face in other colours, another size and another place than the picture has, so that
it cannot tell the renderer more than motion. X-NeMo also has a decoder with two adversaries beside it, whose design is
not published; here a linear layer reads true expression and gaze from the latent in its place, and only how they differ
within a clip: of what sets people and emotions apart a portrait tells more, and beside it lips would be the least of
what a latent says. It does so before anything is rendered, for no generator learns to listen to what says nothing.

What is denoised is what a frame changes of the portrait. Clips are those with heads at rest: where heads move, lips are
a small part of what changes, and the published inference holds the head in its place too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.training import About
from thbench_methods.nets.unet3d.drawing import (
    identities_of,
    latents_of,
    lips_of,
    single_frames,
    told,
    weights_of,
    windows,
)
from thbench_methods.nets.unet3d.layout import frames_apart
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.reference import split
from thbench_methods.nets.unet3d.train import LatentClips, Velocity
from thbench_methods.xactor.bundle import lit
from thbench_methods.xactor.config import MINI, Config
from thbench_methods.xactor.networks import Rendering
from thbench_methods.xactor.renderer import ActingModule, Condition
from thbench_methods.xactor.schedule import training_signal
from torch import Tensor, nn

from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.xactor.examples import Faces

    from thbench.data.synth_heads.pictures import Pictures

READING_RECIPE = Recipe(steps=1000, learning_rate=2e-3, warm_up=50, last_rate=0.1, average=0.98, bfloat16=False)
FRAMES_RECIPE = Recipe(steps=3000, learning_rate=1e-3, warm_up=50, last_rate=0.3, average=0.995, bfloat16=False)
WINDOWS_RECIPE = Recipe(steps=800, learning_rate=7e-4, warm_up=50, last_rate=0.02, average=0.998, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "X-Actor mini, stage 2: motion encoder and video generator",
    "Zhang et al., arXiv 2508.02944; X-NeMo, arXiv 2507.23143; sizes are the project's own",
    "First the squared error of how expression and gaze differ within a clip, read from the latent by a linear layer."
    " Then, beside it, velocity prediction with zero terminal SNR, squared error weighted by where face, eyes and lips"
    " are, of frames that are told their motion latent: single frames, then windows of 16. This card is of the last.",
    (
        "What it has in common with the mini Hallo begins with that one's weights, where they are there.",
        "What is denoised is the difference from the portrait's latent, in principal components.",
        "Trained on the clips of synth-heads drawn with heads at rest: generated heads stay where they are in the"
        " portrait, and lips, eyes and expression move.",
        "The embedding of the portrait comes from the mini identity network of the metrics; identity similarity (mini)"
        " is measured by the same network.",
        "X-Actor's own renderer and motion encoder are not published.",
    ),
)
READERS, SHOWN = 10, 6
"""Clips of a batch of faces that are read alone, and faces of each."""
CLIPS_1, FRAMES_1 = 6, 6
"""Clips of a batch of single frames, and frames of each."""
CLIPS_2 = 2
"""Windows of a batch."""
DROPPED = 0.1
"""Share of clips without any condition but the portrait's own motion, for guidance."""
READ = 0.3
"""Weight of the error of what is read from the latent."""
POWER = 0.02
"""Weight of the mean square of latents beside the error of what is read."""
LEAST = 0.02
"""Added to the deviation of expression and gaze: what hardly moves is not to count as what does."""
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
    latents: Tensor
    """Of the portraits, (B, C, h, w)."""
    embedding: Tensor
    """Shape (B, E)."""
    lit: Tensor
    """Shape (B, 3, H, W): what the face locator sees of the portraits."""
    faces: Tensor
    """Face crops (B, 1 + F, 3, side, side): of the portrait, then of the frames."""
    truth: Tensor
    """Shape (B, 1 + F, k): expression and gaze, as `truth_of` gives them."""
    plain: int
    """How many clips are without condition."""


class Supervised(nn.Module):
    """The networks of the stage with what reads the latent, which is not shipped."""

    def __init__(self, rendering: Rendering, motion: int, truth: int) -> None:
        super().__init__()
        self.rendering = rendering
        self.read = nn.Linear(motion, truth, bias=False)


@dataclass(frozen=True)
class Corpus:
    """What is trained on: a split with heads at rest."""

    clips: LatentClips
    faces: Faces
    truth: Tensor
    """Expression and gaze, as `truth_of` gives them, (clips, frames, k)."""


class Sheet(NamedTuple):
    """Faces that are read alone."""

    faces: Tensor
    """Shape (B, F, 3, side, side)."""
    truth: Tensor
    """Shape (B, F, k)."""


@dataclass
class ReadingTask:
    """What motion latents say, before anything is rendered of them."""

    network: nn.ModuleList
    """Motion encoder, and what reads its latents."""
    corpus: Corpus

    @classmethod
    def of(cls, network: Supervised, corpus: Corpus) -> ReadingTask:
        """Return the task of the encoder among all networks of the stage."""
        return cls(nn.ModuleList([network.rendering.encoder, network.read]), corpus)

    def batch(self, rng: np.random.Generator) -> Sheet:
        """Draw faces of clips."""
        total, frames = self.corpus.truth.shape[:2]
        chosen = rng.choice(total, min(READERS, total), replace=False)
        at = [(clip, rng.integers(frames, size=SHOWN)) for clip in chosen.tolist()]
        faces = torch.stack([driving(self.corpus.faces.cut(clip, own), rng) for clip, own in at])
        return Sheet(faces, torch.stack([self.corpus.truth[clip, own] for clip, own in at]))

    def losses(self, batch: Sheet) -> Mapping[str, Tensor]:
        """Return the error of what is read; see `reading_error`."""
        encoder, read = self.network
        motion = encoder(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        return {"loss": reading_error(motion, read, batch.truth)}


@dataclass
class RenderingTask:
    """One part of the stage."""

    network: Supervised
    corpus: Corpus
    """With latents in the channels that the networks know."""
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
        corpus, clips = self.corpus, self.corpus.clips
        if self.windows:
            drawn = windows(rng, clips, CLIPS_2, self.config.renderer.frames)
        else:
            drawn = single_frames(rng, clips, CLIPS_1, FRAMES_1)
        portraits = latents_of(clips, drawn.clips, drawn.portraits[:, None])
        known = latents_of(clips, drawn.clips, drawn.frames)
        shown = np.concatenate((drawn.portraits[:, None], drawn.frames), axis=1)
        return Batch(
            clean=self.network.rendering.video.latents.changes(known, portraits),
            weight=weights_of(clips, drawn),
            latents=portraits[:, :, 0],
            embedding=identities_of(clips, drawn),
            lit=torch.stack([self._lit(int(k), int(own)) for k, own in zip(drawn.clips, drawn.portraits, strict=True)]),
            faces=torch.stack(
                [driving(corpus.faces.cut(int(k), own), rng) for k, own in zip(drawn.clips, shown, strict=True)]
            ),
            truth=corpus.truth[drawn.clips[:, None], shown],
            plain=int((rng.random(len(drawn.clips)) < DROPPED).sum()),
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity, and of what is read from the latent.

        Windows are of few clips, and are read as in use: with the statistics of single frames, and no dropout.
        """
        self.network.rendering.encoder.train(not self.windows)
        motion = self.network.rendering.encoder(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        condition, clean, weight = self.condition(batch, motion), batch.clean, batch.weight
        if not self.windows:
            # Each frame is a clip of one frame, with a time and a motion of its own.
            acting = condition.acting.flatten(0, 1)[:, None]
            condition = replace(condition.repeated(clean.shape[2]), acting=acting)
            clean, weight = frames_apart(clean), frames_apart(weight)
        noisy, velocity, times = self.velocity.noisy(clean)
        predicted, _ = self.network.rendering.video.denoising_unet.full(noisy, times, condition)
        found = self.velocity.losses(predicted, velocity, weight, lips_of(weight))
        read = reading_error(motion, self.network.read, batch.truth)
        return {**found, "loss": found["loss"] + READ * read, "read": read}

    def condition(self, batch: Batch, motion: Tensor) -> Condition:
        """Return what the denoiser is told; the leading clips are told the portrait's own motion alone.

        Args:
            batch: Clips.
            motion: Latents (B, 1 + F, m) of portraits and frames.
        """
        video, plain = self.network.rendering.video, batch.plain
        appearance = video.appearance(told(batch.embedding, plain))
        own, acting = self.network.rendering.encoder.tokens(motion).tensor_split([1], dim=1)
        locator = video.located(batch.latents, batch.lit)
        return Condition(
            appearance=appearance,
            acting=torch.cat((own[:plain].expand_as(acting[:plain]), acting[plain:])),
            reference=split(video.reference_unet(batch.latents, appearance), past=0).image,
            locator=None if locator is None else told(locator, plain),
            guided=False,
            plain=plain,
        )

    def _lit(self, clip: int, frame: int) -> Tensor:
        """Return what the face locator sees of a portrait (3, H, W), by its true landmarks."""
        clips = self.corpus.clips
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


def truth_of(pictures: Pictures) -> Tensor:
    """Return expression and gaze of a split, (clips, frames, k), of deviation about 1 within a clip."""
    whole = np.concatenate((pictures.expression, pictures.gaze), axis=-1)
    within = np.sqrt(whole.var(axis=1).mean(axis=0))
    return torch.from_numpy((whole / (within + LEAST)).astype(np.float32))


def reading_error(motion: Tensor, read: nn.Module, truth: Tensor) -> Tensor:
    """Return the mean squared error of what is read of clips, each against its own mean, and a share of their power.

    Power keeps latents of all clips in one place: their differences within a clip are then most of them.

    Args:
        motion: Latents (B, F, m).
        read: What reads them.
        truth: As `truth_of` gives it, (B, F, k).
    """
    found, known = (rows - rows.mean(dim=1, keepdim=True) for rows in (read(motion), truth))
    return F.mse_loss(found, known) + POWER * motion.square().mean()


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
