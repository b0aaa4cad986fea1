"""Stage 2: diffusion of a portrait's video from motion latents.

A reference network reads the portrait, the denoising network attends to what it gives, to the frame's motion tokens and
to the other frames of its window. Source: X-NeMo, arXiv 2507.23143; bytedance/x-nemo-inference,
src/models/unet_3d_blocks.py, motion_module.py and src/pipelines/pipeline_pose2vid_motenc_long.py. Names of modules are
those of the project's other networks of this family: what is called motion module there (attention to the motion
tokens) is an acting module here, its temporal module is the motion module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from thbench_methods.nets.unet3d.attention import Attention, FeedForward
from thbench_methods.nets.unet3d.focus import Attend, Choose, Focus, Run, attend_at, everywhere
from thbench_methods.nets.unet3d.guidance import paired
from thbench_methods.nets.unet3d.latents import Latents
from thbench_methods.nets.unet3d.layout import images, to_maps, to_tokens
from thbench_methods.nets.unet3d.locator import FaceLocator
from thbench_methods.nets.unet3d.motion import ATTENTIONS, MotionModule
from thbench_methods.nets.unet3d.projections import ImageProjModel
from thbench_methods.nets.unet3d.reference import ReferenceUNet, split
from thbench_methods.nets.unet3d.transformer import SpatialTransformer
from thbench_methods.nets.unet3d.unet import Place, Stage
from thbench_methods.nets.unet3d.video import VideoUNet, located
from torch import Tensor, nn

from thbench.accel.tree import mapped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from thbench_methods.nets.unet3d.config import Sizes
    from thbench_methods.xactor.config import Config, Renderer


@dataclass(frozen=True, slots=True)
class Condition:
    """What a window is rendered from. Under guidance the batch is [unconditional | conditional]."""

    appearance: Tensor
    """Shape (B, tokens, C): who it is."""
    acting: Tensor
    """Shape (B, F, tokens, c): motion of each frame."""
    reference: Mapping[str, Tensor]
    """Place to (B, h w, C): features of the portrait. A place that is left out reads none."""
    locator: Tensor | None = None
    """Shape (B, C, 1, h, w): what the portrait adds to the first feature, from `VideoGenerator.located`."""
    guided: bool = True
    """The first half of the batch is unconditional: it reads no reference."""
    plain: int = 0
    """Without guidance: so many leading rows read no reference, as the unconditional ones of a training batch."""

    @property
    def batch(self) -> int:
        """Rows B of the latents that it is for."""
        return len(self.acting)

    def without_reference(self, places: Collection[str]) -> Condition:
        """Return the condition without the features of the portrait at some places."""
        return replace(self, reference={k: tokens for k, tokens in self.reference.items() if k not in places})

    def conditional(self) -> Condition:
        """Return the conditional half."""
        return replace(mapped(self, lambda rows: rows.chunk(2)[1]), guided=False)  # type: ignore[no-any-return]

    def repeated(self, times: int) -> Condition:
        """Return the condition of a batch whose rows are each repeated, the copies of a row together."""
        whole: Condition = mapped(self, lambda rows: rows.repeat_interleave(times, dim=0))
        return replace(whole, plain=times * self.plain)


class Portrait(NamedTuple):
    """What a video is rendered from, before any network of this stage has seen it; N portraits."""

    latents: Tensor
    """Shape (N, latent, side, side), as the networks know them."""
    embedding: Tensor
    """Shape (N, embedding): of the face, or of the picture."""
    tokens: Tensor
    """Shape (N, tokens, c): the portrait's own motion."""
    lit: Tensor | None
    """Shape (N, 3, H, W), range [0, 1]: the portrait, lit where the face is; None without locator."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A condition, laid out by frame."""

    condition: Condition
    frames: int
    tokens: Tensor
    acting: Tensor
    focus: Focus | None = None

    @property
    def past(self) -> Mapping[str, Tensor]:
        return {}

    @property
    def unconditional(self) -> int:
        return len(self.tokens) // 2 if self.condition.guided else self.condition.plain * self.frames

    def reference_at(self, place: str) -> Tensor | None:
        tokens = self.condition.reference.get(place)
        return None if tokens is None else tokens.repeat_interleave(self.frames, dim=0)


class ActingBlock(nn.Module):
    """Two attentions of each pixel to the motion tokens of its frame and a feed-forward, with the identity."""

    def __init__(self, width: int, token: int, heads: int, feed_forward: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList([Attention(width, context=token, heads=heads) for _ in range(ATTENTIONS)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(ATTENTIONS)])
        self.ff = FeedForward(width, feed_forward)
        self.ff_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, tokens: Tensor, attend: Attend = everywhere) -> Tensor:
        """Map (N, h w, width) to the same shape; tokens are (N, T, token)."""
        for index, (norm, attention) in enumerate(zip(self.norms, self.attention_blocks, strict=True)):
            x = x + attend(f"attention_blocks.{index}", norm(x), _reading(cast(Attention, attention), tokens))
        mixed: Tensor = x + self.ff(self.ff_norm(x))
        return mixed


def _reading(attention: Attention, tokens: Tensor) -> Run:
    """Return the attention of an image's tokens (N, L, width) to its motion tokens."""

    def run(own: Tensor, chosen: Choose) -> Tensor:
        del chosen
        output: Tensor = attention(own, tokens)
        return output

    return run


class ActingTransformer(nn.Module):
    """Group norm of each frame, linear in, acting block, linear out."""

    def __init__(self, channels: int, token: int, sizes: Sizes) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(sizes.groups, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([ActingBlock(channels, token, sizes.heads, sizes.feed_forward)])
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, tokens: Tensor, attend: Attend) -> Tensor:
        """Map (B F, C, h, w) to the same shape."""
        mixed = self.transformer_blocks[0](self.proj_in(to_tokens(self.norm(x))), tokens, attend)
        return x + to_maps(self.proj_out(mixed), x)


class ActingModule(nn.Module):
    """What moves a frame: its pixels attend to its motion tokens."""

    def __init__(self, place: Place, token: int, sizes: Sizes) -> None:
        super().__init__()
        self.place = place.name
        self.temporal_transformer = ActingTransformer(place.channels, token, sizes)

    def forward(self, x: Tensor, call: _Call) -> Tensor:
        """Map (B F, C, h, w) to the same shape."""
        output: Tensor = self.temporal_transformer(x, call.acting, attend_at(call.focus, self.place))
        return output


class DenoisingUNet(VideoUNet[Condition]):
    """The three-dimensional UNet: reference, acting and motion behind each resnet."""

    def __init__(self, sizes: Renderer, token: int) -> None:
        unet = sizes.unet
        stages = (
            Stage("attentions", lambda place: SpatialTransformer(place, unet)),
            Stage("acting_modules", lambda place: ActingModule(place, token, unet), everywhere=sizes.lowest),
            Stage("motion_modules", lambda place: MotionModule(place, unet), everywhere=sizes.lowest),
        )
        super().__init__(unet, stages)

    def first(self, z: Tensor, condition: Condition) -> Tensor:
        """Return the first feature, with what the portrait adds to it."""
        first: Tensor = self.conv_in(images(z))
        return first if condition.locator is None else located(first, condition.locator, z.shape[2])

    def call(self, condition: Condition, frames: int) -> _Call:
        """Return the condition, laid out by frame."""
        tokens = condition.appearance.repeat_interleave(frames, dim=0)
        return _Call(condition, frames, tokens, condition.acting.flatten(0, 1))


class VideoGenerator(nn.Module):
    """All networks of the stage, and what of the latents they know."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        sizes = config.renderer
        self.reference_unet = ReferenceUNet(sizes.unet)
        self.denoising_unet = DenoisingUNet(sizes, config.encoder.token)
        self.face_locator = FaceLocator(sizes.unet.channels[0], widths=sizes.locator) if sizes.locator else None
        self.imageproj = ImageProjModel(sizes.face, sizes.unet.tokens) if sizes.face is not None else None
        self.latents = Latents(config)
        unet = sizes.unet
        self.base = nn.Conv2d(unet.latent, unet.channels[0], 3, padding=1) if config.change else None

    def appearance(self, embedding: Tensor) -> Tensor:
        """Return the tokens (N, tokens, C) of embeddings; the embedding 0 is no portrait."""
        tokens: Tensor = embedding[:, None] if self.imageproj is None else self.imageproj(embedding)
        return tokens

    def sit(self, portrait: Portrait, *, guided: bool) -> Condition:
        """Return what does not change over a video: once for one portrait, which `moved` moves.

        Args:
            portrait: N is 1.
            guided: Return [unconditional | conditional]: without portrait, moved as in it; and with both.
        """
        led = self.appearance(portrait.embedding)
        plain = self.appearance(torch.zeros_like(portrait.embedding))
        features = split(self.reference_unet(portrait.latents, led), past=0).image
        locator = self.located(portrait.latents, portrait.lit)
        return Condition(
            appearance=paired(led, plain, guided=guided),
            acting=paired(portrait.tokens, portrait.tokens, guided=guided)[:, None],
            reference={place: paired(tokens, tokens, guided=guided) for place, tokens in features.items()},
            locator=None if locator is None else paired(locator, guided=guided),
            guided=guided,
        )

    def moved(self, sitting: Condition, tokens: Tensor) -> Condition:
        """Return the condition of a window.

        Args:
            sitting: That of its portrait.
            tokens: Motion tokens (1, F, tokens, c).
        """
        own = sitting.acting[:1].expand_as(tokens)
        return replace(sitting, acting=paired(tokens, own, guided=sitting.guided))

    def located(self, latents: Tensor, lit: Tensor | None) -> Tensor | None:
        """Return what portraits add to the first feature, (N, C, 1, h, w); None where there is nothing to add.

        Args:
            latents: Shape (N, latent, h, w); looked at where changes are denoised, which are of them.
            lit: Shape (N, 3, H, W), range [0, 1]: what the face locator sees, where there is one.
        """
        place = None
        if self.face_locator is not None and lit is not None:
            place = self.face_locator(lit[:, :, None])
        if self.base is None:
            return place
        base: Tensor = self.base(latents)[:, :, None]
        return base if place is None else place + base
