"""One clip of each person of the test split, and what methods make of it, for the tests of what methods reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from thbench_methods.common.judging import Held, Judged, fvd, judge, made, one_of_each, read_held

from thbench.data.synth_heads.dataset import clips_of
from thbench.registry import METHODS
from thbench.spec import load
from thbench.stats import jackknife, mean_estimate
from thbench.stats.bootstrap import Estimate, Interval


class HeldOut:
    """Clips and what is known of them; each thing is made when it is first asked for, and then kept."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, ...], list[Judged]] = {}

    @cached_property
    def clips(self) -> list[Held]:
        return list(read_held(one_of_each(clips_of())))

    @cached_property
    def real(self) -> list[Judged]:
        return self._judged(lambda held: judge(held, held.frames))

    @cached_property
    def stills(self) -> list[Judged]:
        return self._judged(lambda held: judge(held, np.repeat(held.frames[:1], len(held.frames), axis=0)))

    @cached_property
    def shuffled(self) -> list[Judged]:
        """Real frames, with the sound of the next clip."""
        pairs = pairwise([*self.clips, self.clips[0]])
        with one_thread():
            return [judge(held, held.frames, other.sound) for held, other in pairs]

    def generated(self, method: str, *accelerations: str) -> list[Judged]:
        """What the small preset of a method makes in a run with seed 0."""
        key = (method, *accelerations)
        if key not in self._rows:
            build = load(METHODS[method].factory, purpose=f"method {method!r}")
            ready = build("mini", accelerations=accelerations) if accelerations else build("mini")
            self._rows[key] = self._judged(lambda held: judge(held, made(ready, held.of_a_run())))
        return self._rows[key]

    def _judged(self, row_of: Callable[[Held], Judged]) -> list[Judged]:
        with one_thread():
            return [row_of(held) for held in self.clips]


@contextmanager
def one_thread() -> Iterator[None]:
    """As in a run, so that equal frames are made."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def ends(estimate: Estimate) -> Interval:
    """The interval of an estimate, which must have one."""
    assert estimate.interval is not None
    return estimate.interval


def synced(rows: Sequence[Judged]) -> Interval:
    """Interval of the mean LSE-C over people."""
    return ends(mean_estimate([row.lse_c for row in rows], [row.person for row in rows]))


def share(rows: Sequence[Judged], truths: Sequence[Judged], name: str) -> float:
    """Mean of a field of generated clips over that of the real ones."""
    return float(np.mean([getattr(row, name) for row in rows]) / np.mean([getattr(row, name) for row in truths]))


def nearer(rows: Sequence[Judged], others: Sequence[Judged], truths: Sequence[Judged]) -> Estimate:
    """By how much the FVD of `rows` is below that of `others`, paired by leaving out the same people."""

    def gain(without: str | None) -> float:
        kept = [index for index, row in enumerate(truths) if row.person != without]
        first, second, real = ([side[index] for index in kept] for side in (rows, others, truths))
        return fvd(second, real) - fvd(first, real)

    return jackknife(gain(None), {row.person: gain(row.person) for row in truths})
