"""Specs of the image, landmark and length metrics agree with their observers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from image_helpers import face68, natural, noisy, real_face, video

from thbench.metrics.observer import ClipFacts, Missing, Moment, Values, View
from thbench.metrics.specs_image import COLOUR_METRICS, IMAGE_METRICS
from thbench.spec import MetricSpec, load

EVERYTHING = IMAGE_METRICS + COLOUR_METRICS


def by_observer() -> dict[str, list[MetricSpec]]:
    groups = defaultdict(list)
    for spec in EVERYTHING:
        groups[spec.observer].append(spec)
    return groups


def clip(frames: int = 4, seed: int = 0) -> list[Moment]:
    rng = np.random.default_rng(seed)
    moments = []
    for n in range(frames):
        reference = natural(176, 181, seed + n, channels=3)
        faces = [face68(real_face() + rng.normal(0, 2, (68, 2))) for _ in range(2)]
        moments.append(Moment(n, View(noisy(reference, 5, n), faces[0]), View(reference, faces[1])))
    return moments


def watch(target: str, names: set[str], moments: list[Moment]) -> Values:
    observer = load(target, purpose="test")(frozenset(names))
    for moment in moments:
        observer.observe(moment)
    facts = video(4.0, audio_start=0.01, audio_duration=4.1)
    return observer.values(ClipFacts(25.0, facts, video(3.9)))  # type: ignore[no-any-return]


def test_names_and_protocols_are_unique() -> None:
    assert len({spec.name for spec in EVERYTHING}) == len(EVERYTHING)
    families = defaultdict(list)
    for spec in EVERYTHING:
        families[spec.name.partition("/")[0]].append(spec.protocol)
    assert all(len(set(protocols)) == len(protocols) for protocols in families.values())


@pytest.mark.parametrize("target", sorted(by_observer()))
def test_each_metric_alone_and_among_all_within_range(target: str) -> None:
    specs, moments = by_observer()[target], clip()
    together = watch(target, {spec.name for spec in specs}, moments)
    assert together.keys() == {spec.name for spec in specs}
    for spec in specs:
        value = together[spec.name]
        assert not isinstance(value, Missing), (spec.name, value)
        assert math.isfinite(value)
        assert spec.low <= value <= spec.high
        assert watch(target, {spec.name}, moments) == {spec.name: value}


@pytest.mark.parametrize("target", sorted(by_observer()))
def test_a_second_clip_does_not_depend_on_the_first(target: str) -> None:
    names = {spec.name for spec in by_observer()[target]}
    alone = watch(target, names, clip(seed=7))
    watch(target, names, clip(seed=100))
    assert watch(target, names, clip(seed=7)) == alone


@pytest.mark.parametrize("target", sorted(by_observer()))
def test_a_clip_of_no_frames_is_missing_or_known_from_the_file(target: str) -> None:
    for name, value in watch(target, {spec.name for spec in by_observer()[target]}, []).items():
        assert isinstance(value, Missing) or target.endswith("DurationObserver"), name


@pytest.mark.parametrize("target", sorted(by_observer()))
def test_ground_truth_row_is_perfect(target: str) -> None:
    """The reference scored against itself has the best value of every metric that has one."""
    moments = [Moment(m.index, m.reference, m.reference) for m in clip()]
    specs = [spec for spec in by_observer()[target] if "reference" in spec.needs and spec.name != "duration-error"]
    values = watch(target, {spec.name for spec in specs}, moments)
    for spec in specs:
        assert values[spec.name] == (spec.high if spec.direction == "higher" else spec.low), spec.name


def test_reference_is_needed_by_what_compares() -> None:
    free = {spec.name for spec in EVERYTHING if "reference" not in spec.needs}
    assert free == {"flicker", "landmark-jitter", "landmark-jitter/shape", "av-length-gap", "av-start-gap"}


def test_specs_import_nothing_heavy() -> None:
    code = "import json, sys, thbench.metrics.specs_image; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not {"numpy", "scipy", "cv2", "torch", "mediapipe", "av"} & set(loaded)
