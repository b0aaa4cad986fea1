"""What the mini LivePortrait is worth on people it never saw: driven by the true motion, and reading it.

`python -m thbench_methods.nets.liveportrait.held_out` puts the scores onto the cards of the shipped weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.judging import compared, judge, mean_score, one_of_each, read_held
from thbench_methods.common.portrait import portrait_tensor, to_frame_batch
from thbench_methods.common.training import keep_scores
from thbench_methods.nets.liveportrait.animate import LivePortrait, Source
from thbench_methods.nets.liveportrait.keypoints import HeadPose, Motion, as_points, extracted_motion, transform
from thbench_methods.nets.liveportrait.mini import MOTION_FILE, RENDERER_FILE, SIZE, Renderer, motion_extractor
from thbench_methods.nets.liveportrait.truth_motion import TruthMotion, truth_motion

from thbench.data.synth_heads.dataset import clips_of
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from thbench_methods.nets.liveportrait.motion import MotionExtractor

    from thbench.training import Score
    from thbench.types import Clip

BATCH, EVERY = 10, 10
"""Frames at a time; every so manieth frame is read by the motion extractor."""


def evaluate_renderer(network: Renderer, clips: Iterable[Clip]) -> tuple[Score, ...]:
    """Compare clips that are made of their first frame and of their true motion with the real ones.

    What a method that generates motion can reach is bounded by this.
    """
    whole = LivePortrait(network.appearance, motion_extractor().eval(), network.warping, network.generator)
    rows, truths = [], []
    for held in read_held(clips):
        frames = driven(whole, held.frames[0], truth_motion(held.clip))
        rows.append(judge(held, frames))
        truths.append(judge(held, held.frames))
    return compared(rows, truths, "first frame of each clip, driven by its true motion")


@torch.inference_mode()
def driven(renderer: LivePortrait, portrait: NDArray[np.uint8], truth: TruthMotion) -> NDArray[np.uint8]:
    """Return frames (frames, 128, 128, 3) of a portrait under the true motion of its clip."""
    image = portrait_tensor(portrait, SIZE)
    first = Motion(HeadPose(*(angle[:1] for angle in truth.motion.pose)), *(part[:1] for part in _rest(truth.motion)))
    source = Source(renderer.appearance(image), truth.canonical[None], first, image)
    points = transform(truth.canonical, truth.motion)
    return np.concatenate([to_frame_batch(made) for made in renderer.frames(source, points, BATCH)])


def _rest(motion: Motion) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return motion.translation, motion.expression, motion.scale


@torch.inference_mode()
def evaluate_motion(network: MotionExtractor, clips: Iterable[Clip]) -> tuple[Score, ...]:
    """Compare what is read of single frames with the truth."""
    places, degrees, people = [], [], []
    for held in read_held(clips):
        truth = truth_motion(held.clip)
        pictures = torch.cat([portrait_tensor(frame, SIZE) for frame in held.frames[::EVERY]])
        raw = network(pictures)
        found = extracted_motion(raw)
        there = transform(as_points(raw["kp"]), found)
        error = there[..., :2] - transform(truth.canonical, truth.motion)[::EVERY, :, :2]
        places.append(float(error.norm(dim=-1).mean()) * SIZE / 2)
        angles = [(a - b[::EVERY]).abs().mean() for a, b in zip(found.pose, truth.motion.pose, strict=True)]
        degrees.append(float(torch.stack(angles).mean()))
        people.append(held.clip.identity)
    how = f"every {EVERY}th frame"
    return (
        mean_score("key-points", places, people, "", f"mean distance from the truth, pixels of {SIZE}; {how}"),
        mean_score("head pose", degrees, people, "", f"mean absolute error of pitch, yaw and roll, degrees; {how}"),
    )


def main() -> None:
    """Measure the shipped weights on one clip of each person of the test split."""
    torch.set_num_threads(1)
    clips = one_of_each(clips_of())
    renderer, motion = Renderer(), motion_extractor()
    load_weights(RENDERER_FILE, renderer)
    load_weights(MOTION_FILE, motion)
    keep_scores(MOTION_FILE, evaluate_motion(motion, clips))
    keep_scores(RENDERER_FILE, evaluate_renderer(renderer, clips))


if __name__ == "__main__":
    main()
