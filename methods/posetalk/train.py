"""Trains the small PoseTalk on synth-heads: video networks, then pose from text and sound; what is there is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from thbench_methods.common.training import destination, fitted, ship
from thbench_methods.dreamtalk.mean_face import measured_face
from thbench_methods.posetalk import train_pose, train_video
from thbench_methods.posetalk.bundle import POSE_FILE, VIDEO_FILE, Drawing, Posing
from thbench_methods.posetalk.config import MINI
from thbench_methods.posetalk.examples import open_examples

if TYPE_CHECKING:
    from thbench_methods.posetalk.examples import Examples

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
    fitted(train_video.CoarseTask(network, examples), train_video.COARSE, order, "posetalk-coarse")
    fitted(train_video.RefineTask(network, examples), train_video.REFINE, order, "posetalk-refine")
    last = train_video.EnhanceTask(network, examples)
    training = fitted(last, train_video.ENHANCE, order, "posetalk-enhance")
    ship(destination(order, VIDEO_FILE), network, train_video.ABOUT, order, training, examples.pictures)


def train_the_pose(order: Order, examples: Examples) -> None:
    """Train and write the autoencoder of tracks, then the denoiser of its latents."""
    torch.manual_seed(train_pose.VAE.seed)
    network = Posing(MINI)
    fitted(train_pose.VaeTask(network, examples), train_pose.VAE, order, "posetalk-tracks")
    task = train_pose.DenoiserTask(network, examples)
    task.measure()
    training = fitted(task, train_pose.DENOISER, order, "posetalk-pose")
    ship(destination(order, POSE_FILE), network, train_pose.ABOUT, order, training, examples.pictures)
