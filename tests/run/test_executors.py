"""Workers that crash, hang or raise must cost one job, not the run."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import pytest

from thbench.errors import UsageError
from thbench.run.executors import Beat, Finished, Progressed, Worker, WorkerFailure, run_jobs


def make_worker(start_count_file: str | None = None) -> Worker[str, str]:
    if start_count_file:
        with open(start_count_file, "a") as file:  # noqa: PTH123 - append of one byte
            file.write("x")
    return obey


def obey(job: str, beat: Beat) -> str:
    """Do what the job says."""
    kind, _, argument = job.partition(":")
    if kind == "crash":
        os.kill(os.getpid(), getattr(signal, argument))
    if kind == "exit":
        os._exit(int(argument))
    if kind == "hang":
        time.sleep(60)
    if kind == "slow":
        for i in range(20):
            beat(i)
            time.sleep(0.1)
    return f"{job} done"


def outcomes(events: object) -> dict[int, object]:
    return {event.job: event.result for event in events if isinstance(event, Finished)}


@pytest.mark.parametrize("executor", ["local", "process"])
def test_every_job_has_one_result(executor: str) -> None:
    jobs = [f"job:{i}" for i in range(7)]
    assert outcomes(run_jobs(make_worker, jobs, executor=executor, workers=3)) == {
        i: f"{job} done" for i, job in enumerate(jobs)
    }


def test_no_jobs_is_no_work() -> None:
    assert list(run_jobs(make_worker, [], executor="process")) == []


@pytest.mark.parametrize(
    ("death", "reason"),
    [("crash:SIGSEGV", "SIGSEGV"), ("crash:SIGKILL", "out of memory"), ("exit:3", "exit code 3")],
)
def test_a_dead_worker_fails_its_job_only(death: str, reason: str) -> None:
    result = outcomes(run_jobs(make_worker, ["a", death, "b", "c"], workers=2))
    failure = result.pop(1)
    assert isinstance(failure, WorkerFailure)
    assert reason in failure.reason
    assert result == {0: "a done", 2: "b done", 3: "c done"}


def test_a_hung_worker_is_stopped_and_the_rest_goes_on() -> None:
    start = time.monotonic()
    result = outcomes(run_jobs(make_worker, ["hang", "a"], workers=1, stall_seconds=2.0))
    assert isinstance(result[0], WorkerFailure)
    assert "no sign of life for 2 s" in result[0].reason
    assert result[1] == "a done"
    assert time.monotonic() - start < 30


def test_a_slow_worker_that_beats_is_not_taken_for_hung() -> None:
    events = list(run_jobs(make_worker, ["slow"], workers=1, stall_seconds=1.5))
    assert outcomes(events) == {0: "slow done"}
    beats = [event.done for event in events if isinstance(event, Progressed)]
    assert beats == sorted(beats)
    assert len(beats) >= 2


def test_a_worker_is_made_once_per_process(tmp_path: object) -> None:
    counter = f"{tmp_path}/starts"
    outcomes(run_jobs(partial(make_worker, counter), [f"job:{i}" for i in range(6)], workers=2))
    with open(counter) as file:  # noqa: PTH123
        assert 1 <= len(file.read()) <= 2


def test_children_end_when_the_consumer_stops() -> None:
    events = run_jobs(make_worker, ["slow", "slow", "slow"], workers=2)
    next(iter(events))
    events.close()  # type: ignore[attr-defined]


def test_zero_workers_is_refused() -> None:
    with pytest.raises(UsageError, match="--workers is 0"):
        run_jobs(make_worker, ["a"], workers=0)


def test_ray_gives_the_same_results_and_survives_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    result = outcomes(run_jobs(make_worker, ["a", "exit:3", "b"], executor="ray", workers=1))
    failure = result.pop(1)
    assert isinstance(failure, WorkerFailure)
    assert "died" in failure.reason
    assert result == {0: "a done", 2: "b done"}


def test_the_parent_burns_no_core_while_a_child_works() -> None:
    start = time.process_time()
    outcomes(run_jobs(make_worker, ["slow"], workers=1))
    assert time.process_time() - start < 0.5
