"""Specs of the motion metrics agree with their observers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict

import numpy as np
from motion_helpers import articulated, articulated_samples, bursts, evaluate, make_face, syllables

from thbench.metrics.observer import Missing
from thbench.metrics.sound import analyse
from thbench.metrics.specs_motion import MOTION_METRICS
from thbench.spec import load


def test_names_and_protocols_are_unique() -> None:
    assert len({spec.name for spec in MOTION_METRICS}) == len(MOTION_METRICS)
    assert len({spec.protocol_id for spec in MOTION_METRICS}) == len(MOTION_METRICS)


def test_each_observer_gives_each_of_its_metrics_alone_and_together_within_range() -> None:
    rng = np.random.default_rng(0)
    signal = syllables(3200, 2, rng)
    beats = [bursts(np.sort(rng.uniform(0, 31, 40)), 32, rng) for _ in range(2)]
    sound, other = analyse([articulated_samples(signal, rng) + beats[0]]), analyse([beats[1]])
    pose = syllables(3200, 3, rng)[::4] * 5
    faces = [
        make_face(
            opening=0.3 + 0.05 * gap,
            width=60 * np.exp(-0.05 * jaw),
            eye=0.05 if k % 90 in (3, 4, 5) else 0.3,
            degrees=turn,
        )
        for k, ((gap, jaw), turn) in enumerate(zip(signal[::4], pose, strict=True))
    ]
    by_observer = defaultdict(list)
    for spec in MOTION_METRICS:
        by_observer[spec.observer].append(spec)
    for target, specs in by_observer.items():
        observer = load(target, purpose="test")
        together = evaluate(observer, {spec.name for spec in specs}, faces, sound, reference=faces, others=(other,))
        for spec in specs:
            value = together[spec.name]
            assert not isinstance(value, Missing), (spec.name, value)
            assert spec.low <= value <= spec.high, (spec.name, value)
            assert np.isfinite(value)
            alone = evaluate(observer, {spec.name}, faces, sound, reference=faces, others=(other,))
            assert alone == {spec.name: value}


def test_a_second_clip_does_not_depend_on_the_first() -> None:
    """State must not leak: the same clip after another clip has the same values."""
    rng = np.random.default_rng(1)
    signal = syllables(800, 2, rng)
    sound = articulated(signal, rng)
    faces = [make_face(opening=0.3 + 0.05 * a, width=60 + b, degrees=(a, b, 0)) for a, b in signal[::4]]
    for target in {spec.observer for spec in MOTION_METRICS}:
        names = {spec.name for spec in MOTION_METRICS if spec.observer == target}
        observer = load(target, purpose="test")
        first = evaluate(observer, names, faces, sound)
        evaluate(observer, names, faces[::-1], sound)
        assert evaluate(observer, names, faces, sound) == first


def test_specs_import_nothing_heavy() -> None:
    code = "import json, sys, thbench.metrics.specs_motion; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not {"numpy", "scipy", "cv2", "torch", "mediapipe", "av"} & set(loaded)
