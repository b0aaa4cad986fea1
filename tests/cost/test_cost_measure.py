"""The whole measurement: under a scripted clock in this process, and for real in fresh ones."""

from __future__ import annotations

import pytest
from cost_fakes import CLOCK, FakeDevice, protocol, request

from thbench.cost.child import CostWorker, Job, Outcome, Target
from thbench.cost.measure import Passes, fresh_process, measure, plan, shortened, workload_of
from thbench.cost.record import CostRecord
from thbench.cost.watch import Clocks
from thbench.errors import MethodError

TIME_ONLY = Passes(memory=0)


def scripted(*targets: Target, passes: Passes = TIME_ONLY, **changes: object) -> CostRecord:
    worker = CostWorker(Clocks(CLOCK, CLOCK))

    def launch(job: Job) -> Outcome:
        return worker(job, lambda done: None)

    return measure(targets, request(), clip="made", protocol=protocol(**changes), passes=passes, launch=launch)


BASE = Target("m", "cost_fakes:Scripted")
FAST = Target("m+fast", "cost_fakes:Scripted", accelerations=("fast",))


@pytest.fixture(autouse=True)
def fake_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real" not in request.node.name:
        monkeypatch.setattr("thbench.cost.child.open_device", lambda name: FakeDevice(CLOCK))
        # There is much more to collect here than in a fresh process.
        monkeypatch.setattr("gc.collect", lambda: 0)


def test_cold_first_steady_and_end_to_end_are_apart() -> None:
    record = scripted(BASE)
    found = record.summaries["m"]
    assert found["cold/load"].mean == pytest.approx(4.0)
    assert found["cold/end-to-end"].mean == pytest.approx(7.75)
    assert found["end-to-end"].mean == pytest.approx(3.75)
    assert found["first-frame"].mean == pytest.approx(2.75)
    assert found["frame"].mean == pytest.approx(0.25)
    assert found["step/denoise"].mean == pytest.approx(1.5)
    assert [t.kind for t in record.trials].count("warm-up") == 2
    assert (record.conditions.device, record.conditions.device_name) == ("fake:0", "a made device")
    assert record.conditions.cuda == "99.9"


def test_the_speed_up_is_the_scripted_one() -> None:
    record = scripted(BASE, FAST, processes=3)
    found = {c.measure: c for c in record.comparisons}
    assert found["end-to-end"].ratio == pytest.approx(2.0)
    assert found["end-to-end"].pairs == 6
    assert (found["end-to-end"].low, found["end-to-end"].high) == (pytest.approx(2.0), pytest.approx(2.0))
    # What the method says by itself was not accelerated.
    assert found["stage/audio"].ratio == pytest.approx(1.0)


def test_every_round_has_all_variants_in_changing_order() -> None:
    record = scripted(BASE, FAST, processes=4, min_rounds=5, max_rounds=5)
    first: set[str] = set()
    for process in range(4):
        for round_ in range(5):
            trials = [t for t in record.trials if t.kind == "measured" and (t.process, t.round) == (process, round_)]
            assert {t.variant for t in trials} == {"m", "m+fast"}
            assert sorted(t.position for t in trials) == [0, 1]
            first.add(next(t.variant for t in trials if t.position == 0))
    assert first == {"m", "m+fast"}


def test_the_order_is_the_same_for_the_same_seed() -> None:
    def order(seed: int) -> list[tuple[str, int]]:
        return [(t.variant, t.position) for t in scripted(BASE, FAST, seed=seed, min_rounds=5).trials]

    assert order(3) == order(3)
    assert order(3) != order(4)


def test_rounds_go_on_until_the_least_time_and_stop_at_the_most() -> None:
    # A generation takes 3.75 s.
    assert len(scripted(BASE, min_rounds=1, min_seconds=7.6, processes=1).values("m", "end-to-end")) == 3
    assert len(scripted(BASE, min_rounds=4, min_seconds=0, processes=1).values("m", "end-to-end")) == 4
    capped = scripted(BASE, min_rounds=1, min_seconds=1e9, max_rounds=5, processes=1)
    assert len(capped.values("m", "end-to-end")) == 5
    assert "too-short" in {w.kind for w in capped.warnings}


def test_processes_are_shuffled_and_memory_comes_after_time() -> None:
    jobs = plan([BASE, FAST], request(), protocol(processes=3, cold_starts=2), Passes(memory=1, leak_repeats=3))
    tasks = [job.task for job in jobs]
    assert tasks.count("cold") == 4 and tasks.count("interleaved") == 3
    assert set(tasks[:7]) == {"cold", "interleaved"} and tasks[:4] != ["cold"] * 4
    assert tasks[7:] == ["memory", "memory", "leak", "leak", "allocations", "allocations"]


def test_a_method_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(MethodError, match=r"m cannot be timed: this one refuses"):
        scripted(Target("m", "cost_fakes:Refuses"))


def test_a_shorter_request_has_as_much_of_the_sound() -> None:
    whole = request(frames=10)
    part = shortened(whole, 4)
    assert part.frames == 4
    assert part.audio.duration == pytest.approx(4 / 25)
    assert shortened(whole, 99).frames == 10


def test_the_workload_is_told_apart_by_its_content() -> None:
    one, other = request(frames=5), request(frames=5)
    other.portrait[0, 0] = 1
    assert workload_of(one, "c").sha256 != workload_of(other, "c").sha256
    assert workload_of(one, "c").seconds == pytest.approx(0.2)


def test_real_processes_measure_real_sleep() -> None:
    """100 frames of 4 ms against half of it: sleep is never shorter than asked for."""
    record = measure(
        [Target("m", "cost_fakes:Sleepy"), Target("m+fast", "cost_fakes:Sleepy", accelerations=("fast",))],
        request(frames=25),
        clip="made",
        protocol=protocol(processes=3, cold_starts=1, min_rounds=2),
        passes=Passes(memory=0),
    )
    slow, fast = (record.summaries[v] for v in ("m", "m+fast"))
    assert slow["end-to-end"].least >= 0.1
    assert fast["end-to-end"].least >= 0.05
    ratio = next(c for c in record.comparisons if c.measure == "end-to-end")
    # Waking up late adds the same to both.
    assert 1.2 < ratio.ratio <= 2.1
    assert slow["processor"].mean < 0.1
    assert record.conditions.device == "cpu"
    assert record.environment.cores >= 1
    assert {t.process for t in record.trials if t.kind == "measured"} == {0, 1, 2}


def test_real_process_that_dies_is_an_error_with_its_exit_code() -> None:
    job = Job("interleaved", 0, (Target("m", "cost_fakes:Crashes"),), request(), protocol())
    assert "exit code 7" in (fresh_process(job).error or "")
