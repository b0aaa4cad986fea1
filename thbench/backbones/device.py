"""Where the networks of metrics compute: on the CPU unless a caller says otherwise, and never silently elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

CPU = "cpu"
_CURRENT: ContextVar[str] = ContextVar("thbench-device", default=CPU)


@contextmanager
def computing_on(name: str) -> Iterator[None]:
    """Let the networks that `thbench.backbones.loaded` hands out within this block compute on a device.

    Args:
        name: `cpu`, `cuda` or `cuda:N`.
    """
    token = _CURRENT.set(name)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> str:
    """The device of the block that this is called in."""
    return _CURRENT.get()


def checked_device(name: str) -> str:
    """Return the name of a device that is there.

    Args:
        name: `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: There is no such device here; nothing is computed elsewhere instead.
    """
    if name == CPU:
        return name
    kind, _, number = name.partition(":")
    if kind != "cuda" or (number and not number.isdecimal()) or name.endswith(":"):
        raise UsageError(f"no device is called {name!r}; devices are cpu, cuda and cuda:N")
    import torch

    if not torch.cuda.is_available():
        raise UsageError(f"the device {name!r} is not here: torch {torch.__version__} sees no CUDA device; use cpu")
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        raise UsageError(f"the device {name!r} is not here; there are cuda:0 to cuda:{count - 1}")
    return name


@contextmanager
def float32_convolutions(*, tf32: bool = False) -> Iterator[None]:
    """Keep cuDNN from rounding float32 convolutions to TF32, and from choosing an algorithm anew for each run.

    Args:
        tf32: Let it round: to 11 significant bits, which whole numbers of 8 bits have.
    """
    from torch.backends import cudnn

    with cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
        yield
