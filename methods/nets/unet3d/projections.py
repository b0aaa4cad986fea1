"""Networks that make tokens of speech features and of a face embedding.

Source: fudan-generative-vision/hallo, hallo/models/audio_proj.py and image_proj.py; memoavatar/memo has the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection


class AudioProjModel(nn.Module):
    """Makes audio tokens of the speech features around a frame."""

    def __init__(self, sizes: AudioProjection, outputs: int) -> None:
        super().__init__()
        self.shape = (sizes.tokens, outputs)
        self.proj1 = nn.Linear(sizes.window * sizes.layers * sizes.channels, sizes.hidden)
        self.proj2 = nn.Linear(sizes.hidden, sizes.hidden)
        self.proj3 = nn.Linear(sizes.hidden, sizes.tokens * outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, windows: Tensor) -> Tensor:
        """Map windows (B, F, window, layers, channels) to tokens (B, F, tokens, outputs)."""
        hidden = F.relu(self.proj2(F.relu(self.proj1(windows.flatten(2)))))
        projected = self.proj3(hidden)
        tokens: Tensor = self.norm(projected.reshape(*projected.shape[:-1], *self.shape))
        return tokens


class ImageProjModel(nn.Module):
    """Makes face tokens of a face recogniser's embedding."""

    def __init__(self, sizes: FaceProjection, outputs: int) -> None:
        super().__init__()
        self.shape = (sizes.tokens, outputs)
        self.proj = nn.Linear(sizes.embedding, sizes.tokens * outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, embedding: Tensor) -> Tensor:
        """Map embeddings (B, embedding) to tokens (B, tokens, outputs). No face is the embedding 0."""
        tokens: Tensor = self.norm(self.proj(embedding).reshape(len(embedding), *self.shape))
        return tokens
