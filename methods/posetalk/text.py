"""Prompts: what the head shall do, as embeddings.

The paper's text encoder is CLIP, kept as it is. The small preset has one of its own, for prompts of the same family.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Protocol

import torch
from thbench_methods.posetalk.transformer import encoder_layer
from torch import Tensor, nn

from thbench.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WORDS = """
a agreement and at away back camera down eventually eyes face female for forward gaze gazes gazing he head her his in
is it keep keeps kiss kisses leaning leans left little long look looking looks male man men moment next nod nodding
nods of once one person quickly right same shake shakes shaking she short side slightly slowly smile smiles smiling
speak speaking speaks still straight talk talking talks the their then they this tilt tilting tilts time to turn
turning turns twice up wag wagging wags while with woman
"""
VOCABULARY = tuple(WORDS.split())
"""Words of the prompts (the actions of CelebV-Text); all others are one word to the encoder."""
PAD, OTHER = 0, 1


class TextEncoder(Protocol):
    """Embeds prompts."""

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, width) for N prompts."""
        ...


def word_numbers(prompts: Sequence[str]) -> Tensor:
    """Return (N, longest) word numbers; 0 behind the end, 1 for words that are not in the vocabulary."""
    index = {word: number for number, word in enumerate(VOCABULARY, start=OTHER + 1)}
    rows = [[index.get(word, OTHER) for word in re.findall(r"[a-z]+", prompt.lower())] or [OTHER] for prompt in prompts]
    longest = max(map(len, rows), default=1)
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows], dtype=torch.long).view(-1, longest)


class WordEncoder(nn.Module):
    """A small transformer over words, whose mean is the embedding; trained with the denoiser."""

    def __init__(self, width: int, heads: int = 4, layers: int = 2, longest: int = 64) -> None:
        super().__init__()
        self.longest = longest
        self.words = nn.Embedding(OTHER + 1 + len(VOCABULARY), width, padding_idx=PAD)
        self.positions = nn.Parameter(torch.randn(longest, width) / 10)
        layer = encoder_layer(width, heads, 2 * width, dropout=0.0)
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, prompts: Sequence[str]) -> Tensor:
        """Return (N, width); words beyond the 64th are not read."""
        numbers = word_numbers(prompts)[:, : self.longest].to(self.positions.device)
        hidden = numbers == PAD
        words = self.words(numbers) + self.positions[: numbers.shape[1]]
        read: Tensor = self.transformer(words, src_key_padding_mask=hidden)
        counted = (~hidden)[..., None].to(read.dtype)
        return (read * counted).sum(dim=1) / counted.sum(dim=1)


class ClipText:
    """CLIP's text tower, from a folder in the format of the `transformers` package; nothing is fetched."""

    def __init__(self, folder: Path) -> None:
        try:
            transformers = importlib.import_module("transformers")
        except ModuleNotFoundError as error:
            raise MissingExtraError("transformers", "text", "PoseTalk's text encoder CLIP") from error
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = transformers.CLIPTextModel.from_pretrained(folder, local_files_only=True).eval()

    @torch.inference_mode()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Return pooled embeddings (N, width)."""
        tokens = self.tokenizer(list(prompts), padding=True, truncation=True, return_tensors="pt")
        pooled: Tensor = self.model(**tokens).pooler_output
        return pooled
