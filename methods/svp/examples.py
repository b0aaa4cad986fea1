"""What SVP is trained on beside the clips' latents: styles as they are read in use, and pictures of other emotions.

The emotion of a clip of synth-heads does not change, so that a portrait of the clip itself tells what the style should;
and of each person there are few clips, so that who it is tells it too. Of each clip there are therefore pictures of the
same person in the same scene with what others show (`dreamtalk.acted`): some are portraits, others what is generated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.nets.unet3d.train import PORTRAITS

from thbench.backbones.mini import loaded
from thbench.backbones.mini.digests import digest
from thbench.backbones.mini.face import look
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.pictures import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.dreamtalk.acted import Acted
    from thbench_methods.nets.unet3d.latents import Latents
    from thbench_methods.nets.unet3d.train import LatentClips
    from thbench_methods.nets.vae.autoencoder import AutoencoderKL
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

ACTED = 0.8
"""Share of portraits that show another emotion than the clip, where there are such pictures: where the portrait shows
that of the clip, no style is needed."""


@dataclass(frozen=True)
class Styles:
    """The clips as the style extractor reads them."""

    expression: Tensor
    """Shape (clips, n, expression): of every so manieth frame, as the mini face regressor reads it."""
    audio: Tensor
    """Shape (clips, n, audio)."""
    kind: NDArray[np.int64]
    """Shape (clips,): clips with equal numbers have the same emotion and level."""

    def __len__(self) -> int:
        return len(self.expression)

    def parts(self, length: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield expression and audio (clips, length, values) of parts that follow each other; a rest is left out."""
        for first in range(0, max(self.expression.shape[1] - length, 0) + 1, length):
            yield self.expression[:, first : first + length], self.audio[:, first : first + length]

    def part(self, clips: NDArray[np.int64], first: NDArray[np.int64], length: int) -> tuple[Tensor, Tensor]:
        """Return expression and audio (N, length, values) of clips (N,), begun at `first` (N,)."""
        rows = torch.from_numpy(first[:, None] + np.arange(length))
        chosen = torch.from_numpy(clips)[:, None]
        return self.expression[chosen, rows], self.audio[chosen, rows]


def styles_of(pictures: Pictures, speech: Tensor, every: int, folder: Path) -> Styles:
    """Return the styles of a split; what was never read of its frames is read now and kept.

    Args:
        pictures: The split.
        speech: Hidden layers of the speech encoder, (clips, frames, layers, width); the last is taken.
        every: Frames from one that is read to the next.
        folder: Of the split.
    """
    kinds = [f"{emotion}-{level}" for emotion, level in zip(pictures.emotion, pictures.level, strict=True)]
    return Styles(
        UNIT * torch.from_numpy(expression_of(pictures, every, folder)),
        speech[:, ::every, -1].float(),
        np.unique(kinds, return_inverse=True)[1],
    )


def expression_of(pictures: Pictures, every: int, folder: Path, drawn: str = "") -> NDArray[np.float32]:
    """Return expressions (clips, n, expression) as the mini face regressor reads them; what was read is kept.

    Args:
        pictures: A split, as it is or drawn in another way; in one way, the first clips are the same ones.
        every: Frames from one that is read to the next.
        folder: Of the split.
        drawn: The way in which it is drawn, for the name of the file.
    """
    name = "-".join(part for part in ("expression", drawn, digest("face")[:12], "every", str(every)) if part)
    path = folder / FOLDER / f"{name}.npy"
    read = list(np.load(path)[: len(pictures)]) if path.exists() else []
    if len(read) < len(pictures):
        read += [
            look(loaded.face(), np.array(pictures.frames[clip, ::every])).expression
            for clip in range(len(read), len(pictures))
        ]
        part = path.with_suffix(".part.npy")
        np.save(part, np.stack(read))
        part.replace(path)
    return np.stack(read)


@dataclass(frozen=True)
class Portraits:
    """Pictures of the people of the first clips, who show what others do; arrays begin with (clips, pictures)."""

    frames: NDArray[np.uint8]
    """Shape (clips, pictures, size, size, 3), RGB."""
    landmarks: NDArray[np.float32]
    """Shape (clips, pictures, 68, 2); pixels."""
    frame: NDArray[np.int64]
    """Frame of the clip in which the head is where it is in the picture."""
    words: NDArray[np.int64]
    """Number of the clip whose words are said."""
    instant: NDArray[np.int64]
    """Frame of that clip."""
    latents: Tensor
    """Shape (clips, pictures, C, h, w), float16, as the networks know them."""
    identity: Tensor
    """Shape (clips, pictures, E)."""

    def __len__(self) -> int:
        return len(self.frames)


class Shown(NamedTuple):
    """A portrait of a clip."""

    picture: NDArray[np.uint8]
    """Shape (size, size, 3)."""
    landmarks: NDArray[np.float32]
    """Shape (68, 2); pixels."""
    frame: int
    """Of the clip in which the head is there."""
    latent: Tensor
    """Shape (C, h, w), as the networks know it."""
    identity: Tensor
    """Shape (E,)."""
    acted: int | None
    """Number among the clip's `Portraits`; None for a frame of the clip itself."""


def draw_portrait(clips: LatentClips, acted: Portraits, clip: int, rng: np.random.Generator) -> Shown:
    """Draw a portrait of a clip: one that shows another emotion, where there are such, or a frame of the clip."""
    if clip < len(acted) and rng.random() < ACTED:
        number = int(rng.integers(acted.frames.shape[1]))
        return Shown(
            acted.frames[clip, number],
            acted.landmarks[clip, number],
            int(acted.frame[clip, number]),
            acted.latents[clip, number],
            acted.identity[clip, number],
            number,
        )
    number = int(rng.integers(len(PORTRAITS)))
    frame, pictures = PORTRAITS[number], clips.pictures
    return Shown(
        np.asarray(pictures.frames[clip, frame]),
        np.asarray(pictures.landmarks68[clip, frame]),
        frame,
        clips.latents[clip, frame],
        clips.identity[clip, number],
        None,
    )


@torch.inference_mode()
def portraits_of(acted: Acted, vae: AutoencoderKL, known: Latents) -> Portraits:
    """Return pictures with their latents and embeddings."""
    latents, identity, network = [], [], loaded.identity()
    for some in acted.frames:
        rgb = torch.from_numpy(np.array(some)).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents.append(known.known(vae.encode(rgb)).half())
        small = np.stack([whole_frame(one, network.INPUT_SIZE) for one in some])
        identity.append(network(as_input(small)))
    return Portraits(
        acted.frames,
        acted.landmarks68,
        acted.body,
        acted.source,
        acted.instant,
        torch.stack(latents).clone(),
        torch.stack(identity).clone(),
    )
