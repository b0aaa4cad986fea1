"""Lips against sound: correlation, offset, drift.

Loudness alone does not tell when a mouth opens: in fluent speech nasals, close vowels and fricatives are loud too.
Articulation shows in the balance of the spectrum instead (Fant, "Acoustic Theory of Speech Production", 1960), so two
contrasts of band levels are compared with two measures of the mouth:

- An opening mouth raises the first formant: energy moves from 100-500 Hz (voicing, nasals, close vowels) to 1-4 kHz.
  Compared with the gap between the inner lips.
- A lowered jaw with rounded lips makes open and back vowels (500-1500 Hz), a raised jaw with spread lips makes
  sibilants (4-8 kHz). Compared with the length of the lower face relative to the width of the mouth.

Both sides are band-passed alike, so that neither pose nor the speaker's habits nor the level of the recording matter,
and the mean of the two correlations is looked at as a function of the lag. Nothing is trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thbench.metrics.observer import Missing
from thbench.metrics.series import Recorder, Run, band_pass, fill_short_gaps, measured
from thbench.metrics.sound import BRIGHT, GRID_RATE, HISS, VOICING, VOWEL, Sound

if TYPE_CHECKING:
    from collections.abc import Set

    from numpy.typing import NDArray

    from thbench.metrics.observer import ClipFacts, Moment, Values

INNER_LIPS = ((13, 14), (82, 87), (312, 317))
"""Upper and lower points of the inner lip contour: middle, and one quarter to either side."""
MOUTH_CORNERS = (61, 291)
LOWER_FACE = (2, 152)
"""Base of the nose and tip of the chin."""
OUTER_EYE_CORNERS = (33, 263)

LAG_FRAMES = 15
"""Largest lag looked at, in frames, as SyncNet's offset search does."""
FAST_SECONDS = 0.04
"""Standard deviation of the average that removes landmark jitter and glottal pulses."""
SLOW_SECONDS = 0.5
"""Standard deviation of the average that is subtracted; trends slower than about 3 s go."""
DYNAMIC_RANGE_DB = 50.0
"""Range below the clip's loud level (95th percentile) that counts; noise below it makes no contrast."""
SILENCE_DB = -70.0
"""Loud level below which a sound track is silent."""
LEAST_SECONDS = 2.0
"""Shortest overlap of mouth and sound that is correlated."""
STILL = 1e-6
"""Standard deviation below which a signal does not move: a ten-thousandth of a pixel on an ordinary face."""

DRIFT_LEAST_SECONDS = 15.0
"""Shortest clip whose drift is measured. Pieces of drift-free clips erred by 300 ms/min (rms) at 10 s, by 90 at 16 s;
looped to a minute, the same clips gave artificial drifts to within 10 ms/min."""
DRIFT_WINDOW_SECONDS = 4.0
DRIFT_HOP_SECONDS = 2.0

SPEECH_RANGE_DB = 30.0
"""Range below the loud level that counts as speech in `volume_gap`."""
VOLUME_WINDOW = 5
"""Grid points, 50 ms, over which `volume_gap` takes the RMS volume."""
UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310)
LOWER_INNER_LIP = (95, 88, 178, 87, 14, 317, 402, 318)
LEFT_EYE, RIGHT_EYE = (33, 133), (362, 263)

CORRELATION, OFFSET, DRIFT, GAP = "lip-audio-corr", "lip-audio-offset", "av-drift", "lip-audio-gap/theval-energy"


class Peak(NamedTuple):
    """The best lag."""

    correlation: float
    """Largest correlation of all lags."""
    lag: float
    """Its lag in seconds, interpolated between grid points; NaN where it lies at the end of the range."""


def mouth_opening(points: NDArray[np.floating]) -> float:
    """Gap between the inner lips over the distance of the outer eye corners, both in three dimensions.

    Distances in space do not change when the head turns.

    Args:
        points: Face mesh, shape (478, 3).
    """
    gaps = [_distance(points, upper, lower) for upper, lower in INNER_LIPS]
    return _ratio(float(np.mean(gaps)), _distance(points, *OUTER_EYE_CORNERS))


def jaw_over_width(points: NDArray[np.floating]) -> float:
    """Natural logarithm of the length of the lower face over the width of the mouth, both in three dimensions.

    Args:
        points: Face mesh, shape (478, 3).
    """
    ratio = _ratio(_distance(points, *LOWER_FACE), _distance(points, *MOUTH_CORNERS))
    return math.log(ratio) if ratio > 0 else math.nan


def mouth_opening_theval(points: NDArray[np.floating]) -> float:
    """THEval's opening: vertical gap of the mean inner lips over the horizontal distance of the eyes, in the image.

    Source: Newbyl/THEval, `Synchronization/lip_sync.py`. It shrinks when the head nods and grows when it turns.

    Args:
        points: Face mesh, shape (478, 3), in pixels.
    """
    gap = points[list(LOWER_INNER_LIP), 1].mean() - points[list(UPPER_INNER_LIP), 1].mean()
    eyes = points[list(RIGHT_EYE), 0].mean() - points[list(LEFT_EYE), 0].mean()
    return _ratio(abs(float(gap)), abs(float(eyes)))


def articulation(sound: Sound) -> NDArray[np.float64]:
    """The two spectral contrasts in dB that follow the mouth, shape (points, 2).

    First bright against voicing, second vowel against hiss; see the module's text. Multiplying the sound by a constant
    changes nothing while its levels stay above the floor of the analysis.
    """
    floor = 10 ** ((loud_level(sound) - DYNAMIC_RANGE_DB) / 10)
    levels = 10 * np.log10(10 ** (sound.bands.astype(np.float64) / 10) + floor)
    return np.stack([levels[:, BRIGHT] - levels[:, VOICING], levels[:, VOWEL] - levels[:, HISS]], axis=1)


def loud_level(sound: Sound) -> float:
    """Level in dB that 5 % of the sound exceeds."""
    return float(np.percentile(sound.loudness, 95))


def lag_grid(fps: float, frames: int = LAG_FRAMES) -> NDArray[np.float64]:
    """Lags in seconds, every 10 ms, up to `frames` frames either way."""
    steps = int(frames / fps * GRID_RATE + 1e-9)
    return np.arange(-steps, steps + 1) / GRID_RATE


def correlogram(
    mouth: NDArray[np.float64], sound: NDArray[np.float64], fps: float, windows: list[Run]
) -> NDArray[np.float64]:
    """Correlation of mouth and sound for each window and lag, averaged over channels.

    Args:
        mouth: Shape (frames, channels); NaN where no face was found. Gaps beyond `MAX_GAP` frames are left out.
        sound: Shape (points, channels) on the 10 ms grid; the matching measures of the sound.
        fps: Frames per second.
        windows: Runs of frames.

    Returns:
        Shape (windows, lags of `lag_grid`): Pearson correlation in [-1, 1] of mouth at t and sound at t + lag; NaN
        where less than `LEAST_SECONDS` overlap or where either does not move.
    """
    mouth = fill_short_gaps(mouth)
    times = np.arange(len(mouth)) / fps
    grid = np.arange(len(sound)) / GRID_RATE
    least = LEAST_SECONDS * fps
    lags = lag_grid(fps)
    total = np.zeros((len(windows), len(lags)))
    for channel in range(mouth.shape[1]):
        ours = band_pass(mouth[:, channel], fps, FAST_SECONDS, SLOW_SECONDS)
        theirs = band_pass(sound[:, channel], GRID_RATE, FAST_SECONDS, SLOW_SECONDS)
        for column, lag in enumerate(lags):
            shifted = np.interp(times + lag, grid, theirs, left=np.nan, right=np.nan)
            total[:, column] += windowed_correlation(ours, shifted, windows, least)
    return np.asarray(total / mouth.shape[1])


def windowed_correlation(
    x: NDArray[np.float64], y: NDArray[np.float64], windows: list[Run], least: float
) -> NDArray[np.float64]:
    """Pearson correlation of two series over each window.

    Args:
        x: Shape (frames,); NaN where missing.
        y: Shape (frames,); NaN where missing.
        windows: Runs of frames.
        least: Frames that must be measured in both.

    Returns:
        Shape (windows,); NaN where fewer are measured or where either does not move.
    """
    mask = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(mask, x, 0.0), np.where(mask, y, 0.0)
    sums = np.cumsum([mask, x, y, x * x, y * y, x * y], axis=1)
    sums = np.concatenate([np.zeros((6, 1)), sums], axis=1)
    edges = np.array(windows, dtype=np.int64).reshape(-1, 2)
    count, sum_x, sum_y, sum_xx, sum_yy, sum_xy = sums[:, edges[:, 1]] - sums[:, edges[:, 0]]
    divisor = np.maximum(count, 1)
    var_x, var_y = sum_xx / divisor - (sum_x / divisor) ** 2, sum_yy / divisor - (sum_y / divisor) ** 2
    enough = (count >= least) & (var_x > STILL**2) & (var_y > STILL**2)
    spread = np.sqrt(np.where(enough, var_x * var_y, np.nan))
    return np.asarray((sum_xy / divisor - sum_x * sum_y / divisor**2) / spread)


def best_lag(lags: NDArray[np.float64], correlation: NDArray[np.float64]) -> Peak | None:
    """Find the lag of the largest correlation; None when there is no correlation at any lag.

    Args:
        lags: Shape (lags,), evenly spaced, seconds.
        correlation: Shape (lags,); NaN where unknown.
    """
    if not np.isfinite(correlation).any():
        return None
    best = int(np.nanargmax(correlation))
    return Peak(float(correlation[best]), _vertex(lags, correlation, best))


def drift_of(correlation: NDArray[np.float64], centres: NDArray[np.float64], lags: NDArray[np.float64]) -> float:
    """Change of the best lag per second of video.

    The straight line lag(t) = a + b t along which the mean correlation over all windows is largest. All windows decide
    together, so that one window whose own best lag is a neighbouring syllable does no harm.

    Args:
        correlation: Shape (windows, lags), without NaN.
        centres: Seconds of the windows' centres, shape (windows,), not all equal.
        lags: Shape (lags,), evenly spaced, seconds.

    Returns:
        b in seconds per second; lines may not leave the range of the lags. NaN where the best line touches its end.
    """
    step = lags[1] - lags[0]
    relative = (centres - centres.mean()) / (centres.max() - centres.min())
    changes = lags * 1.0
    profile = np.array([_best_line(correlation, relative * change / step) for change in changes])
    best = int(np.argmax(profile))
    return _vertex(changes, profile, best) / float(centres.max() - centres.min())


def volume_gap(opening: NDArray[np.float64], sound: Sound, fps: float) -> float:
    """THEval's lip-sync value: mean absolute gap between opening and volume while there is speech.

    Both are min-max normalised over the frames of speech. Source: Newbyl/THEval, `Synchronization/lip_sync.py`. Speech
    is what lies within 30 dB of the loud level, where THEval asks a trained detector.

    Args:
        opening: `mouth_opening_theval` by frame, shape (frames,); NaN where missing.
        sound: The sound.
        fps: Frames per second.

    Returns:
        Value in [0, 1]; NaN with fewer than two frames of speech, or where opening or volume is constant over them.
    """
    window = np.full(VOLUME_WINDOW, 1 / VOLUME_WINDOW)
    power = np.convolve(10 ** (sound.loudness.astype(np.float64) / 10), window, "same")
    times = np.arange(len(opening)) / fps
    volume = np.interp(times, sound.times, np.sqrt(power), right=np.nan)
    loudness = np.interp(times, sound.times, sound.loudness)
    speech = (loudness > loud_level(sound) - SPEECH_RANGE_DB) & np.isfinite(opening) & np.isfinite(volume)
    if np.count_nonzero(speech) < 2:
        return math.nan
    ours, theirs = _normalised(opening[speech]), _normalised(volume[speech])
    return float(np.mean(np.abs(ours - theirs)))


class SyncObserver:
    """Keeps three numbers of the mouth per frame and compares them with the sound at the end."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names
        self._mouth = Recorder(3)

    def observe(self, moment: Moment) -> None:
        """Measure the mouth."""
        face = moment.generated.face
        if face is None:
            self._mouth.add(None)
            return
        points = face.points.astype(np.float64)
        self._mouth.add((mouth_opening(points), jaw_over_width(points), mouth_opening_theval(points)))

    def values(self, clip: ClipFacts) -> Values:
        """Return the values asked for."""
        mouth, sound = self._mouth.rows(), clip.generated.sound
        lack = _lack(mouth, sound, clip.fps)
        if lack is not None or sound is None:
            return dict.fromkeys(self._names, lack or Missing("no sound track"))
        found: dict[str, float | Missing] = {}
        if {CORRELATION, OFFSET} & self._names:
            found |= _offset(mouth[:, :2], sound, clip.fps)
        if DRIFT in self._names:
            found[DRIFT] = _drift(mouth[:, :2], sound, clip.fps)
        if GAP in self._names:
            gap = volume_gap(mouth[:, 2], sound, clip.fps)
            found[GAP] = gap if np.isfinite(gap) else Missing("opening or volume is constant while there is speech")
        return {name: found[name] for name in self._names}


def _lack(mouth: NDArray[np.float64], sound: Sound | None, fps: float) -> Missing | None:
    """Say what keeps mouth and sound from being compared."""
    if sound is None:
        return Missing("no sound track")
    seen = np.count_nonzero(measured(mouth))
    if seen == 0:
        return Missing("no face in any frame")
    if min(seen / fps, sound.duration) < LEAST_SECONDS:
        return Missing(
            f"{seen / fps:.2f} s of face and {sound.duration:.2f} s of sound; needs {LEAST_SECONDS:g} s of both"
        )
    if loud_level(sound) < SILENCE_DB:
        return Missing(f"the sound is silent (95 % of it below {loud_level(sound):.0f} dB of full scale)")
    if (np.nanstd(mouth[:, :2], axis=0) < STILL).any():
        return Missing("the mouth does not move")
    return None


def _offset(mouth: NDArray[np.float64], sound: Sound, fps: float) -> dict[str, float | Missing]:
    lags = lag_grid(fps)
    peak = best_lag(lags, correlogram(mouth, articulation(sound), fps, [Run(0, len(mouth))])[0])
    if peak is None:
        none = Missing(f"mouth and moving sound overlap for less than {LEAST_SECONDS:g} s at every lag")
        return {CORRELATION: none, OFFSET: none}
    beyond = Missing(f"the correlation is largest at the end of the range of {lags[-1] * 1000:.0f} ms either way")
    return {CORRELATION: peak.correlation, OFFSET: peak.lag * 1000 if np.isfinite(peak.lag) else beyond}


def _drift(mouth: NDArray[np.float64], sound: Sound, fps: float) -> float | Missing:
    length, hop = round(DRIFT_WINDOW_SECONDS * fps), max(1, round(DRIFT_HOP_SECONDS * fps))
    windows = [Run(start, start + length) for start in range(0, len(mouth) - length + 1, hop)]
    too_short = Missing(f"needs {DRIFT_LEAST_SECONDS:g} s of mouth and sound; this clip has less")
    if not windows or min(len(mouth) / fps, sound.duration) < DRIFT_LEAST_SECONDS:
        return too_short
    correlation = correlogram(mouth, articulation(sound), fps, windows)
    known = np.isfinite(correlation).all(axis=1)
    centres = np.array([(start + stop) / 2 / fps for start, stop in windows])[known]
    # A last window starts up to one hop before the last place where it would fit.
    covered = np.ptp(centres) + DRIFT_WINDOW_SECONDS + DRIFT_HOP_SECONDS if len(centres) >= 2 else 0.0
    if covered < DRIFT_LEAST_SECONDS:
        return too_short
    slope = drift_of(correlation[known], centres, lag_grid(fps))
    if not np.isfinite(slope):
        return Missing("the drift is beyond the range of the lags")
    return slope * 1000 * 60


def _best_line(correlation: NDArray[np.float64], shifts: NDArray[np.float64]) -> float:
    """Largest mean correlation along lines whose window w is shifted by `shifts[w]` lag steps."""
    last = correlation.shape[1] - 1
    starts = np.arange(correlation.shape[1])
    inside = (starts + shifts.min() >= 0) & (starts + shifts.max() <= last)
    positions = starts[inside] + shifts[:, None]
    below = np.minimum(positions.astype(np.int64), last - 1)
    rows = np.arange(len(shifts))[:, None]
    fraction = positions - below
    values = correlation[rows, below] * (1 - fraction) + correlation[rows, below + 1] * fraction
    return float(values.mean(axis=0).max(initial=-np.inf))


def _vertex(x: NDArray[np.float64], y: NDArray[np.float64], best: int) -> float:
    """Abscissa of the parabola through the largest point and its neighbours; NaN when it has no neighbour."""
    if best in (0, len(y) - 1):
        return math.nan
    left, top, right = y[best - 1 : best + 2]
    bend = left - 2 * top + right
    if not np.isfinite(bend):
        return math.nan
    return float(x[best] + (x[1] - x[0]) * (0.5 * (left - right) / bend if bend < 0 else 0.0))


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(np.ptp(values))
    return (values - values.min()) / spread if spread > 0 else np.full(len(values), np.nan)


def _ratio(a: float, b: float) -> float:
    """Quotient; NaN where a collapsed face leaves nothing to divide by."""
    return a / b if b > 0 else math.nan


def _distance(points: NDArray[np.floating], a: int, b: int) -> float:
    return float(np.linalg.norm(points[a] - points[b]))
