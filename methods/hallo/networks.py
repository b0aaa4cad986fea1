"""Hallo's networks, in the key names of the release's `net.pth`.

Source: arXiv 2406.08801, section 3; fudan-generative-vision/hallo at 8fd7c57, hallo/models/. What is computed here is
what the release's inference computes. It leaves the denoising network in training mode, and only that branch of the
public code knows motion frames and the weights of the three audio masks; the same branch skips the motion modules of
the lowest down block and of the first up block, whose weights lie in the file unused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.hallo.config import PAPER, Config
from thbench_methods.nets.unet3d.attention import Attention, FeedForward
from thbench_methods.nets.unet3d.focus import Attend, Focus, attend_at, everywhere
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import clips, images, repeated, to_maps, to_tokens
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.projections import AudioProjModel, ImageProjModel
from thbench_methods.nets.unet3d.reference import Reference, ReferenceUNet, alternating, split
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Place, Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from thbench_methods.nets.unet3d.config import Sizes

REGIONS = ("full", "face", "lip")
"""What hears the audio by itself: the whole picture, the face, the lips."""


class Masks(NamedTuple):
    """Where the three audio attentions act, each of shape (B F, h w), range [0, 1], at one level of the UNet."""

    full: Tensor
    """The whole picture, or its background."""
    face: Tensor
    """The face."""
    lip: Tensor
    """The lips."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a clip is generated from. Under guidance the batch is [unconditional | conditional]."""

    face: Tensor
    """Shape (B, tokens, C): who it is."""
    audio: Tensor
    """Shape (B, F, tokens, C)."""
    locator: Tensor
    """Shape (B, C, F, h, w), from the face locator, or with 1 in the place of F."""
    masks: Sequence[Masks]
    """For each level of the UNet that has attention, and for the middle block."""
    scale: Tensor
    """Shape (3,): weights of the whole picture, face and lips."""
    reference: Reference
    """Features of the reference image and of the frames before the clip; a place that is left out reads none."""
    guided: bool = True
    """The first half of the batch is unconditional: it reads no reference."""
    half: bool = False
    """The batch is the conditional half of a pair; only the features of the reference image are still both halves'."""
    plain: int = 0
    """Without guidance: so many leading rows read no reference, as the unconditional ones of a training batch."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.face)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the reference image at some places."""
        image = {place: tokens for place, tokens in self.reference.image.items() if place not in places}
        return replace(self, reference=self.reference._replace(image=image))

    def conditional(self) -> Condition:
        """Return the conditional half."""
        return replace(self._over_rows(lambda rows: rows.chunk(2)[1]), guided=False, half=True)

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        whole = self._over_rows(lambda rows: repeated(rows, self.batch, times))
        image = {place: rows.repeat_interleave(times, dim=0) for place, rows in self.reference.image.items()}
        return replace(whole, reference=whole.reference._replace(image=image), plain=times * self.plain)

    def _over_rows(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Return the condition with a function applied to what has rows for each clip of the batch."""
        past = {place: function(rows) for place, rows in self.reference.past.items()}
        return replace(
            self,
            face=function(self.face),
            audio=function(self.audio),
            locator=function(self.locator),
            masks=[Masks(*map(function, level)) for level in self.masks],
            reference=self.reference._replace(past=past),
        )


class Given(NamedTuple):
    """What a clip of frames is made from, before any network has seen it."""

    latents: Tensor
    """Shape (1 + n, latent, h, w): the reference image, then the frames before the clip, oldest first; scaled."""
    face: Tensor
    """Shape (1, embedding): the face recogniser's."""
    audio: Tensor
    """Shape (1, F, window, layers, channels)."""
    region: Tensor
    """Shape (1, 3, H, W), range [0, 1]: picture of where the face is."""
    masks: Sequence[Masks]
    """For each level, of shape (F, h w)."""
    scale: Tensor
    """Shape (3,): weights of the whole picture, face and lips."""
    base: Tensor | None = None
    """Shape (1, latent, F, h, w), or 1 in the place of F: what changes are of; None where none are denoised."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor
    audio: Tensor
    focus: Focus | None = None

    @property
    def past(self) -> Mapping[str, Tensor]:
        return self.condition.reference.past

    @property
    def unconditional(self) -> int:
        return len(self.tokens) // 2 if self.condition.guided else self.condition.plain * self.frames

    def reference_at(self, place: str) -> Tensor | None:
        tokens = self.condition.reference.image.get(place)
        if tokens is None:
            return None
        if self.condition.guided or self.condition.half:
            return alternating(tokens, self.frames)[-len(self.tokens) :]
        return tokens.repeat_interleave(self.frames, dim=0)


class AudioBlock(nn.Module):
    """Self-attention, hierarchical audio-visual cross-attention (section 3.2), feed-forward."""

    def __init__(self, width: int, audio: int, heads: int, feed_forward: int = 4) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, heads=heads)
        for index, region in enumerate(REGIONS):
            self.add_module(f"attn2_{index}", Attention(width, context=audio, heads=heads))
            self.add_module(f"zero_conv_{region}", nn.Conv2d(width, width, 1))
        self.ff = FeedForward(width, feed_forward)

    def forward(self, x: Tensor, audio: Tensor, masks: Masks, scale: Tensor, attend: Attend = everywhere) -> Tensor:
        """Map (B F, h w, width) to the same shape.

        Args:
            x: The images' tokens.
            audio: Shape (B F, tokens, audio).
            masks: Where each of the three audio attentions acts.
            scale: Shape (3,): their weights.
            attend: Where the self-attention acts.
        """
        x = x + attend("attn1", self.norm1(x), lambda own, _: self.attn1(own))
        query = self.norm2(x)
        heard = torch.zeros_like(x)
        for index, (region, mask) in enumerate(zip(REGIONS, masks, strict=True)):
            masked = self.get_submodule(f"attn2_{index}")(query, audio) * mask[..., None]
            # A 1x1 convolution over tokens is this linear map; its bias acts outside the mask too.
            conv = self.get_submodule(f"zero_conv_{region}")
            heard = heard + scale[index] * conv(masked.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
        x = x + heard
        mixed: Tensor = x + self.ff(self.norm3(x))
        return mixed


class AudioTransformer(nn.Module):
    """Group norm, a 1x1 convolution in, audio block, a 1x1 convolution out; as wide as what enters the UNet's block."""

    def __init__(self, place: Place, sizes: Sizes) -> None:
        super().__init__()
        self.place, self.level, width = place.name, place.level, place.block_inputs
        self.runs = True
        self.norm = nn.GroupNorm(sizes.groups, place.channels, eps=1e-6)
        self.proj_in = nn.Conv2d(place.channels, width, 1)
        self.transformer_blocks = nn.ModuleList([AudioBlock(width, sizes.audio, sizes.heads, sizes.feed_forward)])
        self.proj_out = nn.Conv2d(width, place.channels, 1)

    def forward(self, x: Tensor, call: _Call) -> Tensor:
        """Map (B F, C, h, w) to the same shape; the first stage of training leaves it out (`runs` is False)."""
        if not self.runs:
            return x
        tokens = to_tokens(self.proj_in(self.norm(x)))
        condition, attend = call.condition, attend_at(call.focus, self.place)
        mixed = self.transformer_blocks[0](tokens, call.audio, condition.masks[self.level], condition.scale, attend)
        output: Tensor = x + self.proj_out(to_maps(mixed, x))
        return output


class DenoisingUNet(VideoUNet[Condition]):
    """The three-dimensional UNet: reference, audio and motion behind each resnet."""

    def __init__(self, sizes: Sizes) -> None:
        lowest = len(sizes.channels) - 1
        unused = (f"down_blocks.{lowest}.", "up_blocks.0.")
        stages = (
            Stage("attentions", lambda place: SpatialTransformer(place, sizes)),
            Stage("audio_modules", lambda place: AudioTransformer(place, sizes)),
            Stage(
                "motion_modules",
                lambda place: MotionModule(place, sizes, runs=not place.name.startswith(unused)),
                everywhere=sizes.idle,
            ),
        )
        super().__init__(sizes, stages)

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, with the face locator's."""
        return located(self.conv_in(images(z)), condition.locator, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        return _Call(condition, frames, condition.face.repeat_interleave(frames, dim=0), condition.audio.flatten(0, 1))


class Hallo(nn.Module):
    """All networks of the release file, and what of the latents they know."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        sizes = config.unet
        self.reference_unet = ReferenceUNet(sizes)
        self.denoising_unet = DenoisingUNet(sizes)
        self.face_locator = FaceLocator(sizes.channels[0], widths=config.locator)
        self.imageproj = ImageProjModel(config.face, sizes.tokens)
        self.audioproj = AudioProjModel(config.audio, sizes.audio)
        self.latents = Latents(config)
        self.base = nn.Conv2d(sizes.latent, sizes.channels[0], 3, padding=1) if config.change else None

    def located(self, given: Given) -> Tensor:
        """Return where the face is: (B, C, 1, h, w), or (B, C, F, h, w) where the head is moved."""
        place: Tensor = self.face_locator(given.region[:, :, None])
        if self.base is None or given.base is None:
            return place
        return place + clips(self.base(images(given.base)), given.base.shape[2])

    def condition(self, given: Given, *, guided: bool = True) -> Condition:
        """Return what the denoiser is told; once per clip of frames.

        Args:
            given: What the clip is made from.
            guided: Return [unconditional | conditional]. Unconditional is no face, no audio and no region.
        """
        face = paired(self.imageproj(given.face), self.imageproj(torch.zeros_like(given.face)), guided=guided)
        features = self.reference_unet(paired(given.latents, given.latents, guided=guided), face)
        return Condition(
            face=face,
            audio=paired(self.audioproj(given.audio), guided=guided),
            locator=paired(self.located(given), guided=guided),
            masks=[Masks(*(paired(mask, mask, guided=guided) for mask in level)) for level in given.masks],
            scale=given.scale,
            reference=split(features, len(given.latents) - 1),
            guided=guided,
        )
