"""What all trainings of encoders share: the command, the weights that are shipped, and their card."""

from __future__ import annotations

import argparse
import hashlib
import logging
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from thbench.backbones.mini.digests import record_digest, weights_folder
from thbench.backbones.mini.loaded import load
from thbench.backbones.mini.train.held_out import read_held
from thbench.backbones.modes import prepare
from thbench.data.synth_heads.cache import data_folder, split_folder
from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.pictures import open_pictures
from thbench.data.synth_heads.plan import VERSION
from thbench.training import Card, Recipe, fit, write_card
from thbench.training.weights import load_weights, save_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training import Point, Score, Trained
    from thbench.types import Clip

NetworkT = TypeVar("NetworkT", bound="nn.Module")
SIZE, SECONDS = 128, 4.0
"""Of the clips of the made splits."""
_log = logging.getLogger(__name__)


class EncoderTask(Protocol):
    """A task whose network holds what is shipped as `encoder`."""

    @property
    def network(self) -> nn.Module:
        """See `thbench.training.Task`."""
        ...

    def batch(self, rng: Any) -> Any:
        """See `thbench.training.Task`."""
        ...

    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """See `thbench.training.Task`."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """Everything that one training does differently from another."""

    name: str
    """Of the weight file."""
    title: str
    source: str
    objective: str
    recipe: Recipe
    every: int
    """One frame of so many is decoded for the held-out scores."""
    task: Callable[[Pictures], EncoderTask]
    network: Callable[[], nn.Module]
    """Makes what is shipped."""
    evaluate: Callable[[Any, Any], tuple[Score, ...]]
    """Measures a network on what `read` gave."""
    notes: tuple[str, ...] = ()
    part: str = "encoder"
    """Which part of the task's network is shipped; empty for all of it."""
    read: Callable[[Sequence[Clip], int], Any] = read_held
    """Reads held-out clips, every so manieth frame."""


def channels_last(network: NetworkT) -> NetworkT:
    """Lay the weights of a network out with the channels last, which is what convolutions of CPUs want."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the keyword
    return network


def train(trial: Trial, arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure on the embedded test split; `--trial` measures on the validation split, ships nothing.

    Args:
        trial: What is trained.
        arguments: Of the command line; None takes the process's.
    """
    options = _options(trial, arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    torch.set_num_threads(1)
    recipe = trial.recipe if options.steps is None else trial.recipe.model_copy(update={"steps": options.steps})
    pictures = open_pictures(options.train, options.clips)
    torch.manual_seed(recipe.seed)
    task = trial.task(pictures)
    if options.begin_with:
        load_weights(options.begin_with, task.network.get_submodule(trial.part))
    trained = fit(task, recipe, options.work, every=25, save_every=100, on_point=_tell)
    if options.trial:
        encoder = task.network.get_submodule(trial.part).eval()
        held = trial.read(clips_of(split_folder("validation", SIZE, SECONDS)), trial.every)
        _tell_scores(trial.evaluate(prepare(encoder, "exact"), held))
        return
    _ship(trial, recipe, trained, pictures, options.begin_with)


def _options(trial: Trial, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m thbench.backbones.mini.train.{trial.name}")
    made = split_folder("train", SIZE, SECONDS)
    parser.add_argument("--train", type=Path, default=made, help="folder of the train split (%(default)s)")
    parser.add_argument("--clips", type=int, help="how many of its clips, from the first; all by default")
    parser.add_argument("--steps", type=int, help=f"instead of {trial.recipe.steps}")
    work = data_folder().parent / "training" / trial.name
    parser.add_argument("--work", type=Path, default=work, help="folder of the checkpoint (%(default)s)")
    parser.add_argument("--begin-with", type=Path, help="weights of an earlier training of the same network")
    parser.add_argument("--trial", action="store_true", help="measure on the validation split and ship nothing")
    return parser.parse_args(arguments)


def _ship(trial: Trial, recipe: Recipe, trained: Trained, pictures: Pictures, begun_with: Path | None) -> None:
    """Write weights, digest and card; the scores are those of the file that is shipped."""
    folder = weights_folder()
    folder.mkdir(exist_ok=True)
    start = f"{trial.part}." if trial.part else ""
    state = {name.removeprefix(start): value for name, value in trained.state.items() if name.startswith(start)}
    path = folder / f"{trial.name}.safetensors"
    size, sha256 = save_weights(path, state, torch.float16)
    record_digest(trial.name, sha256)
    scores = trial.evaluate(load(trial.name, trial.network()), trial.read(clips_of(), trial.every))
    _tell_scores(scores)
    card = Card(
        name=trial.name,
        title=trial.title,
        source=trial.source,
        file=path.name,
        bytes=size,
        sha256=sha256,
        parameters=sum(p.numel() for p in trial.network().parameters()),
        data=(
            f"train split of synth-heads version {VERSION}, first {len(pictures)} clips,"
            f" {len(set(pictures.person.tolist()))} people; scores on the embedded test split (other people)"
        ),
        objective=trial.objective,
        recipe=recipe,
        seconds=trained.seconds,
        machine=f"{platform.machine()}, one thread, Python {platform.python_version()}, torch {torch.__version__}",
        command=f"python -m thbench.backbones.mini.train.{trial.name} --clips {len(pictures)} --steps {recipe.steps}"
        + (f" --begin-with {begun_with.name}" if begun_with else ""),
        curve=trained.curve,
        scores=scores,
        notes=(*trial.notes, *_beginning(begun_with)),
    )
    write_card(card, folder)


def _beginning(weights: Path | None) -> tuple[str, ...]:
    if weights is None:
        return ()
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return (f"Begun with weights of an earlier training of the same network, `{weights.name}`, SHA-256 `{digest}`.",)


def _tell(point: Point) -> None:
    values = " ".join(f"{name} {value:.4g}" for name, value in sorted(point.values.items()))
    _log.info("%d (%.0f s): %s", point.step, point.seconds, values)


def _tell_scores(scores: Sequence[Score]) -> None:
    for s in scores:
        interval = "" if s.low is None or s.high is None else f" ({s.low:.4f} to {s.high:.4f})"
        _log.info("%s: %.4f%s %s; %s", s.name, s.value, interval, s.bar, s.protocol)
