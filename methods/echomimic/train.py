"""Trains the mini EchoMimic on synth-heads in the paper's two stages; it begins with weights of the mini Hallo.

Stage 1: single frames from a portrait of the same clip, with their sound and without motion modules. Stage 2: windows
of frames, motion modules too. The paper trains nothing but the motion modules then; so small a network gains by going
on with all of it. Velocity prediction with zero terminal SNR (arXiv 2407.08136, section 3; the release's inference).
The paper's spatial loss, of decoded pictures, has its place taken by weights of face, eyes and lips in the latents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.common.still import still
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.echomimic.bundle import FILE
from thbench_methods.echomimic.config import MINI, Config
from thbench_methods.echomimic.networks import Condition, EchoMimic
from thbench_methods.echomimic.portrait import region_of
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.networks import Hallo
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.begun import carried, silence
from thbench_methods.nets.unet3d.drawing import latents_of, lips_of, single_frames, told, weights_of, windows
from thbench_methods.nets.unet3d.layout import frames_apart, images
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.train import Velocity, known_clips, latent_clips
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.vae.autoencoder import load_mini_vae

from thbench.data.synth_heads.pictures import open_pictures
from thbench.training import Recipe
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from thbench_methods.nets.unet3d.drawing import Drawn
    from thbench_methods.nets.unet3d.train import LatentClips
    from torch import Tensor

    from thbench.training.order import Order

STAGE_1 = Recipe(steps=3000, learning_rate=1e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False)
STAGE_2 = Recipe(steps=2500, learning_rate=7e-4, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
STAGE_3 = Recipe(steps=400, learning_rate=4e-4, warm_up=20, last_rate=0.02, average=0.99, bfloat16=False, seed=1)
"""Without AMX, float32 is the faster format on processors."""
AROUND = replace(MINI, hearing=replace(MINI.hearing, before=2, after=2))
"""What is heard in the first two stages: five frames. Of three validation clips their weights reach 0.31 of the real
LSE-C (mini) so, 0.49 if a frame then hears its own time alone, and 0.53 after the third stage."""
ABOUT = About(
    "EchoMimic mini",
    "Chen et al., arXiv 2407.08136; sizes are the project's own",
    "Velocity prediction with zero terminal SNR, squared error weighted by where face, eyes and lips are: single frames"
    " with their sound first, then windows of 12 frames with motion. At first a frame hears the features of five"
    f" frames, in the last {STAGE_3.steps} steps, which this card is of, those of its own time alone, as in use.",
    (
        "Begins with the weights of Hallo mini where layouts are the same: not in what attends to audio, and not in the"
        " motion modules of the lowest level.",
        "Weights of face, eyes and lips take the place of the paper's spatial loss of decoded pictures.",
        "The face locator sees the portrait, lit where the face is; the published one sees a white box.",
        "What is denoised is the difference from the portrait's latent, in principal components.",
        "Trained on the clips of synth-heads drawn with heads at rest: generated heads stay where they are in the"
        " portrait, and lips, eyes and expression move.",
    ),
)
CLIPS_1, FRAMES_1 = 8, 4
"""Clips of a batch of stage 1, and frames of each. Lips are learned there, of many clips and times at once."""
CLIPS_2 = 3
"""Windows of a batch of stage 2."""
DROPPED = 0.1
"""Share of clips without any condition, for guidance."""
HEARING = ".attn2."
"""In the keys of what attends to audio in EchoMimic, and to who it is in Hallo."""


class Batch(NamedTuple):
    """Clips of a batch; those without condition come first."""

    clean: Tensor
    """What is denoised, (B, C, F, h, w)."""
    latents: Tensor
    """Of the portraits, (B, C, h, w)."""
    audio: Tensor
    """Shape (B, F, tokens, channels)."""
    region: Tensor
    """Shape (B, 1 or 3, H, W), range [0, 1]."""
    plain: int
    """How many clips are without condition."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""


@dataclass
class DiffusionTask:
    """One stage."""

    network: EchoMimic
    clips: LatentClips
    """With heads at rest, and latents as the networks know them."""
    config: Config = MINI
    motion: bool = True
    """Stage 2: windows of frames. Otherwise frames by themselves, without motion modules."""

    def __post_init__(self) -> None:
        self.velocity = Velocity.of()
        for module in self.network.denoising_unet.modules():
            if isinstance(module, MotionModule):
                module.runs = self.motion

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait and frames."""
        if self.motion:
            drawn = windows(rng, self.clips, CLIPS_2, self.config.sampling.window)
        else:
            drawn = single_frames(rng, self.clips, CLIPS_1, FRAMES_1)
        return shown(self.clips, drawn, self.network, self.config, int((rng.random(len(drawn.clips)) < DROPPED).sum()))

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity."""
        condition, clean, weight = condition_of(self.network, batch), batch.clean, batch.weight
        if not self.motion:
            # Each frame is a clip of one frame, with a time and a sound of its own.
            heard = images(condition.audio.transpose(1, 2))[:, None]
            condition = replace(condition.repeated(clean.shape[2]), audio=heard)
            clean, weight = frames_apart(clean), frames_apart(weight)
        noisy, velocity, times = self.velocity.noisy(clean)
        predicted, _ = self.network.denoising_unet.full(noisy, times, condition)
        return self.velocity.losses(predicted, velocity, weight, lips_of(weight))


def shown(clips: LatentClips, drawn: Drawn, network: EchoMimic, config: Config, plain: int = 0) -> Batch:
    """Return the clips of a batch.

    Args:
        clips: Of the training.
        drawn: Which frames.
        network: Says what of latents is denoised.
        config: Of the preset.
        plain: How many are without condition.
    """
    portraits = latents_of(clips, drawn.clips, drawn.portraits[:, None])
    known = latents_of(clips, drawn.clips, drawn.frames)
    return Batch(
        clean=network.latents.changes(known, portraits),
        latents=portraits[:, :, 0],
        audio=clips.heard(drawn.clips, drawn.frames, config.hearing.before).flatten(2, 3),
        region=torch.cat([_region(clips, *at, config) for at in zip(drawn.clips, drawn.portraits, strict=True)]),
        plain=plain,
        weight=weights_of(clips, drawn),
    )


def condition_of(network: EchoMimic, batch: Batch) -> Condition:
    """Return what the denoiser is told; the leading clips are told nothing."""
    return Condition(
        audio=told(batch.audio, batch.plain),
        locator=told(network.located(batch.region, batch.latents), batch.plain),
        reference=network.read(batch.latents),
        guided=False,
        plain=batch.plain,
    )


def _region(clips: LatentClips, clip: np.int64, frame: np.int64, config: Config) -> Tensor:
    """Return what the locator sees of a portrait, by its true landmarks."""
    outlines = outlines68(clips.pictures.landmarks68[clip, frame] / config.size)
    return region_of(outlines, clips.portrait(int(clip), int(frame))[None], config)


def begun(config: Config, hallo: Mapping[str, Tensor]) -> EchoMimic:
    """Return the networks before training: Hallo's weights where they fit, and no effect of anything else.

    Args:
        config: In the sizes of Hallo's small preset.
        hallo: State of Hallo's networks.

    Raises:
        ValueError: The weights are of other sizes.
    """
    places = lowest(config)

    def is_new(key: str) -> bool:
        own = key.removeprefix("denoising_unet.")
        return HEARING in key or (own != key and own.startswith(places) and ".motion_modules." in key)

    network = EchoMimic(config)
    carried(network, hallo, is_new)
    for module in network.denoising_unet.modules():
        if isinstance(module, SpatialTransformer):
            silence(module.get_submodule("transformer_blocks.0.attn2.to_out.0"))
        if isinstance(module, MotionModule) and module.place.startswith(places):
            silence(module.temporal_transformer.proj_out)
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def lowest(config: Config) -> tuple[str, str]:
    """Return the blocks of the denoising network's lowest level, whose motion modules Hallo does not run."""
    return f"down_blocks.{len(config.unet.channels) - 1}.", "up_blocks.0."


def prepared(order: Order, network: EchoMimic, config: Config) -> LatentClips:
    """Return the split with heads at rest, as latents that the networks know."""
    pictures = still(order.data, open_pictures(order.data, order.clips))
    packed = latent_clips(pictures, load_mini_vae(), load_speech_encoder(), config.packing, order.work)
    return known_clips(packed, network.latents)


def train(order: Order) -> None:
    """Train all stages; autoencoder, speech encoder and Hallo's small preset must be there."""
    hallo = Hallo(HALLO)
    load_weights(shipped(HALLO_FILE), hallo)
    torch.manual_seed(STAGE_1.seed)
    network = begun(MINI, hallo.state_dict())
    clips = prepared(order, network, MINI)
    fitted(DiffusionTask(network, clips, AROUND, motion=False), STAGE_1, order, "echomimic-stage-1")
    fitted(DiffusionTask(network, clips, AROUND), STAGE_2, order, "echomimic-stage-2")
    training = fitted(DiffusionTask(network, clips), STAGE_3, order, "echomimic-stage-3")
    ship(destination(order, FILE), network, ABOUT, order, training, clips.pictures)
