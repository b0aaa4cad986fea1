"""Frames per second of the renderer of synthetic heads."""

from __future__ import annotations

import time

import numpy as np
import pytest

from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.motion import Motion
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene

FRAMES = 20


def moving(frames: int) -> Motion:
    rng = np.random.default_rng(0)
    expression = 0.4 * rng.random((frames, len(EXPRESSIONS)), dtype=np.float32)
    angles = rng.normal(0, 6, (frames, 5)).astype(np.float32)
    place = np.zeros((frames, 3), dtype=np.float32)
    return Motion(25.0, expression, angles[:, 3:], angles[:, :3], place, place)


@pytest.mark.parametrize("size", [64, 128, 256, 512])
@pytest.mark.parametrize("person", [1, 8])
def test_render(benchmark, size, person):
    model, scene, motion = make_model(make_person(person), max(2 * size, 256)), make_scene(person), moving(FRAMES)
    busy: list[float] = []

    def draw() -> None:
        start = time.process_time()
        for _ in render(model, motion, scene, size):
            pass
        busy.append(time.process_time() - start)

    benchmark.pedantic(draw, rounds=3, warmup_rounds=1)
    if benchmark.stats is not None:  # None with --benchmark-disable
        benchmark.extra_info["frames_per_second"] = FRAMES / benchmark.stats["median"]
    # What one core gives, also where other programs share the machine.
    benchmark.extra_info["frames_per_cpu_second"] = FRAMES / min(busy)


def test_prepare(benchmark):
    benchmark.pedantic(lambda: make_model(make_person(3), 256), rounds=3, warmup_rounds=1)
