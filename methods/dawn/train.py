"""Trains the mini DAWN on synth-heads: latent flow generator, then PBNet, then A2V-FDM; what is there is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.still import still
from thbench_methods.common.training import destination, fitted, ship
from thbench_methods.dawn import train_a2v, train_lfg, train_pbnet
from thbench_methods.dawn.bundle import (
    A2V_FILE,
    LFG_FILE,
    PBNET_FILE,
    PUBLISHED_SEED,
    MaskedDiffusion,
    PoseAndBlink,
)
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.examples import Motions, states_of
from thbench_methods.dawn.face_mask import published_encoder
from thbench_methods.dawn.head import measured_head
from thbench_methods.dawn.lfg import flow_generator
from thbench_methods.dawn.pbnet import normalised_pose
from thbench_methods.dawn.train_a2v import Told
from thbench_methods.dawn.train_pbnet import Rivals, StateTask

from thbench.data.synth_heads.pictures import open_pictures
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.dawn.lfg import LatentFlowGenerator

    from thbench.data.synth_heads.pictures import Pictures
    from thbench.training.order import Order


def train(order: Order) -> None:
    """Train what is not there yet."""
    pictures = open_pictures(order.data, order.clips)
    for file, part in (
        (LFG_FILE, train_flow_generator),
        (PBNET_FILE, train_pose_and_blink),
        (A2V_FILE, train_diffusion),
    ):
        if not destination(order, file).exists():
            part(order, pictures)


def train_flow_generator(order: Order, pictures: Pictures) -> None:
    """Train and write the latent flow generator."""
    torch.manual_seed(train_lfg.PAINTING.seed)
    network = flow_generator(MINI.lfg)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draws = train_lfg.Draws(pictures, still(order.data, pictures))
    _, first = fitted(train_lfg.PaintTask(network, draws), train_lfg.PAINTING, order, "dawn-lfg-painting")
    _, second = fitted(train_lfg.PaintTask(network, draws, lids=True), train_lfg.LIDS, order, "dawn-lfg-lids")
    recipe, last = fitted(train_lfg.FindTask(network.eval(), draws), train_lfg.FINDING, order, "dawn-lfg-finding")
    whole = replace(last, seconds=first.seconds + second.seconds + last.seconds)
    ship(destination(order, LFG_FILE), network, train_lfg.ABOUT, order, (recipe, whole), pictures)


def train_pose_and_blink(order: Order, pictures: Pictures) -> None:
    """Train and write PBNet for pose and for blinks."""
    states = states_of(pictures)
    torch.manual_seed(train_pbnet.RECIPE.seed)
    both = PoseAndBlink(MINI)
    steps = max(1, round(train_pbnet.RECIPE.steps * order.share))
    held = len(states.audio) // train_pbnet.HELD
    pose = normalised_pose(states.pose, MINI.pose_range)
    parts = (
        ("dawn-pose", both.pose, pose, train_pbnet.mirrored(pose), train_pbnet.deviation),
        ("dawn-blink", both.blink, states.blink, states.blink.flip(-1), train_pbnet.blinks),
    )
    audio = train_pbnet.both_sides(states.audio, states.audio, held)
    for name, net, clips, mirrored, amount in parts:
        both_sides = train_pbnet.both_sides(clips, mirrored, held)
        task = StateTask(Rivals(net), both_sides, audio, steps, 2 * held)
        training = fitted(task, train_pbnet.RECIPE, order, name)
        task.measure(amount)
    both.lids.copy_(torch.stack([train_pbnet.lid_quantiles(lids) for lids in (task.drawn(), states.blink)]))
    ship(destination(order, PBNET_FILE), both, train_pbnet.ABOUT, order, training, pictures)


def train_diffusion(order: Order, pictures: Pictures) -> None:
    """Train and write A2V-FDM, stage by stage."""
    lfg, resting, states = trained_flow_generator(order), still(order.data, pictures), states_of(pictures)
    moving = Told(Motions(pictures, lfg), states)
    at_rest = Told(Motions(resting, lfg), states_of(resting, states.audio))
    torch.manual_seed(train_a2v.RECIPES[0].seed)
    network = MaskedDiffusion(MINI)
    network.face.load_state_dict(published_encoder(PUBLISHED_SEED).state_dict())
    network.head.load_state_dict(measured_head())
    for number, (stage, recipe) in enumerate(zip(train_a2v.STAGES, train_a2v.RECIPES, strict=True), start=1):
        task = train_a2v.MotionTask(network, moving, at_rest, stage)
        training = fitted(task, recipe, order, f"dawn-a2v-{number}")
    ship(destination(order, A2V_FILE), network, train_a2v.ABOUT, order, training, pictures)


def trained_flow_generator(order: Order) -> LatentFlowGenerator:
    """Return the latent flow generator that was trained before, in evaluation mode."""
    network = flow_generator(MINI.lfg)
    load_weights(destination(order, LFG_FILE), network)
    return network
