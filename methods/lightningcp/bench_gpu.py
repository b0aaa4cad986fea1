"""Full-size Hallo and EchoMimic on a GPU: every plan in turn, eager and compiled.

Weights, conditions and noise are random: what a loop takes does not depend on them. Run by `make bench-gpu`:

    python -m thbench_methods.lightningcp.bench_gpu --device cuda --out reports/gpu
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.echomimic.config import PAPER as ECHOMIMIC
from thbench_methods.echomimic.flops import offer_of as echomimic_offer
from thbench_methods.hallo.config import MINI as SMALL_HALLO
from thbench_methods.hallo.config import PAPER as HALLO
from thbench_methods.hallo.flops import FOREGROUND
from thbench_methods.hallo.flops import offer_of as hallo_offer
from thbench_methods.lightningcp.tables import MODELS
from thbench_methods.nets.unet3d.compiled import compile_regions
from thbench_methods.nets.unet3d.config import Sizes
from thbench_methods.nets.unet3d.schedule import Diffusion, sampler

from thbench.accel import (
    EveryStep,
    ForegroundAttention,
    LightningCP,
    ReferenceRemoval,
    cached_guidance,
    deep_cache,
    faster_diffusion,
    fewer_steps,
    spread_keys,
)
from thbench.accel.bench import BenchReport, Entry, bench, write
from thbench.accel.calibrate import Sampling
from thbench.accel.tree import mapped
from thbench.cost.device import HostDevice, open_device
from thbench.cost.planned import count_loop, dtype_of
from thbench.cost.rates import device_title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thbench.accel.moves import Plan
    from thbench.cost.offer import Denoising, Offer

FEWER = "fewer steps at LCP's cost"
"""The unaccelerated loop with as many steps as LCP's operations pay for."""
THRESHOLD_SHARE = 10 / 40
"""Steps before which inputs are not estimated, as the paper draws it."""
SMALLER = {
    "mini": (Sizes(channels=(32, 64, 128, 128), heads=4, groups=8, tokens=64, audio=64), 128, 16, 40, 11),
    "tiny": (Sizes(channels=(8, 16), layers=1, heads=2, groups=4, tokens=6, audio=6, positions=8), 32, 2, 3, 2),
}
"""Name to the UNet's sizes, pixels, frames, steps and key steps: `mini` for processors, `tiny` to see that it works.

Of Hallo, `mini` is the preset that is shipped, with the paper's steps and key steps.
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A network that is timed."""

    offer: Callable[[str], Offer]
    """Number format to its networks on the meta device."""
    key_steps: tuple[int, ...]
    """As many as in the paper."""


def models(size: str) -> dict[str, Model]:
    """Return what is timed: the `paper`'s sizes, or `mini` or `tiny` ones."""
    if size == "paper":
        return {
            "hallo": Model(partial(hallo_offer, HALLO), MODELS["Hallo"].key_steps),
            "echomimic": Model(partial(echomimic_offer, ECHOMIMIC), MODELS["EchoMimic"].key_steps),
        }
    unet, pixels, frames, steps, keys = SMALLER[size]
    sampling = replace(SMALL_HALLO.sampling if size == "mini" else HALLO.sampling, steps=steps, frames=frames)
    hallo = replace(SMALL_HALLO if size == "mini" else replace(HALLO, unet=unet, size=pixels), sampling=sampling)
    other = replace(ECHOMIMIC.sampling, steps=steps, window=frames)
    echomimic = replace(ECHOMIMIC, unet=unet, reference=unet, size=pixels, sampling=other)
    return {
        "hallo": Model(partial(hallo_offer, hallo), spread_keys(steps, keys)),
        "echomimic": Model(partial(echomimic_offer, echomimic), spread_keys(steps, keys)),
    }


def plans(steps: int, keys: tuple[int, ...], side: int) -> dict[str, Plan]:
    """Return every plan by name; the first is what the others are compared with."""
    inside = (torch.arange(side * side) < round(FOREGROUND * side * side)).view(side, side)
    dfa, removal = ForegroundAttention(inside), ReferenceRemoval()
    parallel = {"block": None, "estimate_from": round(steps * THRESHOLD_SHARE)}
    whole = LightningCP(keys, changes=(dfa, removal))
    return {
        "base": EveryStep(),
        "LCP": LightningCP(keys),
        "LCP, blocks as a batch": LightningCP(keys, **parallel),  # type: ignore[arg-type]
        "LCP+DFA": LightningCP(keys, changes=(dfa,)),
        "LCP+DFA+rm": whole,
        "LCP+DFA+rm, blocks as a batch": replace(whole, **parallel),  # type: ignore[arg-type]
        "LCP+DFA+rm+CFG cache": cached_guidance(2, whole),
        "LCP+CFG cache": cached_guidance(2, LightningCP(keys)),
        "CFG cache": cached_guidance(2),
        "uniform cache": LightningCP(spread_keys(steps, len(keys))),
        "DeepCache, original": deep_cache(keys, "original"),
        "DeepCache, plug-in": deep_cache(keys, "plug-in"),
        "Faster Diffusion": faster_diffusion(keys),
    }


def operations(denoising: Denoising, plan: Plan, dtype: torch.dtype) -> int:
    """Return the operations of a loop, counted on meta tensors."""
    return round(sum(part.part.calls * part.part.flops for part in count_loop(denoising, plan, dtype)))


def filled(denoising: Denoising, device: torch.device, dtype: torch.dtype) -> Denoising:
    """Return the same loop with random weights, noise and condition on a device, in place of empty ones."""
    draw = torch.Generator(device).manual_seed(0)

    def values(empty: torch.Tensor) -> torch.Tensor:
        if not empty.is_floating_point():
            return torch.zeros(empty.shape, dtype=empty.dtype, device=device)
        return torch.randn(empty.shape, generator=draw, device=device).to(dtype)

    module = denoising.module.to_empty(device=device).to(dtype)
    if device.type == "cpu":
        # As the small preset runs: tokens of an image then lie in memory as convolutions leave them.
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            # Norms start at one, so that nothing overflows on the way; everything else is small.
            is_scale = "norm" in name and name.endswith("weight")
            tensor.copy_(torch.ones_like(tensor) if is_scale else 0.02 * values(tensor))
    return replace(denoising, noise=values(denoising.noise), condition=mapped(denoising.condition, values))


@dataclass(frozen=True, slots=True)
class Order:
    """How it is measured."""

    device: str
    """E.g. `cuda` or `cpu`."""
    dtype: str
    """Number format."""
    rounds: int
    """How often each plan is timed."""
    warm_ups: int
    """How often each is run before."""
    plans: tuple[str, ...] = ()
    """Names; none are all. The unaccelerated loop is always among them."""
    processor_time: bool = False
    """On a processor that is busy with other work: its seconds instead of the wall's."""


def compared(name: str, model: Model, order: Order, *, compiled: bool, say: Callable[[str], None]) -> BenchReport:
    """Time all plans of a model.

    Args:
        name: Of the model.
        model: Its networks.
        order: How it is measured.
        compiled: Compile the blocks first.
        say: Told what is going on.
    """
    denoising, number_format = model.offer(order.dtype).denoising, dtype_of(order.dtype)
    device = HostDevice(time.process_time) if order.processor_time else open_device(order.device)
    if denoising is None:
        raise ValueError(f"{name} has no sampler loop")
    steps, side = denoising.steps, denoising.noise.shape[-1]
    chosen = plans(steps, model.key_steps, side)
    flops = {title: operations(denoising, plan, number_format) for title, plan in chosen.items()}
    real = filled(denoising, torch.device(device.name), number_format)
    if compiled:
        compile_regions(real.module)

    def run(count: int) -> Sampling:
        return Sampling(real.denoiser, sampler(count, Diffusion()), real.noise, real.condition)

    entries = [Entry(title, run(steps), plan) for title, plan in chosen.items()]
    fewer = fewer_steps(steps, flops["LCP"] / flops["base"])
    entries.append(Entry(FEWER, run(fewer)))
    flops[FEWER] = flops["base"] * fewer // steps
    wanted = order.plans or tuple(flops)
    entries = [entry for entry in entries if entry.name in ("base", *wanted)]
    with torch.inference_mode():
        found = bench(
            entries,
            device,
            rounds=order.rounds,
            warm_ups=order.warm_ups + compiled,
            flops=flops,
            watching=lambda entry, number: say(f"{name}: {entry}, round {number + 1} of {order.rounds}"),
        )
    return BenchReport(
        title=f"{name}, {'compiled' if compiled else 'eager'}",
        device=device_title(device),
        dtype=order.dtype,
        torch=torch.__version__,
        entries=found,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Time, write, say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--out", type=Path, default=Path("reports/gpu"), help="folder (default: reports/gpu)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each plan is timed (default: 5)")
    parser.add_argument("--warm-ups", type=int, default=1, help="runs of each plan before (default: 1)")
    parser.add_argument("--dtype", default="float16", help="number format (default: float16, as published)")
    parser.add_argument("--models", default="hallo,echomimic", help="which (default: hallo,echomimic)")
    parser.add_argument("--modes", default="eager,compiled", help="which (default: eager,compiled)")
    parser.add_argument("--plans", default="", metavar="A;B", help="which, with semicolons between (default: all)")
    parser.add_argument("--size", choices=("paper", *SMALLER), default="paper", help="of the networks (default: paper)")
    parser.add_argument("--processor-time", action="store_true", help="with cpu: processor seconds, not the wall's")
    args = parser.parse_args(arguments)

    def say(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    plans_wanted = tuple(part for part in args.plans.split(";") if part)
    order = Order(args.device, args.dtype, args.rounds, args.warm_ups, plans_wanted, args.processor_time)
    known = models(args.size)
    reports = [
        compared(name, known[name], order, compiled=mode == "compiled", say=say)
        for name in args.models.split(",")
        for mode in args.modes.split(",")
    ]
    path = args.out / f"{re.sub(r'[^a-z0-9]+', '-', reports[0].device.lower()).strip('-')}.json"
    write(reports, path)
    say(f"{path} and its figure are written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
