"""Trains the mini preset on synth-heads: renderer, then what speaks, then the style predictor."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.dreamtalk import train_denoiser, train_expert, train_predictor, train_renderer
from thbench_methods.dreamtalk.acted import CLIPS as ACTING
from thbench_methods.dreamtalk.acted import EACH, open_acted
from thbench_methods.dreamtalk.bundle import (
    PREDICTOR_FILE,
    RENDERER_FILE,
    SPEAKING_FILE,
    TRACKS,
    Predicting,
    Renderer,
    Speaking,
    load_mini,
)
from thbench_methods.dreamtalk.config import MINI
from thbench_methods.dreamtalk.corpus import corpus_of
from thbench_methods.dreamtalk.examples import open_examples
from thbench_methods.dreamtalk.pipeline import DreamTalk, assembled
from thbench_methods.dreamtalk.scores import score_all
from thbench_methods.dreamtalk.voices import COUNT as VOICES
from thbench_methods.dreamtalk.voices import open_voices
from thbench_methods.nets.speech.train import RECIPE as HEARING
from thbench_methods.nets.speech.train import heard, speech_task

from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.pictures import FOLDER
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from thbench_methods.dreamtalk.examples import Examples

    from thbench.training.order import Order

SPEECH_RECIPE = HEARING.model_copy(update={"steps": 800, "bfloat16": False})
SOURCE = "Ma et al., DreamTalk, arXiv 2312.09767; sizes are the project's own"
RENDERER = About(
    "DreamTalk mini: renderer",
    "Ren et al., PIRenderer, ICCV 2021; sizes are the project's own",
    "Frames of a person made from another frame, half of them of the same clip, half in which the person shows what"
    f" others show ({EACH} of each of the first {ACTING} clips, drawn for this): L1 at three sizes of frame and warped"
    " portrait and L1 of neighbour differences of the frame, weighted towards mouth, eyes and brows.",
    (
        "The published networks on cells of 4 x 4 pixels; they correct the flow of a mean face that its coefficients"
        " give, and paint over the warped portrait, where the published ones paint the whole frame.",
        "Driving coefficients are the truth of synth-heads with noise; the portrait's own are read by the mini face"
        " regressor, as in use, with more noise: it reads people whom it was not trained on less well.",
        "No perceptual and no adversarial loss: PIRenderer's needs VGG-19.",
    ),
)
SPEAKING = About(
    "DreamTalk mini: denoising network, style encoder, speech encoder, pose tracks",
    SOURCE,
    "Squared error of clean expression and 0.02 of the cross-entropy of the lip expert; style clips of the same video,"
    " one in ten replaced by the null clip. Before it the speech encoder (visemes and mouth) and the lip expert (pairs"
    " in sync and out of sync), both then frozen.",
    (
        f"Head pose is not generated, as published. By default one of {TRACKS} pose tracks of the train split and their"
        " mirror images, drawn by seed and sound among those that begin nearly so, goes on from the portrait's pose.",
        "Noise of neighbouring frames is alike when sampling: frames are denoised by themselves, and with noise of its"
        " own for each, as published, lids and brows would flicker.",
    ),
)
PREDICTOR = About(
    "DreamTalk mini: style predictor",
    SOURCE,
    "Squared error of clean style codes, from speech and a portrait of another clip of the speaker; to the clips of the"
    f" split come {VOICES:,} people who are in no split and only speak.",
    (
        "The speaker is told by landmarks that expression hardly moves, in the place of 3DMM identity coefficients.",
        f"A predicted code is the mean of {MINI.predictor.draws} draws: a voice leaves much of the style open.",
    ),
)


def train(order: Order) -> None:
    """Train what is not there yet, and score the whole on the embedded test split."""
    examples = open_examples(order.data, order.clips)
    if not destination(order, RENDERER_FILE).exists():
        train_the_renderer(order, examples)
    if not destination(order, SPEAKING_FILE).exists():
        train_the_speaking(order, examples)
    if not destination(order, PREDICTOR_FILE).exists():
        train_the_predictor(order, examples)
    folder = destination(order, RENDERER_FILE).parent
    method = DreamTalk.of(MINI, assembled(MINI, torch.device("cpu"), load_mini(MINI, folder)))
    score_all(method, clips_of(), folder)


def train_the_renderer(order: Order, examples: Examples) -> None:
    """Train and write the renderer."""
    torch.manual_seed(train_renderer.RECIPE.seed)
    task = train_renderer.RendererTask(Renderer(MINI), examples, open_acted(order.data, examples.pictures.clips))
    training = fitted(task, train_renderer.RECIPE, order, "dreamtalk-renderer")
    ship(destination(order, RENDERER_FILE), task.network, RENDERER, order, training, examples.pictures)


def train_the_speaking(order: Order, examples: Examples) -> None:
    """Train and write the denoising network; before it the speech encoder and the lip expert."""
    torch.manual_seed(train_denoiser.RECIPE.seed)
    speaking = Speaking(MINI)
    hearing = speech_task(heard(examples.pictures))
    fitted(hearing, SPEECH_RECIPE, order, "dreamtalk-speech")
    speaking.speech.load_state_dict(copy.deepcopy(hearing.network.encoder.state_dict()))
    for tensor in speaking.speech.state_dict().values():
        tensor.copy_(tensor.half())  # what follows is trained on what the file will hold
    corpus = corpus_of(examples, speaking.speech, MINI)
    torch.manual_seed(train_expert.RECIPE.seed)
    judging = train_expert.ExpertTask(train_expert.Expert(MINI), corpus)
    fitted(judging, train_expert.RECIPE, order, "dreamtalk-expert")
    task = train_denoiser.DenoiserTask(speaking.diffusion, corpus, judging.network)
    training = fitted(task, train_denoiser.RECIPE, order, "dreamtalk-denoiser")
    chosen = np.linspace(0, len(examples) - 1, TRACKS).round().astype(int)
    speaking.pose_tracks.copy_(examples.truth.pose[chosen])
    ship(destination(order, SPEAKING_FILE), speaking, SPEAKING, order, training, examples.pictures)


def train_the_predictor(order: Order, examples: Examples) -> None:
    """Train and write the style predictor for the codes of the trained style encoder."""
    speaking = Speaking(MINI)
    load_weights(destination(order, SPEAKING_FILE), speaking)
    corpus = corpus_of(examples, speaking.speech, MINI)
    torch.manual_seed(train_predictor.RECIPE.seed)
    clips = train_predictor.predictor_task(Predicting(MINI), speaking, corpus, examples)
    task = train_predictor.with_voices(clips, speaking, open_voices(order.data / FOLDER))
    training = fitted(task, train_predictor.RECIPE, order, "dreamtalk-predictor")
    ship(destination(order, PREDICTOR_FILE), task.network, PREDICTOR, order, training, examples.pictures)
