"""What timing and memory need of the device that computes: one small protocol, so that tests can put a fake in.

A CPU works while its caller waits, so host time is its time. A GPU works on after the call has returned: host times are
taken after it has finished, and what happens within a generation is told by events in its stream, which do not make it
wait.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from thbench.cost.host import nvidia_driver
from thbench.cost.record import Bytes
from thbench.errors import UsageError
from thbench.run.environment import cpu_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Device(Protocol):
    """Where a method computes."""

    @property
    def name(self) -> str:
        """As torch writes it, e.g. `cpu` or `cuda:0`."""
        ...

    @property
    def has_events(self) -> bool:
        """Whether marks carry the device's own time."""
        ...

    @property
    def title(self) -> str:
        """Model of the processor or GPU."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """What drives it: `cuda` and `driver`, as far as there is such a thing."""
        ...

    def synchronise(self) -> None:
        """Return when the device has done everything it was asked for."""
        ...

    def mark(self) -> Any:
        """Return a mark at this point of the device's work, without making it wait."""
        ...

    def between(self, start: Any, end: Any) -> float:
        """Seconds from one mark to another; only after `synchronise`."""
        ...

    def reset_peaks(self) -> None:
        """Let peaks start from what is in use now."""
        ...

    def peaks(self) -> Bytes:
        """Peaks since `reset_peaks`; without the host's, which is not the device's to know."""
        ...

    def in_use(self) -> int | None:
        """Bytes in use on the whole device now; None where it has no memory of its own."""
        ...

    def held(self) -> int | None:
        """Bytes that torch's allocator has handed out on the device now; None where it has no memory of its own."""
        ...


class HostDevice:
    """The CPU."""

    name = "cpu"
    has_events = False

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock

    @property
    def title(self) -> str:
        """Processor model."""
        return cpu_model()

    @property
    def versions(self) -> Mapping[str, str]:
        """Nothing but the system drives a CPU."""
        return {}

    def synchronise(self) -> None:
        """Nothing runs on behind the caller's back."""

    def mark(self) -> float:
        """Host time in seconds."""
        return self._clock()

    def between(self, start: float, end: float) -> float:
        """Seconds from one mark to another."""
        return end - start

    def reset_peaks(self) -> None:
        """The CPU has no memory besides the host's."""

    def peaks(self) -> Bytes:
        """Nothing that the host does not know."""
        return Bytes()

    def in_use(self) -> None:
        """The CPU has no memory besides the host's."""

    def held(self) -> None:
        """The CPU has no memory besides the host's."""


class CudaDevice:
    """A GPU, by CUDA events and torch's allocator."""

    has_events = True

    def __init__(self, name: str, cuda: Any, version: str | None = None) -> None:
        """Take hold of a GPU.

        Args:
            name: E.g. `cuda` or `cuda:1`.
            cuda: The module `torch.cuda`, or what stands for it in a test.
            version: CUDA version of torch.

        Raises:
            UsageError: There is no such GPU.
        """
        index = name.partition(":")[2]
        if not cuda.is_available():
            raise UsageError(f"device {name!r} is asked for, but torch finds no GPU here; use --device cpu")
        count = cuda.device_count()
        self._index = int(index) if index else 0
        if self._index >= count:
            raise UsageError(f"device {name!r} is asked for, but there are {count} GPUs; count from cuda:0")
        self.name = f"cuda:{self._index}"
        self._cuda = cuda
        self._version = version

    @property
    def title(self) -> str:
        """GPU model."""
        return str(self._cuda.get_device_name(self._index))

    @property
    def versions(self) -> Mapping[str, str]:
        """CUDA version of torch, and version of the driver."""
        known = {"cuda": self._version, "driver": nvidia_driver()}
        return {name: version for name, version in known.items() if version is not None}

    def synchronise(self) -> None:
        """Wait for all streams of the GPU."""
        self._cuda.synchronize(self._index)

    def mark(self) -> Any:
        """Return an event in the current stream."""
        event = self._cuda.Event(enable_timing=True)
        event.record(self._cuda.current_stream(self._index))
        return event

    def between(self, start: Any, end: Any) -> float:
        """Seconds from one event to another."""
        return float(start.elapsed_time(end)) / 1e3

    def reset_peaks(self) -> None:
        """Let the allocator's peaks start anew."""
        self._cuda.reset_peak_memory_stats(self._index)

    def peaks(self) -> Bytes:
        """Return the allocator's peaks and what is in use on the GPU now."""
        return Bytes(
            allocated=int(self._cuda.max_memory_allocated(self._index)),
            reserved=int(self._cuda.max_memory_reserved(self._index)),
            device=self.in_use(),
        )

    def in_use(self) -> int:
        """Bytes in use on the GPU, by all processes."""
        free, total = self._cuda.mem_get_info(self._index)
        return int(total - free)

    def held(self) -> int:
        """Bytes that the allocator has handed out."""
        return int(self._cuda.memory_allocated(self._index))


def open_device(name: str) -> Device:
    """Return the device of that name.

    Raises:
        UsageError: The name is none, or there is no such device.
    """
    if name == "cpu":
        return HostDevice()
    if name.partition(":")[0] == "cuda" and (":" not in name or name.partition(":")[2].isdigit()):
        import torch

        return CudaDevice(name, torch.cuda, torch.version.cuda)
    raise UsageError(f"device is {name!r}; it must be cpu, cuda or cuda:N")
