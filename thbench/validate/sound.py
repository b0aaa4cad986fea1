"""Degradations of the sound. The length of the track never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from thbench.types import Audio

if TYPE_CHECKING:
    from thbench.validate.material import Material, Video


def delayed(audio: Audio, seconds: float) -> Audio:
    """Play the sound later: silence in front, the end cut off.

    Args:
        audio: The sound.
        seconds: 0 or more.
    """
    late = min(round(seconds * audio.rate), len(audio.samples))
    silence = np.zeros(late, dtype=np.float32)
    return Audio(np.concatenate((silence, audio.samples[: len(audio.samples) - late])), audio.rate)


def replaced(audio: Audio, other: Audio, share: float) -> Audio:
    """Replace the beginning by other sound, which is repeated if it is too short.

    Args:
        audio: The sound.
        other: At the same rate.
        share: Of the length, in [0, 1].
    """
    count = round(share * len(audio.samples))
    return Audio(np.concatenate((np.resize(other.samples, count), audio.samples[count:])), audio.rate)


def sound_delay(material: Material, frames: float) -> Video:
    """The sound comes late by a number of frames."""
    return _with_sound(material, delayed(material.audio, frames / material.fps))


def wrong_sound(material: Material, share: float) -> Video:
    """A share of the sound is that of another clip."""
    return _with_sound(material, replaced(material.audio, material.other, share))


def _with_sound(material: Material, audio: Audio) -> Video:
    from thbench.validate.material import Video

    return Video(material.frames, audio)
