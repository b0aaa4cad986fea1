"""Memory whose size is known: peaks by stage, allocations, leaks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil
import pytest
from cost_fakes import CLOCK, FakeDevice, protocol, request

from thbench.cost.child import Job, Target
from thbench.cost.host import PeakSampler, busy_core_seconds, high_water, reset_high_water, tree_rss
from thbench.cost.leaks import LIMIT_HOST, growth, leak_check
from thbench.cost.measure import Passes, fresh_process, measure
from thbench.cost.memory import StagePeaks, allocation_peaks, largest
from thbench.cost.record import Bytes

MIB = 2**20


def job(factory: str, task: str, repeats: int = 12) -> Job:
    return Job(task, 0, (Target("m", f"cost_fakes:{factory}"),), request(), protocol(), repeats)  # type: ignore[arg-type]


SHORT_PEAK = """
import numpy as np
from thbench.cost.host import PeakSampler

with PeakSampler() as sampler:
    before = sampler.peak()
    moment = np.ones(200 * 2**20, np.uint8)
    del moment
    print(sampler.peak() - before)
    sampler.restart()
    print(sampler.peak() - before)
"""
"""In a process of its own: what other tests leave may be freed meanwhile."""


def test_a_short_peak_is_seen_and_forgotten() -> None:
    told = subprocess.run([sys.executable, "-c", SHORT_PEAK], capture_output=True, text=True, check=True)
    seen, after = map(int, told.stdout.split())
    assert seen >= 190 * MIB
    assert after < 100 * MIB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's high-water mark is Linux's")
def test_the_high_water_mark_starts_anew() -> None:
    moment = np.ones(200 * MIB, np.uint8)
    top = high_water()
    del moment
    assert reset_high_water()
    assert top is not None and (high_water() or 0) < top - 100 * MIB


def test_children_count() -> None:
    alone = tree_rss()
    code = "import time; x = bytearray(b'1') * (80 * 2**20); print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with PeakSampler() as sampler:
            assert sampler.peak() - alone >= 70 * MIB
            assert not sampler.exact
        child.kill()


def test_other_work_is_seen() -> None:
    before = busy_core_seconds()
    if before is None:
        pytest.skip("the system does not say how busy its cores are")
    stop = psutil.Process().cpu_times().user + 0.3
    while psutil.Process().cpu_times().user < stop:
        pass
    assert (busy_core_seconds() or 0) - before >= 0.25


def test_stages_have_peaks_of_their_own() -> None:
    outcome = fresh_process(job("Hungry", "memory"))
    (trial,) = outcome.memory
    host = {name: peaks.host or 0 for name, peaks in trial.stages.items()}
    assert list(host) == ["load", "small", "large", "rest"]
    base = trial.before.host or 0
    assert 55 * MIB <= host["load"] - base <= 90 * MIB
    assert host["large"] - host["small"] >= 90 * MIB
    assert host["rest"] <= host["large"] - 80 * MIB
    assert trial.peak.host == max(host.values())
    assert outcome.host_exact
    assert trial.peak.allocated is None


def test_parts_of_a_stage_have_one_peak() -> None:
    device = FakeDevice(CLOCK)
    with PeakSampler(device.in_use) as sampler:
        stages = StagePeaks(device, sampler)
        stages.start()
        for size in (5, 9, 7):
            device.peak = size
            stages.on_step("denoise", 0, 3)
    assert stages.stages["denoise"].allocated == 9
    assert stages.stages["denoise"].reserved == 18
    assert stages.stages["denoise"].device == 27


def test_the_largest_of_nothing_known_is_unknown() -> None:
    assert largest([Bytes(host=5), Bytes(host=7, allocated=1)]) == Bytes(host=7, allocated=1)
    assert largest([Bytes()]) == Bytes()


def test_allocations_are_the_peak_of_the_running_sum() -> None:
    events = [(1, 10), (2, 20), (3, -20), (5, 5), (6, -5), (7, 40), (9, -50)]
    ends = [(4, "load"), (6, "denoise"), (8, "denoise"), (10, "rest")]
    assert allocation_peaks(events, ends) == {"load": 30, "denoise": 50, "rest": 50}
    assert allocation_peaks([], [(1, "load")]) == {"load": 0}


def test_torch_allocations_are_exact() -> None:
    found = fresh_process(job("Torchy", "allocations")).allocations
    assert found is not None
    assert found["load"] == pytest.approx(4e6, abs=1e4)
    assert found["denoise"] == pytest.approx(44e6, abs=1e4)
    assert found["rest"] == pytest.approx(4e6, abs=1e4)


def test_a_record_has_allocations_only_of_methods_that_use_torch() -> None:
    def peak(factory: str) -> Bytes:
        record = measure(
            [Target("m", f"cost_fakes:{factory}")],
            request(),
            clip="made",
            protocol=protocol(processes=1, cold_starts=0, warm_ups=0, min_rounds=1),
        )
        (found,) = record.peaks("m")
        return found

    assert peak("Torchy").allocated == pytest.approx(44e6, abs=1e4)
    assert peak("Sleepy").allocated is None
    assert Passes().allocations


def test_a_leak_is_found_and_its_size_is_right() -> None:
    outcome = fresh_process(job("Leaky", "leak"))
    check = leak_check("m", outcome.resident)
    assert check.leaks
    assert check.growth == pytest.approx(2 * MIB, rel=0.2)


def test_a_method_without_a_leak_passes() -> None:
    check = leak_check("m", fresh_process(job("Sleepy", "leak")).resident)
    assert not check.leaks, check


@pytest.mark.parametrize(
    ("values", "leaks"),
    [
        ([0] * 20, False),
        ([int(i * LIMIT_HOST * 2) for i in range(20)], True),
        ([int(i * LIMIT_HOST * 2) for i in range(10)] + [20 * int(LIMIT_HOST)] * 10, False),
        ([0] * 15 + [10**9] * 5, False),
        ([10**9 - int(i * LIMIT_HOST * 2) for i in range(20)], False),
        ([], False),
        ([5], False),
    ],
    ids=["flat", "rising", "warming up", "one jump", "falling", "none", "one"],
)
def test_what_counts_as_a_leak(values: list[int], leaks: bool) -> None:
    assert leak_check("m", values).leaks is leaks


def test_what_a_device_holds_is_exact_so_less_of_it_counts() -> None:
    flat = [0] * 20
    assert leak_check("m", flat, [1024 * i for i in range(20)]).leaks
    assert not leak_check("m", flat, [100 * i for i in range(20)]).leaks


def test_growth_ignores_a_single_jump() -> None:
    assert growth([0] * 18 + [10**9] * 2) == 0.0
