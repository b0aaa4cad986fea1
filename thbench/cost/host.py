"""What the system knows of this process and of the others: resident memory of the tree, load, and other work."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_STAT = Path("/proc/stat")
_DRIVER = Path("/proc/driver/nvidia/version")

SAMPLING_SECONDS = 0.01
"""Shortest time between two looks at the process tree."""
SPARSE = 10.0
"""Least time between two looks, in units of the time that one takes."""


def tree_rss() -> int:
    """Resident bytes of this process and all its children together; pages that they share count once for each."""
    total, waiting = 0, [os.getpid()]
    while waiting:
        pid = waiting.pop()
        try:
            total += psutil.Process(pid).memory_info().rss
            waiting += children_of(pid)
        except psutil.NoSuchProcess:
            continue
    return total


def children_of(pid: int) -> list[int]:
    """Processes that a process has started and that still run.

    Linux lists them with each thread, which takes a look at a few files; elsewhere all processes are looked through.
    """
    try:
        lists = [(thread / "children").read_text(encoding="ascii") for thread in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return [child.pid for child in psutil.Process(pid).children()]
    return [int(child) for found in lists for child in found.split()]


def reset_high_water() -> bool:
    """Let the kernel's high-water mark of this process start from what is resident now.

    Returns:
        Whether the system can do that (Linux).
    """
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def high_water() -> int | None:
    """Most bytes of this process that were resident at once since `reset_high_water`; None where nobody counts."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


class PeakSampler:
    """Peak resident memory of the process tree, and peak memory in use on the device.

    The kernel's high-water mark of this process is exact, however short the peak; the sum over the tree can only be
    sampled. The larger of both is the peak. With children it is a lower bound (`exact` is False).
    """

    def __init__(
        self,
        in_use: Callable[[], int | None] = lambda: None,
        *,
        rss: Callable[[], int] = tree_rss,
        interval: float = SAMPLING_SECONDS,
    ) -> None:
        """Prepare to sample.

        Args:
            in_use: Bytes in use on the device, sampled too; nobody else knows that peak.
            rss: Resident bytes of the tree.
            interval: Seconds between two looks.
        """
        self._in_use = in_use
        self._rss = rss
        self._interval = interval
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._largest = 0
        self._largest_on_device: int | None = None
        self._resets = False
        self.exact = True
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakSampler:
        self.restart()
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stop.set()
        self._thread.join()

    def restart(self) -> None:
        """Forget the peak."""
        with self._lock:
            self._resets = reset_high_water()
            self._largest = self._rss()
            self._largest_on_device = self._in_use()

    def device_peak(self) -> int | None:
        """Sampled peak on the device since the last `restart`; None where it has no memory of its own."""
        self._look()
        return self._largest_on_device

    def peak(self) -> int:
        """Bytes since the last `restart`."""
        self._look()
        with self._lock:
            exact = high_water() if self._resets else None
            if exact is None or children_of(os.getpid()):
                self.exact = False
            return max(self._largest, exact or 0)

    def _look(self) -> None:
        now, on_device = self._rss(), self._in_use()
        with self._lock:
            self._largest = max(self._largest, now)
            if on_device is not None:
                self._largest_on_device = max(self._largest_on_device or 0, on_device)

    def _sample(self) -> None:
        pause = self._interval
        while not self._stop.wait(pause):
            start = time.perf_counter()
            self._look()
            # Where looking is dear (a system that lists all processes), it must not become the work that is watched.
            pause = max(self._interval, (time.perf_counter() - start) * SPARSE)


def load_average() -> float | None:
    """Runnable processes, averaged over the last minute; None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def busy_core_seconds() -> float | None:
    """Core seconds that anybody on this machine has worked, or a hypervisor has taken away; None where unknown."""
    try:
        fields = _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        return None
    # user nice system idle iowait irq softirq steal (guest and guest_nice are part of user and nice).
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in fields[:8])
    return (user + nice + system + irq + softirq + steal) / tick


def own_core_seconds() -> float:
    """Core seconds that this process and its finished children have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def nvidia_driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none (or not on Linux)."""
    try:
        text = _DRIVER.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text)
    return found[1] if found else None
