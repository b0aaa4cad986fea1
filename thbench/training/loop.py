"""The training loop: AdamW, warm-up and cosine decay, a running average of the weights, a checkpoint to go on from.

Step k draws its batch and its noise from generators seeded by (seed, k) alone, so that a training that was
interrupted and resumed goes on exactly as one that was not.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from pydantic import Field

from thbench.errors import UsageError
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

CHECKPOINT = "checkpoint.pt"
"""File name in the training's folder."""


class Recipe(Document):
    """Everything that the loop decides."""

    steps: int = Field(gt=0)
    """Optimiser steps."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Highest; reached after `warm_up`, from there down to `last_rate` of it by a cosine."""
    warm_up: int = Field(default=100, ge=0)
    """Steps of linear warm-up."""
    last_rate: float = Field(default=0.01, ge=0, le=1)
    """Share of the highest rate at the last step."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Of AdamW; not on biases and norms (tensors of fewer than two dimensions)."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Of AdamW."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    average: float = Field(default=0.998, ge=0, lt=1)
    """Decay of the running average of weights and buffers that is kept; 0 keeps the last weights."""
    bfloat16: bool = True
    """Whether the task's losses run under bfloat16 autocast; weights stay float32."""
    seed: int = 0
    """Of weights, batches and noise."""


class Task(Protocol):
    """What is trained."""

    @property
    def network(self) -> nn.Module:
        """All that has weights; a fresh one is made after `torch.manual_seed(recipe.seed)`."""
        ...

    def batch(self, rng: np.random.Generator) -> Any:
        """Draw one batch; all randomness comes from `rng`."""
        ...

    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """Scalars by name; `loss` is minimised, the others are told in the curve."""
        ...


class Point(Document):
    """Means over the steps since the point before."""

    step: int
    seconds: float
    """Wall time since the start, interruptions left out."""
    values: dict[str, float]
    """Losses by name."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training."""

    state: dict[str, Tensor]
    """Averaged weights and buffers of the network."""
    curve: tuple[Point, ...]
    """Losses over the steps."""
    seconds: float
    """Wall time."""


def fit(
    task: Task,
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    every: int = 50,
    save_every: int = 500,
    on_point: Callable[[Point], None] | None = None,
) -> Trained:
    """Train, or go on with a training that was interrupted.

    Args:
        task: What to train; its network is changed in place and ends with the averaged weights.
        recipe: How.
        folder: Holds the checkpoint.
        device: Where the losses are computed; the task puts its batches there.
        every: Steps from one point of the curve to the next.
        save_every: Steps from one checkpoint to the next.
        on_point: Called with each point.

    Raises:
        UsageError: The folder holds the checkpoint of another recipe, or a loss is not a number.
    """
    network = task.network.train()
    # What a training before has left on parameters that are not trained now would count in the gradient's norm.
    network.zero_grad(set_to_none=True)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(_groups(network, recipe.weight_decay), lr=recipe.learning_rate, betas=recipe.betas)
    folder.mkdir(parents=True, exist_ok=True)
    first, curve = _resume(folder / CHECKPOINT, recipe, network, average, optimiser)
    before = curve[-1].seconds if curve else 0.0
    start = time.monotonic()
    sums: dict[str, float] = {}
    for step in range(first, recipe.steps):
        losses = _step(task, recipe, step, network, optimiser, device)
        _follow(average, network, min(recipe.average, (step + 1) / (step + 10)))
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value
        done = step + 1
        if done % every == 0 or done == recipe.steps:
            count = done - (curve[-1].step if curve else 0)
            point = Point(
                step=done,
                seconds=round(before + time.monotonic() - start, 1),
                values={name: total / count for name, total in sums.items()},
            )
            curve.append(point)
            sums = {}
            if on_point:
                on_point(point)
            if done % save_every < every or done == recipe.steps:
                _save(folder / CHECKPOINT, recipe, done, curve, network, average, optimiser)
    state = {name: value.detach().clone() for name, value in average.state_dict().items()}
    network.load_state_dict(state)
    network.eval()
    return Trained(state=state, curve=tuple(curve), seconds=curve[-1].seconds)


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step, from 0."""
    if step < recipe.warm_up:
        return recipe.learning_rate * (step + 1) / recipe.warm_up
    share = (step - recipe.warm_up) / max(recipe.steps - recipe.warm_up, 1)
    low = recipe.last_rate
    return recipe.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share)))


def _step(
    task: Task, recipe: Recipe, step: int, network: nn.Module, optimiser: torch.optim.Optimizer, device: str
) -> dict[str, float]:
    rng = np.random.default_rng((recipe.seed, step))
    torch.manual_seed(int(rng.integers(2**62)))
    for group in optimiser.param_groups:
        group["lr"] = rate(recipe, step)
    batch = task.batch(rng)
    with torch.autocast(device, torch.bfloat16, enabled=recipe.bfloat16):
        losses = task.losses(batch)
    optimiser.zero_grad(set_to_none=True)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
    values = {name: float(value.detach()) for name, value in losses.items()} | {"gradient": float(norm)}
    if not math.isfinite(values["loss"]) or not math.isfinite(values["gradient"]):
        raise UsageError(
            f"step {step}: the loss is {values['loss']} and its gradient {values['gradient']}; lower the learning rate"
            f" ({recipe.learning_rate:g}) or look at the batch"
        )
    optimiser.step()
    return values


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network; whole-number buffers are copied."""
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def _save(
    path: Path,
    recipe: Recipe,
    step: int,
    curve: list[Point],
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write the checkpoint; a crash on the way leaves the one before."""
    part = path.with_suffix(".part")
    content = {
        "recipe": recipe.model_dump_json(),
        "step": step,
        "curve": [p.model_dump_json() for p in curve],
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    torch.save(content, part)
    part.replace(path)


def _resume(
    path: Path, recipe: Recipe, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, list[Point]]:
    """Read the checkpoint into everything; first step to do and the curve so far."""
    if not path.exists():
        return 0, []
    content = torch.load(path, map_location="cpu", weights_only=True)
    if Recipe.model_validate_json(content["recipe"]) != recipe:
        raise UsageError(f"{path} is of another recipe; choose another folder or remove it")
    network.load_state_dict(content["network"])
    average.load_state_dict(content["average"])
    optimiser.load_state_dict(content["optimiser"])
    return content["step"], [Point.model_validate_json(p) for p in content["curve"]]
