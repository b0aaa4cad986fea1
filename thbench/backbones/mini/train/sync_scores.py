"""What the mini SyncNet is worth on people it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look, picture
from thbench.backbones.mini.sync import lip_crops
from thbench.media import read_audio, read_frames
from thbench.metrics.lse import SAMPLES_PER_FRAME, audio_windows, score, window_count
from thbench.stats.bootstrap import mean_estimate
from thbench.training import Score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from thbench.backbones.mini.sync import MiniSync
    from thbench.metrics.lse import SyncScore
    from thbench.types import Clip

SHIFTS = tuple(range(-10, 11))
"""Frames by which the sound is moved, positive: late."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clip, ready for the networks."""

    identity: str
    lips: NDArray[np.uint8]
    """Shape (frames, 48, 48, 3), BGR."""
    sound: NDArray[np.int16]
    """16 kHz."""


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What was found in one clip."""

    identity: str
    exact: tuple[bool, ...]
    """For each of `SHIFTS`: whether the offset that was found is the true one."""
    matched: SyncScore
    """Of the clip's own sound."""
    wrong: SyncScore
    """Of another person's."""


def moved(sound: NDArray[np.int16], frames: int) -> NDArray[np.int16]:
    """Sound some frames later (positive) or earlier, silence in place of what is missing; the length stays."""
    count = abs(frames) * SAMPLES_PER_FRAME
    silence = np.zeros(min(count, len(sound)), sound.dtype)
    return np.concatenate((silence, sound[: len(sound) - count]) if frames >= 0 else (sound[count:], silence))


def read_spoken(clips: Sequence[Clip], every: int = 1) -> tuple[Spoken, ...]:
    """Decode clips and cut the lips where the mini face regressor sees them; every frame is needed."""
    network = loaded.face()
    spoken = []
    for clip in clips:
        frames = np.stack([picture(frame.rgb) for frame in read_frames(clip.path, threads=1)])
        sound = np.clip(np.round(read_audio(clip.path).samples * 32768.0), -32768, 32767).astype(np.int16)
        spoken.append(Spoken(clip.identity, lip_crops(frames, look(network, frames).landmarks), sound))
    return tuple(spoken)


@torch.inference_mode()
def measure(network: MiniSync, clips: Sequence[Spoken]) -> tuple[ClipScores, ...]:
    """Score each clip with its own sound at all shifts, and with that of the next other person."""
    scores = []
    for number, clip in enumerate(clips):
        count = window_count(len(clip.lips), len(clip.sound))
        frames = torch.from_numpy(clip.lips).permute(3, 0, 1, 2).float()
        video = network.lips_of_clip(frames)[:count]

        def against(sound: NDArray[np.int16], video: torch.Tensor = video, count: int = count) -> SyncScore:
            return score(video, network.audio(audio_windows(sound, count)))

        other = next(c for c in (*clips[number + 1 :], *clips) if c.identity != clip.identity)
        at = {shift: against(moved(clip.sound, shift)) for shift in SHIFTS}
        # The published sign: positive where the sound leads.
        exact = tuple(found.offset == -shift for shift, found in at.items())
        scores.append(ClipScores(clip.identity, exact, at[0], against(np.resize(other.sound, len(clip.sound)))))
    return tuple(scores)


def evaluate(network: MiniSync, clips: Sequence[Spoken]) -> tuple[Score, ...]:
    """Offsets and confidences, with intervals over people."""
    rows = measure(network, clips)

    def mean(name: str, of: Callable[[ClipScores], float], bar: str, protocol: str, n: int) -> Score:
        estimate = mean_estimate([of(row) for row in rows], [row.identity for row in rows])
        ends = estimate.interval
        low, high = (None, None) if ends is None else (ends.low, ends.high)
        return Score(
            name=name,
            value=estimate.value,
            low=low,
            high=high,
            bar=bar,
            n=n,
            people=estimate.clusters,
            protocol=protocol,
        )

    count = len(rows)
    own = "the clip's own sound"
    return (
        mean(
            "exact offset",
            lambda r: float(np.mean(r.exact)),
            ">= 0.95",
            f"sound moved by {SHIFTS[0]} to {SHIFTS[-1]} frames, silence beyond its ends; offset found exactly",
            count * len(SHIFTS),
        ),
        mean(
            "matched above wrong",
            lambda r: float(r.matched.lse_c > r.wrong.lse_c),
            ">= 0.98",
            "LSE-C of the clip's own sound above that of another person's",
            count,
        ),
        mean("LSE-C", lambda r: r.matched.lse_c, "", own, count),
        mean("LSE-D", lambda r: r.matched.lse_d, "", own, count),
        mean("LSE-C, wrong sound", lambda r: r.wrong.lse_c, "", "another person's sound", count),
        mean("LSE-D, wrong sound", lambda r: r.wrong.lse_d, "", "another person's sound", count),
    )
