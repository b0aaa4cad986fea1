"""Scores all generated videos of one clip against their reference in one pass.

The reference and every generated video advance in step, instant by instant; each is decoded once, its faces are found
once, and every observer sees every moment.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thbench.errors import MediaError, MissingWeightsError, WeightsMismatchError
from thbench.evaluate.stream import VideoStream
from thbench.metrics.observer import ClipFacts, FeatureObserver, Missing, Moment, Observer, View
from thbench.spec import MetricSpec, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from thbench.evaluate.settings import Settings
    from thbench.faces import FaceTracker
    from thbench.faces.face import Face
    from thbench.metrics.available import Selection
    from thbench.metrics.sound import Sound


@dataclass(frozen=True, slots=True)
class Scores:
    """What one generated video scored."""

    values: Mapping[str, float] = field(default_factory=dict)
    """Metric name to value."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Metric name to the reason why it has no value."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was seen."""
    warnings: tuple[str, ...] = ()
    """What a reader of the numbers should know."""
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Extractor to features of this video, for metrics of sets of videos."""
    error: str | None = None
    """Why the video could not be scored at all."""


@dataclass(frozen=True, slots=True)
class Team:
    """The observers of one video."""

    observers: tuple[Observer | FeatureObserver, ...]
    """One for each group of metrics that share their work."""
    refused: Mapping[str, str]
    """Metrics whose observer could not be made (a wrong or damaged weight file), with the reason."""


class _Track:
    """One generated video on its way through the pass."""

    def __init__(self, stream: VideoStream, team: Team) -> None:
        self.stream = stream
        self.observers = team.observers
        self.refused = team.refused
        self.ended = False


def evaluate_clip(
    generated: Mapping[str, Path],
    reference: Path | None,
    *,
    selection: Selection,
    settings: Settings,
    new_tracker: Callable[[], FaceTracker] | None,
    other_sounds: Callable[[], tuple[Sound, ...]] = tuple,
    seed: int = 0,
    on_instant: Callable[[int], None] | None = None,
    new_view: Callable[[NDArray[np.uint8], Face | None], View] = View,
    together: bool = False,
) -> dict[str, Scores]:
    """Score the generated videos of one clip.

    Args:
        generated: Name to video file. A file that is the reference itself (the ground-truth row) is not read twice.
        reference: The reference video; None scores only what needs none.
        selection: The metrics.
        settings: Choices of the pass.
        new_tracker: Gives a fresh face tracker for each video; None when faces cannot or need not be found.
        other_sounds: Gives the sound of other clips, for chance levels.
        seed: Seed of everything drawn at random.
        on_instant: Called with the number of instants done.
        new_view: Makes the view of a frame and its face; for equal ones it may give one that it gave before, so that
            what observers make once for a view is not made again.
        together: Whether videos are read in threads of their own; their trackers then share no detector.

    Returns:
        Scores by the names of `generated`. A video that cannot be read has an `error`; the others are scored anyway.
    """
    with ExitStack() as closing:
        opened = _open_all(generated, reference, selection, settings, new_tracker, new_view, closing)
        reference_stream = opened.get(reference) if reference else None
        tracks: dict[str, _Track] = {}
        scores: dict[str, Scores] = {}
        has_reference = isinstance(reference_stream, VideoStream)
        for name, path in generated.items():
            stream = opened[path]
            if isinstance(stream, MediaError):
                scores[name] = Scores(error=str(stream))
            else:
                team = _team(_asked(selection, has_reference), curves=new_tracker is not None and selection.needs_faces)
                tracks[name] = _Track(stream, team)
        known = reference_stream if isinstance(reference_stream, VideoStream) else None
        _run(tracks, known, on_instant, closing.enter_context(ThreadPoolExecutor()).map if together else map)
        sounds = other_sounds() if selection.needs_audio else ()
        for name, track in tracks.items():
            scores[name] = _finish(track, reference_stream, selection, settings, sounds, seed)
    return {name: scores[name] for name in generated}


def _open_all(
    generated: Mapping[str, Path],
    reference: Path | None,
    selection: Selection,
    settings: Settings,
    new_tracker: Callable[[], FaceTracker] | None,
    new_view: Callable[[NDArray[np.uint8], Face | None], View],
    closing: ExitStack,
) -> dict[Path, VideoStream | MediaError]:
    opened: dict[Path, VideoStream | MediaError] = {}
    for path in {**dict.fromkeys([reference] if reference else []), **dict.fromkeys(generated.values())}:
        tracker = closing.enter_context(new_tracker()) if new_tracker and selection.needs_faces else None
        try:
            stream = VideoStream(
                path, settings.fps, tracker=tracker, with_sound=selection.needs_audio, new_view=new_view
            )
        except MediaError as error:
            opened[path] = error
            continue
        closing.callback(stream.close)
        opened[path] = stream
    return opened


def _asked(selection: Selection, has_reference: bool) -> tuple[MetricSpec, ...]:
    return tuple(s for s in selection.computable if has_reference or "reference" not in s.needs)


def _team(specs: Iterable[MetricSpec], *, curves: bool) -> Team:
    """The observers of the metrics, and where faces are found the one that keeps what reports draw."""
    names: dict[str, set[str]] = defaultdict(set)
    for spec in specs:
        names[spec.observer].add(spec.name)
    observers: list[Observer | FeatureObserver] = []
    refused: dict[str, str] = {}
    for target, wanted in names.items():
        try:
            observers.append(load(target, purpose=f"metric {min(wanted)!r}")(frozenset(wanted)))
        except (MissingWeightsError, WeightsMismatchError) as error:
            refused |= _refused_alone(target, wanted, str(error), observers)
    if curves:
        from thbench.metrics.observe_curves import CurveObserver

        observers.append(CurveObserver())
    return Team(tuple(observers), refused)


def _refused_alone(
    target: str, wanted: set[str], reason: str, observers: list[Observer | FeatureObserver]
) -> dict[str, str]:
    """Make an observer for each metric alone where one for all cannot be made; say which are refused still."""
    if len(wanted) == 1:
        return dict.fromkeys(wanted, reason)
    refused: dict[str, str] = {}
    for name in sorted(wanted):
        try:
            observers.append(load(target, purpose=f"metric {name!r}")(frozenset({name})))
        except (MissingWeightsError, WeightsMismatchError) as error:
            refused[name] = str(error)
    return refused


def _run(
    tracks: Mapping[str, _Track],
    reference: VideoStream | None,
    on_instant: Callable[[int], None] | None,
    each: Callable[[Callable[[VideoStream], View | None], Iterable[VideoStream]], Iterable[View | None]],
) -> None:
    """Advance all streams in step until every generated video has ended; `each` is a `map`."""
    index = 0
    known = [reference] if reference else []
    while not all(track.ended for track in tracks.values()):
        running = dict.fromkeys([*known, *(track.stream for track in tracks.values() if not track.ended)])
        views = dict(zip(running, each(VideoStream.next, running), strict=True))
        reference_view = views[reference] if reference and known else None
        if reference_view is None:
            known = []
        for track in tracks.values():
            if track.ended:
                continue
            view = views[track.stream]
            if view is None:
                track.ended = True
                continue
            moment = Moment(index, view, reference_view)
            for observer in track.observers:
                observer.observe(moment)
        index += 1
        if on_instant:
            on_instant(index)


def _finish(
    track: _Track,
    reference: VideoStream | MediaError | None,
    selection: Selection,
    settings: Settings,
    other_sounds: tuple[Sound, ...],
    seed: int,
) -> Scores:
    stream = track.stream
    if stream.error is not None:
        return Scores(error=str(stream.error), counts={"frames": stream.seen})
    if stream.seen == 0:
        return Scores(error=f"{stream.path} holds no frame; give a video with at least one frame")
    broken = reference if isinstance(reference, MediaError) else reference.error if reference else None
    reference_stream = reference if isinstance(reference, VideoStream) and broken is None else None
    clip = ClipFacts(
        fps=settings.fps,
        generated=stream.facts(),
        reference=reference_stream.facts() if reference_stream else None,
        other_sounds=other_sounds,
        seed=seed,
    )
    found: dict[str, float | Missing] = {name: Missing(reason) for name, reason in track.refused.items()}
    features: dict[str, NDArray[np.float32] | Missing] = {}
    for observer in track.observers:
        # Some give both; features may be what was found on the way to values.
        if isinstance(observer, Observer):
            found.update(observer.values(clip))
        if isinstance(observer, FeatureObserver):
            features.update(observer.features(clip))
    gates = _gates(stream, reference_stream, broken, clip)
    values: dict[str, float] = {}
    missing: dict[str, str] = dict(selection.lacking)
    for spec in selection.computable:
        reason = next((gates[need] for need in sorted(spec.needs) if need in gates), None)
        value = Missing(reason) if reason else _outcome(spec, found, features)
        if isinstance(value, Missing):
            missing[spec.name] = value.reason
        elif value is not None:
            values[spec.name] = float(value)
    return Scores(
        values,
        missing,
        _counts(stream, reference_stream),
        _warnings(stream, reference_stream),
        {name: rows for name, rows in features.items() if not isinstance(rows, Missing)},
    )


def _outcome(
    spec: MetricSpec,
    found: Mapping[str, float | Missing],
    features: Mapping[str, NDArray[np.float32] | Missing],
) -> float | Missing | None:
    """The value of a metric or the reason why there is none; None where its features are there instead."""
    if spec.statistic is None or spec.name in found:
        return found[spec.name]
    rows = features[spec.statistic.extractor]
    return rows if isinstance(rows, Missing) else None


def _gates(
    stream: VideoStream, reference: VideoStream | None, broken: MediaError | None, clip: ClipFacts
) -> dict[str, str]:
    """What this clip lacks: need -> reason, for all metrics that have the need."""
    gates: dict[str, str] = {}
    if clip.generated.sound is None:
        gates["audio"] = "no sound track"
    if stream.faces_failed or (reference and reference.faces_failed):
        gates["face"] = f"no face in {stream.faces_missing} of {stream.seen} frames (missing-face policy: fail)"
    elif stream.seen and stream.faces_missing == stream.seen:
        gates["face"] = "no face in any frame"
    if reference is None:
        gates["reference"] = f"reference unreadable: {broken}" if broken else "no reference video"
    return gates


def _counts(stream: VideoStream, reference: VideoStream | None) -> dict[str, int]:
    counts = {"frames": stream.seen, "faces_missing": stream.faces_missing}
    if reference is not None:
        counts |= {"reference_frames": reference.seen, "reference_faces_missing": reference.faces_missing}
    return counts


def _warnings(stream: VideoStream, reference: VideoStream | None) -> tuple[str, ...]:
    warnings = list(stream.info.warnings)
    if stream.faces_missing:
        warnings.append(f"no face in {stream.faces_missing} of {stream.seen} frames")
    if reference is not None and reference is not stream and reference.faces_missing:
        warnings.append(f"no face in {reference.faces_missing} of {reference.seen} reference frames")
    if reference is not None and reference is not stream:
        ours, theirs = stream.info, reference.info
        if abs(stream.duration - reference.duration) > 0.5 / stream.fps:
            warnings.append(
                f"lengths differ: generated {stream.duration:.3f} s, reference {reference.duration:.3f} s; "
                "compared up to the shorter"
            )
        if (ours.width, ours.height) != (theirs.width, theirs.height):
            warnings.append(
                f"sizes differ: generated {ours.width}x{ours.height}, reference {theirs.width}x{theirs.height}"
            )
        if ours.average_rate != theirs.average_rate:
            warnings.append(
                f"frame rates differ: generated {float(ours.average_rate):.3f}, "
                f"reference {float(theirs.average_rate):.3f}; both evaluated at {stream.fps:g} by their timestamps"
            )
    return tuple(warnings)
