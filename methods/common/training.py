"""What the trainings of all methods share: fitting as ordered, and weights with their card."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from thbench.data.synth_heads.plan import VERSION
from thbench.training import Card, fit, write_card
from thbench.training.weights import save_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training import Recipe, Score, Task, Trained
    from thbench.training.loop import Point
    from thbench.training.order import Order

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class About:
    """What a card says beside numbers."""

    title: str
    source: str
    objective: str
    notes: tuple[str, ...] = ()


def fitted(task: Task, recipe: Recipe, order: Order, name: str) -> tuple[Recipe, Trained]:
    """Train as ordered, or go on; returns the recipe that was followed.

    Args:
        task: What to train; its network was made after `torch.manual_seed(recipe.seed)`.
        recipe: Of the full training.
        order: May ask for a share of the steps.
        name: Of the checkpoint's folder.
    """
    torch.set_num_threads(order.threads)
    followed = recipe.model_copy(update={"steps": max(1, round(recipe.steps * order.share))})
    return followed, fit(task, followed, order.work / name, every=25, save_every=100, on_point=tell)


def destination(order: Order, file: Path) -> Path:
    """Return where a weight file is written: in the ordered folder, or where the package has it."""
    if order.out is None:
        return file
    order.out.mkdir(parents=True, exist_ok=True)
    return order.out / file.name


def ship(
    path: Path,
    network: nn.Module,
    about: About,
    order: Order,
    training: tuple[Recipe, Trained],
    pictures: Pictures,
    scores: tuple[Score, ...] = (),
) -> None:
    """Write the weights in half precision, and the card beside them under the same name."""
    recipe, trained = training
    size, sha256 = save_weights(path, network.state_dict(), torch.float16)
    people = len(set(pictures.person.tolist()))
    card = Card(
        name=path.stem,
        title=about.title,
        source=about.source,
        file=path.name,
        bytes=size,
        sha256=sha256,
        parameters=sum(p.numel() for p in network.parameters()),
        data=f"synth-heads version {VERSION}, train split, first {len(pictures)} clips of {people} people",
        objective=about.objective,
        recipe=recipe,
        seconds=trained.seconds,
        machine=f"{platform.machine()}, {order.threads} thread, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        command=order.command,
        curve=trained.curve,
        scores=scores,
        notes=about.notes,
    )
    write_card(card, path.parent)


def keep_scores(path: Path, scores: tuple[Score, ...]) -> None:
    """Put held-out scores of a weight file onto the card beside it, in the place of those that it has."""
    card = Card.model_validate_json(path.with_suffix(".json").read_bytes())
    write_card(card.model_copy(update={"scores": scores}), path.parent)


def tell(point: Point) -> None:
    """Write a point of the curve to the log."""
    values = ", ".join(f"{name} {value:.4g}" for name, value in point.values.items())
    _log.info("step %d, %.0f s: %s", point.step, point.seconds, values)
