"""Trains the mini MEMO on synth-heads in the paper's two stages; it begins with weights of the mini Hallo.

Before: the classifier of a voice's emotion. Stage 1 (face domain adaptation): single frames from a portrait of the same
clip, without audio and memory. Then the project's own: single frames that hear, many clips and levels of noise in one
batch. Stage 2 (emotion-decoupled robust training): clips of frames with those before them, all modules. For some clips
the emotion is not told, and in stage 2 those whose error is too large are left out (arXiv 2412.04448, section 3.4;
memoavatar/memo at a5aee30, finetune.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.common.presets import shipped
from thbench_methods.common.still import still
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.hallo.config import MINI as HALLO
from thbench_methods.hallo.networks import Hallo
from thbench_methods.memo.bundle import FILE, Shipped
from thbench_methods.memo.config import MINI, Config
from thbench_methods.memo.emotion import voice_features
from thbench_methods.memo.memory import MemoryModule
from thbench_methods.memo.networks import EMOTIONS, MEMO, Condition, JointTransformer
from thbench_methods.memo.objective import losses, noisy
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.begun import carried, silence
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
from thbench_methods.nets.unet3d.reference import split
from thbench_methods.nets.unet3d.train import known_clips, latent_clips
from thbench_methods.nets.vae.autoencoder import load_mini_vae

from thbench.data.synth_heads.pictures import open_pictures
from thbench.training import Recipe
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from thbench_methods.memo.emotion import EmotionClassifier
    from thbench_methods.nets.unet3d.train import LatentClips
    from torch import Tensor

    from thbench.training.order import Order

EMOTION = Recipe(
    steps=400, learning_rate=2e-3, warm_up=50, last_rate=0.05, weight_decay=0.1, average=0.98, bfloat16=False
)
STAGE_1 = Recipe(steps=700, learning_rate=1e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False)
HEARING = Recipe(steps=2500, learning_rate=1e-3, warm_up=100, last_rate=0.2, average=0.998, bfloat16=False)
STAGE_2 = Recipe(steps=1800, learning_rate=7e-4, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
"""Without AMX, float32 is the faster format on processors."""
ABOUT = About(
    "MEMO mini",
    "Zheng et al., arXiv 2412.04448; sizes are the project's own",
    "Rectified flow: squared error of the clean latents that a velocity stands for, weighted by where face, eyes and"
    " lips are: single frames without sound, single frames with it, then clips of 16 frames with the 16 frames before"
    " them. This card is of the last.",
    (
        "Begins with the weights of Hallo mini where layouts are the same: not in what joins sound and picture; motion"
        " modules, which attend in another way here, begin without effect.",
        "In training the emotion is that which the clip was made with; in use it is heard in the voice by a classifier"
        " that was trained on the same clips.",
        "Clips are told nothing, or everything, for guidance; the release drops portrait and sound by turns.",
        "What is denoised is the difference from the portrait's latent, in principal components; the network sees the"
        " portrait's latent in the place of each frame, which the published one does not.",
        "Trained on the clips of synth-heads drawn with heads at rest: generated heads stay where they are in the"
        " portrait, and lips, eyes and expression move.",
    ),
)
VOICES, SHORTEST, LONGEST = 64, 50, 75
"""Clips of a batch of the classifier, and how many frames of each are heard: two to three seconds, as in use."""
DROPPED = 0.1
"""Share of clips without any condition, for guidance."""
UNFELT = 0.3
"""Share of clips whose emotion is not told, as published."""
ROBUST = 1.0
"""Largest error of a clip that is learned from. The release takes 0.1 for latents of faces that its base knows already.
Clips of synth-heads are what they say, so that hardly any is left out."""
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
    """What joins sound and picture runs."""
    windows: bool
    """Frames follow each other and go on from those before them; what remembers runs."""


STAGES = (
    Stage("memo-stage-1", STAGE_1, clips=6, frames=6, hears=False, windows=False),
    Stage("memo-hearing", HEARING, clips=8, frames=4, hears=True, windows=False),
    Stage("memo-stage-2", STAGE_2, clips=2, frames=MINI.sampling.frames, hears=True, windows=True),
)


@dataclass
class EmotionTask:
    """The classifier of a voice's emotion."""

    network: EmotionClassifier
    clips: LatentClips
    names: tuple[str, ...]
    """Of its first classes."""

    def __post_init__(self) -> None:
        self.classes = classes_of(self.clips, self.names)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw parts of clips: features and classes."""
        chosen = rng.integers(len(self.clips), size=VOICES)
        length = int(rng.integers(min(SHORTEST, self.clips.frames), min(LONGEST, self.clips.frames) + 1))
        first = rng.integers(self.clips.frames - length + 1, size=VOICES)
        parts = [self.clips.speech[clip, at : at + length].float() for clip, at in zip(chosen, first, strict=True)]
        return voice_features(torch.stack(parts)), self.classes[chosen]

    def losses(self, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        """Return the cross-entropy, and how often the class is right."""
        features, classes = batch
        logits = self.network(features)
        right = (logits.argmax(dim=1) == classes).float().mean()
        return {"loss": F.cross_entropy(logits, classes), "right": right}


class Batch(NamedTuple):
    """Clips of a batch; those without condition come first."""

    clean: Tensor
    """What is denoised, (B, C, F, h, w)."""
    latents: Tensor
    """Of each clip the portrait, then the frames before it, oldest first, (B, 1 + n, C, h, w)."""
    face: Tensor
    """Shape (B, embedding)."""
    audio: Tensor
    """Shape (B, F, window, layers, channels)."""
    emotion: Tensor
    """Shape (B,), int64: class, or 9 for none."""
    plain: int
    """How many clips are without condition."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""


@dataclass
class DiffusionTask:
    """One stage."""

    network: MEMO
    clips: LatentClips
    """With heads at rest, and latents as the networks know them."""
    stage: Stage
    config: Config = MINI

    def __post_init__(self) -> None:
        self.classes = classes_of(self.clips, self.config.emotions)
        for module in self.network.diffusion_net.modules():
            if isinstance(module, JointTransformer):
                module.runs = self.stage.hears
            if isinstance(module, MemoryModule):
                module.runs = self.stage.windows

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait and frames."""
        clips, frames = self.stage.clips, self.stage.frames
        if self.stage.windows:
            drawn = windows(rng, self.clips, clips, frames, self.config.sampling.past_frames)
        else:
            drawn = single_frames(rng, self.clips, clips, frames)
        count = len(drawn.clips)
        plain = int((rng.random(count) < DROPPED).sum())
        unfelt = torch.from_numpy(rng.random(count) < UNFELT) | (torch.arange(count) < plain)
        portraits = latents_of(self.clips, drawn.clips, drawn.portraits[:, None])
        before = latents_of(self.clips, drawn.clips, drawn.before)
        known = latents_of(self.clips, drawn.clips, drawn.frames)
        return Batch(
            clean=self.network.latents.changes(known, portraits),
            latents=torch.cat((portraits, before + PAST_NOISE * torch.randn_like(before)), dim=2).transpose(1, 2),
            face=identities_of(self.clips, drawn),
            audio=self.clips.heard(drawn.clips, drawn.frames, self.config.audio.window // 2),
            emotion=self.classes[drawn.clips].masked_fill(unfelt, EMOTIONS),
            plain=plain,
            weight=weights_of(self.clips, drawn),
        )

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the errors of the flow."""
        condition, clean, weight = condition_of(self.network, batch), batch.clean, batch.weight
        if not self.stage.windows:
            # Each frame is a clip of one frame, with a level of its own.
            heard = condition.audio.flatten(0, 1)[:, None]
            condition = replace(condition.repeated(clean.shape[2]), audio=heard)
            clean, weight = frames_apart(clean), frames_apart(weight)
        on_the_way = noisy(clean)
        predicted, _ = self.network.diffusion_net.full(on_the_way.latents, on_the_way.times, condition)
        return losses(predicted, on_the_way, weight, ROBUST if self.stage.windows else None, lips_of(weight))


def condition_of(network: MEMO, batch: Batch) -> Condition:
    """Return what the denoiser is told; the leading clips are told nothing."""
    count, each = batch.latents.shape[:2]
    # Under guidance, features are read that were made with and without the face; either may come.
    shown = batch.face * (torch.rand(count) < 0.5)[:, None]
    tokens = network.image_proj(shown).repeat_interleave(each, dim=0)
    reference = split(network.reference_net(batch.latents.flatten(0, 1), tokens), each - 1)
    seen = network.seen(batch.latents[:, 0])
    return Condition(
        face=network.image_proj(told(batch.face, batch.plain)),
        audio=told(network.audio_proj(batch.audio), batch.plain),
        emotion=batch.emotion,
        reference=reference.image,
        memory=network.diffusion_net.remember(reference.past, None) if reference.past else {},
        guided=False,
        seen=None if seen is None else told(seen, batch.plain),
        plain=batch.plain,
    )


def classes_of(clips: LatentClips, names: tuple[str, ...]) -> Tensor:
    """Return the class of the emotion of each clip, (clips,), int64."""
    return torch.tensor([names.index(emotion) for emotion in clips.pictures.emotion])


RENAMED = {
    "reference_unet": "reference_net",
    "denoising_unet": "diffusion_net",
    "imageproj": "image_proj",
    "audioproj": "audio_proj",
}
"""Networks of Hallo to those of MEMO."""


def begun(config: Config, hallo: Mapping[str, Tensor]) -> MEMO:
    """Return the networks before training: Hallo's weights where they fit, and no effect of what hears and remembers.

    Args:
        config: In the sizes of Hallo's small preset.
        hallo: State of Hallo's networks.

    Raises:
        ValueError: The weights are of other sizes.
    """
    network = MEMO(config)
    parts = ((key.partition("."), value) for key, value in hallo.items())
    carried(network, {f"{RENAMED.get(head, head)}.{rest}": value for (head, _, rest), value in parts}, is_new)
    for module in network.diffusion_net.modules():
        if isinstance(module, JointTransformer):
            silence(module.proj_out)
        if isinstance(module, MemoryModule):
            silence(module.temporal_transformer.proj_out)
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def is_new(key: str) -> bool:
    """Return whether a weight is not Hallo's: of what joins sound and picture, and of what remembers."""
    return key.startswith("diffusion_net.") and (".audio_modules." in key or ".motion_modules." in key)


def prepared(order: Order, network: MEMO, config: Config) -> LatentClips:
    """Return the split with heads at rest, as latents that the networks know."""
    pictures = still(order.data, open_pictures(order.data, order.clips))
    packed = latent_clips(pictures, load_mini_vae(), load_speech_encoder(), config.packing, order.work)
    return known_clips(packed, network.latents)


def train(order: Order) -> None:
    """Train all; autoencoder, speech encoder and Hallo's small preset must be there."""
    hallo = Hallo(HALLO)
    load_weights(shipped(HALLO_FILE), hallo)
    torch.manual_seed(STAGE_1.seed)
    whole = Shipped(MINI)
    whole.networks = begun(MINI, hallo.state_dict())
    clips = prepared(order, whole.networks, MINI)
    fitted(EmotionTask(whole.emotion, clips, MINI.emotions), EMOTION, order, "memo-emotion")
    trainings = [
        fitted(DiffusionTask(whole.networks, clips, stage), stage.recipe, order, stage.name) for stage in STAGES
    ]
    ship(destination(order, FILE), whole, ABOUT, order, trainings[-1], clips.pictures)
