"""Trains the mini X-Actor on synth-heads: motion encoder and renderer, then the actor over encoded motion.

All of it sees the clips of the split with heads at rest. What is there is kept. The autoencoder and the speech encoder
are the shipped ones.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.presets import shipped
from thbench_methods.common.still import still
from thbench_methods.common.training import destination, fitted, ship
from thbench_methods.hallo.bundle import FILE as HALLO_FILE
from thbench_methods.nets.speech.encoder import load_speech_encoder
from thbench_methods.nets.unet3d.train import known_clips, latent_clips
from thbench_methods.nets.vae.autoencoder import load_mini_vae
from thbench_methods.xactor import train_acting, train_rendering
from thbench_methods.xactor.bundle import ACTING_FILE, RENDERING_FILE
from thbench_methods.xactor.config import MINI, Objective
from thbench_methods.xactor.examples import Faces, encoded, statistics
from thbench_methods.xactor.networks import Acted, Rendering
from thbench_methods.xactor.train_acting import ActingTask
from thbench_methods.xactor.train_rendering import (
    Corpus,
    ReadingTask,
    RenderingTask,
    Supervised,
    fresh_rendering,
    truth_of,
)

from thbench.backbones.checkpoint import read_state_dict
from thbench.data.synth_heads.pictures import open_pictures
from thbench.training.weights import load_weights, save_weights

if TYPE_CHECKING:
    from pathlib import Path

    from thbench_methods.nets.unet3d.train import LatentClips

    from thbench.training.order import Order

_log = logging.getLogger(__name__)
EVERY = 10
"""Frames of a clip of which one is looked at for principal components."""
RIVAL = "x-actor-clean-history.safetensors"
"""In the folder of checkpoints: the actor that was trained with a clean history, which only the claim needs."""


def train(order: Order) -> None:
    """Train what is not there yet."""
    pictures = still(order.data, open_pictures(order.data, order.clips))
    clips = latent_clips(pictures, load_mini_vae(), load_speech_encoder(), MINI.packing, order.work)
    faces = Faces.of(pictures, MINI.encoder.side)
    if not destination(order, RENDERING_FILE).exists():
        train_renderer(order, Corpus(clips, faces, truth_of(pictures)))
    ours, rival = destination(order, ACTING_FILE), order.work / RIVAL
    if ours.exists() and rival.exists():
        return
    rendering = Rendering(MINI)
    load_weights(destination(order, RENDERING_FILE), rendering)
    motion = encoded(faces, rendering.encoder)
    for path, objective in ((ours, Objective()), (rival, Objective(forcing=False))):
        if not path.exists():
            train_actor(order, path, motion, clips, objective)


def train_renderer(order: Order, corpus: Corpus) -> None:
    """Train and write motion encoder and video generator, from the mini Hallo's weights on.

    Args:
        order: What is ordered.
        corpus: The split with heads at rest, with packed latents.

    Raises:
        MissingWeightsError: Hallo's weights are not there.
    """
    state = read_state_dict(shipped(HALLO_FILE))
    torch.manual_seed(train_rendering.FRAMES_RECIPE.seed)
    rendering, taken = fresh_rendering(MINI, state)
    _log.info("%d tensors of the video generator begin as those of %s", len(taken), HALLO_FILE)
    form = rendering.video.latents
    if "latents.basis" not in taken:
        form.keep(corpus.clips.latents[:, ::EVERY].flatten(0, 1).float())
    corpus = replace(corpus, clips=known_clips(corpus.clips, form))
    network = Supervised(rendering, MINI.encoder.motion, corpus.truth.shape[-1])
    fitted(ReadingTask.of(network, corpus), train_rendering.READING_RECIPE, order, "x-actor-reading")
    frames = RenderingTask(network, corpus, windows=False)
    fitted(frames, train_rendering.FRAMES_RECIPE, order, "x-actor-frames")
    # Made when it is its turn: it lets the motion modules run.
    windows = RenderingTask(network, corpus)
    training = fitted(windows, train_rendering.WINDOWS_RECIPE, order, "x-actor-windows")
    ship(destination(order, RENDERING_FILE), rendering, train_rendering.ABOUT, order, training, corpus.clips.pictures)


def train_actor(order: Order, path: Path, motion: torch.Tensor, clips: LatentClips, objective: Objective) -> None:
    """Train and write the actor; a card goes with the one that is shipped."""
    torch.manual_seed(train_acting.RECIPE.seed)
    network = Acted(MINI)
    mean, std = statistics(motion)
    network.mean.copy_(mean)
    network.std.copy_(std)
    task = ActingTask(network, motion, clips.speech, objective=objective)
    training = fitted(task, train_acting.RECIPE, order, "x-actor-actor" if objective.forcing else "x-actor-rival")
    if objective.forcing:
        ship(path, network, train_acting.ABOUT, order, training, clips.pictures)
    else:
        save_weights(path, network.state_dict(), torch.float16)
