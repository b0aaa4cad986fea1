"""The diffusion style predictor: a style code from speech and portrait, without a style clip.

A transformer encoder over the speech, the diffusion time, the speaker and the noisy style code, read at a learned
query (arXiv 2312.09767). The network was not released; depth and width are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from thbench_methods.dreamtalk.config import PAPER, PredictorSizes
from thbench_methods.nets.embeddings import angles, frequencies, position_table
from torch import Tensor, nn

OTHER_TOKENS = 4
"""Query, time, speaker and style, ahead of the speech."""


class SpeechAndSpeaker(NamedTuple):
    """What a style code is predicted from."""

    speech: Tensor
    """Shape (N, rows, audio): speech features, 50 a second, at least one row."""
    lengths: Tensor
    """Shape (N,): rows that count."""
    identity: Tensor
    """Shape (N, identity): 3DMM identity coefficients of the portrait, which tell the speaker and not the emotion."""


class StylePredictor(nn.Module):
    """Predicts the clean style code from a noisy one."""

    def __init__(self, sizes: PredictorSizes = PAPER.predictor) -> None:
        super().__init__()
        width = sizes.width
        self.width, self.stride = width, sizes.stride
        self.speech_embedding = nn.Conv1d(sizes.audio, width, sizes.stride, stride=sizes.stride)
        self.time_embedding = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.speaker_embedding = nn.Sequential(nn.Linear(sizes.identity, width), nn.ReLU(), nn.Linear(width, width))
        self.style_embedding = nn.Linear(sizes.style, width)
        self.query = nn.Parameter(torch.randn(width) / width**0.5)
        self.kind = nn.Parameter(torch.randn(OTHER_TOKENS, width) / width**0.5)
        layer = nn.TransformerEncoderLayer(width, sizes.heads, 4 * width, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, sizes.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.output = nn.Linear(width, sizes.style)

    def forward(self, noisy: Tensor, time: Tensor, condition: SpeechAndSpeaker) -> Tensor:
        """Predict the clean style code.

        Args:
            noisy: Shape (N, style).
            time: Shape (N,), diffusion step 1 ... 1000.
            condition: Speech and speaker.

        Returns:
            Shape (N, style).
        """
        turns = angles(time, frequencies(self.width // 2).to(time.device))
        others = (
            self.query.expand(len(noisy), -1),
            self.time_embedding(torch.cat((turns.cos(), turns.sin()), dim=-1)),
            self.speaker_embedding(condition.identity),
            self.style_embedding(noisy),
        )
        speech = self._speech(condition.speech)
        tokens = torch.cat((torch.stack(others, dim=1) + self.kind, speech), dim=1)
        code: Tensor = self.output(self.encoder(tokens, src_key_padding_mask=self._padding(condition))[:, 0])
        return code

    def _speech(self, speech: Tensor) -> Tensor:
        """Return one token for `stride` rows; the last may be short of rows, which count as zeros."""
        whole = F.pad(speech, (0, 0, 0, -speech.shape[1] % self.stride))
        tokens: Tensor = self.speech_embedding(whole.transpose(1, 2)).transpose(1, 2)
        return tokens + position_table(tokens.shape[1], self.width).to(tokens)

    def _padding(self, condition: SpeechAndSpeaker) -> Tensor:
        """Return (N, tokens), True at speech tokens behind the end; the other tokens always count."""
        rows = torch.arange(0, condition.speech.shape[1], self.stride, device=condition.lengths.device)
        return F.pad(rows >= condition.lengths[:, None], (OTHER_TOKENS, 0))
