"""What the mini autoencoder keeps of people it never saw: clips are encoded and decoded frame by frame.

What a method that denoises its latents can reach is bounded by this. `python -m thbench_methods.nets.vae.held_out`
measures the shipped weights and puts the scores on their card.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.judging import compared, judge, mean_score, read_held
from thbench_methods.common.portrait import to_frame_batch
from thbench_methods.nets.vae.autoencoder import FILE, load_mini_vae

from thbench.training import Card, write_card

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL

    from thbench.training import Score
    from thbench.types import Clip

BATCH = 20
BARS = {"LSE-C (mini)": ">= 0.8"}
"""What is asked of reconstructions, as shares of the real clips' scores."""
CLIPS = 24
"""How many are measured."""


def evaluate(vae: AutoencoderKL, clips: Iterable[Clip]) -> tuple[Score, ...]:
    """Compare reconstructed clips with the real ones."""
    rows, truths, errors = [], [], []
    for held in read_held(clips):
        frames = reconstructed(vae, held.frames)
        rows.append(judge(held, frames))
        truths.append(judge(held, held.frames))
        errors.append(10 * np.log10(255**2 / np.square(frames.astype(float) - held.frames).mean()))
    how = "all frames, each encoded to the mean of its latent and decoded"
    signal = mean_score("PSNR", errors, [row.person for row in rows], "", f"dB; {how}")
    return (signal, *compared(rows, truths, how, BARS))


@torch.inference_mode()
def reconstructed(vae: AutoencoderKL, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Encode and decode frames (N, 128, 128, 3)."""
    rgb = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    pictures = torch.cat([vae.decode(vae.encode(part)) for part in torch.split(rgb, BATCH)])
    return to_frame_batch((pictures.clamp(-1, 1) + 1) / 2)


def main() -> int:
    """Measure the shipped weights on the validation split and renew their card."""
    from thbench.data.synth_heads.cache import split_folder
    from thbench.data.synth_heads.dataset import clips_of

    path = FILE.with_suffix(".json")
    card = Card.model_validate_json(path.read_bytes())
    clips = clips_of(split_folder("validation", 128, 4.0))
    scores = evaluate(load_mini_vae(), islice(clips, 0, None, max(1, len(clips) // CLIPS)))
    write_card(card.model_copy(update={"scores": scores}), path.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
