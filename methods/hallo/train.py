"""Trains the mini Hallo on synth-heads in the paper's two stages and one between, on latents that were encoded once.

Stage 1: single frames from a reference frame of the same clip, without audio and motion modules. Then the project's
own: single frames that hear, many clips and times of the schedule in one batch, in two turns. Stage 2: windows of
frames with the frames before them, all modules. The autoencoder and the speech encoder are trained before and frozen;
the audio projection begins as one that tells visemes and mouth, since these move few of the latents' numbers. All
stages see the clips of the split with heads at rest: heads move at will, and where they do, lips are a small part of
what changes. Velocity prediction with zero terminal SNR (arXiv 2406.08801, section 3.3; the release's training code).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.still import still
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.hallo.bundle import FILE, outlines68
from thbench_methods.hallo.config import MINI, Config
from thbench_methods.hallo.networks import AudioTransformer, Condition, Given, Hallo, Masks
from thbench_methods.hallo.portrait import masks_of, region_of
from thbench_methods.nets.speech.encoder import FILE as SPEECH_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.speech.train import Told, mouths
from thbench_methods.nets.speech.train import train_mini as train_speech
from thbench_methods.nets.unet3d.begun import silence
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
from thbench_methods.nets.unet3d.train import LatentClips, Velocity, known_clips, latent_clips
from thbench_methods.nets.vae.autoencoder import FILE as VAE_FILE
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.nets.vae.train import train_mini as train_vae

from thbench.data.synth_heads.pictures import open_pictures
from thbench.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thbench_methods.nets.unet3d.latents import Latents
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order

AUDIO = Recipe(steps=400, learning_rate=2e-3, warm_up=50, last_rate=0.05, average=0.99, bfloat16=False)
STAGE_1 = Recipe(steps=1000, learning_rate=1.5e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False)
HEARING = Recipe(steps=2000, learning_rate=1.5e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False)
AGAIN = Recipe(steps=1500, learning_rate=1.5e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False, seed=1)
STAGE_2 = Recipe(steps=1500, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "Hallo mini",
    "Xu et al., arXiv 2406.08801; sizes are the project's own",
    "Velocity prediction with zero terminal SNR, squared error weighted by where face, eyes and lips are: single"
    " frames without audio, single frames with it, then windows of 16 frames with motion. This card is of the last.",
    (
        "Face embedding and landmarks of the portrait come from the mini networks of the metrics, as the published"
        " model takes them from a face recogniser; identity similarity (mini) is measured by the same network.",
        "The face locator sees the portrait, lit where the face is; the published one sees a white box.",
        "What is denoised is the difference from the portrait's latent, in principal components.",
        "Trained on the clips of synth-heads drawn with heads at rest: generated heads stay where they are in the"
        " portrait, and lips, eyes and expression move.",
    ),
)
SOUNDS = 256
"""Windows of a batch of the audio projection."""
EVERY = 10
"""Frames of a clip of which one is looked at for principal components."""
DROPPED = 0.1
"""Share of clips without any condition, for guidance."""
PAST_NOISE = 0.1
"""Deviation of what is added to latents of frames before a window, which are generated ones later on."""


class Stage(NamedTuple):
    """A part of the training of the video."""

    name: str
    recipe: Recipe
    clips: int
    """Of a batch."""
    frames: int
    """Of each clip: a window, or single ones."""
    hears: bool
    """Audio modules run."""
    windows: bool
    """Frames follow each other and go on from those before them; motion modules run."""


STAGES = (
    Stage("hallo-stage-1", STAGE_1, clips=6, frames=6, hears=False, windows=False),
    Stage("hallo-hearing", HEARING, clips=8, frames=4, hears=True, windows=False),
    Stage("hallo-hearing-again", AGAIN, clips=8, frames=4, hears=True, windows=False),
    Stage("hallo-stage-2", STAGE_2, clips=2, frames=MINI.sampling.frames, hears=True, windows=True),
)


class Batch(NamedTuple):
    """Clips of a batch; those without condition come first."""

    clean: Tensor
    """Latents (B, C, F, h, w)."""
    given: Given
    """Of B clips: latents (B (1 + n), C, h, w), those of a clip together; face (B, E); audio (B, F, window, ...)."""
    plain: int
    """How many clips are without condition."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""


@dataclass
class DiffusionTask:
    """One stage."""

    network: Hallo
    clips: LatentClips
    stage: Stage
    config: Config = MINI

    def __post_init__(self) -> None:
        self.velocity = Velocity.of()
        for module in self.network.denoising_unet.modules():
            if isinstance(module, AudioTransformer):
                module.runs = self.stage.hears
            if isinstance(module, MotionModule):
                module.runs = self.stage.windows

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait and frames."""
        stage, clips = self.stage, self.clips
        if stage.windows:
            drawn = windows(rng, clips, stage.clips, stage.frames, self.config.sampling.motion_frames)
        else:
            drawn = single_frames(rng, clips, stage.clips, stage.frames)
        shown = latents_of(clips, drawn.clips, np.concatenate((drawn.portraits[:, None], drawn.before), axis=1))
        base, past = shown[:, :, :1], shown[:, :, 1:].transpose(1, 2)
        past = past + PAST_NOISE * torch.randn(past.shape)
        looked = [self._looked(int(clip), int(frame)) for clip, frame in zip(drawn.clips, drawn.portraits, strict=True)]
        # Of frames by themselves, those of a clip are repeated from one row.
        rows = stage.frames if stage.windows else 1
        masks = [
            Masks(*(torch.cat([m.expand(rows, -1) for m in region]) for region in zip(*level, strict=True)))
            for level in zip(*(masks for _, masks in looked), strict=True)
        ]
        given = Given(
            torch.cat((base.transpose(1, 2), past), dim=1).flatten(0, 1),
            identities_of(clips, drawn),
            clips.heard(drawn.clips, drawn.frames, self.config.audio.window // 2),
            torch.cat([region for region, _ in looked]),
            masks,
            torch.ones(3),
            base,
        )
        clean = self.network.latents.changes(latents_of(clips, drawn.clips, drawn.frames), base)
        plain = int((rng.random(len(clean)) < DROPPED).sum())
        return Batch(clean, given, plain, weights_of(clips, drawn))

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity."""
        condition, clean, weight = self.condition(batch), batch.clean, batch.weight
        if not self.stage.windows:
            # Each frame is a clip of one frame, with a time of its own.
            own = condition.locator.expand(-1, -1, clean.shape[2], -1, -1)
            heard = condition.audio.flatten(0, 1)[:, None]
            condition = replace(condition.repeated(clean.shape[2]), locator=frames_apart(own), audio=heard)
            clean, weight = frames_apart(clean), frames_apart(weight)
        noisy, velocity, times = self.velocity.noisy(clean)
        predicted, _ = self.network.denoising_unet.full(noisy, times, condition)
        return self.velocity.losses(predicted, velocity, weight, lips_of(weight))

    def condition(self, batch: Batch) -> Condition:
        """Return what the denoiser is told; the leading clips are told nothing."""
        net, given, count = self.network, batch.given, len(batch.clean)
        images = len(given.latents) // count
        face = net.imageproj(told(given.face, batch.plain))
        # Under guidance, features are read that were made with and without the face; either may come.
        shown = given.face * (torch.rand(len(given.face)) < 0.5)[:, None]
        features = net.reference_unet(given.latents, net.imageproj(shown).repeat_interleave(images, dim=0))
        return Condition(
            face=face,
            audio=told(net.audioproj(given.audio), batch.plain),
            locator=told(net.located(given), batch.plain),
            masks=given.masks,
            scale=given.scale,
            reference=split(features, images - 1),
            guided=False,
            plain=batch.plain,
        )

    def _looked(self, clip: int, frame: int) -> tuple[Tensor, list[Masks]]:
        """Region and masks of a portrait, by its true landmarks."""
        picture = self.clips.portrait(clip, frame)[None]
        outlines = outlines68(self.clips.pictures.landmarks68[clip, frame] / self.config.size)
        sides = [self.config.side >> level for level in range(len(self.config.unet.channels))]
        return region_of(outlines, picture, self.config), masks_of(outlines, self.config.size, sides)


@dataclass
class AudioTask:
    """The audio projection with linear heads for visemes and mouth, which are dropped."""

    network: Told
    clips: LatentClips
    reach: int

    def __post_init__(self) -> None:
        self._visemes, self._mouth = mouths(self.clips.pictures)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw windows of sound, and what the mouth does in their middle."""
        clips, frames = (rng.integers(size, size=SOUNDS) for size in self._visemes.shape[:2])
        heard = self.clips.heard(clips, frames[:, None], self.reach)
        return heard, self._visemes[clips, frames], self._mouth[clips, frames]

    def losses(self, batch: tuple[Tensor, Tensor, Tensor]) -> Mapping[str, Tensor]:
        """See `Told.losses`."""
        heard, visemes, mouth = batch
        return self.network.losses(self.network.encoder(heard)[:, 0].flatten(1), visemes, mouth)


def fresh(config: Config) -> Hallo:
    """Return the networks before training; audio and motion modules begin as identities."""
    network = Hallo(config)
    for module in network.denoising_unet.modules():
        if isinstance(module, AudioTransformer):
            silence(module.proj_out)
        if isinstance(module, MotionModule):
            silence(module.temporal_transformer.proj_out)
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def prepared(order: Order, config: Config, pictures: Pictures) -> LatentClips:
    """Return clips as latents; autoencoder and speech encoder are trained on them where they are not there."""
    speech, autoencoder = _part_of(order, "speech"), _part_of(order, "vae")
    train_speech(speech, pictures)
    train_vae(autoencoder, pictures)
    vae = load_mini_vae(destination(autoencoder, VAE_FILE))
    encoder = load_speech_encoder(destination(speech, SPEECH_FILE))
    return latent_clips(pictures, vae, encoder, config.packing, order.work)


def chosen(clips: LatentClips, latents: Latents) -> LatentClips:
    """Return the split in the channels that the networks know; which these are is kept in `latents`."""
    latents.keep(clips.latents[:, ::EVERY].flatten(0, 1).float())
    return known_clips(clips, latents)


def _part_of(order: Order, name: str) -> Order:
    """Return the order for a part whose weights have the same file name: into a folder of its own, if anywhere."""
    return order if order.out is None else replace(order, out=order.out / name)


def train(order: Order) -> None:
    """Train both stages; autoencoder and speech encoder too where they are not there."""
    clips = prepared(order, MINI, still(order.data, open_pictures(order.data, order.clips)))
    torch.manual_seed(STAGE_1.seed)
    network = fresh(MINI)
    clips = chosen(clips, network.latents)
    width, mouth = MINI.audio.tokens * MINI.unet.audio, mouths(clips.pictures)[1].shape[-1]
    fitted(AudioTask(Told(network.audioproj, width, mouth), clips, MINI.audio.window // 2), AUDIO, order, "hallo-audio")
    trainings = [fitted(DiffusionTask(network, clips, stage), stage.recipe, order, stage.name) for stage in STAGES]
    ship(destination(order, FILE), network, ABOUT, order, trainings[-1], clips.pictures)
