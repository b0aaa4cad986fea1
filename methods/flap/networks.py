"""FLAP's networks: frames from head coefficients, and what says nothing else than these.

Of the paper (arXiv 2502.19455) are reference and denoising network, that each frame's coefficients are all that drives
them, and that head motion has attention layers of its own; the cross-attention that the base has reads the head, and a
further one (`attn_exp`) the face, as is the project's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from thbench_methods.flap.base import MovingHead
from thbench_methods.flap.coefficients import Standard
from thbench_methods.flap.config import PAPER, Config
from thbench_methods.flap.front_end import AudioToHead
from thbench_methods.nets.unet3d.extended import ExtendedTransformer
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import clips, images, repeated
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import MotionModule
from thbench_methods.nets.unet3d.projections import ImageProjModel
from thbench_methods.nets.unet3d.reference import Reference, ReferenceUNet, split
from thbench_methods.nets.unet3d.unet import Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from thbench_methods.flap.config import Tokens
    from thbench_methods.nets.unet3d.focus import Focus

EXPRESSION = "exp"
"""Name of the further attention."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What clips are generated from. Rows that are told nothing lead."""

    head: Tensor
    """Tokens of the head, and of who it is where these are told, (B, F, tokens, C)."""
    face: Tensor | None
    """Tokens of the face, (B, F, tokens, C); None leaves their attention out."""
    located: Tensor
    """Shape (B, channels, F, h, w), or with 1 in the place of F: where the face is, and what changes are of; 0 is
    neither."""
    reference: Reference
    """Features of the reference image and of the frames before the clip; a place that is left out reads none."""
    plain: int
    """How many leading rows read no reference."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.head)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the reference image at some places."""
        image = {place: tokens for place, tokens in self.reference.image.items() if place not in places}
        return replace(self, reference=self.reference._replace(image=image))

    def conditional(self) -> Condition:
        """Return the conditional half of a pair."""
        return replace(self._over_rows(lambda rows: rows.chunk(2)[1]), plain=0)

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        return replace(self._over_rows(lambda rows: repeated(rows, self.batch, times)), plain=times * self.plain)

    def _over_rows(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Return the condition with a function applied to all tensors, which begin with the rows."""
        return replace(
            self,
            head=function(self.head),
            face=None if self.face is None else function(self.face),
            located=function(self.located),
            reference=Reference(*({place: function(rows) for place, rows in part.items()} for part in self.reference)),
        )


class Given(NamedTuple):
    """What clips are made from, before the denoiser's networks have seen it."""

    latents: Tensor
    """Shape (B (1 + n), latent, h, w), those of a clip together: the reference image, then the frames before the clip,
    oldest first; scaled."""
    values: Tensor
    """Head coefficients of each frame in their own units, (B, F, total)."""
    own: Tensor
    """Those of the reference image, (B, total)."""
    identity: Tensor | None = None
    """Shape (B, embedding): the face recogniser's, where who it is is told."""
    region: Tensor | None = None
    """Shape (B, 3, H, W), range [0, 1]: picture of where the face is, where that is told."""
    base: Tensor | None = None
    """Latents that changes are of, (B, latent, F, h, w); None where none are denoised."""

    @property
    def clips(self) -> int:
        """How many, B."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class _Call:
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor
    more: Tensor | None
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
    """The three-dimensional UNet: reference, head, face and motion behind each resnet."""

    def __init__(self, config: Config) -> None:
        sizes = config.base.unet
        stages = (
            Stage("attentions", lambda place: ExtendedTransformer(place, sizes, EXPRESSION)),
            Stage("motion_modules", lambda place: MotionModule(place, sizes), everywhere=config.lowest_motion),
        )
        super().__init__(sizes, stages)

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, with what the locator says."""
        return located(self.conv_in(images(z)), condition.located, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        face = None if condition.face is None else condition.face.flatten(0, 1)
        return _Call(condition, frames, condition.head.flatten(0, 1), face)


class CoefficientTokens(nn.Module):
    """Two linear layers and a layer norm: coefficients of a group to tokens."""

    def __init__(self, inputs: int, sizes: Tokens, outputs: int) -> None:
        super().__init__()
        self.shape = (sizes.count, outputs)
        self.net = nn.Sequential(
            nn.Linear(inputs, sizes.hidden), nn.SiLU(), nn.Linear(sizes.hidden, sizes.count * outputs)
        )
        self.norm = nn.LayerNorm(outputs)

    def forward(self, values: Tensor) -> Tensor:
        """Map (..., inputs) to (..., tokens, outputs)."""
        projected = self.net(values)
        tokens: Tensor = self.norm(projected.reshape(*projected.shape[:-1], *self.shape))
        return tokens


class FLAP(nn.Module):
    """All networks, what of the latents they know, and the statistics of the coefficients."""

    def __init__(self, config: Config = PAPER) -> None:
        super().__init__()
        base, sizes, layout = config.base, config.base.unet, config.layout
        views = 2 if config.differences else 1
        self.layout, self.differences = layout, config.differences
        self.reference_unet = ReferenceUNet(sizes)
        self.denoising_unet = DenoisingUNet(config)
        self.head_tokens = CoefficientTokens(views * layout.head, config.head, sizes.tokens)
        self.exp_tokens = CoefficientTokens(views * layout.face, config.face, sizes.tokens)
        self.face_locator = FaceLocator(sizes.channels[0], widths=base.locator) if config.told else None
        self.imageproj = ImageProjModel(base.face, sizes.tokens) if config.told else None
        self.latents = Latents(base)
        self.base = nn.Conv2d(sizes.latent, sizes.channels[0], 3, padding=1) if base.change else None
        self.moving_head = MovingHead(layout) if base.change else None
        self.standard = Standard(layout)
        self.front_end = AudioToHead(config.front_end, layout)

    def condition(self, given: Given, *, guided: bool = True, plain: int = 0, faces: bool = True) -> Condition:
        """Return what the denoiser is told; in generation once per window.

        Args:
            given: What the clips are made from.
            guided: Return [unconditional | conditional]. Unconditional is no reference, no coefficients, nobody.
            plain: Without guidance: so many leading rows are told nothing.
            faces: Whether the face's coefficients are told; the first stage of training leaves their attention out.
        """
        per_clip = len(given.latents) // given.clips
        own, nobody = self._faces(given)
        known = None if own is None else own.repeat_interleave(per_clip, dim=0)
        features = split(self.reference_unet(given.latents, known), per_clip - 1)
        head, face = self.told(given.values, given.own[:, None])
        led = torch.arange(given.clips, device=head.device) >= plain

        def rows(tokens: Tensor) -> Tensor:
            return paired(tokens * led.reshape(-1, *[1] * (tokens.ndim - 1)).to(tokens), guided=guided)

        heads = rows(self.head_tokens(head))
        if own is not None and nobody is not None:
            who = torch.where(led[:, None, None], own, nobody)
            pair = paired(who, nobody.expand_as(who), guided=guided)
            heads = torch.cat((heads, pair[:, None].expand(-1, heads.shape[1], -1, -1)), dim=2)
        return Condition(
            head=heads,
            face=rows(self.exp_tokens(face)) if faces else None,
            located=rows(self._located(given)),
            reference=Reference(
                *({place: paired(x, x, guided=guided) for place, x in part.items()} for part in features)
            ),
            plain=given.clips if guided else plain,
        )

    def told(self, values: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
        """Return what both groups are told as, (..., n); arguments (..., total), in their own units."""
        views = [self.standard.normal(values)]
        if self.differences:
            views.append(self.standard.differing(values, own))
        groups = [torch.split(view, [self.layout.head, self.layout.face], dim=-1) for view in views]
        head, face = (torch.cat(parts, dim=-1) for parts in zip(*groups, strict=True))
        return head, face

    def _faces(self, given: Given) -> tuple[Tensor | None, Tensor | None]:
        """Tokens of who it is, and of nobody."""
        if self.imageproj is None or given.identity is None:
            return None, None
        return self.imageproj(given.identity), self.imageproj(torch.zeros_like(given.identity[:1]))

    def _located(self, given: Given) -> Tensor:
        """What locator and the base of changes add to the first feature, (B, channels, F, h, w), or 1 in F's place."""
        channels = self.denoising_unet.conv_in.out_channels
        whole = given.latents.new_zeros(given.clips, channels, 1, *given.latents.shape[-2:])
        if self.face_locator is not None and given.region is not None:
            whole = whole + self.face_locator(given.region[:, :, None])
        if self.base is not None and given.base is not None:
            whole = whole + clips(self.base(images(given.base)), given.base.shape[2])
        return whole


def silence(network: FLAP) -> None:
    """Make the attention to the face the identity."""
    for module in network.denoising_unet.modules():
        if isinstance(module, ExtendedTransformer):
            module.silence()
