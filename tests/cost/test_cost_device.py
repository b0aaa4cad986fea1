"""The GPU's side of timing, against a stand-in for torch.cuda: which calls, in which order, on which device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from thbench.cost.device import CudaDevice, HostDevice, open_device
from thbench.cost.record import Bytes
from thbench.errors import UsageError


class Event:
    log: ClassVar[list[Any]] = []

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at = len(Event.log)

    def record(self, stream: str) -> None:
        Event.log.append(("record", stream))
        self.at = 10.0 * len(Event.log)

    def elapsed_time(self, end: Event) -> float:
        return end.at - self.at


def cuda(count: int = 2, available: bool = True) -> Any:
    log: ClassVar[list[Any]] = []
    return SimpleNamespace(
        log=log,
        is_available=lambda: available,
        device_count=lambda: count,
        synchronize=lambda index: log.append(("synchronize", index)),
        current_stream=lambda index: f"stream {index}",
        Event=Event,
        reset_peak_memory_stats=lambda index: log.append(("reset", index)),
        max_memory_allocated=lambda index: 100 + index,
        max_memory_reserved=lambda index: 200 + index,
        memory_allocated=lambda index: 50 + index,
        mem_get_info=lambda index: (1000, 4000),
        get_device_name=lambda index: f"GPU model {index}",
    )


def test_events_are_recorded_in_the_stream_of_their_gpu_and_read_in_seconds() -> None:
    Event.log.clear()
    device = CudaDevice("cuda:1", cuda())
    first, second = device.mark(), device.mark()
    assert Event.log == [("record", "stream 1")] * 2
    assert device.between(first, second) == pytest.approx(0.01)
    assert device.name == "cuda:1"


def test_peaks_are_those_of_the_allocator_and_of_the_whole_gpu() -> None:
    fake = cuda()
    device = CudaDevice("cuda", fake)
    device.reset_peaks()
    device.synchronise()
    assert fake.log == [("reset", 0), ("synchronize", 0)]
    assert device.peaks() == Bytes(allocated=100, reserved=200, device=3000)
    assert (device.in_use(), device.held()) == (3000, 50)


def test_a_gpu_says_what_it_is() -> None:
    device = CudaDevice("cuda:1", cuda(), "13.0")
    assert device.title == "GPU model 1"
    assert device.versions["cuda"] == "13.0"
    assert CudaDevice("cuda:1", cuda()).versions.get("cuda") is None
    assert HostDevice().title
    assert HostDevice().versions == {}


@pytest.mark.parametrize(
    ("name", "fake", "says"),
    [("cuda", cuda(available=False), "finds no GPU"), ("cuda:2", cuda(), "there are 2 GPUs")],
)
def test_a_gpu_that_is_not_there_is_refused(name: str, fake: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        CudaDevice(name, fake)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "tpu:0"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="must be cpu, cuda"):
        open_device(name)


def test_the_cpu_has_no_memory_of_its_own() -> None:
    device = open_device("cpu")
    assert isinstance(device, HostDevice)
    assert device.peaks() == Bytes()
    assert device.held() is None
    assert device.in_use() is None
