"""SVP's networks: a base that talks, with style cross-attention and a guider of head key points.

Of the paper (arXiv 2409.03270) are the style that enters by cross-attention, the style projection and the key-point
guider; the base and where in it they stand are the project's choice (`config`). The further attention of each block
has the keys `attn_style` and `norm_style`, and is the identity when training begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.hallo.networks import AudioTransformer, Masks
from thbench_methods.nets.unet3d.attention import Attention
from thbench_methods.nets.unet3d.extended import ExtendedTransformer
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import by_clip, clips, images, repeated
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.projections import AudioProjModel, ImageProjModel
from thbench_methods.nets.unet3d.reference import Reference, ReferenceUNet, split
from thbench_methods.nets.unet3d.unet import Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from thbench_methods.svp.config import PAPER, Config
from thbench_methods.svp.guidance import Told
from thbench_methods.svp.style import StyleExtractor, StyleProjection
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from thbench_methods.nets.unet3d.focus import Focus
    from thbench_methods.svp.config import Resampling

STYLE = "style"
"""Name of the further attention."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What clips are generated from. Rows that are told nothing lead."""

    audio: Tensor
    """Shape (B, F, tokens, C)."""
    style: Tensor
    """Shape (B, F, tokens, C), or with 1 in the place of F; 0 is no style."""
    located: Tensor
    """Shape (B, channels, F, h, w), or with 1 in the place of F: key points, and where the face is; 0 is neither."""
    reference: Reference
    """Features of the reference image and of the frames before the clip; a place that is left out reads none."""
    plain: int
    """How many leading rows read no reference."""
    face: Tensor | None = None
    """Shape (B, tokens, C): who it is, where cross-attention reads it; None where it reads audio."""
    masks: Sequence[Masks] = ()
    """For each level of the UNet, of shape (B F, h w); none where cross-attention reads audio."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.audio)

    @property
    def scale(self) -> Tensor:
        """Shape (3,): weights of what the whole picture, face and lips hear."""
        return self.audio.new_ones(3)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the reference image at some places."""
        image = {place: tokens for place, tokens in self.reference.image.items() if place not in places}
        return replace(self, reference=self.reference._replace(image=image))

    def conditional(self) -> Condition:
        """Return the second of two parts."""
        return replace(self._over_rows(lambda rows: rows.chunk(2)[1]), plain=0)

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        return replace(self._over_rows(lambda rows: repeated(rows, self.batch, times)), plain=times * self.plain)

    def _over_rows(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Return the condition with a function applied to all tensors, which begin with the rows."""
        reference = Reference(*({place: function(rows) for place, rows in part.items()} for part in self.reference))
        return replace(
            self,
            audio=function(self.audio),
            style=function(self.style),
            located=function(self.located),
            reference=reference,
            face=None if self.face is None else function(self.face),
            masks=[Masks(*map(function, level)) for level in self.masks],
        )


class Given(NamedTuple):
    """What clips are made from, before the denoiser's networks have seen it."""

    latents: Tensor
    """Shape (B (1 + n), latent, h, w), those of a clip together: the reference image, then the frames before the clip,
    oldest first; scaled."""
    audio: Tensor
    """Shape (B, F, window, layers, channels) where the base is hierarchical, (B, F, features, channels) elsewhere."""
    codes: Tensor
    """Styles, shape (B, F, code), or with 1 in the place of F."""
    key_points: Tensor | None = None
    """Their pictures, shape (B, 3, F, H, W), range [0, 1]; None where the head moves as it likes."""
    face: Tensor | None = None
    """Shape (B, embedding): the face recogniser's, where the base is hierarchical."""
    region: Tensor | None = None
    """Shape (B, 3, H, W), range [0, 1]: picture of where the face is, where the base is hierarchical."""
    masks: Sequence[Masks] = ()
    """For each level, of shape (B F, h w), where the base is hierarchical."""
    base: Tensor | None = None
    """Latents that changes are of, (B, latent, F, h, w), or with 1 in the place of F; None where none are denoised."""

    @property
    def clips(self) -> int:
        """How many, B."""
        return len(self.audio)


@dataclass(frozen=True, slots=True)
class _Call:
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor
    audio: Tensor
    more: Tensor
    focus: Focus | None = None

    @property
    def past(self) -> Mapping[str, Tensor]:
        return self.condition.reference.past

    @property
    def unconditional(self) -> int:
        return self.condition.plain * self.frames

    def reference_at(self, place: str) -> Tensor | None:
        tokens = self.condition.reference.image.get(place)
        return None if tokens is None else tokens.repeat_interleave(self.frames, dim=0)


class DenoisingUNet(VideoUNet[Condition]):
    """The three-dimensional UNet: reference, audio, style and motion behind each resnet."""

    def __init__(self, config: Config) -> None:
        sizes = config.base.unet
        spatial = Stage("attentions", lambda place: ExtendedTransformer(place, sizes, STYLE))
        heard = Stage("audio_modules", lambda place: AudioTransformer(place, sizes))
        motion = Stage("motion_modules", lambda place: MotionModule(place, sizes), everywhere=config.lowest_motion)
        super().__init__(sizes, (spatial, heard, motion) if config.hierarchical else (spatial, motion))

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, with what the guider and the locator say."""
        return located(self.conv_in(images(z)), condition.located, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        audio = condition.audio.flatten(0, 1)
        tokens = audio if condition.face is None else condition.face.repeat_interleave(frames, dim=0)
        style = condition.style.expand(-1, frames, -1, -1).flatten(0, 1)
        return _Call(condition, frames, tokens, audio, style)


class Resampler(nn.Module):
    """Perceiver resampler: learned queries read the speech features around a frame.

    Source: Alayrac et al., "Flamingo", NeurIPS 2022, appendix A.1.1; sizes are V-Express'.
    """

    def __init__(self, sizes: Resampling, outputs: int) -> None:
        super().__init__()
        width, inner = sizes.width, sizes.heads * sizes.head
        self.latents = nn.Parameter(torch.randn(1, sizes.tokens, width) / width**0.5)
        self.proj_in = nn.Linear(sizes.channels, width)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(2 * sizes.layers)])
        self.attentions = nn.ModuleList([Attention(width, inner=inner, heads=sizes.heads) for _ in range(sizes.layers)])
        self.feed_forwards = nn.ModuleList(
            [
                nn.Sequential(
                    nn.LayerNorm(width),
                    nn.Linear(width, sizes.feed_forward * width, bias=False),
                    nn.GELU(),
                    nn.Linear(sizes.feed_forward * width, width, bias=False),
                )
                for _ in range(sizes.layers)
            ]
        )
        self.proj_out = nn.Linear(width, outputs)
        self.norm_out = nn.LayerNorm(outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map speech features (B, F, features, channels) to tokens (B, F, tokens, outputs)."""
        heard = self.proj_in(features.flatten(0, 1))
        tokens: Tensor = self.latents.expand(len(heard), -1, -1)
        for index, (attention, feed) in enumerate(zip(self.attentions, self.feed_forwards, strict=True)):
            known, asking = self.norms[2 * index](heard), self.norms[2 * index + 1](tokens)
            tokens = tokens + attention(asking, torch.cat((known, asking), dim=1))
            tokens = tokens + feed(tokens)
        made: Tensor = self.norm_out(self.proj_out(tokens))
        return by_clip(made, features.shape[1])


class SVP(nn.Module):
    """All networks, and what of the latents they know. The keys are Hallo's where the base is, with more beside."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        base, sizes = config.base, config.base.unet
        self.reference_unet = ReferenceUNet(sizes)
        self.denoising_unet = DenoisingUNet(config)
        self.face_locator = FaceLocator(sizes.channels[0], widths=base.locator) if config.hierarchical else None
        self.imageproj = ImageProjModel(base.face, sizes.tokens) if config.hierarchical else None
        self.audioproj = (
            AudioProjModel(base.audio, sizes.audio)
            if config.hierarchical
            else Resampler(config.resampling, sizes.tokens)
        )
        self.latents = Latents(base)
        self.base = nn.Conv2d(sizes.latent, sizes.channels[0], 3, padding=1) if base.change else None
        self.kps_guider = FaceLocator(sizes.channels[0], widths=config.guider)
        self.style = StyleExtractor(config.style)
        self.style_projection = StyleProjection(config.style, sizes.tokens)

    def condition(self, given: Given, told: Sequence[Told], guided: Sequence[bool] = ()) -> Condition:
        """Return what the denoiser is told; in generation once per window.

        Args:
            given: Of as many clips as there are rows, or of one clip, which is told in several ways.
            told: What each row is told; rows that are told nothing lead.
            guided: For each row whether it is told the key points; all rows unless stated.

        Raises:
            ValueError: There are other clips than rows, or rows that are told nothing stand behind others.
        """
        rows, plain = len(told), sum(part is Told.NULL for part in told)
        if given.clips not in (1, rows) or any(part is Told.NULL for part in told[plain:]):
            raise ValueError(
                f"{given.clips} clips for rows {[part.name for part in told]}; NULL leads, clips are as many"
            )
        kept = given.audio.new_tensor([float(part is not Told.NULL) for part in told])
        styled = given.audio.new_tensor([float(part is Told.STYLED) for part in told])
        led = kept * kept.new_tensor([float(one) for one in guided]) if guided else kept

        def spread(one: Tensor) -> Tensor:
            return one if given.clips == rows else torch.cat([one] * rows)

        face, known = self._faces(given)
        features = split(self.reference_unet(given.latents, known), len(given.latents) // given.clips - 1)
        return Condition(
            audio=_scaled(spread(self.audioproj(given.audio)), kept),
            style=_scaled(spread(self.style_projection(given.codes)), styled),
            located=self._located(given, kept, led, spread),
            reference=Reference(*({place: spread(tokens) for place, tokens in part.items()} for part in features)),
            plain=plain,
            face=None if face is None else torch.where(kept[:, None, None] > 0, spread(face[0]), face[1]),
            masks=[Masks(*map(spread, level)) for level in given.masks],
        )

    def _faces(self, given: Given) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
        """Tokens of who it is and of nobody, and those that the reference network reads of each image."""
        if self.imageproj is None or given.face is None:
            return None, None
        face: Tensor = self.imageproj(given.face)
        nobody: Tensor = self.imageproj(torch.zeros_like(given.face[:1]))
        return (face, nobody), face.repeat_interleave(len(given.latents) // given.clips, dim=0)

    def _located(self, given: Given, kept: Tensor, led: Tensor, spread: Callable[[Tensor], Tensor]) -> Tensor:
        """What guider, locator and the base of changes add to the first feature."""
        side = given.latents.shape[-2:]
        whole = given.latents.new_zeros(len(kept), self.denoising_unet.conv_in.out_channels, 1, *side)
        if self.face_locator is not None and given.region is not None:
            whole = whole + _scaled(spread(self.face_locator(given.region[:, :, None])), kept)
        if self.base is not None and given.base is not None:
            whole = whole + _scaled(spread(clips(self.base(images(given.base)), given.base.shape[2])), kept)
        if given.key_points is not None:
            whole = whole + _scaled(spread(self.kps_guider(given.key_points)), led)
        return whole


def _scaled(rows: Tensor, by: Tensor) -> Tensor:
    """Rows (B, ...) times numbers (B,)."""
    return rows * by.reshape(-1, *[1] * (rows.ndim - 1))


def silence(network: SVP) -> None:
    """Make what SVP adds to its base the identity: style attention and key-point guider."""
    for module in network.denoising_unet.modules():
        if isinstance(module, ExtendedTransformer):
            module.silence()
    for parameter in network.kps_guider.conv_out.parameters():
        nn.init.zeros_(parameter)
