"""Small instances of the real networks with random weights, their conditions and schedules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from thbench_methods.echomimic.config import Config as EchoMimicConfig
from thbench_methods.echomimic.networks import EchoMimic
from thbench_methods.hallo.config import Config as HalloConfig
from thbench_methods.hallo.networks import Given as HalloGiven
from thbench_methods.hallo.networks import Hallo, Masks
from thbench_methods.memo.config import Config as MEMOConfig
from thbench_methods.memo.networks import MEMO
from thbench_methods.memo.networks import Given as MEMOGiven
from thbench_methods.memo.schedule import sampler as flow_sampler
from thbench_methods.nets.unet3d.config import AudioProjection, FaceProjection, Sizes
from thbench_methods.nets.unet3d.guidance import with_guidance
from thbench_methods.nets.unet3d.schedule import Diffusion
from thbench_methods.nets.unet3d.schedule import sampler as velocity_sampler
from torch import Tensor, nn

from thbench.accel import Denoiser, Schedule, sample
from thbench.accel.named import Setting, planned, steps_of
from thbench.types import Generation, Request

SIZES = Sizes(channels=(8, 16), layers=1, heads=2, groups=4, tokens=6, audio=5, positions=8)
AUDIO = AudioProjection(window=2, layers=2, channels=3, hidden=7, tokens=4)
FACE = FaceProjection(embedding=9, tokens=2)
FRAMES, SIDE = 3, 4
NAMES = ("hallo", "echomimic", "memo")


@dataclass(frozen=True)
class Case:
    """A denoiser with all that a clip needs."""

    network: nn.Module
    denoiser: Denoiser
    condition: Any
    noise: Tensor
    scale: float

    def schedule(self, steps: int) -> Schedule:
        return flow_sampler(steps) if isinstance(self.network, MEMO) else velocity_sampler(steps, Diffusion())


def case(name: str, scale: float = 3.5, seed: int = 0) -> Case:
    torch.manual_seed(0)
    network, condition = {"hallo": _hallo, "echomimic": _echomimic, "memo": _memo}[name](seed, scale > 1)
    inner = network.diffusion_net if name == "memo" else network.denoising_unet
    noise = torch.randn(1, 4, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(seed + 100))
    return Case(network, with_guidance(inner, scale), condition, noise, scale)


def foreground(share: float = 0.5) -> Tensor:
    """Mask of the first rows."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[: round(SIDE * share)] = True
    return mask


def _draw(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator)


def _hallo(seed: int, guided: bool):
    net, draw = Hallo(HalloConfig(unet=SIZES, audio=AUDIO, face=FACE)).eval(), _draw(seed)
    masks = [Masks(*(draw(FRAMES, (SIDE >> level) ** 2).sigmoid() for _ in range(3))) for level in range(2)]
    given = HalloGiven(
        draw(3, 4, SIDE, SIDE),
        draw(1, 9),
        draw(1, FRAMES, 2, 2, 3),
        draw(1, 3, 8 * SIDE, 8 * SIDE),
        masks,
        torch.ones(3),
    )
    return net, net.condition(given, guided=guided)


def _echomimic(seed: int, guided: bool):
    net, draw = EchoMimic(EchoMimicConfig(unet=SIZES, reference=SIZES, locator=(4, 5, 6, 7))).eval(), _draw(seed)
    latents, audio, mask = draw(1, 4, SIDE, SIDE), draw(1, FRAMES, 7, 6), draw(1, 1, 8 * SIDE, 8 * SIDE).sigmoid()
    return net, net.condition(latents, audio, mask, guided=guided)


def _memo(seed: int, guided: bool):
    net, draw = MEMO(MEMOConfig(unet=SIZES, audio=AUDIO, face=FACE)).eval(), _draw(seed)
    given = MEMOGiven(draw(3, 4, SIDE, SIDE), draw(1, 9), draw(1, FRAMES, 2, 2, 3), 1)
    return net, net.condition(given, None, guided=guided)


METHOD_STEPS = 8


class Method:
    """A small Hallo; one loop for three frames, each going on from the noise of its number."""

    def __init__(self, preset: str = "mini", device: str = "cpu", accelerations: tuple = ()) -> None:
        self._accelerations = accelerations

    def generate(self, request: Request, on_step: object = None) -> Generation:
        def frames() -> Iterator[np.ndarray]:
            for number in range(request.frames // 3):
                own = case("hallo", seed=request.seed + number)
                steps = steps_of(self._accelerations, METHOD_STEPS)
                plan = planned(self._accelerations, Setting(steps, foreground=foreground()))
                with torch.inference_mode():
                    clean = sample(own.denoiser, own.schedule(steps), own.noise, own.condition, plan)
                pictures = (clean[0, :3].permute(1, 2, 3, 0) * 40 + 128).clamp(0, 255).to(torch.uint8)
                large = pictures.repeat_interleave(4, 1).repeat_interleave(4, 2)
                yield from large.numpy()

        return Generation(frames())
