"""Trains the mini SVP on synth-heads in the paper's three stages; it begins with the weights of the mini Hallo.

Stage 1: the style extractor, by contrast; half of the batches hear nothing. Stage 2: single frames, without motion
modules; what draws frames, the key-point guider and the style's way into them, then what hears too: lips and styles are
learnt from many clips and times of the schedule in one batch. Stage 3: whole windows; motion, audio and the style's
way, then everything together. Of the paper (arXiv 2409.03270) are the three stages and that the extractor comes first;
what each of them trains is the project's choice. Velocity prediction with zero terminal SNR, as of Hallo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from thbench_methods.common.presets import shipped
from thbench_methods.common.still import still
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.dreamtalk.acted import open_acted
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.hallo.bundle import outlines68
from thbench_methods.hallo.networks import Hallo, Masks
from thbench_methods.hallo.portrait import masks_of, region_of
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.drawing import lips_of
from thbench_methods.nets.unet3d.layout import by_clip, frames_apart
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.train import LatentClips, Velocity, cell_weights, known_clips, latent_clips
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.svp.bundle import FILE
from thbench_methods.svp.config import MINI, Config, StyleSizes
from thbench_methods.svp.examples import (
    Portraits,
    Shown,
    Styles,
    draw_portrait,
    expression_of,
    portraits_of,
    styles_of,
)
from thbench_methods.svp.guidance import Told
from thbench_methods.svp.key_points import based, drawn, key_points_of
from thbench_methods.svp.networks import SVP, Condition, Given, silence
from thbench_methods.svp.objective import contrast, statistics, triplet
from thbench_methods.svp.restyled import restyled, restyled_faces
from thbench_methods.svp.style import Gaussian, StyleExtractor
from thbench_methods.svp.style_reader import FILE as READER_FILE
from thbench_methods.svp.style_reader import StyleReader, fit_style_reader, save_style_reader
from torch import nn

from thbench.data.synth_heads.pictures import open_pictures
from thbench.training import Recipe
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from thbench_methods.svp.restyled import Restyled
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order

STAGE_1 = Recipe(steps=1000, learning_rate=1e-3, warm_up=100, last_rate=0.02, average=0.99, bfloat16=False)
STAGE_2 = Recipe(steps=600, learning_rate=1e-3, warm_up=50, last_rate=0.3, average=0.99, bfloat16=False)
HEARING = Recipe(steps=1600, learning_rate=1e-3, warm_up=50, last_rate=0.2, average=0.99, bfloat16=False, seed=1)
STAGE_3 = Recipe(steps=250, learning_rate=5e-4, warm_up=50, last_rate=0.3, average=0.99, bfloat16=False)
JOINT = Recipe(steps=1000, learning_rate=5e-4, warm_up=50, last_rate=0.02, average=0.998, bfloat16=False, seed=1)
"""Without AMX, float32 is the faster format on processors. Second parts have a seed of their own, so that they do not
see once more what the first ones saw."""
ABOUT = About(
    "SVP mini",
    "Tan et al., arXiv 2409.03270; base, sizes and schedule are the project's own",
    "Stage 1: InfoNCE of drawn styles, divergence from the standard normal distribution, statistics of expression;"
    " half of the batches hear nothing. Stage 2, single frames, and stage 3, windows of 16: velocity prediction with"
    " zero terminal SNR, squared error weighted by where face, eyes and lips are. This card is of the last part of"
    " stage 3, in which everything but the style extractor is trained.",
    (
        "Begins with the weights of Hallo mini: style attention and key-point guider are the identity at first.",
        "Voices of clips tell the emotion as faces do, so that no style is needed. Most clips whose heads are not led"
        " are therefore drawn once more, with their words and the face of another clip's emotion, and told that clip's"
        " style; and single frames of these are of people who each show twenty clips, for where a person shows one"
        " style, who it is tells it.",
        "Expression of style clips is read by the mini face regressor in training as in use; StyleSim by the same"
        " regressor is no independent measure of it.",
        "For some clips there are portraits that show another emotion; at least half of each batch is of these clips.",
        "What is denoised are changes of the portrait, whose head is moved along the key points where it is led. Heads"
        " that are not led stay where they are: such windows are of clips drawn with heads at rest.",
        "Beside the weights is `mini_style_reader.safetensors`, which tells styles apart in the claims; no network is"
        " trained with it (`svp/style_reader.py`).",
        "In use the portrait is first given the mean expressions that the style's code tells (`svp/manner.py`); in"
        " training it is as it is, so that what the networks add of the style comes on top.",
    ),
)
CLIPS_1 = 96
"""Clips of a batch of stage 1."""
UNHEARD = 0.5
"""Share of batches of stage 1 without sound: parts of a clip could be told by the voice alone."""
DIVERGENCE, STATISTICS = 1e-3, 1.0
"""Weights of the divergence and of the statistics over that of the contrast."""
UNTOLD, UNSTYLED = 0.1, 0.1
"""Shares of clips that are told nothing, and everything but the style."""
LED = 0.35
"""Share of clips that are told the key points."""
RESTYLED = 0.6
"""Share of clips with the face of another's emotion among those that are not led and are told a style or nothing: told
speech alone, a network is to go on showing what voices say."""
NOISY = 3.0
"""How far times tend to the noisy end, where speech and style are learnt; half of them are then above 874."""
FIRST = 0.3
"""Share of windows that begin at their portrait, as the first one of a video does."""
PAST_NOISE = 0.1
"""Deviation of what is added to latents of frames before a window, which are generated ones later on."""


class StyleTraining(nn.Module):
    """The extractor, and a linear head that tells statistics of the clip from a code; of it the means are kept."""

    def __init__(self, sizes: StyleSizes) -> None:
        super().__init__()
        self.extractor = StyleExtractor(sizes)
        self.told = nn.Linear(sizes.code, 3 * sizes.expression)


class Halves(NamedTuple):
    """Two parts of each clip that do not overlap."""

    first: tuple[Tensor, Tensor]
    """Expression and audio, (N, frames, values); audio is 0 where nothing is heard."""
    second: tuple[Tensor, Tensor]
    alike: Tensor
    """Shape (N, N), bool: same emotion and level."""


@dataclass
class StyleTask:
    """Stage 1."""

    network: StyleTraining
    styles: Styles
    sizes: StyleSizes
    objective: Literal["contrast", "triplet"] = "contrast"

    def batch(self, rng: np.random.Generator) -> Halves:
        """Draw clips, and two parts of each."""
        count = min(CLIPS_1, len(self.styles))
        clips, total = rng.choice(len(self.styles), count, replace=False), self.styles.expression.shape[1]
        longest = min(self.sizes.longest, total // 2)
        length = int(rng.integers(min(self.sizes.shortest, longest), longest + 1))
        early = rng.integers(total - 2 * length + 1, size=count)
        late = early + length + rng.integers(total - 2 * length - early + 1)
        swapped = rng.random(count) < 0.5
        first, second = np.where(swapped, late, early), np.where(swapped, early, late)
        kind, heard = self.styles.kind[clips], float(rng.random() >= UNHEARD)
        halves = [self.styles.part(clips, begins, length) for begins in (first, second)]
        one, other = ((expression, heard * audio) for expression, audio in halves)
        return Halves(one, other, torch.from_numpy(kind[:, None] == kind[None]))

    def losses(self, batch: Halves) -> Mapping[str, Tensor]:
        """Contrast, divergence, statistics; `found` is how often the nearest code is that of the same clip."""
        styles = [self.network.extractor(*half) for half in (batch.first, batch.second)]
        codes = [style.drawn(torch.randn_like(style.mean)) for style in styles]
        apart = (
            contrast(codes[0], codes[1], batch.alike)
            if self.objective == "contrast"
            else triplet(styles[0], styles[1], batch.alike)
        )
        divergence = torch.stack([style.divergence().mean() for style in styles]).mean()
        told = torch.cat([self.network.told(code) for code in codes])
        known = torch.cat([statistics(half[0]) for half in (batch.first, batch.second)])
        error = F.mse_loss(told, known)
        nearest = (F.normalize(codes[0], dim=1) @ F.normalize(codes[1], dim=1).T).argmax(dim=1)
        found = (nearest == torch.arange(len(nearest))).float().mean()
        loss = apart + DIVERGENCE * divergence + STATISTICS * error
        return {"loss": loss, "apart": apart, "divergence": divergence, "statistics": error, "found": found}


class Part(NamedTuple):
    """A part of stage 2 or 3."""

    name: str
    recipe: Recipe
    clips: int
    """Clips of a batch."""
    frames: int
    """Frames of each: a window, or single ones."""
    windows: bool
    """Frames follow each other and go on from those before them; motion modules run."""
    trains: Callable[[str], bool]
    """Whether a parameter of a name is trained."""
    towards_noise: float = 1.0
    """As of `Velocity`."""


class Row(NamedTuple):
    """A clip of a batch."""

    latents: Tensor
    """Of its frames, (C, F, h, w)."""
    before: Tensor
    """Of those before a window, (n, C, h, w)."""
    weight: Tensor
    """Shape (1, F, h, w)."""
    landmarks: Tensor
    """Shape (F, 68, 2)."""
    words: NDArray[np.int64]
    """Number of the clip that is heard in each frame, (F,)."""
    instant: NDArray[np.int64]
    """Frames of these clips, (F,)."""
    style: NDArray[np.int64]
    """Number of the clip in whose style each frame is, (F,)."""


class Batch(NamedTuple):
    """Clips of a batch; those that are told nothing come first."""

    clean: Tensor
    """What is denoised, (B, C, F, h, w)."""
    given: Given
    told: tuple[Told, ...]
    """Of each clip."""
    led: tuple[bool, ...]
    """Whether each is told the key points."""
    weight: Tensor
    """Shape (B, 1, F, h, w)."""


@dataclass(frozen=True)
class Corpus:
    """A split in one kind of pictures."""

    clips: LatentClips
    """With latents as the networks know them."""
    acted: Portraits
    """Of the people of the first clips, perhaps of none."""
    style: NDArray[np.int64]
    """Shape (clips,): number of the clip in whose style the words of each are acted."""
    many_styles: bool = False
    """Single frames are of the portraits, as far as there are such: of each person there are many, in as many styles,
    where clips show one."""


@dataclass
class DiffusionTask:
    """A part of stage 2 or 3."""

    network: SVP
    moving: Corpus
    """Clips that are told the key points."""
    resting: Corpus
    """The same clips with heads at rest, for those that are not."""
    restyled: Corpus
    """Clips at rest once more, with faces of other clips' emotions."""
    styles: Styles
    part: Part
    vae: AutoencoderKL
    config: Config = MINI

    def __post_init__(self) -> None:
        self.velocity = Velocity.of(towards_noise=self.part.towards_noise)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self.part.trains(name))
        for module in self.network.denoising_unet.modules():
            if isinstance(module, MotionModule):
                module.runs = self.part.windows

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw clips, in each a portrait, frames and what of them is told."""
        size, frames = self.config.base.size, self.part.frames
        chosen = drawn_clips(rng, len(self.moving.clips), len(self.moving.acted), self.part.clips)
        count = len(chosen)
        draws = rng.random(count)
        kinds = [Told.NULL if u < UNTOLD else Told.HEARD if u < UNTOLD + UNSTYLED else Told.STYLED for u in draws]
        told = tuple(sorted(kinds))
        led = tuple((rng.random(count) < LED).tolist())
        other = rng.random(count) < RESTYLED
        sources = [
            self.moving if on else self.restyled if swapped and part is not Told.HEARD else self.resting
            for on, swapped, part in zip(led, other, told, strict=True)
        ]
        shown = [
            draw_portrait(source.clips, source.acted, int(clip), rng)
            for source, clip in zip(sources, chosen, strict=True)
        ]
        rows = [
            self._row(source, int(clip), one, rng) for source, clip, one in zip(sources, chosen, shown, strict=True)
        ]
        columns = list(zip(*rows, strict=True))
        known, before, weight, landmarks = (torch.stack(column) for column in columns[:4])
        words, heard, styled = (np.stack(column) for column in columns[4:])
        portraits = torch.stack([one.latent.float() for one in shown])
        points = key_points_of(landmarks / size)
        base = None if self.network.base is None else self._base(shown, points, led)
        regions, levels = zip(*map(self._looked, shown), strict=True)
        # Of frames by themselves, those of a clip are repeated from one row.
        each = frames if self.part.windows else 1
        masks = [
            Masks(*(torch.cat([mask.expand(each, -1) for mask in region]) for region in zip(*level, strict=True)))
            for level in zip(*levels, strict=True)
        ]
        given = Given(
            latents=torch.cat((portraits[:, None], before), dim=1).flatten(0, 1),
            audio=self.moving.clips.heard(words, heard, self.config.base.audio.window // 2),
            codes=self._codes(styled[:, :1] if self.part.windows else styled, rng),
            key_points=by_clip(drawn(points.flatten(0, 1), size), frames).transpose(1, 2),
            face=torch.stack([one.identity for one in shown]),
            region=torch.cat(regions),
            masks=masks,
            base=base,
        )
        clean = known if base is None else self.network.latents.changes(known, base)
        return Batch(clean, given, told, led, weight)

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return the squared errors of the velocity."""
        condition = self.network.condition(batch.given, batch.told, batch.led)
        clean, weight = batch.clean, batch.weight
        if not self.part.windows:
            condition = apart(condition, clean.shape[2])
            clean, weight = frames_apart(clean), frames_apart(weight)
        noisy, velocity, times = self.velocity.noisy(clean)
        predicted, _ = self.network.denoising_unet.full(noisy, times, condition)
        return self.velocity.losses(predicted, velocity, weight, lips_of(weight))

    def _row(self, source: Corpus, clip: int, shown: Shown, rng: np.random.Generator) -> Row:
        """Draw frames of a clip, or of its person in many styles."""
        if source.many_styles and not self.part.windows and clip < len(source.acted):
            return self._acted(source, clip, shown, rng)
        clips, total, length = source.clips, self.moving.clips.frames, self.part.frames
        past = self.config.base.sampling.motion_frames if self.part.windows else 0
        begins = self.part.windows and bool(rng.random() < FIRST) and shown.frame <= total - length
        if self.part.windows:
            frames = np.arange(length) + (shown.frame if begins else int(rng.integers(past, total - length + 1)))
        else:
            frames = rng.integers(total, size=length)
        before = shown.latent.expand(past, -1, -1, -1) if begins else clips.latents[clip, frames[0] - past : frames[0]]
        at = (clip, torch.from_numpy(frames))
        return Row(
            clips.latents[at].float().transpose(0, 1),
            # Frames before a window are a little wrong, as generated ones are.
            before.float() + PAST_NOISE * torch.randn(before.shape),
            clips.weight[at].float().transpose(0, 1),
            torch.from_numpy(np.array(clips.pictures.landmarks68[clip, frames])),
            np.full(length, clip),
            frames,
            np.full(length, source.style[clip]),
        )

    def _acted(self, source: Corpus, clip: int, shown: Shown, rng: np.random.Generator) -> Row:
        """Draw pictures of the person of a clip, none of them the portrait."""
        acted, length, side = source.acted, self.part.frames, self.config.base.side
        others = np.setdiff1d(np.arange(acted.frames.shape[1]), [] if shown.acted is None else [shown.acted])
        at = (clip, rng.choice(others, length, replace=len(others) < length))
        marks, words = acted.landmarks[at], acted.words[at]
        latents = acted.latents[at].float()
        return Row(
            latents.transpose(0, 1),
            latents[:0],
            torch.from_numpy(np.stack([cell_weights(one, self.config.base.size, side) for one in marks]))[None],
            torch.from_numpy(marks),
            words,
            acted.instant[at],
            source.style[words],
        )

    @torch.no_grad()
    def _base(self, shown: Sequence[Shown], points: Tensor, led: Sequence[bool]) -> Tensor:
        """Latents of portraits, the heads of those that are led moved along, (B, C, F, h, w)."""
        size, rows = self.config.base.size, []
        for one, frames, on in zip(shown, points, led, strict=True):
            if not on:
                rows.append(one.latent.float()[:, None].expand(-1, self.part.frames, -1, -1))
                continue
            face = one.landmarks.astype(np.float64) / size
            own = key_points_of(torch.from_numpy(np.array(one.landmarks)) / size)
            heads = based(np.array(one.picture), face, own, frames)
            rows.append(self.network.latents.known(self.vae.encode(heads)).transpose(0, 1))
        return torch.stack(rows)

    @torch.no_grad()
    def _codes(self, clips: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Draw styles of some part of clips (B, F): (B, F, code)."""
        sizes, total = self.config.style, self.styles.expression.shape[1]
        longest = min(sizes.longest, total)
        length = int(rng.integers(min(sizes.shortest, longest), longest + 1))
        begins = rng.integers(total - length + 1, size=clips.size)
        style = self.network.style(*self.styles.part(clips.ravel(), begins, length))
        codes: Tensor = style.drawn(torch.randn_like(style.mean)).view(*clips.shape, -1)
        return codes

    def _looked(self, shown: Shown) -> tuple[Tensor, list[Masks]]:
        """Region and masks of a portrait, by its true landmarks."""
        base = self.config.base
        picture = torch.from_numpy(np.array(shown.picture)).permute(2, 0, 1)[None].float() / 255
        outlines = outlines68(shown.landmarks / base.size)
        sides = [base.side >> level for level in range(len(base.unet.channels))]
        return region_of(outlines, picture, base), masks_of(outlines, base.size, sides)


def drawn_clips(rng: np.random.Generator, clips: int, acted: int, count: int) -> NDArray[np.int64]:
    """Draw different clips in any order, at least half of them with portraits of another emotion, if there are so many.

    Args:
        rng: All randomness is of it.
        clips: How many there are.
        acted: How many of them, the first ones, have such portraits.
        count: How many are drawn; all where there are fewer.
    """
    count = min(count, clips)
    some = rng.choice(acted, min((count + 1) // 2, acted), replace=False)
    others = rng.choice(np.setdiff1d(np.arange(clips), some), count - len(some), replace=False)
    return rng.permutation(np.concatenate((some, others)).astype(np.int64))


def apart(condition: Condition, frames: int) -> Condition:
    """Return the condition of the frames of clips as clips of one frame, so that each has a time of its own.

    Args:
        condition: Of B clips, without frames before them, with one row of masks for each.
        frames: Of each, F.

    Returns:
        Of B F rows, the frames of a clip together.
    """
    located = condition.located.expand(-1, -1, frames, -1, -1)
    audio, style = (
        part.expand(-1, frames, -1, -1).flatten(0, 1)[:, None] for part in (condition.audio, condition.style)
    )
    return replace(condition.repeated(frames), audio=audio, style=style, located=frames_apart(located))


def draws_frames(name: str) -> bool:
    """Return whether a parameter is trained when stage 2 begins: all but style extractor, audio and motion."""
    return not name.startswith(("style.", "audioproj.")) and not any(
        part in name for part in (".audio_modules.", ".motion_modules.")
    )


def moves_frames(name: str) -> bool:
    """Return whether a parameter is trained when stage 3 begins: audio, motion and the way of the style."""
    return name.startswith(("audioproj.", "style_projection.")) or any(
        part in name for part in (".audio_modules.", ".motion_modules.", ".attn_style.", ".norm_style.")
    )


def everything(name: str) -> bool:
    """Return whether a parameter is trained once all parts have begun: all but the style extractor."""
    return not name.startswith("style.")


PARTS = (
    Part("svp-stage-2", STAGE_2, clips=8, frames=4, windows=False, trains=draws_frames),
    Part("svp-hearing", HEARING, clips=8, frames=4, windows=False, trains=everything, towards_noise=NOISY),
    Part("svp-stage-3", STAGE_3, 2, MINI.base.sampling.frames, windows=True, trains=moves_frames, towards_noise=NOISY),
    Part("svp-joint", JOINT, 2, MINI.base.sampling.frames, windows=True, trains=everything, towards_noise=NOISY),
)
"""Of stages 2 and 3."""


def begun(config: Config, hallo: Mapping[str, Tensor]) -> SVP:
    """Return the networks before training, with Hallo's weights; they generate what Hallo does.

    Args:
        config: Whose base is hierarchical.
        hallo: State of Hallo's networks of the same sizes.

    Raises:
        ValueError: Weights of the base are missing, or there are others.
    """
    network = SVP(config)
    missing, unexpected = network.load_state_dict(hallo, strict=False)
    new = ("style.", "style_projection.", "kps_guider.")
    wrong = [key for key in missing if not key.startswith(new) and "_style." not in key]
    if wrong or unexpected:
        raise ValueError(f"these are no weights of this base: {[*wrong, *unexpected][:3]}; train Hallo's small preset")
    silence(network)
    # Tokens of an image then lie in memory as convolutions leave them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def train_style(network: SVP, styles: Styles, config: Config, order: Order) -> None:
    """Train the style extractor, and keep what styles are drawn from."""
    torch.manual_seed(STAGE_1.seed)
    task = StyleTask(StyleTraining(config.style), styles, config.style)
    fitted(task, STAGE_1, order, "svp-style")
    network.style.load_state_dict(task.network.extractor.state_dict())
    network.style.keep_resting(task.network.told)
    network.style.eval()
    with torch.inference_mode():
        seen = [network.style(*part) for part in styles.parts(config.style.longest)]
        network.style.keep_prior(Gaussian(*map(torch.cat, zip(*seen, strict=True))))


def style_reader(
    pictures: Pictures, others: Restyled, kind: NDArray[np.int64], every: int, folder: Path
) -> StyleReader:
    """Return what tells styles apart in the claims: of clips as they are, and with another's face.

    Args:
        pictures: The split.
        others: The same clips with other faces.
        kind: As of `Styles`.
        every: Frames from one that is read to the next.
        folder: Of the split.
    """
    own = expression_of(pictures, every, folder)
    # Whose face a clip has depends on how many there are.
    swapped = expression_of(others.pictures, every, folder, f"restyled-{len(pictures)}")
    return fit_style_reader(np.concatenate((own, swapped)), np.concatenate((kind, kind[others.style])))


def train(order: Order) -> None:
    """Train all stages; autoencoder, speech encoder and Hallo's small preset must be there."""
    config, pictures, vae = MINI, open_pictures(order.data, order.clips), load_mini_vae()
    hallo = Hallo(config.base)
    load_weights(shipped(HALLO_FILE), hallo)
    torch.manual_seed(STAGE_2.seed)
    network = begun(config, hallo.state_dict())

    def corpus(pictures: Pictures, *, resting: bool) -> Corpus:
        faces = restyled_faces(pictures) if resting else None
        acted = open_acted(order.data, pictures.clips, resting=resting, faces=faces)
        return Corpus(latents(pictures), portraits_of(acted, vae, network.latents), np.arange(len(pictures)))

    def latents(pictures: Pictures) -> LatentClips:
        packed = latent_clips(pictures, vae, load_speech_encoder(), config.base.packing, order.work)
        return known_clips(packed, network.latents)

    moving, resting = corpus(pictures, resting=False), corpus(still(order.data, pictures), resting=True)
    others = restyled(order.data, pictures)
    swapped = replace(resting, clips=latents(others.pictures), style=others.style, many_styles=True)
    styles = styles_of(pictures, moving.clips.speech, config.style.every, order.data)
    reader = style_reader(pictures, others, styles.kind, config.style.every, order.data)
    save_style_reader(reader, destination(order, READER_FILE))
    train_style(network, styles, config, order)
    trainings = [
        fitted(
            DiffusionTask(network, moving, resting, swapped, styles, part, vae, config), part.recipe, order, part.name
        )
        for part in PARTS
    ]
    ship(destination(order, FILE), network, ABOUT, order, trainings[-1], pictures)
