"""Clips of synth-heads as PoseTalk is trained on them: tracks of pose and gaze, and speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.dreamtalk.examples import EVERY
from thbench_methods.dreamtalk.examples import open_examples as open_faces
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.nets.speech import load_speech_encoder
from thbench_methods.posetalk.tracks import own_of, true_track

from thbench.backbones.mini.face import BLINK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.posetalk.tracks import Own
    from torch import Tensor

    from thbench.data.synth_heads.pictures import Pictures

FPS = 25.0
SHUT = 0.5
"""Closure of the lids from which a frame is not drawn in training: nothing tells the networks of blinks."""


@dataclass(frozen=True)
class Moves:
    """Clips as the pose networks are trained on them; arrays begin with (clips, frames)."""

    track: Tensor
    """Pose and gaze, (clips, frames, 8), by the truth."""
    audio: Tensor
    """Last layer of the speech encoder, (clips, frames, audio)."""
    intent: tuple[str, ...]
    """Of each clip."""
    prompt: tuple[str, ...]
    """The description of each clip."""

    def __len__(self) -> int:
        return len(self.track)

    @property
    def relative(self) -> Tensor:
        """Tracks as they differ from their first frame."""
        return self.track - self.track[:, :1]

    def joined(self, more: Moves) -> Moves:
        """Return these clips, then others."""
        return Moves(
            torch.cat((self.track, more.track)),
            torch.cat((self.audio, more.audio)),
            self.intent + more.intent,
            self.prompt + more.prompt,
        )


@dataclass(frozen=True)
class Examples:
    """The first clips of a split; arrays begin with (clips, frames) unless they say otherwise."""

    pictures: Pictures
    track: Tensor
    """Pose and gaze, (clips, frames, 8), by the truth."""
    own: Own
    """What the face regressor reads of every so manieth frame; arrays begin with (clips, frames / EVERY)."""
    expression: Tensor
    """By the truth, (clips, frames, expressions), as `dreamtalk.faces.Face` has them."""
    audio: Tensor
    """Last layer of the speech encoder, (clips, frames, audio)."""
    seen: Tensor
    """Whether the eyes are open, bool."""

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def moves(self) -> Moves:
        """What the pose networks are trained on."""
        return Moves(self.track, self.audio, self.pictures.intent, self.pictures.prompt)


def open_examples(folder: Path, count: int | None = None) -> Examples:
    """Open a split; what the face regressor reads of it is kept beside it."""
    faces = open_faces(folder, count)
    return examples_of(faces.pictures, own_of(faces.read))


def examples_of(pictures: Pictures, own: Own) -> Examples:
    """Return the examples of pictures, and of what was read of every `EVERY`th of their frames."""
    audio = heard(pictures.sound, pictures.frames.shape[1])
    expression = np.array(pictures.expression, np.float32)
    closure = expression[..., list(BLINK)].mean(axis=-1)
    track = true_track(pictures.pose, pictures.gaze, pictures.landmarks68)
    return Examples(pictures, track, own, UNIT * torch.from_numpy(expression), audio, torch.from_numpy(closure < SHUT))


def heard(sounds: Iterable[NDArray[np.float32]], frames: int) -> Tensor:
    """Return the last layer of the speech encoder (clips, frames, audio) of sounds at 16 kHz."""
    hear = load_speech_encoder()
    return torch.stack([hear.features(np.array(sound), frames, FPS)[:, -1] for sound in sounds]).clone()


__all__ = ["EVERY", "Examples", "Moves", "examples_of", "heard", "open_examples"]
