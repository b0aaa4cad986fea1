"""Plans, the loop's own rules, schedules that estimate, masks, accelerations by name; no network needed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from thbench_methods.memo.schedule import sampler as memo_flow
from thbench_methods.moda.schedule import sampler as moda_flow
from thbench_methods.nets.ddim import ddim, linear_betas
from thbench_methods.nets.unet3d.schedule import Diffusion
from thbench_methods.nets.unet3d.schedule import sampler as velocity_ddim
from torch import Tensor

from thbench.accel import (
    Adaptive,
    EveryStep,
    ForegroundAttention,
    Inputs,
    Kind,
    LightningCP,
    Move,
    OneByOne,
    ReferenceRemoval,
    Replicas,
    Trace,
    cached_guidance,
    faster_diffusion_keys,
    fewer_steps,
    sample,
    spread_keys,
    uniform_keys,
    with_changes,
)
from thbench.accel.masks import foreground, share, silhouette
from thbench.accel.named import Setting, planned, steps_of
from thbench.accel.specs import ACCELERATIONS
from thbench.accel.tree import mapped, moved, relative_change, tensors
from thbench.errors import MethodError, UsageError
from thbench.spec import AccelerationSpec, load


@dataclass
class Toy:
    """Predicts a mix of latent, time and condition; `deep` is the latent of the full pass."""

    calls: list[tuple[str, int]]

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
        self.calls.append(("full", int(t[0])))
        return torch.tanh(z + condition) + t[:, None] / 1000, z

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Tensor) -> Tensor:
        self.calls.append(("shallow", int(t[0])))
        return torch.tanh(deep + condition) + t[:, None] / 1000 + 0.01 * z

    def repeated(self, condition: Any, deep: Tensor, times: int) -> tuple[Any, Tensor]:
        return condition, deep.repeat_interleave(times, dim=0)


def toy() -> Toy:
    return Toy([])


SCHEDULES = {
    "velocity": velocity_ddim(20, Diffusion()),
    "noise": ddim((1 - linear_betas(1000, 1e-4, 0.02)).cumprod(0).tolist(), range(0, 1000, 50), "noise"),
    "clean": ddim((1 - linear_betas(1000, 1e-4, 0.02)).cumprod(0).tolist(), range(1, 1000, 50), "clean"),
    "memo": memo_flow(20),
    "moda": moda_flow(20),
}
STEPS = 20


def moves(plan: Any, steps: int) -> list[Move]:
    trace, found = Trace(steps), []
    while trace.done < steps:
        found.append(plan.decide(trace))
        trace.kinds.extend([found[-1].kind] * found[-1].count)
    return found


keys_of = st.integers(1, 12).flatmap(
    lambda steps: st.tuples(
        st.just(steps), st.sets(st.integers(1, max(1, steps - 1))).map(lambda s: tuple(sorted({0, *s} - {steps})))
    )
)


@given(keys_of, st.one_of(st.none(), st.integers(1, 5)))
def test_moves_cover_each_step_once_and_start_at_keys(drawn: tuple[int, tuple[int, ...]], block: int | None) -> None:
    steps, keys = drawn
    found = moves(LightningCP(keys, block), steps)
    covered = [index for move in found for index in range(move.first, move.first + move.count)]
    assert covered == list(range(steps))
    assert tuple(move.first for move in found if move.kind is Kind.FULL) == keys
    assert all(move.count <= (block or steps) for move in found)


def test_estimates_start_at_the_threshold() -> None:
    found = moves(LightningCP((0, 4, 8), None, estimate_from=4), 12)
    assert [move.inputs for move in found if move.kind is Kind.SHALLOW] == [Inputs.FIRST, Inputs.NOISE, Inputs.NOISE]
    never = moves(LightningCP((0, 4, 8), None, estimate_from=None), 12)
    assert {move.inputs for move in never} == {Inputs.FIRST}


@pytest.mark.parametrize("keys", [(), (1, 2), (0, 2, 2), (0, 3, 1)])
def test_impossible_key_steps_are_refused(keys: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="rise and start with 0"):
        LightningCP(keys)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="key step 25 of 20 denoising steps; allowed are 0 to 19"):
        moves(LightningCP((0, 25)), 20)
    with pytest.raises(UsageError, match="blocks of 0"):
        LightningCP((0,), 0)
    for bad in (Move(1), Move(0, kind=Kind.SHALLOW), Move(0, 2), Move(0, kind=Kind.LED)):

        @dataclass
        class Fixed:
            changes: tuple[()] = ()
            together: None = None
            watches: bool = False

            def decide(self, trace: Trace, bad: Move = bad) -> Move:
                return bad

        with pytest.raises(UsageError, match="the plan asks for"):
            sample(toy(), SCHEDULES["memo"], torch.zeros(1, 2), 0.0, Fixed())


def test_a_denoiser_without_the_ability_is_refused_by_name() -> None:
    class Bare:
        def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, None]:
            return z, None

        def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: None) -> Tensor:
            return z

    schedule, noise = SCHEDULES["memo"], torch.zeros(1, 2)
    mask = torch.ones(2, 2, dtype=torch.bool)
    refused = {
        "foreground attention": LightningCP((0,), changes=(ForegroundAttention(mask),)),
        "reference removal": LightningCP((0,), changes=(ReferenceRemoval(),)),
        "cached guidance": cached_guidance(2),
        "as one batch": LightningCP((0,), block=None),
    }
    for what, plan in refused.items():
        with pytest.raises(MethodError, match=f"{what}.* cannot be applied to Bare: it"):
            sample(Bare(), schedule, noise, None, plan)
    sample(Bare(), schedule, noise, None, LightningCP((0,), block=None, together=OneByOne()))


def test_a_schedule_that_draws_noise_cannot_be_estimated() -> None:
    class Random:
        times = (3, 2, 1)

        def step(self, index: int, latent: Tensor, prediction: Tensor) -> Tensor:
            return latent

    with pytest.raises(
        MethodError, match="input latent estimation cannot be applied to Random: its steps draw fresh noise"
    ):
        sample(toy(), Random(), torch.zeros(1, 2), 0.0, LightningCP((0,), None))
    sample(toy(), Random(), torch.zeros(1, 2), 0.0, LightningCP((0,), None, estimate_from=None))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_loop_takes_key_steps_and_cached_ones(name: str) -> None:
    denoiser, noise = toy(), torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    schedule, keys = SCHEDULES[name], (0, 1, 7, 12)
    found = sample(denoiser, schedule, noise, 0.3, LightningCP(keys))
    assert [kind for kind, _ in denoiser.calls] == ["full" if i in keys else "shallow" for i in range(STEPS)]
    latent, twin = noise, toy()
    for index, time in enumerate(schedule.times):
        t = torch.full((2,), time)
        if index in keys:
            prediction, deep = twin.full(latent, t, 0.3)
        else:
            prediction = twin.shallow(latent, t, 0.3, deep)
        latent = schedule.step(index, latent, prediction)
    assert found.equal(latent)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("key", [0, 3, 11])
def test_rolling_out_is_the_closed_form(name: str, key: int) -> None:
    """The predictions that stand for an unchanged clean latent and noise, put through the schedule step by step."""
    schedule, draw = SCHEDULES[name], torch.Generator().manual_seed(key)
    latent, prediction = (torch.randn(3, 4, dtype=torch.float64, generator=draw) for _ in range(2))
    assert schedule.estimate(key, key + 1, latent, prediction).equal(schedule.step(key, latent, prediction))
    rolled = latent
    for index in range(key, STEPS - 1):
        rolled = schedule.step(index, rolled, same_noise(schedule, key, index, latent, prediction))
        closed = schedule.estimate(key, index + 1, latent, prediction)
        torch.testing.assert_close(rolled, closed, atol=1e-6, rtol=1e-6)


def same_noise(schedule: Any, key: int, index: int, latent: Tensor, prediction: Tensor) -> Tensor:
    """What would be predicted at a later step, clean latent and noise being those of the key step."""
    if not hasattr(schedule, "split"):
        return prediction  # a velocity of a straight path is noise less clean latent at all times
    clean, noise = schedule.split(key, latent, prediction)
    kind = getattr(schedule, "predicts", "velocity")
    signal = schedule.signal[index]
    return {
        "noise": noise,
        "clean": clean,
        "velocity": math.sqrt(signal) * noise - math.sqrt(1 - signal) * clean,
    }[kind]


def test_estimates_are_finite_where_no_signal_is_left() -> None:
    schedule = velocity_ddim(40, Diffusion())
    assert schedule.signal[0] == 0
    draw = torch.Generator().manual_seed(0)
    latent, velocity = (torch.randn(4, generator=draw) for _ in range(2))
    for later in range(1, 40):
        estimate = schedule.estimate(0, later, latent, velocity)
        after = schedule.next_signal[later - 1]
        torch.testing.assert_close(estimate, -math.sqrt(after) * velocity + math.sqrt(1 - after) * latent)


def test_raw_reuse_rolls_the_schedule() -> None:
    schedule, noise = SCHEDULES["velocity"], torch.randn(1, 5, generator=torch.Generator().manual_seed(3))
    seen: list[Tensor] = []

    class Spy:
        def start(self, denoiser: Any, changed: Any) -> Any:
            def predict(latents: list[Tensor], times: Any, condition: Any, deep: Any) -> list[Tensor]:
                seen.extend(latents)
                return [torch.zeros_like(z) for z in latents]

            return predict

    plan = LightningCP((0, 1), None, estimate=Inputs.RAW, together=Spy())
    denoiser = toy()
    z1 = schedule.step(0, noise, denoiser.full(noise, torch.tensor([999]), 0.1)[0])
    velocity = denoiser.full(z1, torch.tensor([schedule.times[1]]), 0.1)[0]
    sample(denoiser, schedule, noise, 0.1, plan)
    rolled = z1
    for index, latent in enumerate(seen, start=2):
        rolled = schedule.step(index - 1, rolled, velocity)
        torch.testing.assert_close(latent, rolled)
    noise_kind = replace(plan, estimate=Inputs.NOISE)
    raw = list(seen)
    seen.clear()
    sample(denoiser, schedule, noise, 0.1, noise_kind)
    assert seen[0].equal(raw[0])
    assert not torch.allclose(seen[-1], raw[-1], atol=1e-4)


def test_estimates_are_nearer_to_the_truth_than_no_estimates() -> None:
    schedule, noise = SCHEDULES["velocity"], torch.randn(1, 64, generator=torch.Generator().manual_seed(5))

    class Smooth(Toy):
        def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
            return -0.9 * condition + 0.05 * z, z

        def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Tensor) -> Tensor:
            return -0.9 * condition + 0.05 * z

    clean = torch.randn(1, 64, generator=torch.Generator().manual_seed(6))
    truth = sample(Smooth([]), schedule, noise, clean)
    errors = {
        start: relative_change(truth, sample(Smooth([]), schedule, noise, clean, LightningCP((0, 6, 12), None, start)))
        for start in (0, None)
    }
    assert errors[0] < errors[None] / 2


def test_devices_share_the_steps_in_order() -> None:
    schedule, noise = SCHEDULES["noise"], torch.randn(1, 3, generator=torch.Generator().manual_seed(1))
    first, second = toy(), toy()
    plan = LightningCP((0, 8), None, together=Replicas([(first, torch.device("cpu")), (second, torch.device("cpu"))]))
    main = toy()
    found = sample(main, schedule, noise, 0.1, plan)
    torch.testing.assert_close(found, sample(toy(), schedule, noise, 0.1, replace(plan, together=None)))
    assert [kind for kind, _ in main.calls] == ["full", "full"]
    assert [time for _, time in first.calls] == [schedule.times[i] for i in (*range(1, 8, 2), *range(9, 20, 2))]
    assert len(first.calls) + len(second.calls) == 18
    with pytest.raises(UsageError, match="no device"):
        Replicas([])


def test_an_error_on_one_device_is_the_callers() -> None:
    class Broken(Toy):
        def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Tensor) -> Tensor:
            raise RuntimeError("device lost")

    plan = LightningCP((0,), None, together=Replicas([(Broken([]), torch.device("cpu"))]))
    with pytest.raises(RuntimeError, match="device lost"):
        sample(toy(), SCHEDULES["noise"], torch.zeros(1, 3), 0.1, plan)


def test_key_steps_by_rule() -> None:
    assert uniform_keys(10, 3) == (0, 3, 6, 9)
    assert spread_keys(40, 11) == tuple(i * 40 // 11 for i in range(11))
    assert spread_keys(5, 5) == (0, 1, 2, 3, 4)
    assert faster_diffusion_keys(50) == (0, 1, 2, 3, 5, 10, 15, 25, 35)
    for wrong in (lambda: uniform_keys(5, 0), lambda: spread_keys(3, 4), lambda: spread_keys(3, 0)):
        with pytest.raises(UsageError):
            wrong()


@given(st.integers(1, 200), st.floats(0.001, 1.0))
def test_fewer_steps_never_cost_more(steps: int, part: float) -> None:
    count = fewer_steps(steps, part)
    assert 1 <= count <= steps
    assert count == 1 or count <= steps * part + 1e-6
    assert count + 1 > steps * part - 1e-6


def test_cached_guidance_alternates_over_full_passes_only() -> None:
    plan = cached_guidance(3, LightningCP((0, 1, 2, 5, 6)), first_steps=2)
    kinds = [move.kind.value for move in moves(plan, 8)]
    assert kinds == ["full", "full", "led", "shallow", "shallow", "led", "full", "shallow"]
    with pytest.raises(UsageError, match="at least 1"):
        cached_guidance(0)
    with pytest.raises(UsageError, match="compares features"):
        cached_guidance(2, Adaptive(0.1))


class Drifting:
    """Its feature moves by a given amount at each step, relative to its size."""

    def __init__(self, drift: list[float]) -> None:
        self.position = list(itertools.accumulate(drift, initial=1.0))
        self.index = -1

    def full(self, z: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
        self.index += 1
        value = torch.full((1, 1), self.position[self.index])
        return value, value

    def shallow(self, z: Tensor, t: Tensor, condition: Any, deep: Tensor) -> Tensor:
        self.index += 1
        return torch.full((1, 1), self.position[self.index])


def adaptive_keys(drift: list[float], plan: Adaptive) -> list[int]:
    kinds: list[Kind] = []
    steps = len(drift) + 1
    schedule = memo_flow(steps)
    sample(Drifting(drift), schedule, torch.zeros(1, 1), None, plan, lambda step: kinds.append(step.kind))
    return [index for index, kind in enumerate(kinds) if kind is Kind.FULL]


def test_the_adaptive_plan_follows_the_change() -> None:
    slow, fast = [0.001] * 30, [0.1] * 30
    assert len(adaptive_keys(slow, Adaptive(0.05, longest=40))) == 2
    assert len(adaptive_keys(fast, Adaptive(0.02))) == 31
    turning = adaptive_keys([0.1] * 5 + [0.001] * 20 + [0.1] * 5, Adaptive(0.11, longest=40))
    middle = [key for key in turning if 8 <= key < 25]
    assert len(middle) <= 2
    assert len([key for key in turning if key >= 25]) >= 2


def test_the_adaptive_plan_keeps_its_bound_where_change_is_even() -> None:
    drift = [0.01] * 40
    keys = adaptive_keys(drift, Adaptive(0.035, longest=40))
    position = list(itertools.accumulate(drift, initial=1.0))
    for key, following in itertools.pairwise([*keys, 41]):
        worst = (position[following - 1] - position[key]) / position[key]
        assert worst <= 0.035 + 0.01
    gaps = [b - a for a, b in itertools.pairwise(keys[1:])]
    assert min(gaps) >= 3


def test_the_adaptive_plan_is_bounded_in_length() -> None:
    keys = adaptive_keys([0.0] * 20, Adaptive(0.05, longest=4))
    assert max(b - a for a, b in itertools.pairwise(keys[1:])) == 5
    for bad in (lambda: Adaptive(0.0), lambda: Adaptive(float("nan")), lambda: Adaptive(0.1, longest=0)):
        with pytest.raises(UsageError, match="bound"):
            bad()


def test_changes_are_added_in_order() -> None:
    mask = torch.ones(2, 2, dtype=torch.bool)
    plan = with_changes(LightningCP((0,)), ForegroundAttention(mask), ReferenceRemoval())
    assert [type(change) for change in plan.changes] == [ForegroundAttention, ReferenceRemoval]
    assert plan.key_steps == (0,)


def test_foregrounds_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="must be"):
        ForegroundAttention(torch.ones(2, 2))
    with pytest.raises(UsageError, match="must be"):
        ForegroundAttention(torch.ones(4, dtype=torch.bool))
    with pytest.raises(UsageError, match=r"\['lips'\]"):
        ForegroundAttention(torch.ones(2, 2, dtype=torch.bool), ("lips",))


def test_structures_of_tensors() -> None:
    value = {"a": torch.ones(2), "b": [(torch.zeros(1), 3), None]}
    doubled = mapped(value, lambda tensor: tensor * 2)
    assert doubled["a"].tolist() == [2, 2]
    assert doubled["b"][0][1] == 3 and doubled["b"][1] is None
    assert [tuple(t.shape) for t in tensors(value)] == [(2,), (1,)]
    assert moved(Move(0), torch.device("cpu")) == Move(0)
    assert relative_change(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 5.0])) == pytest.approx(0.2)
    assert relative_change(torch.zeros(2), torch.zeros(2)) == 0
    assert math.isinf(relative_change(torch.zeros(2), torch.ones(2)))


def test_a_cell_is_foreground_where_most_of_it_is() -> None:
    mask = np.zeros((8, 8))
    mask[:4, :3] = 1  # three quarters of a 4 x 4 cell
    mask[4:, 4:6] = 1  # exactly half of another: not more than half
    assert foreground(mask, 2, 2, dilation=0).tolist() == [[True, False], [False, False]]
    one = np.zeros((5, 5))
    one[2, 2] = 1
    assert foreground(one, 5, 5, dilation=1).sum() == 9
    assert foreground(one, 5, 5, dilation=2).all()
    assert share(foreground(one, 5, 5, dilation=1)) == pytest.approx(9 / 25)
    with pytest.raises(UsageError, match="grown by -1"):
        foreground(one, 5, 5, dilation=-1)


def test_the_silhouette_holds_head_and_shoulders() -> None:
    corners = np.array([[50.0, 40.0, 0], [90.0, 40.0, 0], [70.0, 90.0, 0]])
    mask = silhouette(corners, 160, 140)
    assert mask[40:90, 50:90].all()
    assert mask[30, 70] and not mask[5, 5] and not mask[60, 10]
    assert mask[150, 20:120].all()
    moved_by = silhouette(corners + np.array([10.0, 0, 0]), 160, 140)
    assert (mask[:, :-10] == moved_by[:, 10:]).all()


MASK = torch.ones(2, 2, dtype=torch.bool)
SETTING = Setting(40, foreground=MASK)


def test_every_acceleration_has_a_factory_that_gives_a_plan() -> None:
    for spec in ACCELERATIONS:
        assert isinstance(spec, AccelerationSpec)
        plan = load(spec.factory, purpose=spec.name)(EveryStep(), SETTING)
        assert moves(replace(plan, bound=0.1) if isinstance(plan, Adaptive) else plan, 2 if plan.watches else 40)
    assert len({spec.name for spec in ACCELERATIONS}) == len(ACCELERATIONS)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    import thbench.registry

    monkeypatch.setattr(thbench.registry, "ACCELERATIONS", {spec.name: spec for spec in ACCELERATIONS})


@pytest.mark.usefixtures("registered")
def test_names_are_composed_in_order() -> None:
    plan = planned(["lightningcp", "dfa", "refdrop"], replace(SETTING, key_steps=(0, 5)))
    assert isinstance(plan, LightningCP)
    assert plan.key_steps == (0, 5)
    assert [type(change) for change in plan.changes] == [ForegroundAttention, ReferenceRemoval]
    assert planned([], SETTING) == EveryStep()
    assert len(planned(["lightningcp"], SETTING).key_steps) == 11
    parallel = planned(["lightningcp-parallel"], SETTING)
    assert (parallel.block, parallel.estimate_from) == (None, 10)
    both = planned(["lightningcp", "cfg-cache"], SETTING)
    assert both.inner.key_steps == parallel.key_steps


@pytest.mark.usefixtures("registered")
def test_names_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match="named twice"):
        planned(["dfa", "dfa"], SETTING)
    with pytest.raises(UsageError, match="both decide"):
        planned(["lightningcp", "deepcache"], SETTING)
    with pytest.raises(MethodError, match="foreground attention cannot be applied"):
        planned(["lightningcp", "dfa"], Setting(40))


def test_fewer_steps_by_name_spend_what_lightningcp_would() -> None:
    assert steps_of([], 40) == 40
    cached = 5.2498 / 53.9518
    assert steps_of(["fewer-steps"], 40, cached=cached) == fewer_steps(40, 745.72 / 2158.08) == 13
