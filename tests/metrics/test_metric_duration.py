"""Lengths and starts of picture and sound."""

from __future__ import annotations

import pytest
from image_helpers import video

from thbench.metrics.duration import DurationObserver, duration_error, length_gap, start_gap
from thbench.metrics.observer import ClipFacts, Missing, VideoFacts

ALL = frozenset({"duration-error", "av-length-gap", "av-start-gap"})


def values(generated: VideoFacts, reference: VideoFacts | None) -> dict[str, float | Missing]:
    return dict(DurationObserver(ALL).values(ClipFacts(25.0, generated, reference)))


def test_equal_files() -> None:
    file = video(4.0, audio_start=0.0, audio_duration=4.0)
    assert values(file, file) == dict.fromkeys(ALL, 0.0)


def test_by_hand() -> None:
    generated = video(4.0, audio_start=0.02, audio_duration=4.1)
    found = values(generated, video(4.5, audio_start=0.0, audio_duration=4.5))
    assert found == pytest.approx({"duration-error": 0.5, "av-start-gap": 20.0, "av-length-gap": 120.0})


def test_signs() -> None:
    early = video(4.0, audio_start=-0.1, audio_duration=3.9)
    assert start_gap(early) == pytest.approx(-100.0)
    assert length_gap(early) == pytest.approx(-200.0)
    assert duration_error(video(4.0), video(3.0)) == duration_error(video(3.0), video(4.0)) == 1.0


def test_without_sound_or_reference() -> None:
    found = values(video(4.0), None)
    assert found == {
        "duration-error": Missing("no reference video"),
        "av-start-gap": Missing("no sound track"),
        "av-length-gap": Missing("no sound track"),
    }
    assert values(video(4.0), video(4.0))["duration-error"] == 0.0


@pytest.mark.parametrize("name", sorted(ALL))
def test_only_what_was_asked(name: str) -> None:
    file = video(1.0, audio_start=0.0, audio_duration=1.0)
    assert DurationObserver(frozenset({name})).values(ClipFacts(25.0, file, file)) == {name: 0.0}
