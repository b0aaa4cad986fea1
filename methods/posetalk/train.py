"""Trains the small PoseTalk on synth-heads: video networks, then pose from text and sound; what is there is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.training import destination, fitted, ship
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.posetalk import train_pose, train_video
from thbench_methods.posetalk.bundle import POSE_FILE, VIDEO_FILE, Drawing, Posing
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.examples import open_examples
from thbench_methods.posetalk.movers import open_movers
from thbench_methods.posetalk.objective import COMPACT_WEIGHT

from thbench.data.synth_heads.pictures import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from thbench_methods.posetalk.examples import Examples

    from thbench.training import Recipe, Trained
    from thbench.training.order import Order


def train(order: Order) -> None:
    """Train what is not there yet."""
    examples = open_examples(order.data, order.clips)
    if not destination(order, VIDEO_FILE).exists():
        train_the_video(order, examples)
    if not destination(order, POSE_FILE).exists():
        train_the_pose(order, examples)


def train_the_video(order: Order, examples: Examples) -> None:
    """Train and write the video networks, one after the other."""
    torch.manual_seed(train_video.COARSE.seed)
    network = Drawing(MINI)
    network.face.load_state_dict(measured_face())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainings = [
        fitted(task(network, examples), recipe, order, f"posetalk-{name}")
        for task, recipe, name in (
            (train_video.CoarseTask, train_video.COARSE, "coarse"),
            (train_video.RefineTask, train_video.REFINE, "refine"),
            (train_video.EnhanceTask, train_video.ENHANCE, "enhance"),
        )
    ]
    ship(destination(order, VIDEO_FILE), network, train_video.ABOUT, order, whole(trainings), examples.pictures)


def train_the_pose(order: Order, examples: Examples) -> None:
    """Train and write the autoencoder of tracks, then the denoiser of its latents."""
    torch.manual_seed(train_pose.VAE.seed)
    network = Posing(MINI)
    moves = examples.moves.joined(open_movers(order.data / FOLDER))
    trainings = [fitted(train_pose.VaeTask(network, moves), train_pose.VAE, order, "posetalk-tracks")]
    compact = train_pose.VaeTask(network, moves, COMPACT_WEIGHT)
    trainings.append(fitted(compact, train_pose.COMPACT, order, "posetalk-compact"))
    task = train_pose.DenoiserTask(network, moves)
    task.measure()
    trainings.append(fitted(task, train_pose.DENOISER, order, "posetalk-pose"))
    listening = train_pose.ListenerTask(network, moves)
    trainings.append(fitted(listening, train_pose.LISTENER, order, "posetalk-listener"))
    ship(destination(order, POSE_FILE), network, train_pose.ABOUT, order, whole(trainings), examples.pictures)


def whole(trainings: Sequence[tuple[Recipe, Trained]]) -> tuple[Recipe, Trained]:
    """Return the last of the trainings of one file, with the time that all of them took."""
    recipe, last = trainings[-1]
    return recipe, replace(last, seconds=sum(trained.seconds for _, trained in trainings))
