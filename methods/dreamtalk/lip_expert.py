"""The style-aware lip expert: whether mouth and speech belong together, given how this person speaks.

Mouth motion and speech are embedded, both under a style feature from an encoder of the expert's own; their cosine is
the probability that they are in sync (arXiv 2312.09767). The network was not released; widths and clip
length are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.config import PAPER, ExpertSizes, Sizes
from thbench_methods.dreamtalk.networks import StyleEncoder
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.motion import StyleClip

LEAST_PROBABILITY = 1e-7
"""A cosine is no probability: below this it counts as this, so that the loss stays finite."""


class MouthMesh(nn.Module):
    """Linear face model: expression to the vertices around the mouth, of the mean face."""

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor) -> None:
        """Keep a part of a face model.

        Args:
            mean: Shape (V, 3): vertices without expression.
            basis: Shape (V, 3, motion): how each coefficient moves them.
        """
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    def forward(self, expression: Tensor) -> Tensor:
        """Map expression (..., motion) to vertices (..., 3 V)."""
        return (self.mean + torch.einsum("vxm,...m->...vx", self.basis, expression)).flatten(-2)


class LipExpert(nn.Module):
    """Twin encoders of mouth and speech."""

    def __init__(self, sizes: ExpertSizes = PAPER.expert, style: Sizes = PAPER.sizes) -> None:
        super().__init__()
        width = sizes.width
        self.style_encoder = StyleEncoder(style)
        self.mouth_in = nn.Linear(sizes.mouth, width)
        self.mouth_out = nn.Sequential(
            nn.ReLU(), nn.Linear(width + style.width, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.speech_in = nn.Sequential(
            nn.Conv1d(style.audio, width, 3, padding=1), nn.ReLU(), nn.Conv1d(width, width, 3, stride=2, padding=1)
        )
        self.speech_out = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(width + style.width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(width, width, 3, padding=1),
        )

    def forward(self, mouth: Tensor, speech: Tensor, style: StyleClip) -> Tensor:
        """Return the cosine of mouth and speech.

        Args:
            mouth: Shape (N, frames, mouth): vertices around the mouth.
            speech: Shape (N, 2 frames, audio): the speech at the same time.
            style: Clips of the same speaker in the same style, (N, style_length, motion) with lengths (N,).

        Returns:
            Shape (N,), range [-1, 1].
        """
        code = self.style(style)
        return F.cosine_similarity(self.embed_mouth(mouth, code), self.embed_speech(speech, code))

    def style(self, style: StyleClip) -> Tensor:
        """Return the style feature (N, style) of clips."""
        frame = torch.arange(style.clip.shape[1], device=style.clip.device)
        code: Tensor = self.style_encoder(style.clip, frame >= style.length[:, None])
        return code

    def embed_mouth(self, mouth: Tensor, code: Tensor) -> Tensor:
        """Map vertices (N, frames, mouth) under a style (N, style) to (N, width)."""
        x = self.mouth_in(mouth)
        embedding: Tensor = self.mouth_out(torch.cat((x, code[:, None].expand(-1, x.shape[1], -1)), dim=-1))
        return embedding.mean(dim=1)

    def embed_speech(self, speech: Tensor, code: Tensor) -> Tensor:
        """Map speech features (N, rows, audio) under a style (N, style) to (N, width)."""
        x = self.speech_in(speech.transpose(1, 2))
        embedding: Tensor = self.speech_out(torch.cat((x, code[:, :, None].expand(-1, -1, x.shape[2])), dim=1))
        return embedding.mean(dim=2)


def sync_loss(cosine: Tensor, in_sync: Tensor) -> Tensor:
    """Return the binary cross-entropy (N,) of cosines as probabilities; `in_sync` (N,) is 1 or 0."""
    probability = cosine.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return F.binary_cross_entropy(probability, in_sync.to(probability), reduction="none")
