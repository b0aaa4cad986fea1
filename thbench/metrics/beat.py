"""Beat alignment of head motion and sound, in both directions and against chance.

A motion beat is a moment at which the head comes to rest: a minimum of its smoothed rotation speed. A sound beat is an
onset (`thbench.metrics.sound.onsets`). Unrelated motion and sound reach 0.2 to 0.5, more the more events there are, so
a score means little without its chance level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from thbench.metrics.observer import Missing
from thbench.metrics.pose import geodesic_degrees
from thbench.metrics.series import Recorder, fill_rotation_gaps, measured, runs
from thbench.metrics.sound import onsets

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

SIGMA_SECONDS = 0.1
"""Tolerance of a match, KDTalker's."""
SMOOTHING_SECONDS = 0.2
"""Standard deviation of the Gaussian that smooths the speed: Bailando's five frames at 25 per second."""
SMOOTHING_FRAMES = 5
"""The same in frames, as Bailando and KDTalker have it whatever the rate."""
BAILANDO_SIGMA_FRAMES = 3.0
CHANCE_DRAWS = 100
"""How often the chance level draws another clip's beats and a shift."""
OWN_SHIFT_SECONDS = 1.0
"""Smallest circular shift, either way, when a clip's own beats must serve for chance."""

FORWARD, BACKWARD, CHANCE, LIFT, MOTION_BEATS = (
    f"beat-align/{name}" for name in ("audio-to-motion", "motion-to-audio", "chance", "lift", "motion-beats")
)


def alignment(events: NDArray[np.float64], targets: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Closeness of each event to its nearest target, exp(-distance^2 / (2 sigma^2)).

    The beat-align score is the mean. Events of the sound against targets of the motion is Bailando's and KDTalker's
    direction, motion against sound that of AIST++.

    Args:
        events: Shape (events,).
        targets: Ascending, shape (targets,), in the same unit.
        sigma: Tolerance in that unit.

    Returns:
        Shape (events,), in [0, 1]; NaN where there are no targets.
    """
    if len(targets) == 0:
        return np.full(len(events), np.nan)
    after = np.searchsorted(targets, events)
    before = np.abs(events - targets[np.maximum(after - 1, 0)])
    distance = np.minimum(before, np.abs(events - targets[np.minimum(after, len(targets) - 1)]))
    return np.exp(-(distance**2) / (2 * sigma**2))


def score(events: NDArray[np.float64], targets: NDArray[np.float64], sigma: float = SIGMA_SECONDS) -> float:
    """Mean of `alignment`; NaN when there are no events or no targets."""
    return float(alignment(events, targets, sigma).mean()) if len(events) else float("nan")


def smoothed(speed: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian average of a speed, mirrored at the ends and cut at 4 sigma, as scipy does by default.

    Args:
        speed: Shape (steps,).
        sigma: Standard deviation in steps.
    """
    return np.asarray(gaussian_filter1d(speed.astype(np.float64), sigma)) if len(speed) else speed


def minima(speed: NDArray[np.float64], sigma: float) -> NDArray[np.int64]:
    """Strict local minima, never the ends, of a smoothed speed, as Bailando and KDTalker take them.

    Args:
        speed: Shape (steps,).
        sigma: Standard deviation of the smoothing in steps.

    Returns:
        Indices of steps, ascending.
    """
    smooth = smoothed(speed, sigma)
    inner = smooth[1:-1]
    return np.flatnonzero((inner < smooth[:-2]) & (inner < smooth[2:])) + 1


def point_speed(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean distance that points move from frame to frame, shape (frames - 1,), for points of shape (frames, n, d)."""
    return np.asarray(np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=2).mean(axis=1))


def kdtalker_motion_beats(points: NDArray[np.floating], fps: float = 25.0) -> NDArray[np.float64]:
    """KDTalker's motion beats in seconds: minima of the smoothed point speed, index of the step over fps.

    Source: chaolongy/KDTalker, `evaluation/beat_align_score/cal_beat_align_score.py`.

    Args:
        points: Face points including the mouth, shape (frames, 70, 3).
        fps: Frames per second.
    """
    return minima(point_speed(points), SMOOTHING_FRAMES) / fps


def kdtalker_score(audio_beats: NDArray[np.float64], points: NDArray[np.floating], fps: float = 25.0) -> float:
    """KDTalker's beat-align score: sound beats in seconds against motion beats, sigma 0.1 s.

    Args:
        audio_beats: Seconds; KDTalker takes librosa's `beat_track`.
        points: Face points including the mouth, shape (frames, 70, 3).
        fps: Frames per second.
    """
    return score(audio_beats, kdtalker_motion_beats(points, fps))


def bailando_score(music_beats: NDArray[np.integer], joints: NDArray[np.floating]) -> float:
    """Bailando's beat-align score: music beats against motion beats, both in frames, sigma 3 frames.

    Source: lisiyao21/Bailando, `utils/beat_align_score.py`.

    Args:
        music_beats: Frame numbers within the motion.
        joints: Joint positions, shape (frames, joints, 3).
    """
    motion = minima(point_speed(joints), SMOOTHING_FRAMES).astype(np.float64)
    return score(music_beats.astype(np.float64), motion, BAILANDO_SIGMA_FRAMES)


def head_beats(rotations: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Motion beats of the head in seconds: minima of its rotation speed, smoothed over 0.2 s.

    The speed of a step belongs to the middle between its two frames, and a minimum of several equal steps lies in their
    middle: a head that turns back exactly at a frame has two equal steps. Gaps of over five frames split the track.

    Args:
        rotations: Shape (frames, 3, 3); NaN where missing.
        fps: Frames per second.
    """
    filled = fill_rotation_gaps(rotations)
    speed = geodesic_degrees(filled[1:], filled[:-1])
    found = [start + _rests(speed[start:stop], SMOOTHING_SECONDS * fps) for start, stop in runs(np.isfinite(speed))]
    return np.asarray((np.concatenate([np.empty(0), *found]) + 0.5) / fps)


def _rests(speed: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Middles of the minima of a smoothed speed, in steps; the ends are none."""
    _, flat = find_peaks(-smoothed(speed, sigma), plateau_size=1)
    return np.asarray((flat["left_edges"] + flat["right_edges"]) / 2)


def within(times: NDArray[np.float64], seen: NDArray[np.bool_], fps: float) -> NDArray[np.float64]:
    """Keep the times at which the head was seen: those whose frame is marked.

    Args:
        times: Seconds.
        seen: Shape (frames,).
        fps: Frames per second.
    """
    frames = np.floor(times * fps).astype(np.int64)
    inside = (frames >= 0) & (frames < len(seen))
    return times[inside][seen[frames[inside]]]


def wrapped(times: NDArray[np.float64], period: float, shift: float, duration: float) -> NDArray[np.float64]:
    """Shift times circularly within their own clip, then repeat or cut them to the length of another.

    Args:
        times: Seconds in [0, period).
        period: Length of the clip that they come from, seconds.
        shift: Seconds.
        duration: Length to fill, seconds.

    Returns:
        Ascending, in [0, duration).
    """
    once = np.sort((times + shift) % period)
    laps = np.arange(int(np.ceil(duration / period)))
    everywhere = (once + laps[:, None] * period).ravel()
    return everywhere[everywhere < duration]


class Source(NamedTuple):
    """Beats of one sound from which the chance level draws."""

    beats: NDArray[np.float64]
    """Seconds."""
    duration: float
    """Seconds."""
    least_shift: float
    """Smallest circular shift either way, seconds."""


def chance_level(
    motion: NDArray[np.float64], sources: Sequence[Source], seen: NDArray[np.bool_], fps: float, seed: int
) -> float:
    """Mean score of sound beats that have nothing to do with the motion.

    Each of `CHANCE_DRAWS` draws takes one source and a uniform circular shift within it.

    Args:
        motion: Seconds of the motion beats.
        sources: At least one; sounds without beats are passed over.
        seen: Frames in which the head was seen, shape (frames,).
        fps: Frames per second.
        seed: Same seed, same value.

    Returns:
        NaN when no draw has a beat.
    """
    usable = [source for source in sources if len(source.beats) and source.duration > 2 * source.least_shift]
    random = np.random.default_rng(seed)
    scores = []
    for draw in range(CHANCE_DRAWS if usable else 0):
        beats, duration, least = usable[draw % len(usable)]
        shift = random.uniform(least, duration - least)
        scores.append(score(within(wrapped(beats, duration, shift, len(seen) / fps), seen, fps), motion))
    known = [value for value in scores if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


class BeatObserver:
    """Keeps the head's rotation per frame and sets its beats against those of the sound at the end."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names
        self._rotation = Recorder(9)

    def observe(self, moment: Moment) -> None:
        """Take in the head pose."""
        face = moment.generated.face
        self._rotation.add(None if face is None else face.rotation.ravel())

    def values(self, clip: ClipFacts) -> Values:
        """Return the values asked for."""
        rotations = self._rotation.rows().reshape(-1, 3, 3)
        if not measured(rotations).any():
            return dict.fromkeys(self._names, Missing("no face in any frame"))
        seen = measured(fill_rotation_gaps(rotations))
        motion = head_beats(rotations, clip.fps)
        seconds = float(np.count_nonzero(seen)) / clip.fps
        found: dict[str, float | Missing] = {MOTION_BEATS: len(motion) / seconds}
        found |= _against_sound(motion, seen, clip)
        return {name: found[name] for name in self._names}


def _against_sound(motion: NDArray[np.float64], seen: NDArray[np.bool_], clip: ClipFacts) -> dict[str, float | Missing]:
    sound = clip.generated.sound
    if sound is None:
        return dict.fromkeys((FORWARD, BACKWARD, CHANCE, LIFT), Missing("no sound track"))
    own = onsets(sound)
    audio = within(own, seen, clip.fps)
    if len(audio) == 0 or len(motion) == 0:
        what = "the sound has no onset" if len(audio) == 0 else "the head's speed has no minimum"
        return dict.fromkeys((FORWARD, BACKWARD, CHANCE, LIFT), Missing(f"no beat: {what}"))
    others = [Source(onsets(other), other.duration, 0.0) for other in clip.other_sounds]
    others = [other for other in others if len(other.beats)]
    sources = others or [Source(own, sound.duration, OWN_SHIFT_SECONDS)]
    chance = chance_level(motion, sources, seen, clip.fps, clip.seed)
    forward = score(audio, motion)
    none = Missing(f"no other sound to draw from, and this one is too short to shift ({sound.duration:.2f} s)")
    return {
        FORWARD: forward,
        BACKWARD: score(motion, audio),
        CHANCE: chance if np.isfinite(chance) else none,
        LIFT: forward - chance if np.isfinite(chance) else none,
    }
