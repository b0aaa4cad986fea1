"""The reference network: a UNet whose transformers give what the denoiser's reference attention reads.

Source: Hu et al., "Animate Anyone", CVPR 2024, section 3.2; fudan-generative-vision/hallo,
hallo/models/unet_2d_condition.py and mutual_self_attention.py (writing, all blocks).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from thbench_methods.nets.unet3d.layout import by_clip
from thbench_methods.nets.unet3d.transformer import SpatialTransformer, TransformerBlock
from thbench_methods.nets.unet3d.unet import Stage, UNet
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from thbench_methods.nets.unet3d.config import Sizes

ATTENTIONS, MOTION = "attentions", "motion_modules"
"""Stages in the published files: spatial transformers, whose places name the features, and motion modules."""
Features = dict[str, Tensor]
"""Place of a spatial transformer, e.g. `down_blocks.0.attentions.1`, to normalised tokens (images, h w, C)."""


class Reference(NamedTuple):
    """The features of a reference image and of the frames before the clip."""

    image: Mapping[str, Tensor]
    """Place of a spatial transformer to (B, h w, C)."""
    past: Mapping[str, Tensor]
    """Place of a motion module to (B, n, h w, C), oldest first; empty where n is 0."""


def split(features: Mapping[str, Tensor], past: int) -> Reference:
    """Split the features of B (1 + past) images, those of a clip together, the reference image first."""
    clips = {place: by_clip(tokens, 1 + past) for place, tokens in features.items()}
    image = {place: tokens[:, 0] for place, tokens in clips.items()}
    frames = {place.replace(ATTENTIONS, MOTION): tokens[:, 1:] for place, tokens in clips.items()}
    return Reference(image, frames if past else {})


def alternating(tokens: Tensor, frames: int) -> Tensor:
    """Return what each frame reads under guidance, as published: the two halves' references in turn.

    The public code repeats the pair [unconditional, conditional] over the frames of both halves, laid end to end. Frame
    f of half h therefore reads entry (h F + f) mod 2 of its clip, whatever half it belongs to itself.

    Args:
        tokens: Shape (2 n, L, C): the unconditional references of n clips, then their conditional ones.
        frames: Of a clip, F.

    Returns:
        Shape (2 n F, L, C), the frames of a clip together.
    """
    turn = torch.arange(2 * frames, device=tokens.device) % 2
    references = tokens.reshape(2, -1, *tokens.shape[1:])[turn]
    return references.reshape(2, frames, *references.shape[1:]).transpose(1, 2).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class ReferencePass:
    """One forward pass of a reference network; what gives features writes them into it."""

    tokens: Tensor | None
    """Shape (N, tokens, C), cross-attended to; None skips that attention."""
    features: Features = field(default_factory=dict)
    """Filled during the pass."""
    unconditional: int = 0
    """No image reads another."""
    focus: None = None
    """Attention acts everywhere."""

    def reference_at(self, place: str) -> None:
        """No image reads another."""


class WritingTransformer(SpatialTransformer):
    """Spatial transformer that gives its normalised tokens as features."""

    def forward(self, x: Tensor, call: Any) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        tokens = self.tokens(x)
        call.features[self.place] = cast(TransformerBlock, self.transformer_blocks[0]).norm1(tokens)
        return self.mix(x, tokens, call)


class ReferenceUNet(UNet):
    """Two-dimensional UNet without output convolution."""

    def __init__(self, sizes: Sizes, stages: Sequence[Stage] | None = None) -> None:
        """Make the network; its transformers give features unless other stages are stated."""
        writing = Stage(ATTENTIONS, lambda place: WritingTransformer(place, sizes))
        super().__init__(sizes, stages or [writing], output=False)

    def forward(self, latents: Tensor, tokens: Tensor | None) -> Features:
        """Return the features of some images, at time 0.

        Args:
            latents: Shape (N, latent, h, w).
            tokens: Shape (T, tokens, C), cross-attended to. Image i reads row i mod T, as published: under guidance the
                images [unconditional, conditional] are given two rows, which alternate. None skips that attention.
        """
        if tokens is not None:
            tokens = tokens[torch.arange(len(latents), device=tokens.device) % len(tokens)]
        call = ReferencePass(tokens)
        first = self.conv_in(latents)
        time = self.time_embedding(latents.new_zeros(1))
        self.ascend(*self.trunk(first, time, call), time, call)
        return call.features
