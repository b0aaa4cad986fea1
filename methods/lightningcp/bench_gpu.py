"""Full-size Hallo and EchoMimic on a GPU: every plan in turn, eager and compiled.

Weights, conditions and noise are random: what a loop takes does not depend on them. Run by `make bench-gpu`:

    python -m thbench_methods.lightningcp.bench_gpu --device cuda --out reports/gpu
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from thbench_methods.echomimic.config import PAPER as ECHOMIMIC
from thbench_methods.echomimic.flops import offer_of as echomimic_offer
from thbench_methods.hallo.config import PAPER as HALLO
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
from thbench.cost.device import open_device
from thbench.cost.planned import count_loop, dtype_of
from thbench.cost.rates import device_title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from thbench.accel.moves import Plan
    from thbench.cost.offer import Denoising, Offer

SHARE = 0.43
"""Foreground of the picture: what the paper's operation counts imply for Hallo."""
THRESHOLD_SHARE = 10 / 40
"""Steps before which inputs are not estimated, as the paper draws it."""
TINY = Sizes(channels=(8, 16), layers=1, heads=2, groups=4, tokens=6, audio=6, positions=8)


@dataclass(frozen=True, slots=True)
class Model:
    """A network that is timed."""

    offer: Callable[[str], Offer]
    """Number format to its networks on the meta device."""
    key_steps: tuple[int, ...]
    """As many as in the paper."""


def models(*, tiny: bool) -> dict[str, Model]:
    """Return what is timed: the published sizes, or tiny ones that show on any machine that the bench works."""
    if not tiny:
        return {
            "hallo": Model(partial(hallo_offer, HALLO), MODELS["Hallo"].key_steps),
            "echomimic": Model(partial(echomimic_offer, ECHOMIMIC), MODELS["EchoMimic"].key_steps),
        }
    hallo = replace(HALLO, unet=TINY, size=32, sampling=replace(HALLO.sampling, steps=3, frames=2))
    echomimic = replace(
        ECHOMIMIC, unet=TINY, reference=TINY, size=32, sampling=replace(ECHOMIMIC.sampling, steps=3, window=2)
    )
    return {
        "hallo": Model(partial(hallo_offer, hallo), (0, 1)),
        "echomimic": Model(partial(echomimic_offer, echomimic), (0, 1)),
    }


def plans(steps: int, keys: tuple[int, ...], side: int) -> dict[str, Plan]:
    """Return every plan by name; the first is what the others are compared with."""
    inside = (torch.arange(side * side) < round(SHARE * side * side)).view(side, side)
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
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            # Norms start at one, so that nothing overflows on the way; everything else is small.
            is_scale = "norm" in name and name.endswith("weight")
            tensor.copy_(torch.ones_like(tensor) if is_scale else 0.02 * values(tensor))
    return replace(denoising, noise=values(denoising.noise), condition=mapped(denoising.condition, values))


def compared(
    name: str, model: Model, device_name: str, *, dtype: str, compiled: bool, rounds: int, say: Callable[[str], None]
) -> BenchReport:
    """Time all plans of a model.

    Args:
        name: Of the model.
        model: Its networks.
        device_name: E.g. `cuda` or `cpu`.
        dtype: Number format.
        compiled: Compile the blocks first.
        rounds: How often each plan is timed.
        say: Told what is going on.
    """
    offer = model.offer(dtype)
    denoising, number_format, device = offer.denoising, dtype_of(dtype), open_device(device_name)
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
    title = f"{fewer} steps, the cost of LCP"
    entries.append(Entry(title, run(fewer)))
    flops[title] = flops["base"] * fewer // steps
    with torch.inference_mode():
        found = bench(
            entries,
            device,
            rounds=rounds,
            warm_ups=2 if compiled else 1,
            flops=flops,
            watching=lambda entry, number: say(f"{name}: {entry}, round {number + 1} of {rounds}"),
        )
    return BenchReport(
        title=f"{name}, {'compiled' if compiled else 'eager'}",
        device=device_title(device),
        dtype=dtype,
        torch=torch.__version__,
        entries=found,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Time, write, say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N or cpu (default: cuda)")
    parser.add_argument("--out", type=Path, default=Path("reports/gpu"), help="folder (default: reports/gpu)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each plan is timed (default: 5)")
    parser.add_argument("--dtype", default="float16", help="number format (default: float16, as published)")
    parser.add_argument("--models", default="hallo,echomimic", help="which (default: hallo,echomimic)")
    parser.add_argument("--modes", default="eager,compiled", help="which (default: eager,compiled)")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to see that it works")
    args = parser.parse_args(arguments)

    def say(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    known = models(tiny=args.tiny)
    reports = [
        compared(
            name,
            known[name],
            args.device,
            dtype=args.dtype,
            compiled=mode == "compiled",
            rounds=args.rounds,
            say=say,
        )
        for name in args.models.split(",")
        for mode in args.modes.split(",")
    ]
    path = args.out / f"{re.sub(r'[^a-z0-9]+', '-', reports[0].device.lower()).strip('-')}.json"
    write(reports, path)
    say(f"{path} and its figure are written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
