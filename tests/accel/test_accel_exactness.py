"""Accelerated sampling on small instances of the real networks, against plain twins and against itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from accel_nets import FRAMES, NAMES, SIDE, Case, case, foreground
from thbench_methods.nets.unet3d.attention import Attention
from thbench_methods.nets.unet3d.compiled import compile_regions
from thbench_methods.nets.unet3d.layout import images

from thbench.accel import (
    Cut,
    EncoderPropagation,
    EveryStep,
    ForegroundAttention,
    Inputs,
    Kind,
    LightningCP,
    OneByOne,
    ReferenceRemoval,
    Replicas,
    Step,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    sample,
    with_changes,
)
from thbench.accel.moves import Plan

STEPS = 6
KEYS = (0, 1, 3)
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def run(given: Case, plan: Plan, steps: int = STEPS, on_step: Callable[[Step], None] | None = None) -> torch.Tensor:
    return sample(given.denoiser, given.schedule(steps), given.noise, given.condition, plan, on_step)


@pytest.mark.parametrize("scale", [1.0, 3.5])
@pytest.mark.parametrize("name", NAMES)
def test_the_loop_is_the_plain_loop(name: str, scale: float) -> None:
    given = case(name, scale)
    schedule, latent = given.schedule(STEPS), given.noise
    for index, time in enumerate(schedule.times):
        prediction, _ = given.denoiser.full(latent, torch.tensor([time]), given.condition)
        latent = schedule.step(index, latent, prediction)
    assert run(given, EveryStep()).equal(latent)


@pytest.mark.parametrize("block", [1, 3, None])
@pytest.mark.parametrize("name", NAMES)
def test_keys_at_all_steps_are_the_base_bit_for_bit(name: str, block: int | None) -> None:
    given = case(name)
    plan = with_changes(
        LightningCP(tuple(range(STEPS)), block), ForegroundAttention(foreground()), ReferenceRemoval(), Cut(2)
    )
    changed = dataclasses.replace(plan, changes=(Cut(2), *plan.changes[:2]))
    assert run(given, changed).equal(run(given, EveryStep()))


@pytest.mark.parametrize("scale", [1.0, 3.5])
@pytest.mark.parametrize("name", NAMES)
def test_key_steps_are_the_plain_twin(name: str, scale: float) -> None:
    given = case(name, scale)
    schedule, latent, deep = given.schedule(STEPS), given.noise, None
    for index, time in enumerate(schedule.times):
        t = torch.tensor([time])
        if index in KEYS:
            prediction, deep = given.denoiser.full(latent, t, given.condition)
        else:
            prediction = given.denoiser.shallow(latent, t, given.condition, deep)
        latent = schedule.step(index, latent, prediction)
    assert run(given, LightningCP(KEYS)).equal(latent)
    assert (latent - run(given, EveryStep())).abs().max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_one_step_are_sequential(name: str) -> None:
    given = case(name)
    sequential = run(given, LightningCP(KEYS))
    for inputs in Inputs:
        assert run(given, LightningCP(KEYS, block=1, estimate=inputs)).equal(sequential)
    neighbours = tuple(range(0, STEPS, 2))  # one cached step behind each key step: nothing to estimate
    one = run(given, LightningCP(neighbours))
    assert run(given, LightningCP(neighbours, block=None)).equal(one)


@pytest.mark.parametrize(
    ("name", "scale", "changes", "block"),
    [
        *((name, 3.5, ("dfa", "rm"), None) for name in NAMES),
        *((name, 1.0, (), None) for name in NAMES),
        ("hallo", 3.5, (), 2),
        ("memo", 1.0, ("dfa", "rm"), 2),
    ],
)
def test_a_batch_is_its_steps_one_by_one(name: str, scale: float, changes: tuple[str, ...], block: int | None) -> None:
    given = case(name, scale)
    known = {"dfa": ForegroundAttention(foreground()), "rm": ReferenceRemoval()}
    plan = LightningCP(KEYS, block, changes=tuple(known[change] for change in changes))
    together = run(given, plan)
    torch.testing.assert_close(together, run(given, dataclasses.replace(plan, together=OneByOne())), **CLOSE)
    assert (together - run(given, LightningCP(KEYS, changes=plan.changes))).abs().max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_devices_predict_what_one_does(name: str) -> None:
    given, copies = case(name), [case(name).denoiser for _ in range(2)]
    plan = LightningCP(KEYS, None, changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    several = dataclasses.replace(plan, together=Replicas([(copy, torch.device("cpu")) for copy in copies]))
    torch.testing.assert_close(run(given, several), run(given, plan), **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_a_foreground_of_everything_is_full_attention(name: str) -> None:
    given = case(name)
    whole = ForegroundAttention(torch.ones(SIDE, SIDE, dtype=torch.bool))
    torch.testing.assert_close(
        run(given, LightningCP(KEYS, changes=(whole,))), run(given, LightningCP(KEYS)), atol=1e-6, rtol=1e-6
    )


def pieces(given: Case) -> dict[str, list[Attention]]:
    """The attentions of the last up layer that are restricted, by stage."""
    block = list(given.denoiser.denoiser.up_blocks)[-1]
    found = {"reference": [block.attentions[-1].transformer_blocks[0].attn1]}
    if hasattr(block, "audio_modules"):
        found["audio"] = [block.audio_modules[-1].transformer_blocks[0].attn1]
    found["temporal"] = list(block.motion_modules[-1].temporal_transformer.transformer_blocks[0].attention_blocks)
    return found


@pytest.mark.parametrize("name", ["hallo", "echomimic"])
def test_foreground_attention_is_its_plain_twin(name: str) -> None:
    """The twin runs full attention with the background's keys masked out, and puts the key step's outputs back."""
    given, mask = case(name), foreground(0.75)
    inside = mask.flatten()
    kept: dict[Attention, torch.Tensor] = {}
    phase = {"key": True}

    def restricted(own: Attention, is_temporal: bool):
        plain = own.forward

        def forward(x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
            rows = x.unflatten(0, (-1, len(inside))) if is_temporal else x
            if phase["key"]:
                out = plain(x, context)
                kept[own, len(x)] = out.clone()
                return out
            if is_temporal:
                out = plain(x, context).unflatten(0, (-1, len(inside)))
                old = kept[own, len(x)].unflatten(0, (-1, len(inside)))
                return torch.where(inside[None, :, None, None], out, old).flatten(0, 1)
            keys = x if context is None else context
            visible = inside.repeat(keys.shape[1] // len(inside))
            out = plain(rows, keys[:, visible])
            return torch.where(inside[None, :, None], out, kept[own, len(x)])

        return forward

    wanted = run(given, LightningCP(KEYS, changes=(ForegroundAttention(mask),)))
    # A second instance with equal weights is patched; nothing of the first is touched.
    twin = case(name)
    for stage, attentions in pieces(twin).items():
        for attention in attentions:
            attention.forward = restricted(attention, stage == "temporal")
    schedule, latent, deep = twin.schedule(STEPS), twin.noise, None
    for index, time in enumerate(schedule.times):
        t, phase["key"] = torch.tensor([time]), index in KEYS
        if phase["key"]:
            prediction, deep = twin.denoiser.full(latent, t, twin.condition)
        else:
            prediction = twin.denoiser.shallow(latent, t, twin.condition, deep)
        latent = schedule.step(index, latent, prediction)
    torch.testing.assert_close(wanted, latent, atol=1e-5, rtol=1e-4)
    assert (wanted - run(given, LightningCP(KEYS))).abs().max() > 1e-5


@pytest.mark.parametrize("attention", ["reference", "audio", "temporal"])
def test_each_attention_is_restricted_by_itself(attention: str) -> None:
    given = case("hallo")
    plain = run(given, LightningCP(KEYS))
    one = run(given, LightningCP(KEYS, changes=(ForegroundAttention(foreground(), (attention,)),)))
    all_of_them = run(given, LightningCP(KEYS, changes=(ForegroundAttention(foreground()),)))
    assert not one.equal(plain)
    assert not one.equal(all_of_them)


@pytest.mark.parametrize("name", NAMES)
def test_the_background_keeps_its_attention_of_the_key_step(name: str) -> None:
    """With nothing in the foreground every attention output of a cached step is the key step's."""
    given = case(name)
    seen: list[torch.Tensor] = []
    for attention in pieces(given)["reference"]:
        attention.register_forward_hook(lambda module, args, out: seen.append(out))
    nothing = ForegroundAttention(torch.zeros(SIDE, SIDE, dtype=torch.bool))
    assert run(given, LightningCP((0,), changes=(nothing,)), 4).isfinite().all()
    assert {len(out[0]) for out in seen[2:]} <= {0}


@pytest.mark.parametrize("name", NAMES)
def test_reference_removal_is_a_condition_without_it(name: str) -> None:
    given = case(name)
    network = given.denoiser.denoiser
    last = network.reference_places[-1]
    assert last.startswith("up_blocks.1.attentions.")
    schedule, latent, deep = given.schedule(STEPS), given.noise, None
    less = given.condition.without_reference([last])
    for index, time in enumerate(schedule.times):
        t = torch.tensor([time])
        if index in KEYS:
            prediction, deep = given.denoiser.full(latent, t, given.condition)
        else:
            prediction = given.denoiser.shallow(latent, t, less, deep)
        latent = schedule.step(index, latent, prediction)
    assert run(given, LightningCP(KEYS, changes=(ReferenceRemoval(),))).equal(latent)
    assert not latent.equal(run(given, LightningCP(KEYS)))


def test_reference_removal_takes_layers_and_steps() -> None:
    given = case("hallo")
    places = given.denoiser.reference_places
    everywhere = ReferenceRemoval(places, frozenset(range(STEPS)))
    without = dataclasses.replace(given, condition=given.condition.without_reference(places))
    assert run(given, EveryStep(changes=(everywhere,))).equal(run(without, EveryStep()))
    some = run(given, EveryStep(changes=(ReferenceRemoval(places[:2], frozenset({3})),)))
    assert not some.equal(run(given, EveryStep()))


@pytest.mark.parametrize("name", NAMES)
def test_removal_skips_the_unconditional_halfs_second_call(name: str) -> None:
    given = case(name)
    calls: list[int] = []
    for attention in pieces(given)["reference"]:
        attention.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    run(given, LightningCP((0,)), 2)
    assert calls == [2 * FRAMES, FRAMES] * 2
    calls.clear()
    run(given, LightningCP((0,), changes=(ReferenceRemoval(),)), 2)
    assert calls == [2 * FRAMES, FRAMES, 2 * FRAMES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_a_cut_anywhere_gives_the_full_pass_from_the_same_step(name: str, layers: int) -> None:
    given = case(name)
    view, t = given.denoiser.cut(layers), torch.tensor([500])
    prediction, deep = view.full(given.noise, t, given.condition)
    torch.testing.assert_close(prediction, given.denoiser.full(given.noise, t, given.condition)[0])
    torch.testing.assert_close(view.shallow(given.noise, t, given.condition, deep), prediction, **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_deep_cache_runs_the_layers_of_its_branch(name: str) -> None:
    given = case(name)
    ran: list[str] = []
    network = given.denoiser.denoiser
    for part, module in network.named_modules():
        if part.rsplit(".", 1)[0].endswith("resnets"):
            module.register_forward_hook(lambda module, args, out, part=part: ran.append(part))
    plans = {branch: deep_cache((0,), branch) for branch in ("plug-in", "original")}
    layers = {}
    for branch, plan in plans.items():
        ran.clear()
        run(given, plan, 2)
        layers[branch] = ran[ran.index("up_blocks.1.resnets.1") + 1 :]
    assert layers["plug-in"] == ["up_blocks.1.resnets.1"]
    assert layers["original"] == ["down_blocks.0.resnets.0", "up_blocks.1.resnets.0", "up_blocks.1.resnets.1"]
    assert run(given, plans["plug-in"]).equal(run(given, LightningCP((0,))))


@pytest.mark.parametrize("name", NAMES)
def test_encoder_propagation_is_its_plain_twin(name: str) -> None:
    """Twin: the decoder by hand on the key step's skips, with each step's own time."""
    given = case(name)
    view, network = given.denoiser.decoder(), given.denoiser.denoiser
    t, later = torch.tensor([900]), torch.tensor([500])
    _, kept = view.full(given.noise, t, given.condition)
    call = network.call(given.condition, FRAMES)
    entered, call = network.recall(kept.entered, call)
    z = torch.cat((given.noise, given.noise))
    first = network.first(z, given.condition)
    fresh = network.call(given.condition, FRAMES)
    skips = list(network.descend(first, network.time_embedding(t), fresh))
    for ours, theirs in zip(kept.skips, skips, strict=True):
        torch.testing.assert_close(images(ours), theirs)
    by_hand = network.head(images(entered), skips, network.time_embedding(later), call)
    joined = by_hand.unflatten(0, (2, FRAMES)).transpose(1, 2)
    plain, led = joined.chunk(2)
    guided = plain + given.scale * (led - plain)
    torch.testing.assert_close(view.shallow(given.noise, later, given.condition, kept), guided, **CLOSE)
    # The latent does not enter.
    assert view.shallow(given.noise + 1, later, given.condition, kept).equal(
        view.shallow(given.noise, later, given.condition, kept)
    )


@pytest.mark.parametrize("name", NAMES)
def test_faster_diffusion_in_parallel_is_faster_diffusion_step_by_step(name: str) -> None:
    given = case(name)
    parallel = faster_diffusion((0, 1, 3))
    sequential = dataclasses.replace(parallel, block=1)
    torch.testing.assert_close(run(given, parallel), run(given, sequential), **CLOSE)
    without = faster_diffusion((0, 1, 3), prior=None)
    assert without.changes == (EncoderPropagation(),)
    assert not run(given, without).equal(run(given, parallel))


@pytest.mark.parametrize("name", NAMES)
def test_guidance_that_is_always_refreshed_is_the_base(name: str) -> None:
    given = case(name)
    assert run(given, cached_guidance(1)).equal(run(given, EveryStep()))
    plan = LightningCP(KEYS)
    assert run(given, cached_guidance(1, plan)).equal(run(given, plan))


@pytest.mark.parametrize("name", NAMES)
def test_cached_guidance_is_its_plain_twin(name: str) -> None:
    given = case(name)
    network, schedule, latent = given.denoiser.denoiser, given.schedule(STEPS), given.noise
    half = None
    for index, time in enumerate(schedule.times):
        both, _ = network.full(torch.cat((latent, latent)), torch.tensor([time, time]), given.condition)
        plain, led = both.chunk(2)
        if index % 3 == 0:
            half = led - plain
        latent = schedule.step(index, latent, led + (given.scale - 1) * half)
    torch.testing.assert_close(run(given, cached_guidance(3)), latent, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("block", [1, None])
@pytest.mark.parametrize("name", NAMES)
def test_cached_guidance_composes_with_key_steps(name: str, block: int | None) -> None:
    given = case(name)
    rows: list[int] = []
    given.denoiser.denoiser.conv_in.register_forward_pre_hook(lambda module, args: rows.append(len(args[0]) // FRAMES))
    plan = cached_guidance(2, LightningCP(KEYS, block, together=OneByOne() if block is None else None))
    kinds: list[Kind] = []
    found = run(given, plan, on_step=lambda step: kinds.append(step.kind))
    led, full, cached = Kind.LED, Kind.FULL, Kind.SHALLOW
    assert kinds == [full, led, cached, full, cached, cached]
    assert rows == [2, 1, 1, 2, 2, 2]
    batched = cached_guidance(2, LightningCP(KEYS, block))
    torch.testing.assert_close(run(given, batched), found, **CLOSE)


def test_cached_guidance_takes_changes_in_any_order() -> None:
    given, dfa = case("hallo"), ForegroundAttention(foreground())
    inside = cached_guidance(2, LightningCP(KEYS, changes=(dfa, Cut(2))))
    outside = with_changes(cached_guidance(2, LightningCP(KEYS)), dfa, Cut(2))
    torch.testing.assert_close(run(given, inside), run(given, outside), **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_a_second_clip_is_not_touched_by_the_first_ones_cache(name: str) -> None:
    one, other = case(name, seed=1), case(name, seed=2)
    plan = LightningCP(KEYS, None, changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    alone = run(other, plan)
    run(one, plan)
    after = sample(one.denoiser, one.schedule(STEPS), other.noise, other.condition, plan)
    assert after.equal(alone)


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_leaves_nothing_behind(name: str) -> None:
    given = case(name)
    plan = LightningCP(KEYS, None, changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    wanted, network = run(given, plan), given.denoiser.denoiser
    before = {part: dict(vars(module)) for part, module in network.named_modules()}
    block = list(network.up_blocks)[-1].resnets[-1]
    calls: list[int] = []

    def fail(module, args):
        calls.append(1)
        if len(calls) == 5:
            raise RuntimeError("inside a block")

    handle = block.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="inside a block"):
        run(given, plan)
    handle.remove()
    after = {part: dict(vars(module)) for part, module in network.named_modules()}
    assert before.keys() == after.keys()
    for part, attributes in before.items():
        assert attributes.keys() == after[part].keys(), part
    assert run(given, plan).equal(wanted)


@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.full) for name in NAMES[:2]), "memo"])
def test_compiled_regions_are_the_network(name: str) -> None:
    """The tracer alone, without a compiler behind it: what is traced is what runs, whatever the plan."""
    given, compiled = case(name), case(name)
    assert compile_regions(compiled.denoiser.denoiser, backend="eager") > 5
    plan = LightningCP((0,), changes=(ForegroundAttention(foreground()), ReferenceRemoval()))
    torch.testing.assert_close(run(compiled, plan, 2), run(given, plan, 2), **CLOSE)
