"""What the mini preset is worth on held-out clips of synth-heads, for its cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.judging import BARS, compared, judge, made, mean_score, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.dreamtalk.claims import style_prediction
from thbench_methods.dreamtalk.faces import face_of, moved_track
from thbench_methods.dreamtalk.pipeline import RENDERED

from thbench.data.synth_heads.dataset import truth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held
    from thbench_methods.dreamtalk.pipeline import DreamTalk

    from thbench.training import Score
    from thbench.types import Clip

DRIVEN_BARS = {"LSE-C (mini)": ">= 0.6", "identity (mini)": ">= 0.85"}


def method_scores(method: DreamTalk, clips: Iterable[Held]) -> tuple[Score, ...]:
    """Return the scores of generated clips, beside those of the real ones."""
    rows, truths = [], []
    for held in clips:
        rows.append(judge(held, made(method, held.request())))
        truths.append(judge(held, held.frames))
    return compared(rows, truths, "seed 0, first frame and sound of each clip", BARS)


def renderer_scores(method: DreamTalk, clips: Iterable[Held]) -> tuple[Score, ...]:
    """Return the scores of clips that are rendered of their true expression and head motion."""
    rows, truths, errors = [], [], []
    for held in clips:
        frames = driven_by_truth(method, held)
        rows.append(judge(held, frames))
        truths.append(judge(held, held.frames))
        errors.append(10 * np.log10(255**2 / np.square(frames.astype(float) - held.frames).mean()))
    how = "true expression, true head motion from the portrait's own pose on"
    signal = mean_score("PSNR", errors, [row.person for row in rows], "", f"dB; {how}")
    return (signal, *compared(rows, truths, how, DRIVEN_BARS))


def driven_by_truth(method: DreamTalk, held: Held) -> NDArray[np.uint8]:
    """Render a clip of its truth."""
    truth = truth_of(held.clip)
    face = face_of(truth.expression, truth.pose, truth.landmarks68)
    stage = method.parts.stage
    read = stage.read(held.frames[0])
    motion = torch.cat((face.expression, moved_track(face.pose, read.face.pose[0])), dim=1)
    places = torch.arange(len(held.frames), dtype=torch.float32)
    pictures = torch.cat([stage.render(read, motion, some) for some in torch.split(places, RENDERED)])
    whole = (pictures * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(whole.permute(0, 2, 3, 1).numpy())


def predictor_scores(method: DreamTalk, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return how well predicted styles are told apart."""
    found = style_prediction(method, clips)
    how = "predicted code nearer to the clip's own than to another clip's, AUC; portrait of another clip of the speaker"
    return (mean_score("style retrieval", found.shares, found.people, "> 0.5", how),)


def score_all(method: DreamTalk, clips: Sequence[Clip], folder: Path) -> None:
    """Measure the method and put the scores on the cards of a folder."""
    held = list(read_held(clips))
    for name, scores in (
        ("mini", method_scores(method, held)),
        ("mini_renderer", renderer_scores(method, held)),
        ("mini_style_predictor", predictor_scores(method, held)),
    ):
        keep_scores(folder / f"{name}.safetensors", scores)
