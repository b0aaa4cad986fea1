"""What an accelerated variant has to show: that only the acceleration differs, what ran, what it cost, what changed.

A receipt is made by sampling the same clip twice, unaccelerated and under a plan, from the same noise and condition by
the same network. The digests in it are of what both were given.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thbench.accel.changes import (
    CachedGuidance,
    Cut,
    EncoderPropagation,
    ForegroundAttention,
    PriorNoise,
    ReferenceRemoval,
)
from thbench.accel.plans import EveryStep, LightningCP
from thbench.errors import UsageError
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from thbench.accel.calibrate import Sampling
    from thbench.accel.moves import Change, Plan, Step


@dataclass(slots=True)
class Hits:
    """Counts what ran; an `on_step`. One for each clip, or for as many as are to be counted together."""

    kinds: Counter[str] = field(default_factory=Counter)
    """Kind of step to how many steps it predicted."""
    evaluations: int = 0
    """Calls of the denoiser; fewer than steps where several are predicted at once."""
    _left: int = 0

    def __call__(self, step: Step) -> None:
        """Count a step."""
        self.kinds[step.kind.value] += 1
        if self._left == 0:
            self.evaluations += 1
            self._left = step.together
        self._left -= 1

    @property
    def rate(self) -> float:
        """Steps that were not full passes over all steps, range [0, 1]."""
        steps = sum(self.kinds.values())
        return 1 - self.kinds["full"] / steps if steps else 0.0


class Difference(Document):
    """What a plan changed in the frames of a clip, against the unaccelerated ones of the same seed."""

    psnr: float
    """dB, mean over frames; infinite for equal frames."""
    ssim: float
    """Mean over frames."""
    lpips: float | None
    """Mean over frames; None where the network was not given."""


class Receipt(Document):
    """What is known of one clip under a plan beside the unaccelerated one."""

    plan: str
    """In words."""
    noise: str
    """SHA-256 of the noise that both started from."""
    condition: str
    """SHA-256 of what both were generated from."""
    times: str
    """SHA-256 of the times that the schedules visited; that of both, unless `steps` differ."""
    weights: str
    """SHA-256 of the network's parameters and buffers, before and after."""
    steps: tuple[int, int]
    """Denoising steps, unaccelerated and accelerated."""
    hits: Mapping[str, int]
    """Kind of step to how many of them there were."""
    evaluations: int
    """Calls of the denoiser."""
    flops: tuple[int, int]
    """Operations of the loop, unaccelerated and accelerated, counted while it ran."""
    latent_change: float
    """L2 norm of the difference of the clean latents over that of the unaccelerated ones."""
    output: Difference | None = None
    """Of the decoded frames, where there is a decoder."""

    @property
    def flop_ratio(self) -> float:
        """Unaccelerated operations over accelerated ones."""
        return self.flops[0] / self.flops[1]


def receipt(
    run: Sampling,
    plan: Plan,
    network: nn.Module,
    *,
    fewer: Sampling | None = None,
    decode: Callable[[Tensor], NDArray[np.uint8]] | None = None,
    lpips: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Receipt:
    """Sample a clip with and without a plan and say what differs.

    Args:
        run: The clip.
        plan: What is compared with every step.
        network: Whose weights both use.
        fewer: The same clip with another schedule, for a plan of fewer steps.
        decode: Clean latents to frames (N, H, W, 3), uint8 RGB.
        lpips: LPIPS in evaluation mode, to compare frames by.

    Raises:
        UsageError: `fewer` has other noise or another condition, or the weights changed on the way.
    """
    from thbench.accel.tree import relative_change
    from thbench.cost.flops import tally

    other = fewer or run
    given = (digest(run.noise), digest(run.condition))
    if given != (digest(other.noise), digest(other.condition)):
        raise UsageError("the two clips differ in more than their schedule; give both the same noise and condition")
    weights, hits = digest(network.state_dict()), Hits()
    base_tally, base = tally(lambda: _sample(run, EveryStep()))
    fast_tally, fast = tally(lambda: _sample(other, plan, hits))
    if digest(network.state_dict()) != weights:
        raise UsageError("sampling changed the network's weights or buffers; both must be left as they are")
    return Receipt(
        plan=described(plan),
        noise=given[0],
        condition=given[1],
        times=digest(list(other.schedule.times)),
        weights=weights,
        steps=(len(run.schedule.times), len(other.schedule.times)),
        hits=dict(hits.kinds),
        evaluations=hits.evaluations,
        flops=(base_tally.flops, fast_tally.flops),
        latent_change=relative_change(base, fast),
        output=None if decode is None else difference(decode(fast), decode(base), lpips),
    )


def _sample(run: Sampling, plan: Plan, on_step: Callable[[Step], None] | None = None) -> Tensor:
    from thbench.accel.loop import sample

    return sample(run.denoiser, run.schedule, run.noise, run.condition, plan, on_step)


def difference(
    ours: NDArray[np.uint8], theirs: NDArray[np.uint8], lpips: Callable[[Tensor, Tensor], Tensor] | None = None
) -> Difference:
    """Compare the frames (N, H, W, 3), uint8 RGB, of two videos of equal size.

    Raises:
        UsageError: They differ in size.
    """
    from thbench.metrics.image import channel_ssim, psnr, squared_error
    from thbench.metrics.lpips import distances
    from thbench.metrics.ssim import WANG, SsimKernel

    if ours.shape != theirs.shape:
        raise UsageError(f"frames of shapes {ours.shape} and {theirs.shape}; only equal ones are compared")
    kernel = SsimKernel(WANG)
    pairs = list(zip(ours, theirs, strict=True))
    return Difference(
        psnr=statistics.fmean(psnr(squared_error(a, b) / a.size) for a, b in pairs),
        ssim=statistics.fmean(channel_ssim(kernel, a, b) for a, b in pairs),
        lpips=None if lpips is None else float(distances(lpips, ours, theirs).mean()),
    )


def digest(value: Any) -> str:
    """Return the SHA-256 of tensors and numbers in any nesting: their types, shapes and values."""
    from dataclasses import fields, is_dataclass

    import torch

    found = hashlib.sha256()

    def take(item: Any) -> None:
        if isinstance(item, torch.Tensor):
            found.update(f"{item.dtype}{tuple(item.shape)}".encode())
            found.update(item.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())
        elif isinstance(item, Mapping):
            for key in sorted(item):
                found.update(str(key).encode())
                take(item[key])
        elif isinstance(item, tuple | list):
            found.update(f"[{len(item)}]".encode())
            for part in item:
                take(part)
        elif is_dataclass(item) and not isinstance(item, type):
            for part in fields(item):
                found.update(part.name.encode())
                take(getattr(item, part.name))
        else:
            found.update(repr(item).encode())

    take(value)
    return found.hexdigest()


def described(plan: Plan) -> str:
    """Return a plan in words.

    Example:
        >>> described(LightningCP((0, 2, 5), block=None))
        'LightningCP: 3 key steps (0, 2, 5), blocks up to the next key step'
    """
    parts = [type(plan).__name__]
    if isinstance(plan, LightningCP):
        blocks = "step by step" if plan.block == 1 else f"blocks of {plan.block}"
        blocks = "blocks up to the next key step" if plan.block is None else blocks
        keys = ", ".join(map(str, plan.key_steps))
        parts = [f"LightningCP: {len(plan.key_steps)} key steps ({keys}), {blocks}"]
    return "; ".join([*parts, *map(_change, plan.changes)])


def _change(change: Change) -> str:
    match change:
        case ForegroundAttention():
            share = float(change.foreground.float().mean())
            return f"foreground attention ({', '.join(change.attentions)}) in {share:.1%} of the picture"
        case ReferenceRemoval():
            layers = "the last layer" if change.places is None else f"{len(change.places)} layers"
            steps = "cached steps" if change.steps is None else f"{len(change.steps)} steps"
            return f"no reference in {layers} at {steps}"
        case Cut():
            return f"last {change.layers} up layers"
        case EncoderPropagation():
            return "decoder on the encoder's features"
        case PriorNoise():
            return f"initial noise x {change.weight:g} below time {change.below:g}"
        case CachedGuidance():
            return "guidance reused"
        case _:
            return type(change).__name__


class Audit(Document):
    """Whether the same sample over and over is faster than different samples, as it would be if results were kept."""

    same: tuple[float, ...]
    """Seconds of each repetition of one sample."""
    different: tuple[float, ...]
    """Seconds of each new sample, taken in turn with the others."""
    allowed: float
    """How much faster the same sample may be."""

    @property
    def gain(self) -> float:
        """By how much the same sample is faster: 1 less the ratio of the medians."""
        return 1 - statistics.median(self.same) / statistics.median(self.different)

    @property
    def passed(self) -> bool:
        """Whether nothing seems to be kept between clips."""
        return self.gain <= self.allowed


def audit(
    generate: Callable[[int], object],
    *,
    rounds: int = 7,
    allowed: float = 0.10,
    clock: Callable[[], float] = time.perf_counter,
) -> Audit:
    """Time one sample over and over, in turn with samples that were never seen.

    Args:
        generate: Number of a sample to its generation; equal numbers must be equal requests.
        rounds: Of both, after one that is thrown away.
        allowed: How much faster the same sample may be.
        clock: Seconds.
    """
    same: list[float] = []
    different: list[float] = []
    for number in range(rounds + 1):
        for seconds, sample in ((same, 0), (different, number + 1)):
            start = clock()
            generate(sample)
            seconds.append(clock() - start)
    return Audit(same=tuple(same[1:]), different=tuple(different[1:]), allowed=allowed)
