"""Trains the mini FLAP on synth-heads by progressively focused training; it begins with the weights of the mini Hallo.

Stage 1, single frames of the clips whose heads move most: head coefficients, all layers. Stage 2, single frames of all
clips: the face's coefficients join, and what read the head is frozen, so that the head is not told by the face. Stage
3, windows of frames: motion modules. Source: arXiv 2502.19455, section on progressively focused training; that the
frozen head path still reads the head in stage 2, and the joint tuning at the end, are the project's choice. Stage 2 is
the longest: many clips and times of the schedule in one batch teach lips most, and Hallo's motion modules are trained
already. The front end is trained by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.presets import shipped
from thbench_methods.common.still import still
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.dreamtalk.acted import open_acted
from thbench_methods.flap.base import places_of
from thbench_methods.flap.bundle import FILE
from thbench_methods.flap.coefficients import Standard, coefficients, expressions
from thbench_methods.flap.config import MINI, Config, Layout
from thbench_methods.flap.front_end import AudioToHead, Speech, alpha_bars
from thbench_methods.flap.networks import FLAP, Condition, Given, silence
from thbench_methods.flap.schedule import signal, target
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.hallo.networks import Hallo
from thbench_methods.hallo.portrait import region_of
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.drawing import lips_of
from thbench_methods.nets.unet3d.layout import frames_apart
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.schedule import TRAIN_STEPS
from thbench_methods.nets.unet3d.train import PORTRAITS, LatentClips, Velocity, known_clips, latent_clips
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.svp.examples import Portraits, Shown, draw_portrait, portraits_of

from thbench.data.synth_heads import topology
from thbench.data.synth_heads.expression import EXPRESSIONS, expression_deltas
from thbench.data.synth_heads.pictures import open_pictures
from thbench.data.synth_heads.template import template
from thbench.training import Recipe
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from thbench_methods.flap.base import MovingHead
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order

FRONT_END = Recipe(steps=1200, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.998, bfloat16=False)
HEAD = Recipe(steps=250, learning_rate=1e-3, warm_up=50, last_rate=0.2, average=0.99, bfloat16=False)
EXPRESSION = Recipe(steps=1200, learning_rate=1e-3, warm_up=50, last_rate=0.2, average=0.99, bfloat16=False)
VIDEO = Recipe(steps=200, learning_rate=1e-3, warm_up=50, last_rate=0.1, average=0.99, bfloat16=False)
JOINT = Recipe(steps=500, learning_rate=4e-4, warm_up=50, last_rate=0.02, average=0.998, bfloat16=False, seed=1)
"""Without AMX, float32 is the faster format on processors. The joint tuning has a seed of its own, so that it does not
see the windows and the noise of stage 3 once more."""
ABOUT = About(
    "FLAP mini",
    "Mu et al., arXiv 2502.19455; base, sizes and the front end are the project's own",
    "Three stages of progressively focused training, then joint tuning: velocity prediction with zero terminal SNR,"
    " squared error weighted by where face, eyes and lips are. The front end: squared errors of clean coefficients, of"
    " their steps and of a mean head's lips. This card is of the joint tuning.",
    (
        "Begins with the weights of Hallo mini; the paper begins with Stable Diffusion 1.5 and AnimateDiff, and"
        " predicts noise.",
        "Coefficients are three angles and 53 named expressions in the paper's groups; in training they are the truth"
        " of synth-heads, those of portraits with noise, in use they are read by the mini face regressor.",
        "For some clips the portrait shows another emotion than the frames: the emotion of a clip does not change.",
        "What is denoised are changes of the portrait, moved as the coefficients move a mean head; the paper's network"
        " makes all of the movement. Where in the picture the head goes is the truth's in training; in use it turns"
        " about a point of the neck. After the first stage half of the clips are drawn with heads at rest.",
    ),
)
UNTOLD = 0.1
"""Share of clips that are told nothing: reference and coefficients are dropped together."""
RESTING = 0.5
"""Share of clips whose heads rest, after the first stage."""
FIRST = 0.3
"""Share of windows that begin at their portrait, as the first one of a video does."""
JUMPING = 0.15
"""Share of windows whose past is the portrait and that begin anywhere: asked poses jump in the first frame."""
PAST_NOISE = 0.1
"""Deviation of what is added to latents of frames before a window, which are generated ones later on."""
ANGLE_NOISE, FACE_NOISE = 1.5, 0.07
"""Deviations of what is added to portraits' coefficients, degrees and strengths: about the face regressor's errors."""
CLOSED, CLOSING = 0.3, 1 / 3
"""Strength beyond which lids count as closing, and the share of single frames that are drawn among such, where the face
is told and the clip has any: of all frames they are few."""
HEARD, BEGINS = 32, 0.5
"""Clips of a batch of the front end, and share of batches whose window begins the clip."""
LIPS = 20.0
"""Weight of the lips' squared error, centimetres, over that of normal coefficients."""


class Part(NamedTuple):
    """A part of the training of the video."""

    name: str
    recipe: Recipe
    clips: int
    """Clips of a batch."""
    frames: int
    """Frames of each: a window, or single ones."""
    windows: bool
    """Frames follow each other, and motion modules run."""
    faces: bool
    """The face's coefficients are told."""
    moving: bool
    """Only the clips whose heads move most are shown."""


PARTS = (
    Part("flap-head", HEAD, clips=6, frames=4, windows=False, faces=False, moving=True),
    Part("flap-expression", EXPRESSION, clips=8, frames=4, windows=False, faces=True, moving=False),
    Part("flap-video", VIDEO, clips=2, frames=16, windows=True, faces=True, moving=False),
    Part("flap-joint", JOINT, clips=2, frames=16, windows=True, faces=True, moving=False),
)
"""The paper's three stages, and the joint tuning."""


def is_trained(part: str, name: str) -> bool:
    """Return whether a parameter is trained in a part.

    Args:
        part: Name of the part.
        name: Of the parameter.
    """
    if name.startswith("front_end."):
        return False
    reads_head = name.startswith("head_tokens.") or (name.startswith("denoising_unet.") and ".attn2." in name)
    if part == "flap-head":
        return True
    if part == "flap-expression":
        return not reads_head and ".motion_modules." not in name
    return part == "flap-joint" or ".motion_modules." in name


class Batch(NamedTuple):
    """Clips of a batch; those that are told nothing come first."""

    clean: Tensor
    """What is denoised, (B, C, F, h, w)."""
    given: Given
    plain: int
    """How many clips are told nothing."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""


@dataclass(frozen=True)
class Acted:
    """Pictures of the first clips with expressions of others, and their coefficients."""

    portraits: Portraits
    own: Tensor
    """Shape (clips, pictures, total)."""


@dataclass(frozen=True)
class Corpus:
    """A split in one kind of pictures."""

    clips: LatentClips
    """With latents as the networks know them."""
    values: Tensor
    """Head coefficients, (clips, frames, total)."""
    acted: Acted

    def own(self, clip: int, shown: Shown) -> Tensor:
        """Return the head coefficients (total,) of a portrait of a clip."""
        return self.values[clip, shown.frame] if shown.acted is None else self.acted.own[clip, shown.acted]


@dataclass
class DiffusionTask:
    """A part of the training of the video."""

    network: FLAP
    moving: Corpus
    resting: Corpus
    """The same clips with heads at rest."""
    part: Part
    vae: AutoencoderKL
    config: Config = MINI

    def __post_init__(self) -> None:
        self.signal, self.velocity = signal(self.config), Velocity.of()
        own = self.moving
        self.shown = moving(own.values, self.config) if self.part.moving else np.arange(len(own.clips))
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(is_trained(self.part.name, name))
        for module in self.network.denoising_unet.modules():
            if isinstance(module, MotionModule):
                module.runs = self.part.windows

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait and frames."""
        count = min(self.part.clips, len(self.shown))
        chosen = rng.choice(self.shown, count, replace=False)
        rest = [not self.part.moving and draw < RESTING for draw in rng.random(count)]
        sources = [self.resting if on else self.moving for on in rest]
        shown = [
            draw_portrait(source.clips, source.acted.portraits, int(clip), rng)
            for source, clip in zip(sources, chosen, strict=True)
        ]
        rows = [
            self._row(source, int(clip), one, rng) for source, clip, one in zip(sources, chosen, shown, strict=True)
        ]
        known, before, values, weight, landmarks = (torch.stack(column) for column in zip(*rows, strict=True))
        portraits = torch.stack([one.latent.float() for one in shown])
        own = torch.stack(
            [source.own(int(clip), one) for source, clip, one in zip(sources, chosen, shown, strict=True)]
        )
        own = own + torch.randn_like(own) * own_noise(self.config.layout)
        head = self.network.moving_head
        base = None if head is None else self._base(head, shown, own, values, landmarks)
        given = Given(
            torch.cat((portraits[:, None], before), dim=1).flatten(0, 1),
            values,
            own,
            torch.stack([one.identity for one in shown]),
            torch.cat([self._region(one) for one in shown]),
            base,
        )
        plain = int((rng.random(count) < UNTOLD).sum())
        return Batch(known if base is None else self.network.latents.changes(known, base), given, plain, weight)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of what is predicted."""
        condition = self.network.condition(batch.given, guided=False, plain=batch.plain, faces=self.part.faces)
        clean, weight = batch.clean, batch.weight
        if not self.part.windows:
            condition = apart(condition, clean.shape[2])
            clean, weight = frames_apart(clean), frames_apart(weight)
        times = torch.randint(TRAIN_STEPS, (len(clean),))
        kept, noise = self.signal[times].view(-1, 1, 1, 1, 1), torch.randn_like(clean)
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        predicted, _ = self.network.denoising_unet.full(noisy, times, condition)
        return self.velocity.losses(predicted, target(self.config, clean, noise, kept), weight, lips_of(weight))

    def _row(self, source: Corpus, clip: int, shown: Shown, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Draw frames of a clip.

        Returns:
            Latents (C, F, h, w) of them and (n, C, h, w) of those before them, coefficients, weights, landmarks.
        """
        frames, before = (
            self._window(source.clips, clip, shown, rng)
            if self.part.windows
            else self._single(source, clip, shown, rng)
        )
        at = (clip, torch.from_numpy(frames))
        clips = source.clips
        return (
            clips.latents[at].float().transpose(0, 1),
            before,
            source.values[at],
            clips.weight[at].float().transpose(0, 1),
            torch.from_numpy(np.array(clips.pictures.landmarks68[clip, frames])),
        )

    def _single(
        self, source: Corpus, clip: int, shown: Shown, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Tensor]:
        """Draw single frames, with none before them: more than there are with lids that close."""
        frames = rng.integers(source.clips.frames, size=self.part.frames)
        lids = source.values[clip, :, self.config.layout.lid_places]
        closing = np.flatnonzero((lids > CLOSED).any(dim=1).numpy())
        if self.part.faces and len(closing):
            frames = np.where(rng.random(len(frames)) < CLOSING, rng.choice(closing, len(frames)), frames)
        return frames, shown.latent.new_empty(0, *shown.latent.shape).float()

    def _window(
        self, clips: LatentClips, clip: int, shown: Shown, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], Tensor]:
        """Draw a window, and return its frames with the latents of those before them, (n, C, h, w)."""
        past, last = self.config.base.sampling.motion_frames, clips.frames - self.part.frames
        draw, first = rng.random(), int(rng.integers(past, last + 1))
        begins, jumps = draw < FIRST and shown.frame <= last, FIRST <= draw < FIRST + JUMPING
        if begins:
            first = shown.frame
        before = shown.latent.expand(past, -1, -1, -1) if begins or jumps else clips.latents[clip, first - past : first]
        return first + np.arange(self.part.frames), before.float() + PAST_NOISE * torch.randn(before.shape)

    @torch.no_grad()
    def _base(self, head: MovingHead, shown: Sequence[Shown], own: Tensor, values: Tensor, landmarks: Tensor) -> Tensor:
        """Latents of portraits whose heads are where they are in the frames, (B, C, F, h, w)."""
        size, rows = self.config.base.size, []
        for one, first, told, frames in zip(shown, own, values, landmarks, strict=True):
            place, places = places_of(one.landmarks / size), places_of(frames.numpy() / size)
            heads = head.moved(one.picture, first, place, told, places)
            rows.append(self.network.latents.known(self.vae.encode(heads)).transpose(0, 1))
        return torch.stack(rows)

    def _region(self, shown: Shown) -> Tensor:
        """What the locator sees of a portrait, by its true landmarks."""
        picture = torch.from_numpy(np.array(shown.picture)).permute(2, 0, 1)[None].float() / 255
        return region_of(outlines68(shown.landmarks / self.config.base.size), picture, self.config.base)


def apart(condition: Condition, frames: int) -> Condition:
    """Return the condition of the frames of clips as clips of one frame, so that each has a time of its own.

    Args:
        condition: Of B clips, without frames before them.
        frames: Of each, F.

    Returns:
        Of B F rows, the frames of a clip together.
    """
    located = condition.located.expand(-1, -1, frames, -1, -1)
    return replace(
        condition.repeated(frames),
        head=condition.head.flatten(0, 1)[:, None],
        face=None if condition.face is None else condition.face.flatten(0, 1)[:, None],
        located=frames_apart(located),
    )


class Heard(NamedTuple):
    """A batch of the front end; coefficients are normal."""

    speech: Speech
    clean: Tensor
    """Shape (N, window, total)."""


@dataclass
class FrontEndTask:
    """Speech to coefficients."""

    network: AudioToHead
    standard: Standard
    values: Tensor
    """Head coefficients, (clips, frames, total)."""
    audio: Tensor
    """Speech features, (clips, frames, audio)."""

    def __post_init__(self) -> None:
        self.signal = alpha_bars(self.network.sizes.train_steps).float()
        self.lips = lip_basis()

    def batch(self, rng: np.random.Generator) -> Heard:
        """Draw clips, and a window that begins them or goes on in them."""
        count, total = min(HEARD, len(self.values)), self.values.shape[1]
        past, longest = self.network.sizes.past, self.network.sizes.window
        chosen = torch.from_numpy(rng.choice(len(self.values), count, replace=False))
        first = 0 if rng.random() < BEGINS else int(rng.integers(past, total // 2 + 1))
        frames = torch.arange(first - past, min(first + longest, total))
        known = self.standard.normal(self.values[chosen])
        portrait = 0 if first == 0 else int(rng.choice([frame for frame in PORTRAITS if frame < total]))
        noise = own_noise(self.network.layout) / self.standard.deviation
        own = known[:, portrait] + torch.randn_like(known[:, portrait]) * noise
        before = own[:, None].expand(-1, past, -1) if first == 0 else known[:, first - past : first]
        heard = self.audio[chosen][:, frames.clamp(min=0)]
        return Heard(Speech(heard, before, own), known[:, first : first + longest])

    def losses(self, batch: Heard) -> Mapping[str, Tensor]:
        """Squared errors of clean coefficients, of their steps, and of the lips of a mean head."""
        times = torch.randint(len(self.signal), (len(batch.clean),))
        kept = self.signal[times].view(-1, 1, 1)
        noisy = kept.sqrt() * batch.clean + (1 - kept).sqrt() * torch.randn_like(batch.clean)
        made = self.network(noisy, times, batch.speech)
        error, steps = F.mse_loss(made, batch.clean), F.mse_loss(made.diff(dim=1), batch.clean.diff(dim=1))
        moved, wanted = (
            expressions(self.standard.restored(x), self.network.layout) @ self.lips for x in (made, batch.clean)
        )
        lips = F.mse_loss(moved, wanted)
        return {"loss": error + steps + LIPS * lips, "error": error, "steps": steps, "lips": lips}


def lip_basis() -> Tensor:
    """Return how each expression at full strength moves the lips of a mean head, (53, 3 vertices), centimetres."""
    lips = [
        *topology.LIP_UPPER_INNER,
        *topology.LIP_LOWER_INNER,
        *topology.LIP_UPPER_OUTER,
        *topology.LIP_LOWER_OUTER,
    ]
    deltas = expression_deltas(template().points)
    still = np.zeros((len(lips), 3))
    rows = [np.asarray(deltas[name])[lips] if name in deltas else still for name in EXPRESSIONS]
    return torch.from_numpy(np.stack(rows).reshape(len(EXPRESSIONS), -1).astype(np.float32))


def own_noise(layout: Layout) -> Tensor:
    """Return the deviations of what is added to a portrait's coefficients, (total,)."""
    noise = torch.full((layout.total,), FACE_NOISE)
    noise[: layout.rotation] = float(np.radians(ANGLE_NOISE))
    return noise


def moving(values: Tensor, config: Config) -> NDArray[np.int64]:
    """Return the clips (n,) whose head rotation varies most, the share that stage 1 sees, at least one.

    Args:
        values: Head coefficients, (clips, frames, total).
        config: Says which are the rotation, and the share.
    """
    variance = values[..., : config.layout.rotation].var(dim=1).sum(dim=1)
    count = max(1, round(config.schedule.moving * len(values)))
    return np.sort(variance.argsort(descending=True, stable=True)[:count].numpy())


def begun(config: Config, hallo: Mapping[str, Tensor]) -> FLAP:
    """Return the networks before training, with what Hallo's weights tell of them.

    Args:
        config: Whose base tells who it is and where the face is.
        hallo: State of Hallo's networks of the same sizes; what hears is left out.

    Raises:
        ValueError: Weights of the base are missing, or there are others.
    """
    network = FLAP(config)
    seen = {key: x for key, x in hallo.items() if not (key.startswith("audioproj.") or ".audio_modules." in key)}
    missing, unexpected = network.load_state_dict(seen, strict=False)
    new = ("head_tokens.", "exp_tokens.", "standard.", "moving_head.", "front_end.")
    wrong = [key for key in missing if not key.startswith(new) and "_exp." not in key]
    if wrong or unexpected:
        raise ValueError(f"these are no weights of this base: {[*wrong, *unexpected][:3]}; train Hallo's small preset")
    silence(network)
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def train(order: Order) -> None:
    """Train front end and video; autoencoder, speech encoder and Hallo's small preset must be there."""
    config, pictures, vae = MINI, open_pictures(order.data, order.clips), load_mini_vae()
    hallo = Hallo(config.base)
    load_weights(shipped(HALLO_FILE), hallo)
    torch.manual_seed(HEAD.seed)
    network = begun(config, hallo.state_dict())

    def corpus(pictures: Pictures, *, resting: bool) -> Corpus:
        packed = latent_clips(pictures, vae, load_speech_encoder(), config.base.packing, order.work)
        drawn = open_acted(order.data, pictures.clips, resting=resting)
        portraits = portraits_of(drawn, vae, network.latents)
        pose = pictures.pose[np.arange(len(drawn))[:, None], drawn.body]
        own = coefficients(pose, pictures.expression[drawn.source, drawn.instant])
        values = coefficients(pictures.pose, pictures.expression)
        return Corpus(known_clips(packed, network.latents), values, Acted(portraits, own))

    moving, resting = corpus(pictures, resting=False), corpus(still(order.data, pictures), resting=True)
    values = moving.values
    network.standard.keep(values)
    if network.moving_head is not None:
        network.moving_head.keep(values, places_of(pictures.landmarks68 / config.base.size))
    torch.manual_seed(FRONT_END.seed)
    speaking = AudioToHead(config.front_end, config.layout)
    task = FrontEndTask(speaking, network.standard, values, moving.clips.speech[:, :, -1].float())
    fitted(task, FRONT_END, order, "flap-front-end")
    network.front_end.load_state_dict(speaking.state_dict())
    trainings = [
        fitted(DiffusionTask(network, moving, resting, part, vae, config), part.recipe, order, part.name)
        for part in PARTS
    ]
    ship(destination(order, FILE), network, ABOUT, order, trainings[-1], pictures)
