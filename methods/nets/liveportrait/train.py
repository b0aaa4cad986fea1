"""Trains the mini LivePortrait: `python -m thbench_methods.nets.liveportrait.train`.

Its held-out scores are added to the cards by `python -m thbench_methods.nets.liveportrait.held_out`.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import torch
from thbench_methods.common.training import About, destination, fitted, ship
from thbench_methods.nets.liveportrait import train_motion, train_renderer
from thbench_methods.nets.liveportrait.examples import open_examples
from thbench_methods.nets.liveportrait.mini import MOTION_FILE, RENDERER_FILE, Renderer, motion_extractor
from thbench_methods.nets.liveportrait.train_motion import MotionTask
from thbench_methods.nets.liveportrait.train_renderer import RendererTask

from thbench.data.synth_heads.cache import data_folder, split_folder
from thbench.training.order import Order

if TYPE_CHECKING:
    from thbench_methods.nets.liveportrait.examples import Examples

SOURCE = "Guo et al., LivePortrait, arXiv 2407.03168; sizes are the project's own"
RENDERER = About(
    "Mini LivePortrait: appearance, warping, generator",
    SOURCE,
    "Frames of a clip made from another frame of it: L1 at three sizes and L1 of neighbour differences, weighted"
    " towards mouth and eyes; where key-points are read from (the key-point prior).",
    (
        "Key-points come from the truth of synth-heads, not from a motion extractor trained along.",
        "No perceptual and no adversarial loss: they need networks from elsewhere, or far more steps.",
        "The generator refines the portrait warped by the same deformation, which the published one does not: at this"
        " size and in so few steps it could not copy what does not move.",
        "The generator is shown what the dense motion network saw of key-points, which the published one is not: how"
        " far the mouth is open it would else have to guess from what was warped.",
        "The feature volume is one plane, in which key-points have no depth: with a few planes from front to back, as"
        " the published 16 are spread, no key-point would come near one.",
    ),
)
MOTION = About(
    "Mini LivePortrait: motion extractor",
    SOURCE,
    "L1 of key-points, canonical key-points, expression, head pose, scale and translation of single frames.",
    ("Supervised by the truth of synth-heads; the published one is trained together with the renderer.",),
)


def train(order: Order) -> None:
    """Train what is not there yet: renderer, then motion extractor."""
    examples = open_examples(order.data, order.clips)
    if not destination(order, RENDERER_FILE).exists():
        train_the_renderer(order, examples)
    if not destination(order, MOTION_FILE).exists():
        train_the_motion_extractor(order, examples)


def train_the_renderer(order: Order, examples: Examples) -> None:
    """Train and write appearance, warping and generator."""
    torch.manual_seed(train_renderer.RECIPE.seed)
    task = RendererTask(Renderer(), examples)
    training = fitted(task, train_renderer.RECIPE, order, "liveportrait-renderer")
    ship(destination(order, RENDERER_FILE), task.network, RENDERER, order, training, examples.pictures)


def train_the_motion_extractor(order: Order, examples: Examples) -> None:
    """Train and write the motion extractor."""
    torch.manual_seed(train_motion.RECIPE.seed)
    task = MotionTask(motion_extractor(), examples)
    training = fitted(task, train_motion.RECIPE, order, "liveportrait-motion")
    ship(destination(order, MOTION_FILE), task.network, MOTION, order, training, examples.pictures)


def main() -> None:
    """Train on the made split with the recipes above."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else None
    train(
        Order(
            method="liveportrait",
            preset="mini",
            command="python -m thbench_methods.nets.liveportrait.train" + (f" {clips}" if clips else ""),
            data=split_folder("train", 128, 4.0),
            work=data_folder().parent / "training",
            clips=clips,
        )
    )


if __name__ == "__main__":
    main()
