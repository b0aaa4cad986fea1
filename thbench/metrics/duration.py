"""Lengths and starts of picture and sound, by the timestamps of the files alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.metrics.observer import Missing

if TYPE_CHECKING:
    from thbench.metrics.observer import ClipFacts, Moment, Values, VideoFacts

MILLISECONDS = 1000.0


def duration_error(generated: VideoFacts, reference: VideoFacts) -> float:
    """Return |generated - reference| in seconds of picture."""
    return abs(generated.duration - reference.duration)


def start_gap(video: VideoFacts) -> float | Missing:
    """Return how many milliseconds after the picture the sound starts; negative when it starts before."""
    if video.audio_duration is None:
        return Missing("no sound track")
    return video.audio_start * MILLISECONDS


def length_gap(video: VideoFacts) -> float | Missing:
    """Return how many milliseconds after the picture the sound ends; negative when it ends before."""
    if video.audio_duration is None:
        return Missing("no sound track")
    return (video.audio_start + video.audio_duration - video.duration) * MILLISECONDS


class DurationObserver:
    """Reads the facts of the files; looks at no frame."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted

    def observe(self, moment: Moment) -> None:
        """Do nothing."""

    def values(self, clip: ClipFacts) -> Values:
        """Return lengths and starts."""
        no_reference = Missing("no reference video")
        everything: dict[str, float | Missing] = {
            "duration-error": duration_error(clip.generated, clip.reference) if clip.reference else no_reference,
            "av-start-gap": start_gap(clip.generated),
            "av-length-gap": length_gap(clip.generated),
        }
        return {name: everything[name] for name in self._wanted}
