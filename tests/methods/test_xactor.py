"""X-Actor's stage 1: causality across chunks, noise levels, kept keys and values, and acting without end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from thbench_methods.common.seeds import Noise
from thbench_methods.xactor.actor import ActorTransformer, Condition, WindowedAttention
from thbench_methods.xactor.config import MINI, PAPER, Acting, Actor
from thbench_methods.xactor.endless import Carried, Scene, acted, windowed
from thbench_methods.xactor.forcing import (
    TOP,
    Forced,
    LevelDDIM,
    following,
    ladder,
    noised,
    opening,
    signals,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from thbench.accel import sample
from thbench.accel.tree import tensors
from thbench.errors import UsageError

SMALL = Actor(width=16, heads=2, blocks=2, audio_layers=2, audio=5, reach=2, chunk=3, context=3, rotary_theta=64.0)
MOTION = 6
ACTING = Acting(steps=4, guidance=1.0, history=(60, 20))


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def random_actor(sizes: Actor = SMALL) -> ActorTransformer:
    """Return a network whose gates are open; a fresh one begins as the identity."""
    torch.manual_seed(0)
    net = ActorTransformer(sizes, MOTION).eval()
    for values in net.parameters():
        values.data.normal_(0, 0.3)
    return net


@pytest.fixture
def net() -> ActorTransformer:
    return random_actor()


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(net: ActorTransformer, frames: int, batch: int = 1, first: int = 0) -> Condition:
    """Return the condition of frames of one endless sound."""
    sizes = net.sizes
    sound = draw(1, 200, sizes.audio_layers, sizes.audio, seed=1)[:, first : first + frames + 2 * sizes.reach]
    return net.condition(draw(1, MOTION, seed=2).expand(batch, -1), sound.expand(batch, -1, -1, -1))


def scene(net: ActorTransformer, acting: Acting = ACTING, seed: int = 0, context: int | None = None) -> Scene:
    sound = draw(400, net.sizes.audio_layers, net.sizes.audio, seed=1)

    def hear(first: int, frames: int) -> Tensor:
        return sound[(torch.arange(first, first + frames + 2 * net.sizes.reach)) % 400]

    return Scene(net, acting, draw(1, MOTION, seed=2), hear, Noise(seed), context or net.sizes.context)


def chunks(of: Scene, count: int) -> Tensor:
    found, carried = [], of.begin()
    for _ in range(count):
        motion, carried = of.act(carried)
        found.append(motion)
    return torch.stack(found)


def test_a_later_chunk_touches_no_earlier_one_and_all_of_a_chunk_touches_all_of_it(net: ActorTransformer) -> None:
    noisy, levels, condition = draw(1, 12, MOTION), torch.tensor([[10, 900, 400, 1000]]), given(net, 12)
    before = net(noisy, levels, condition)
    for frame in range(12):
        changed = noisy.clone()
        changed[0, frame] += 1
        after = net(changed, levels, condition)
        chunk = frame // 3
        assert torch.equal(after[:, : 3 * chunk], before[:, : 3 * chunk])
        moved = (after - before)[0].abs().amax(dim=1)
        # Two blocks, each of which sees two chunks back, hand on what happens up to four chunks later.
        assert (moved[3 * chunk :] > 1e-6).all()


def test_a_later_noise_level_and_later_sound_touch_no_earlier_chunk(net: ActorTransformer) -> None:
    noisy, levels, condition = draw(1, 9, MOTION), torch.tensor([[10, 900, 400]]), given(net, 9)
    before = net(noisy, levels, condition)
    after = net(noisy, torch.tensor([[10, 900, 401]]), condition)
    assert torch.equal(after[:, :6], before[:, :6])
    assert (after - before)[0, 6:].abs().amax(dim=1).min() > 1e-6
    # Sound reaches two frames: the last frame of it is heard by the last frame alone.
    audio = condition.audio.clone()
    audio[0, -1] += 1
    after = net(noisy, levels, replace(condition, audio=audio))
    changed = (after - before)[0].abs().amax(dim=1) > 0
    assert changed.tolist() == [False] * 6 + [True] * 3


def test_the_context_ends_where_it_says() -> None:
    net = random_actor(replace(SMALL, blocks=1))
    noisy, levels, condition = draw(1, 15, MOTION), torch.zeros(1, 5, dtype=torch.int64), given(net, 15)
    before = net(noisy, levels, condition)
    noisy[0, 0] += 1
    after = net(noisy, levels, condition)
    changed = (after - before)[0].abs().amax(dim=1) > 0
    assert changed.tolist() == [True] * 9 + [False] * 6


def test_each_frame_hears_its_own_window_of_sound() -> None:
    net = random_actor(replace(SMALL, blocks=1, context=1))
    window = net.blocks[0].audio
    x, audio = draw(1, 9, 16), draw(1, 13, 16, seed=1)
    before = window(x, audio)
    for column in range(13):
        other = audio.clone()
        other[0, column] += 1
        changed = (window(x, other) - before)[0].abs().amax(dim=1) > 1e-7
        assert changed.tolist() == [abs(column - 2 - frame) <= 2 for frame in range(9)]


def test_windowed_attention_is_attention_with_a_band_and_a_bias() -> None:
    window = random_actor().blocks[0].audio
    x, audio = draw(2, 9, 16), draw(2, 13, 16, seed=1)
    query, (key, value) = window.query(x), window.key_value(audio).chunk(2, dim=-1)
    heads = [t.unflatten(2, (2, 8)).transpose(1, 2) for t in (query, key, value)]
    offset = torch.arange(13)[None] - torch.arange(9)[:, None]
    bias = torch.where((offset >= 0) & (offset <= 4), window.bias[:, offset.clamp(0, 4)], -torch.inf)
    mixed = torch.nn.functional.scaled_dot_product_attention(*heads, attn_mask=bias)
    torch.testing.assert_close(window(x, audio), window.proj(mixed.transpose(1, 2).flatten(2)))


def test_before_training_heads_hear_around_their_frame_nearer_and_farther() -> None:
    window = WindowedAttention(24, 6, 8)
    nearer = window.bias.softmax(dim=1)
    assert (nearer.argmax(dim=1) == 8).all()
    torch.testing.assert_close(window.bias, window.bias.flip(1))
    # A deviation away from the frame, a Gaussian has fallen by half a unit of its logarithm.
    falls = [window.bias[head, 8 + deviation].item() for head, deviation in enumerate((1, 2, 4, 8, 1, 2))]
    assert falls == pytest.approx([-0.5] * 6)


def test_every_condition_and_each_level_matters(net: ActorTransformer) -> None:
    noisy, levels, condition = draw(1, 9, MOTION), torch.tensor([[100, 500, 900]]), given(net, 9)
    before = net(noisy, levels, condition)
    for other in (
        replace(condition, reference=condition.reference + 1),
        replace(condition, audio=condition.audio + 1),
    ):
        assert ((net(noisy, levels, other) - before).abs().amax(dim=(0, 2)) > 1e-6).all()
    assert ((net(noisy, levels + 1, condition) - before).abs().amax(dim=(0, 2)) > 1e-6).all()


def test_one_level_for_each_chunk_is_the_same_level_for_each_of_its_frames(net: ActorTransformer) -> None:
    noisy, levels, condition = draw(1, 9, MOTION), torch.tensor([[100, 500, 900]]), given(net, 9)
    per_frame = levels.repeat_interleave(3, dim=1)
    torch.testing.assert_close(net(noisy, per_frame, condition), net(noisy, levels, condition))
    per_frame[0, 4] = 1
    assert (net(noisy, per_frame, condition) - net(noisy, levels, condition))[0, 3:6].abs().max() > 1e-6
    with pytest.raises(UsageError, match="whole chunks"):
        net(noisy[:, :8], levels, condition)


def test_kept_keys_and_values_are_worth_the_chunks_themselves(net: ActorTransformer) -> None:
    """Chunk by chunk with what is kept, as one pass over all chunks with the mask."""
    count = 7
    noisy, levels = draw(1, 3 * count, MOTION), torch.randint(TOP + 1, (1, count))
    whole = net(noisy, levels, given(net, 3 * count))
    history = ()
    for number in range(count):
        rows = slice(3 * number, 3 * number + 3)
        condition = replace(given(net, 3, first=3 * number), history=history)
        own, level = noisy[:, rows], levels[:, number : number + 1]
        torch.testing.assert_close(net(own, level, condition), whole[:, rows], atol=1e-5, rtol=1e-4)
        history = net.remember(own, level, condition)
        assert history[0].keys.shape == (1, 2, min(3 * (number + 1), 6), 8)


def test_the_last_block_alone_gives_the_same_from_the_same_step(net: ActorTransformer) -> None:
    noisy, levels = draw(1, 3, MOTION), torch.tensor([[500]])
    history = net.remember(noisy, levels, given(net, 3))
    condition = replace(given(net, 3, first=3), history=history)
    clean, deep = net.full(noisy, levels, condition)
    assert torch.equal(net.shallow(noisy, levels, condition, deep), clean)


def test_with_a_clean_history_each_chunk_sees_only_clean_earlier_ones(net: ActorTransformer) -> None:
    """Teacher forcing in one pass, as chunk by chunk after a clean history."""
    clean, noisy = draw(1, 9, MOTION), draw(1, 9, MOTION, seed=3)
    levels = torch.tensor([[700, 300, 900]])
    whole = net(noisy, levels, net.after_clean(clean, given(net, 9)))
    history = ()
    for number in range(3):
        rows = slice(3 * number, 3 * number + 3)
        condition = replace(given(net, 3, first=3 * number), history=history)
        alone = net(noisy[:, rows], levels[:, number : number + 1], condition)
        torch.testing.assert_close(whole[:, rows], alone, atol=1e-5, rtol=1e-4)
        history = net.remember(clean[:, rows], torch.tensor([[0]]), condition)


def test_a_batch_is_each_clip_alone(net: ActorTransformer) -> None:
    noisy, levels, condition = draw(2, 6, MOTION), torch.tensor([[10, 900], [300, 40]]), given(net, 6, batch=2)
    together = net(noisy, levels, condition)
    alone = net(noisy[1:], levels[1:], given(net, 6))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-4)


def test_signals_fall_from_clean_to_noise() -> None:
    kept = signals()
    assert (kept[0], kept[TOP]) == (1, 0)
    assert (kept.diff() < 0).all()
    assert kept[500] == pytest.approx(0.4939, abs=1e-3)
    clean, noise = draw(1, 6, 2), draw(1, 6, 2, seed=1)
    mixed = noised(clean, torch.tensor([[0, TOP]]), noise)
    assert torch.equal(mixed, torch.cat((clean[:, :3], noise[:, 3:]), dim=1))


@pytest.mark.parametrize(("steps", "in_flight"), [(1, 1), (4, 1), (4, 2), (20, 4), (20, 20)])
def test_levels_fall_over_time_and_towards_the_past(steps: int, in_flight: int) -> None:
    first, later = opening(steps, in_flight), following(steps, in_flight)
    for rows in (first, later):
        table = torch.tensor(rows)
        assert (table.diff(dim=0) <= 0).all()
        assert (table.diff(dim=1) >= 0).all()
        assert table[-1, 0] == 0
        assert table[0, -1] == TOP
    assert first[0] == (TOP,) * in_flight
    # What is in flight goes on where it was: the oldest has left and a new one has entered.
    assert first[-1][1:] == later[0][:-1] == later[-1][1:]
    # Each chunk visits the same levels.
    visited = {row[-1] for row in later} | {level for row in later for level in row}
    assert visited == set(ladder(steps))


def test_steps_must_be_shared_out_among_the_chunks_in_flight() -> None:
    with pytest.raises(UsageError, match="4 denoising steps for 3 chunks"):
        opening(4, 3)


def test_steps_lead_to_the_clean_motion_whatever_the_rows() -> None:
    clean, noise = draw(1, 6, 2), draw(1, 6, 2, seed=1)
    rows = opening(4, 2)
    schedule, latent = LevelDDIM(rows), noise
    for index in schedule.times:
        latent = schedule.step(index, latent, clean)
        levels = torch.tensor([rows[index + 1]])
        torch.testing.assert_close(latent, noised(clean, levels, noise), atol=1e-5, rtol=1e-5)
    assert torch.equal(schedule.step(0, noise, clean)[:, 3:], noise[:, 3:])


def test_a_clean_history_is_plain_autoregressive_diffusion(net: ActorTransformer) -> None:
    """Chunk by chunk by a bare loop that knows neither the history's noise nor chunks in flight."""
    acting = replace(ACTING, history=(), guidance=1.0)
    made = chunks(scene(net, acting), 5)
    history, kept = (), signals()
    for number in range(5):
        condition = replace(_of_scene(net, number), history=history)
        latent = Noise(0).normal((1, 3, MOTION), "chunk", number)
        for level, after in zip((1000, 750, 500, 250), (750, 500, 250, 0), strict=True):
            clean = net(latent, torch.tensor([[level]]), condition)
            noise = (latent - kept[level].sqrt().float() * clean) / (1 - kept[level]).sqrt().float()
            latent = kept[after].sqrt().float() * clean + (1 - kept[after]).sqrt().float() * noise
        torch.testing.assert_close(made[number], latent[0], atol=1e-4, rtol=1e-4)
        history = net.remember(made[number][None], torch.tensor([[0]]), condition)


def _of_scene(net: ActorTransformer, number: int) -> Condition:
    return net.condition(draw(1, MOTION, seed=2), scene(net).hear(3 * number, 3)[None])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_what_is_kept_equals_what_is_computed_anew(net: ActorTransformer, guidance: float) -> None:
    """Bit for bit: the settled chunks from their motion, one after the other."""
    of = scene(net, replace(ACTING, guidance=guidance))
    made, carried = [], of.begin()
    for _ in range(6):
        motion, carried = of.act(carried)
        made.append(motion)
    history = ()
    for number in range(4):
        condition = replace(of._condition(number, 1), history=history)
        batch = len(condition.audio)
        levels = torch.zeros(batch, 1, dtype=torch.int64)
        history = net.remember(made[number][None].expand(batch, -1, -1), levels, condition)
    for ours, anew in zip(carried.settled, history, strict=True):
        assert torch.equal(ours.keys, anew.keys)
        assert torch.equal(ours.values, anew.values)
    assert [torch.equal(recent.motion[0], own) for recent, own in zip(carried.recent, made[4:], strict=True)] == [
        True
    ] * 2


def size_of(carried: Carried) -> tuple[int, int]:
    """Return numbers that are carried, and numbers in the memory behind them."""
    found = list(tensors((carried.settled, carried.recent, carried.flying)))
    return sum(t.numel() for t in found), sum(t.untyped_storage().nbytes() for t in found)


@pytest.mark.parametrize("acting", [ACTING, replace(ACTING, in_flight=2, guidance=2.0)])
def test_what_is_carried_does_not_grow(net: ActorTransformer, acting: Acting) -> None:
    of = scene(net, acting)
    carried, sizes = of.begin(), []
    for _ in range(40):
        motion, carried = of.act(carried)
        assert motion.shape == (3, MOTION)
        assert motion.isfinite().all()
        sizes.append(size_of(carried))
    full = SMALL.context - 1 + len(acting.history)
    assert sizes[full - 2] < sizes[full]
    assert set(sizes[full:]) == {sizes[full]}


def test_chunks_in_flight_are_denoised_together_and_in_turn(net: ActorTransformer) -> None:
    acting = replace(ACTING, in_flight=2)
    of, told = scene(net, acting), []
    carried = of.begin()
    assert carried.flying.shape == (1, 3, MOTION)
    for _ in range(3):
        _, carried = of.act(carried, lambda step: told.append(step.latent.shape[1]))
    assert told == [6] * (4 + 2 + 2)
    assert not torch.equal(chunks(of, 3), chunks(scene(net), 3))


def test_seed_sound_and_portrait_make_the_motion(net: ActorTransformer) -> None:
    first = chunks(scene(net), 4)
    assert torch.equal(first, chunks(scene(net), 4))
    assert not torch.equal(first, chunks(scene(net, seed=1), 4))
    other = scene(net)
    assert not torch.equal(first, chunks(replace(other, reference=other.reference + 1), 4))
    assert not torch.equal(first, chunks(replace(other, hear=lambda a, n: other.hear(a + 1, n)), 4))
    # Sound behind the reach of a chunk cannot have been heard.
    late = replace(other, hear=lambda a, n: other.hear(a, n) + (torch.arange(a, a + n + 4) >= 10)[:, None, None])
    again = chunks(late, 4)
    assert torch.equal(again[:2], first[:2])
    assert not torch.equal(again[2], first[2])


def test_the_historys_noise_and_the_context_matter_once_there_is_a_past(net: ActorTransformer) -> None:
    plain = chunks(scene(net), 6)
    for other in (scene(net, replace(ACTING, history=(200, 20))), scene(net, context=2)):
        made = chunks(other, 6)
        assert torch.equal(made[0], plain[0])
        assert not torch.equal(made[-1], plain[-1])


def test_guidance_is_a_line_through_silence_and_sound(net: ActorTransformer) -> None:
    silent = torch.tensor([True, False])
    sound = draw(1, 7, 2, 5, seed=1).expand(2, -1, -1, -1)
    pair = net.condition(draw(1, MOTION, seed=2).expand(2, -1), sound, silent)
    z, rows = draw(1, 3, MOTION), ladder_rows()
    free, led = net(z.repeat(2, 1, 1), torch.tensor([[500], [500]]), pair).chunk(2)
    for scale in (0.0, 2.5):
        made, deep = Forced(net, rows, scale).full(z, torch.tensor([1.0]), pair)
        torch.testing.assert_close(made, free + scale * (led - free))
        torch.testing.assert_close(Forced(net, rows, scale).shallow(z, torch.tensor([1.0]), pair, deep), made)
    other = net.condition(draw(1, MOTION, seed=2).expand(2, -1), sound + 1, silent)
    assert torch.equal(other.audio[0], pair.audio[0])


def ladder_rows() -> tuple[tuple[int, ...], ...]:
    return tuple((level,) for level in ladder(2))


def test_frames_come_one_by_one(net: ActorTransformer) -> None:
    stream = acted(scene(net))
    frames = torch.stack([next(stream) for _ in range(7)])
    torch.testing.assert_close(frames[:6], chunks(scene(net), 2).flatten(0, 1), atol=0, rtol=0)


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 13, 14, 15, 50])
def test_windows_of_equal_motion_join_without_a_seam(frames: int) -> None:
    motion = iter(torch.arange(1000.0)[:, None])
    seen: list[tuple[int, list[float]]] = []

    def render(first: int, window: Tensor) -> Tensor:
        seen.append((first, window[:, 0].tolist()))
        return window

    made = torch.cat(list(windowed(motion, frames, 8, 2, render)))
    torch.testing.assert_close(made[:, 0], torch.arange(float(frames)))
    for number, (first, window) in enumerate(seen):
        assert first == 6 * number
        assert window == [min(first + frame, frames - 1) for frame in range(8)]
    assert next(motion)[0] == frames


def test_a_later_window_fades_in() -> None:
    numbers = iter(range(10))
    parts = windowed(iter(torch.zeros(99, 1)), 18, 8, 3, lambda _, window: window + next(numbers))
    made = torch.cat(list(parts))[:, 0]
    assert made.tolist() == [0] * 5 + [0.25, 0.5, 0.75, 1, 1, 1.25, 1.5, 1.75] + [2] * 5


def test_windows_are_rendered_when_they_are_read() -> None:
    rendered: list[int] = []

    def render(first: int, window: Tensor) -> Tensor:
        rendered.append(first)
        return window

    motion = iter(torch.arange(99.0)[:, None])
    stream = windowed(motion, 50, 8, 2, render)
    assert rendered == []
    next(stream)
    assert rendered == [0]
    # Nothing of the motion behind the window was asked for.
    assert next(motion)[0] == 8


def test_the_sizes_of_the_presets() -> None:
    with torch.device("meta"):
        paper, mini = (ActorTransformer(c.actor, c.encoder.motion) for c in (PAPER, MINI))
    assert sum(p.numel() for p in paper.parameters()) == 378_604_288
    assert sum(p.numel() for p in mini.parameters()) < 500_000


def test_operations_of_a_chunk_after_a_history() -> None:
    sizes, batch = PAPER.actor, 2
    width, length, past = sizes.width, sizes.chunk, (sizes.context - 1) * sizes.chunk
    motion = PAPER.encoder.motion
    with torch.device("meta"), torch.inference_mode():
        net = ActorTransformer(sizes, motion)
        sound = torch.empty(batch, length + 2 * sizes.reach, sizes.audio_layers, sizes.audio)
        condition = net.condition(torch.empty(batch, motion), sound)
        noisy, levels = torch.empty(batch, length, motion), torch.zeros(batch, 1, dtype=torch.int64)
        history = net.remember(noisy, levels, condition)
        history = tuple(type(k)(*(p[:, :, :1].expand(-1, -1, past, -1) for p in k)) for k in history)
        with FlopCounterMode(display=False) as counted:
            net(noisy, levels, replace(condition, history=history))
    heard, window = length + 2 * sizes.reach, 2 * sizes.reach + 1
    linear = length * width * (3 + 1 + 8 + 1 + 1) * width + heard * 2 * width**2 + 6 * width**2
    attention = 2 * length * (past + length) * width + 2 * length * window * width
    ends = length * 2 * motion * width + 2 * width**2 + 256 * width + width**2
    assert counted.get_total_flops() == 2 * batch * (sizes.blocks * (linear + attention) + ends)


def test_the_sampler_loop_runs_it(net: ActorTransformer) -> None:
    rows = opening(4, 1)
    start, condition = draw(1, 3, MOTION), given(net, 3)
    made = sample(Forced(net, rows, 1.0), LevelDDIM(rows), start, condition)
    assert made.shape == start.shape
    assert not torch.equal(made, start)
