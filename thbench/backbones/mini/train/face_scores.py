"""What the mini face regressor is worth on people it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.backbones.mini.face import PRESENT, look, picture
from thbench.data.synth_heads.dataset import truth_of
from thbench.media import read_frames
from thbench.metrics.blink import blinks
from thbench.metrics.landmarks import interocular
from thbench.stats.bootstrap import mean_estimate, resample_counts
from thbench.training import Score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from thbench.backbones.mini.face import MiniFace, Seen
    from thbench.data.synth_heads.truth import Truth
    from thbench.types import Clip

SLACK = 2
"""Frames by which a found blink may miss the moment at which the lids are shut."""
RESAMPLES = 1000
"""Of people, for the interval of F1."""


class Matched(NamedTuple):
    """Events found and events that are true, in one clip."""

    hits: int
    found: int
    true: int


@dataclass(frozen=True, slots=True)
class ClipScores:
    """Errors in one clip."""

    identity: str
    yaw: float
    pitch: float
    roll: float
    """Mean absolute errors, degrees."""
    landmarks: float
    """Mean distance of the 68 points, in inter-ocular distances."""
    expression: float
    """Mean absolute error of the coefficients."""
    present: float
    """Share of frames that are recognised as a head."""
    blinks: Matched


def as_they_are(clips: Sequence[Clip], every: int) -> Sequence[Clip]:
    """Clips for scores that read them one after another; every frame is needed."""
    return clips


def matched(found: Sequence[tuple[int, int]], true: Sequence[int], slack: int = SLACK) -> Matched:
    """Pair found stretches of frames with true moments, each at most once, in order.

    Args:
        found: First frame and one beyond the last.
        true: Frames, rising.
        slack: How far outside of the stretch its moment may lie.
    """
    left, hits = list(found), 0
    for moment in true:
        near = [run for run in left if run[0] - slack <= moment < run[1] + slack]
        if near:
            left.remove(near[0])
            hits += 1
    return Matched(hits, len(found), len(true))


def f1(counts: Sequence[Matched], weights: NDArray[np.integer] | None = None) -> float:
    """Harmonic mean of precision and recall over all clips; NaN where there is neither a true nor a found event."""
    table = np.array(counts, dtype=np.float64)
    hits, found, true = table.sum(axis=0) if weights is None else weights @ table
    return float(2 * hits / (found + true)) if found + true else float("nan")


def clip_scores(seen: Seen, truth: Truth, identity: str) -> ClipScores:
    """Compare what was seen in a clip with its truth."""
    distance = np.linalg.norm(seen.landmarks - truth.landmarks68, axis=-1).mean(axis=1)
    yaw, pitch, roll = np.abs(seen.pose - truth.pose).mean(axis=0)
    fps = truth.about.fps
    found = [(run.start, run.stop) for run, _ in blinks(1.0 - seen.blink.astype(np.float64), fps)]
    return ClipScores(
        identity=identity,
        yaw=float(yaw),
        pitch=float(pitch),
        roll=float(roll),
        landmarks=float((distance / interocular(truth.landmarks68.astype(np.float64))).mean()),
        expression=float(np.abs(seen.expression - truth.expression).mean()),
        present=float((seen.presence >= PRESENT).mean()),
        blinks=matched(found, [round(moment * fps) for moment in truth.about.blinks]),
    )


def measure(network: MiniFace, clips: Sequence[Clip]) -> tuple[ClipScores, ...]:
    """Look at every frame of clips of synth-heads."""
    scores = []
    for clip in clips:
        frames = np.stack([picture(frame.rgb) for frame in read_frames(clip.path, threads=1)])
        scores.append(clip_scores(look(network, frames), truth_of(clip), clip.identity))
    return tuple(scores)


def evaluate(network: MiniFace, clips: Sequence[Clip]) -> tuple[Score, ...]:
    """Errors on every frame of clips, with intervals over people."""
    rows = measure(network, clips)

    def mean(name: str, of: Callable[[ClipScores], float], bar: str, protocol: str) -> Score:
        estimate = mean_estimate([of(row) for row in rows], [row.identity for row in rows])
        ends = estimate.interval
        low, high = (None, None) if ends is None else (ends.low, ends.high)
        return Score(
            name=name,
            value=estimate.value,
            low=low,
            high=high,
            bar=bar,
            n=len(rows),
            people=estimate.clusters,
            protocol=protocol,
        )

    degrees = "mean absolute error over all frames, degrees"
    return (
        mean("yaw", lambda r: r.yaw, "<= 2", degrees),
        mean("pitch", lambda r: r.pitch, "<= 2", degrees),
        mean("roll", lambda r: r.roll, "<= 2", degrees),
        mean("landmarks", lambda r: r.landmarks, "<= 0.015", "mean distance of 68 points, inter-ocular distances"),
        _blink_score(rows),
        mean("expression", lambda r: r.expression, "", "mean absolute error of the coefficients"),
        mean("presence", lambda r: r.present, "", "share of frames that are recognised as a head"),
    )


def _blink_score(rows: Sequence[ClipScores]) -> Score:
    names, person = np.unique([row.identity for row in rows], return_inverse=True)
    counts = [row.blinks for row in rows]
    drawn = [f1(counts, weights[person]) for weights in resample_counts(len(names), RESAMPLES, 0)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Score(
        name="blink F1",
        value=f1(counts),
        low=float(low),
        high=float(high),
        bar=">= 0.95",
        n=sum(row.blinks.true for row in rows),
        people=len(names),
        protocol=f"events of blink-rate/mini against the true moments, at most {SLACK} frames off",
    )
