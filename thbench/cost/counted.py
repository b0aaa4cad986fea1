"""What counting gives: operations, parameters and bytes of a method's networks, and the least time they can take.

Conventions: a multiplication and an addition are two operations; only matrix products, convolutions and attention are
counted, as all published numbers do; a video is what the workload says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from thbench.types import Document


class PartCount(Document):
    """One network of a method, one call of it."""

    name: str
    """The paper's word, e.g. `denoising_unet`."""
    calls: float = Field(ge=0)
    """Calls for the workload that is counted."""
    flops: int
    """Operations of one call."""
    by_kind: Mapping[str, int] = {}
    """`attention`, `convolution`, `matmul` to operations of one call; they sum to `flops`."""
    parameters: int
    """Parameters of the network."""
    least_bytes: int
    """Bytes that one call has to move at least: the parameters that it uses and its inputs read once, its outputs
    written once."""
    moved_bytes: int
    """Bytes that one call moves if every operation reads its inputs from memory and writes its outputs there: an upper
    bound that fusing and caches lower. Views move nothing."""
    dtype: str
    """Number format that the bytes are of, e.g. `float16`."""

    @property
    def intensity(self) -> float:
        """Operations per byte where nothing is fused: a lower bound of the arithmetic intensity."""
        return self.flops / self.moved_bytes if self.moved_bytes else 0.0

    @property
    def highest_intensity(self) -> float:
        """Operations per byte where everything is fused: an upper bound."""
        return self.flops / self.least_bytes if self.least_bytes else 0.0


class WorkCount(Document):
    """Operations of a variant for one stated workload."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    variant: str
    """Method + preset + accelerations."""
    workload: str
    """What is counted, e.g. `16 frames at 512 px, 40 steps, guided`."""
    frames: int = Field(ge=1)
    """Frames of the workload."""
    parts: tuple[PartCount, ...]
    """Networks, in the order they run; a step of another kind (a cached one) is a part of its own."""
    uncounted: tuple[str, ...] = ()
    """What the method runs beside them, in words."""

    @property
    def flops(self) -> float:
        """Operations of the whole workload."""
        return sum(part.calls * part.flops for part in self.parts)


class MachineRates(Document):
    """What this machine reaches, measured, for one number format."""

    dtype: str
    """Number format."""
    threads: int | None = None
    """Compute threads; None on a GPU."""
    flops_per_second: float
    """Best of repeated square matrix products."""
    bytes_per_second: float
    """Best of repeated copies far beyond the caches; read and written bytes together."""

    @property
    def balance(self) -> float:
        """Operations per byte from which on arithmetic is the limit."""
        return self.flops_per_second / self.bytes_per_second


class Bound(Document):
    """The least time of a workload on a machine (roofline)."""

    rates: MachineRates
    """Measured on that machine."""
    device_name: str
    """Processor or GPU."""
    fused: float
    """Seconds if only parameters, inputs and outputs of each network move: cannot be beaten at these rates."""
    single: float
    """Seconds if each operation reads its inputs from memory and writes its outputs there, at its own limit: beaten
    only by fused operations and by caches."""


class WorkReport(Document):
    """What `thbench flops` finds."""

    schema_version: Literal[1] = 1
    """Version of this layout."""
    works: tuple[WorkCount, ...]
    """The method, and its accelerated variant where one was asked for."""
    bounds: Mapping[str, Bound] = {}
    """Variant to the least time on this machine, where asked for."""
