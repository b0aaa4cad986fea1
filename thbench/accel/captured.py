"""Receipts of methods as users run them: the sampler loops of a generation are caught and repeated under both plans.

A change that only listens is given to the method in the place of an acceleration; the loop tells it what it was given.
So nothing needs to be known of the method but its factory.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.accel.calibrate import Sampling
from thbench.accel.moves import Change, Plan
from thbench.accel.receipts import difference, digest, receipt
from thbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from thbench.accel.denoiser import Denoiser, Schedule
    from thbench.accel.receipts import Receipt
    from thbench.types import Method, Request


@dataclass(frozen=True, slots=True)
class Loop:
    """One sampler loop of a generation."""

    run: Sampling
    """What it was given."""
    plan: Plan
    """What it did, the listener left out."""


@dataclass(frozen=True, slots=True)
class Listening(Change):
    """Catches the loops of a method; given to it in the place of an acceleration, it changes nothing."""

    loops: list[Loop] = field(default_factory=list)
    """In the order in which they began."""

    def begins(self, denoiser: Denoiser, schedule: Schedule, noise: Tensor, condition: Any, plan: Plan) -> None:
        """Keep what the loop was given."""
        others = tuple(change for change in plan.changes if change is not self)
        alone: Any = replace(plan, changes=others)  # type: ignore[type-var]
        self.loops.append(Loop(Sampling(denoiser, schedule, noise, condition), alone))


@dataclass(frozen=True, slots=True)
class Heard:
    """A generation and its loops."""

    frames: NDArray[np.uint8]
    """Shape (N, H, W, 3)."""
    loops: tuple[Loop, ...]


def heard(build: Callable[..., Method], preset: str, names: Sequence[str], request: Request, device: str) -> Heard:
    """Generate a clip and catch its loops.

    Args:
        build: The factory of the method's spec; it must hand accelerations to `thbench.accel.named.planned`.
        preset: One of its presets.
        names: Accelerations.
        request: The clip.
        device: Where the method computes.
    """
    import numpy as np

    listening = Listening()
    method = build(preset=preset, device=device, accelerations=(*names, listening))
    frames = method.generate(request).frames
    if isinstance(frames, Path):
        raise UsageError(f"the method wrote {frames.name} by itself; receipts are of methods that return frames")
    return Heard(np.stack(list(frames)), tuple(listening.loops))


def method_receipt(
    base: Heard, fast: Heard, *, lpips: Callable[[Tensor, Tensor], Tensor] | None = None, loop: int = 0
) -> Receipt:
    """Say what an accelerated generation differs in from the unaccelerated one of the same request.

    The operations, hits and latents are those of one loop, sampled again from what the unaccelerated generation was
    given; noise and condition of the first loop must be the same in both. The output is that of the whole videos.

    Args:
        base: Unaccelerated.
        fast: Accelerated.
        lpips: LPIPS in evaluation mode, to compare frames by.
        loop: Which; only the first is from equal frames where loops go on from one another.

    Raises:
        UsageError: One of them ran no such loop, or they differ in more than the plan and the steps.
    """
    if min(len(base.loops), len(fast.loops)) <= loop:
        raise UsageError(f"the generations ran {len(base.loops)} and {len(fast.loops)} sampler loops; {loop} is none")
    one, other = base.loops[loop], fast.loops[loop]
    network = network_of(one.run.denoiser)
    if digest(network.state_dict()) != digest(network_of(other.run.denoiser).state_dict()):
        raise UsageError("the two generations ran networks of other weights; only the plan may differ")
    found = receipt(one.run, other.plan, network, fewer=replace(other.run, denoiser=one.run.denoiser))
    return found.model_copy(update={"output": difference(fast.frames, base.frames, lpips)})


def network_of(denoiser: Any) -> nn.Module:
    """Return the network inside a denoiser: itself, or the first one in the fields of what wraps it.

    Raises:
        UsageError: There is none.
    """
    found = next(_networks(denoiser), None)
    if found is None:
        raise UsageError(f"{type(denoiser).__name__} holds no network whose weights could be told apart")
    return found


def _networks(value: Any) -> Iterator[nn.Module]:
    from torch import nn

    if isinstance(value, nn.Module):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            yield from _networks(getattr(value, part.name))
