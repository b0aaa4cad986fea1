"""Calibration, receipts, audit and bench."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accel_nets import Case, case, foreground
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from thbench.accel import (
    EveryStep,
    ForegroundAttention,
    LightningCP,
    OneByOne,
    ReferenceRemoval,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    sample,
    spread_keys,
)
from thbench.accel.bench import BenchReport, Entry, bench, counted, ratio_interval
from thbench.accel.bench import figure as bench_figure
from thbench.accel.bench import write as write_bench
from thbench.accel.calibrate import (
    Recorder,
    Sampling,
    calibrate,
    calibrated,
    cosines_of,
    cost_of,
    distances_of,
    inner_products,
    key_steps,
    read,
    write,
)
from thbench.accel.receipts import Hits, audit, described, difference, digest, receipt
from thbench.cost.device import HostDevice
from thbench.errors import UsageError

STEPS = 4


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def run_of(given: Case, steps: int = STEPS) -> Sampling:
    return Sampling(given.denoiser, given.schedule(steps), given.noise, given.condition)


square = st.integers(1, 7).flatmap(lambda n: arrays(np.float64, (n, n), elements=st.floats(0, 10)))


@settings(max_examples=60, deadline=None)
@given(square, st.data())
def test_key_steps_are_the_best_of_all(distances: np.ndarray, data: Any) -> None:
    np.fill_diagonal(distances, 0)
    steps = len(distances)
    count = data.draw(st.integers(1, steps))
    keys, cost = key_steps(distances, count)
    assert len(keys) == count and keys[0] == 0 and list(keys) == sorted(set(keys))
    assert cost == pytest.approx(cost_of(distances, keys))
    others = (cost_of(distances, (0, *rest)) for rest in itertools.combinations(range(1, steps), count - 1))
    assert cost == pytest.approx(min(others))


def test_key_steps_are_dense_where_features_change() -> None:
    position = np.cumsum([0, 5, 4, 3, *[0.1] * 12, 2, 3, 4])
    distances = np.abs(position[None] - position[:, None])
    keys, cost = key_steps(distances, 8)
    assert keys[:4] == (0, 1, 2, 3)
    assert keys[-3:] == (16, 17, 18)
    assert cost < cost_of(distances, spread_keys(len(position), 8)) / 2
    for count in (0, 20):
        with pytest.raises(UsageError, match="key steps of 19"):
            key_steps(distances, count)


def test_distances_and_cosines_are_those_of_the_vectors() -> None:
    features = [torch.randn(50, generator=torch.Generator().manual_seed(i)) + 10 for i in range(4)]
    products = inner_products(features)
    for i, j in itertools.product(range(4), repeat=2):
        wanted = (features[j] - features[i]).norm() / features[i].norm()
        assert distances_of(products)[i, j] == pytest.approx(float(wanted), abs=1e-6)
        cosine = torch.cosine_similarity(features[i], features[j], dim=0)
        assert cosines_of(products)[i, j] == pytest.approx(float(cosine), abs=1e-6)


@pytest.mark.parametrize("name", ["echomimic"])
def test_calibration_of_a_method(name: str, tmp_path: Path) -> None:
    runs = [(f"clip-{seed}", run_of(case(name, seed=seed), 4)) for seed in (1, 2)]
    found = calibrate([*runs, runs[1]], method=f"{name}@tiny", count=3)
    assert found.clips == ("clip-1", "clip-2")
    assert (found.steps, len(found.key_steps), found.key_steps[0]) == (4, 3, 0)
    assert found.cost <= found.uniform_cost
    assert found.distances[2][2] == pytest.approx(0, abs=1e-6)
    assert found.distances[0][3] > 0
    again = calibrate([*runs, runs[1]], method=f"{name}@tiny", count=3)
    assert again == found
    write(found, tmp_path / "key_steps.json")
    assert read(tmp_path / "key_steps.json") == found
    assert (tmp_path / "key_steps.png").stat().st_size > 5000


def test_calibration_needs_full_passes_and_equal_lengths(tmp_path: Path) -> None:
    given, recorder = run_of(case("echomimic")), Recorder()
    with pytest.raises(UsageError, match="step 1 ran shallow"):
        sample(given.denoiser, given.schedule, given.noise, given.condition, LightningCP((0,)), recorder)
    with pytest.raises(UsageError, match="no steps"):
        calibrated(Recorder(), method="m", clips=["c"], count=1)
    two = [("a", run_of(case("echomimic"), 2)), ("b", run_of(case("echomimic"), 3))]
    with pytest.raises(UsageError, match=r"\[2, 3\] steps"):
        calibrate(two, method="m", count=1)
    with pytest.raises(UsageError, match="no calibration"):
        read(tmp_path / "absent.json")


def test_hits_are_counted() -> None:
    given, hits = run_of(case("hallo"), 6), Hits()
    plan = LightningCP((0, 1), None)
    sample(given.denoiser, given.schedule, given.noise, given.condition, plan, hits)
    assert hits.kinds == {"full": 2, "shallow": 4}
    assert hits.evaluations == 3
    assert hits.rate == pytest.approx(4 / 6)
    one_by_one = Hits()
    sample(given.denoiser, given.schedule, given.noise, given.condition, LightningCP((0, 1)), one_by_one)
    assert one_by_one.evaluations == 6
    assert Hits().rate == 0


def decode(latents: torch.Tensor) -> np.ndarray:
    pixels = (latents[0, :3].movedim(1, 0).movedim(1, -1).sigmoid() * 255).round().to(torch.uint8)
    return pixels.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2).numpy()


def test_a_receipt_says_what_differs() -> None:
    given = case("echomimic")
    network, steps = given.denoiser.denoiser, 3
    plan = LightningCP((0,), changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    found = receipt(run_of(given, steps), plan, network, decode=decode)
    assert found.hits == {"full": 1, "shallow": 2}
    assert found.flop_ratio > 1.5
    assert found.latent_change > 0
    assert found.output is not None and 5 < found.output.psnr < 90 and 0 < found.output.ssim < 1
    assert found.noise == digest(given.noise)
    same = receipt(run_of(given, steps), LightningCP((0, 1, 2)), network, decode=decode)
    assert (same.latent_change, same.flop_ratio) == (0, 1)
    assert math.isinf(same.output.psnr) and same.output.ssim == pytest.approx(1)
    other = receipt(run_of(case("echomimic", seed=3), steps), plan, network, decode=decode)
    assert other.noise != found.noise and other.condition != found.condition and other.weights == found.weights


def test_a_receipt_of_fewer_steps_needs_the_same_clip() -> None:
    given = case("echomimic")
    found = receipt(run_of(given, 4), EveryStep(), given.denoiser.denoiser, fewer=run_of(given, 2))
    assert found.steps == (4, 2)
    assert found.flop_ratio == pytest.approx(2)
    with pytest.raises(UsageError, match="more than their schedule"):
        receipt(run_of(given), EveryStep(), given.denoiser.denoiser, fewer=run_of(case("echomimic", seed=5), 2))


def test_digests_tell_values_shapes_and_types_apart() -> None:
    values = [torch.zeros(2), torch.zeros(2, 1), torch.zeros(2, dtype=torch.float64), torch.ones(2), [1, 2], [12]]
    assert len({digest(value) for value in values}) == len(values)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_plans_in_words() -> None:
    dfa, removal = ForegroundAttention(foreground()), ReferenceRemoval()
    text = described(LightningCP((0, 2), changes=(dfa, removal)))
    assert text.startswith("LightningCP: 2 key steps (0, 2), step by step; foreground attention (reference, audio")
    assert "in 50.0% of the picture; no reference in the last layer at cached steps" in text
    assert described(EveryStep()) == "EveryStep"
    assert "last 2 up layers" in described(deep_cache((0,)))
    assert "decoder on the encoder's features; initial noise x 0.003 below time 500" in described(
        faster_diffusion((0,))
    )
    assert "guidance reused" in described(cached_guidance(2))


def test_frames_of_other_size_are_not_compared() -> None:
    with pytest.raises(UsageError, match="only equal ones"):
        difference(np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 65, 3), np.uint8))


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_audit_finds_what_is_kept() -> None:
    clock = Clock()
    kept: set[int] = set()

    def memoising(sample_number: int) -> None:
        clock.now += 0.1 if sample_number in kept else 1.0
        kept.add(sample_number)

    def honest(sample_number: int) -> None:
        clock.now += 1.0 if sample_number else 0.95

    found = audit(memoising, rounds=5, clock=clock)
    assert found.gain == pytest.approx(0.9)
    assert not found.passed
    fair = audit(honest, rounds=5, clock=clock)
    assert fair.gain == pytest.approx(0.05)
    assert fair.passed and len(fair.same) == len(fair.different) == 5


def test_the_loop_keeps_nothing_between_clips() -> None:
    """Counted in operations rather than in time: the same clip again costs exactly what a new one does."""
    plan = LightningCP((0,), changes=(ForegroundAttention(foreground()),))
    given = case("echomimic")
    runs = [Entry(str(i), replace(run_of(given, 2), noise=given.noise + i % 2), plan) for i in range(3)]
    assert len(set(counted(runs).values())) == 1


def test_a_bench_compares_with_the_first() -> None:
    given = case("echomimic")
    entries = [
        Entry("base", run_of(given, 3)),
        Entry("lcp", run_of(given, 3), LightningCP((0,))),
        Entry("parallel", run_of(given, 3), LightningCP((0,), None, together=OneByOne())),
    ]
    flops = counted(entries)
    seen: list[str] = []

    def told(name: str, number: int) -> None:
        seen.append(name)

    class Fake(HostDevice):
        """Each loop takes what its operations say."""

        def between(self, start: float, end: float) -> float:
            return flops[seen[-1]] / 1e9

    found = bench(entries, Fake(), rounds=3, warm_ups=1, flops=flops, watching=told)
    assert len(seen) == 4 * 3
    assert {len(entry.seconds) for entry in found.values()} == {3}
    assert found["base"].speedup == 1
    assert found["lcp"].speedup == pytest.approx(flops["base"] / flops["lcp"])
    assert found["lcp"].share == pytest.approx(1)
    assert found["lcp"].low <= found["lcp"].speedup <= found["lcp"].high


def test_intervals_hold_the_ratio() -> None:
    mean, low, high = ratio_interval([2.0, 2.2, 1.8], [1.0, 1.0, 1.0])
    assert low < mean < high
    assert mean == pytest.approx((2 * 2.2 * 1.8) ** (1 / 3))
    assert math.isnan(ratio_interval([2.0], [1.0])[1])


def test_a_bench_is_written_with_its_figure(tmp_path: Path) -> None:
    given = case("hallo")
    entries = [Entry("base", run_of(given, 2)), Entry("lcp", run_of(given, 2), LightningCP((0,)))]
    report = BenchReport(
        title="tiny",
        device="cpu",
        dtype="float32",
        torch=torch.__version__,
        entries=bench(entries, HostDevice(), rounds=1, warm_ups=0),
    )
    write_bench([report, report], tmp_path / "deep" / "cpu.json")
    read_back = json.loads((tmp_path / "deep" / "cpu.json").read_text())
    assert [r["title"] for r in read_back["reports"]] == ["tiny", "tiny"]
    assert read_back["reports"][0]["entries"]["lcp"]["low"] == "NaN"
    assert (tmp_path / "deep" / "cpu.png").stat().st_size > 5000
    assert len(bench_figure([report]).axes) == 1
