"""What a mini network is worth on people it never saw: verification, and response to damage of known order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.backbones.batches import FixedBatches
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.dataset import truth_of
from thbench.media import read_frames
from thbench.metrics.csim import unit
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments
from thbench.stats.bootstrap import resample_counts
from thbench.validate.judge import spearman

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.metrics.moments import Moments
    from thbench.types import Clip

    Network = Callable[[Tensor], Tensor]

RESAMPLES = 200
"""Of people, for intervals."""
DISTANCE_RESAMPLES = 40
"""The same for distances of sets, which take far longer."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Held:
    """Decoded clips of people who were not trained on."""

    frames: NDArray[np.uint8]
    """Shape (clips, frames, size, size, 3), RGB."""
    people: tuple[str, ...]
    """Who is shown, for each clip."""
    landmarks68: NDArray[np.float32]
    """Shape (clips, frames, 68, 2); pixels."""
    every: int
    """One frame of so many was taken."""


def read_held(clips: Sequence[Clip], every: int) -> Held:
    """Decode every so manieth frame of clips of equal length."""
    frames, landmarks = [], []
    for clip in clips:
        chosen = [frame.rgb for i, frame in enumerate(read_frames(clip.path, threads=1)) if i % every == 0]
        frames.append(np.stack(chosen))
        landmarks.append(truth_of(clip).landmarks68[::every])
    return Held(np.stack(frames), tuple(clip.identity for clip in clips), np.stack(landmarks), every)


def embed(network: Network, frames: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """Features (clips, frames, d) of frames (clips, frames, height, width, 3), each at `side` x `side`."""
    batches = FixedBatches(network)
    for clip in frames:
        batches.add(as_input(np.stack([whole_frame(frame, side) for frame in clip])))
    return batches.finish().numpy().astype(np.float64).reshape(*frames.shape[:2], -1)


class Measured(NamedTuple):
    """A number and its 95 % interval over resampled people."""

    value: float
    low: float
    high: float


def area_under_curve(features: NDArray[np.float64], people: Sequence[str], *, resamples: int = RESAMPLES) -> Measured:
    """Verification: how often a pair of one person is closer than a pair of two people.

    Args:
        features: Shape (clips, frames, d).
        people: Who is shown, for each clip.
        resamples: Of people, for the interval.

    Returns:
        The area under the ROC curve of the cosine over all pairs of frames from different clips.
    """
    clips, frames, _ = features.shape
    names, person = np.unique(np.array(people), return_inverse=True)
    rows = unit(features.reshape(clips * frames, -1))
    clip_of, person_of = np.repeat(np.arange(clips), frames), np.repeat(person, frames)
    first, second = np.triu_indices(len(rows), k=1)
    apart = clip_of[first] != clip_of[second]
    first, second = first[apart], second[apart]
    score = (rows @ rows.T)[first, second]
    a, b = person_of[first], person_of[second]
    _, level = np.unique(score, return_inverse=True)
    value = _area(level, a == b, np.ones(len(a)))
    drawn = [
        _area(level, a == b, np.where(a == b, counts[a], counts[a] * counts[b]).astype(np.float64))
        for counts in resample_counts(len(names), resamples, 0)
        # One person alone is in no pair of two people.
        if np.count_nonzero(counts) > 1
    ]
    return _interval(value, drawn)


def _area(level: NDArray[np.int64], same: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """Weighted Mann-Whitney statistic; equal scores count half."""
    count = int(level.max()) + 1
    of_same = np.bincount(level[same], weight[same], count)
    of_others = np.bincount(level[~same], weight[~same], count)
    below = np.cumsum(of_others) - 0.5 * of_others
    return float((of_same * below).sum() / (of_same.sum() * of_others.sum()))


def _interval(value: float, drawn: Sequence[float]) -> Measured:
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Measured(value, float(low), float(high))


class Graded(NamedTuple):
    """How a distance answers to doses."""

    rho: Measured
    """Spearman's correlation of dose and distance."""
    distances: tuple[float, ...]
    """Of all people, for each dose."""


def graded(
    sets: Sequence[NDArray[np.float64]],
    doses: Sequence[float],
    people: Sequence[str],
    *,
    apart: bool,
    ddof: int = 1,
    resamples: int = DISTANCE_RESAMPLES,
) -> Graded:
    """Frechet distance of damaged sets to the undamaged one.

    Args:
        sets: Features (clips, n, d) at each dose; the first are those of undamaged clips.
        doses: In rising order, the first one changes nothing.
        people: Who is shown, for each clip.
        apart: Hold the damaged clips of one half of the people against the undamaged ones of the other half; otherwise
            all against themselves.
        ddof: Covariances are divided by N - ddof.
        resamples: Of people, for the interval.
    """
    names, person = np.unique(np.array(people), return_inverse=True)
    real, made = (np.arange(len(names)) % 2 == half for half in (0, 1)) if apart else (np.ones(len(names), bool),) * 2

    def distances(counts: NDArray[np.integer]) -> tuple[float, ...]:
        reference = _drawn(sets[0], (counts * real)[person])
        return tuple(
            frechet_distance(_drawn(features, (counts * made)[person]), reference, ddof=ddof).value for features in sets
        )

    found = distances(np.ones(len(names), np.int64))
    rhos = [_rho(doses, distances(counts)) for counts in _resampled(real, made, resamples, apart=apart)]
    return Graded(_interval(_rho(doses, found), rhos), found)


def _resampled(
    real: NDArray[np.bool_], made: NDArray[np.bool_], resamples: int, *, apart: bool
) -> Sequence[NDArray[np.integer]]:
    """How often each person is drawn; each half by itself where there are halves."""
    if not apart:
        return list(resample_counts(len(real), resamples, 0))
    drawn = np.zeros((resamples, len(real)), np.int64)
    for seed, half in enumerate((real, made)):
        drawn[:, half] = resample_counts(int(half.sum()), resamples, seed)
    return list(drawn)


def _drawn(features: NDArray[np.float64], counts: NDArray[np.integer]) -> Moments:
    """Moments of the clips, each as often as it was drawn."""
    return moments(np.repeat(features, counts, axis=0).reshape(-1, features.shape[-1]))


def _rho(doses: Sequence[float], distances: Sequence[float]) -> float:
    """Spearman's correlation; 0 where nothing changes at all."""
    found = spearman(doses, distances)
    return 0.0 if found is None else found
