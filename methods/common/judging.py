"""What generated clips of synth-heads are worth, in memory: the mini metrics of frames that were just made.

The numbers are those of the metrics of the same names, but for the codec that a run writes its videos with. Trainings
put them on cards, tests of claims compare them.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from thbench.backbones.mini import loaded
from thbench.backbones.mini.clip_encoder import MiniClipEncoder
from thbench.backbones.mini.face import look
from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.sync import lip_crops
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.media import read_audio, read_frames
from thbench.metrics.csim import unit
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.lse import RATE, audio_windows, score, window_count
from thbench.metrics.moments import moments
from thbench.metrics.observe_mini import pose_diversity, rows_of, track_of
from thbench.metrics.sound import to_int16
from thbench.run.seeds import clip_seed
from thbench.stats.bootstrap import mean_estimate
from thbench.training import Score
from thbench.types import Audio, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.types import Clip, Method

    Frames = NDArray[np.uint8]

BATCH = 32
FPS = 25.0
INNER_LIPS, EYE_CORNERS = (62, 66), (36, 45)
"""Points whose distances give the opening of the mouth, in inter-ocular distances."""


@dataclass(frozen=True, slots=True)
class Held:
    """A clip of people who were not trained on."""

    clip: Clip
    frames: Frames
    """Shape (frames, height, width, 3), RGB."""
    sound: NDArray[np.float32]
    """Shape (samples,), 16 kHz."""

    def request(self, seed: int = 0, controls: Mapping[str, object] | None = None) -> Request:
        """Return what a method is asked: the first frame, the sound, as many frames."""
        return Request(self.frames[0], Audio(self.sound, RATE), FPS, len(self.frames), seed, controls or {})

    def of_a_run(self) -> Request:
        """Return what a method is asked in a run with seed 0."""
        return self.request(clip_seed(0, self.clip.id))


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of the frames of a clip."""

    person: str
    lse_c: float
    lse_d: float
    similarity: float
    """Mean cosine to the portrait."""
    pose_diversity: float
    """Degrees."""
    opening: NDArray[np.float64]
    """Shape (frames,): opening of the mouth, inter-ocular distances."""
    pose: NDArray[np.float32]
    """Shape (frames, 3): yaw, pitch, roll, degrees."""
    expression: NDArray[np.float32]
    """Shape (frames, 53), coefficients."""
    clips: NDArray[np.float32]
    """Shape (windows of 16 frames, 128): features of the clip encoder."""


def read_held(clips: Iterable[Clip]) -> Iterable[Held]:
    """Decode clips one by one."""
    for clip in clips:
        frames = np.stack([frame.rgb for frame in read_frames(clip.path, threads=1)])
        yield Held(clip, frames, read_audio(clip.path).samples)


def one_of_each(clips: Sequence[Clip]) -> tuple[Clip, ...]:
    """Return the first clip of each person."""
    return tuple({clip.identity: clip for clip in reversed(clips)}.values())[::-1]


def made(method: Method, request: Request) -> Frames:
    """Return all frames of a generation."""
    return np.stack(list(method.generate(request).frames))  # type: ignore[arg-type]


@torch.inference_mode()
def judge(held: Held, frames: Frames, sound: NDArray[np.float32] | None = None) -> Judged:
    """Measure frames that were made for a clip.

    Args:
        held: The clip; its first frame is the portrait.
        frames: Shape (frames, height, width, 3), all of 128 px.
        sound: Of the frames, where it is not the clip's.
    """
    seen = look(loaded.face(), frames)
    sync, heard = loaded.sync(), held.sound if sound is None else sound
    count = window_count(len(frames), len(heard))
    lips = torch.from_numpy(lip_crops(frames, seen.landmarks)).permute(3, 0, 1, 2).float()
    synced = score(sync.lips_of_clip(lips)[:count], sync.audio(audio_windows(to_int16(heard), count)))
    own, portrait = (unit(_embedded(part)) for part in (frames, held.frames[:1]))
    low, high = (np.linalg.norm(np.diff(seen.landmarks[:, pair], axis=1)[:, 0], axis=1) for pair in _PAIRS)
    return Judged(
        person=held.clip.identity,
        lse_c=synced.lse_c,
        lse_d=synced.lse_d,
        similarity=float((own @ portrait[0]).mean()),
        pose_diversity=pose_diversity(track_of(rows_of(seen))),
        opening=low / high,
        pose=seen.pose,
        expression=seen.expression,
        clips=_clips(frames),
    )


_PAIRS = (INNER_LIPS, EYE_CORNERS)


@dataclass(frozen=True, slots=True)
class Face:
    """What the mini face regressor alone sees of frames; fields as in `Judged`."""

    pose_diversity: float
    pose: NDArray[np.float32]
    expression: NDArray[np.float32]


@torch.inference_mode()
def face(frames: Frames) -> Face:
    """Read pose and expression of frames, which is much less work than to judge them."""
    seen = look(loaded.face(), frames)
    return Face(pose_diversity(track_of(rows_of(seen))), seen.pose, seen.expression)


def _embedded(frames: Frames) -> NDArray[np.float32]:
    small = as_input(np.stack([whole_frame(frame, MiniIdentity.INPUT_SIZE) for frame in frames]))
    return np.concatenate([loaded.identity()(part).numpy() for part in torch.split(small, BATCH)])


def _clips(frames: Frames) -> NDArray[np.float32]:
    length, size = MiniClipEncoder.FRAMES, MiniClipEncoder.INPUT_SIZE
    small = np.stack([whole_frame(frame, size) for frame in frames])
    whole = small[: len(small) // length * length].reshape(-1, length, *small.shape[1:])
    return np.concatenate([loaded.clip_encoder()(as_input(clip[None])).numpy() for clip in whole])


def fvd(first: Sequence[Judged], second: Sequence[Judged]) -> float:
    """Return the Frechet distance of two sets of clips (mini)."""
    one, other = (moments(np.concatenate([row.clips for row in rows])) for rows in (first, second))
    return frechet_distance(one, other, ddof=0).value


def mean_score(name: str, values: Sequence[float], people: Sequence[str], bar: str, protocol: str) -> Score:
    """Return a mean over clips with its interval over people."""
    estimate = mean_estimate(values, people)
    ends = estimate.interval
    low, high = (None, None) if ends is None else (ends.low, ends.high)
    n = len(values)
    return Score(
        name=name, value=estimate.value, low=low, high=high, n=n, people=estimate.clusters, bar=bar, protocol=protocol
    )


BARS = {"LSE-C (mini)": ">= 0.6", "identity (mini)": ">= 0.85", "pose diversity (mini)": "0.3 to 2"}
"""What a whole method is asked for, as shares of the real clips' scores."""
IMAGE_DIFFUSION_BARS = {"LSE-C (mini)": ">= 0.45", "identity (mini)": ">= 0.8"}
"""The same of methods that denoise latents of the pictures."""


def compared(
    rows: Sequence[Judged], truths: Sequence[Judged], how: str, bars: Mapping[str, str] = MappingProxyType({})
) -> tuple[Score, ...]:
    """Return the scores of a card: generated clips beside the real ones.

    Args:
        rows: One for each clip.
        truths: Of the same clips, the real frames.
        how: What the frames were made of, for the protocol.
        bars: Name of a score to what is asked of its share.
    """
    people = [row.person for row in rows]

    def mean(name: str, of: Callable[[Judged], float], protocol: str) -> list[Score]:
        real = float(np.mean([of(row) for row in truths]))
        value = mean_score(name, [of(row) for row in rows], people, "", f"{protocol}; {how}; real clips {real:.4g}")
        ratio = value.value / real
        share = f"{name}, share of real"
        bar = bars.get(name, "")
        return [value, Score(name=share, value=ratio, n=value.n, people=value.people, bar=bar, protocol=how)]

    distance = fvd(rows, truths)
    return (
        *mean("LSE-C (mini)", lambda row: row.lse_c, "lse-c/mini"),
        *mean("identity (mini)", lambda row: row.similarity, "csim/mini/whole-frame/portrait"),
        *mean("pose diversity (mini)", lambda row: row.pose_diversity, "pose-div/mini, degrees"),
        *mean("mouth movement", lambda row: float(row.opening.std()), "std of the opening over time, inter-ocular"),
        Score(name="FVD (mini)", value=distance, n=len(rows), people=len(set(people)), protocol=f"fvd/mini; {how}"),
    )


def measured(method: Method, clips: Iterable[Clip], bars: Mapping[str, str] = BARS) -> tuple[Score, ...]:
    """Generate clips as a run with seed 0 does, and return the scores of a method's card.

    Args:
        method: Which.
        clips: Held-out ones.
        bars: As in `compared`.
    """
    rows, truths = [], []
    for held in read_held(clips):
        rows.append(judge(held, made(method, held.of_a_run())))
        truths.append(judge(held, held.frames))
    return compared(rows, truths, "a run with seed 0, first frame and sound of each clip", bars)
