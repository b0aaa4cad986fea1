"""What the mini preset is worth on held-out clips of synth-heads, for its cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common.judging import BARS, compared, judge, made, mean_score, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.dreamtalk.claims import style_consistency, style_prediction, style_similarity
from thbench_methods.dreamtalk.faces import face_of, moved_track
from thbench_methods.dreamtalk.pipeline import RENDERED

from thbench.data.synth_heads.dataset import truth_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held, Judged
    from thbench_methods.dreamtalk.claims import Ranked, Styled
    from thbench_methods.dreamtalk.pipeline import DreamTalk

    from thbench.training import Score
    from thbench.types import Clip

HOW = "a run with seed 0, first frame and sound of each clip"
DRIVEN = "true expression, true head motion from the portrait's own pose on"
KEPT = "generations of one style clip more alike than of different ones, AUC by strengths of emotions; two portraits"
STYLED = "a result more like its style clip than like another person's, AUC by strengths of emotions"
NAMED = "share of results whose emotion, by the nearest strengths, is that of the style clip; of real clips {:.2f}"
PREDICTED = "predicted code nearer to the true one of its clip than of another, AUC; portrait of another clip"
DRIVEN_BARS = {"LSE-C (mini)": ">= 0.6", "identity (mini)": ">= 0.85"}


def method_scores(method: DreamTalk, clips: Sequence[Held], truths: Sequence[Judged]) -> tuple[Score, ...]:
    """Return the scores of generated clips, beside those of the real ones, and how well styles are kept apart."""
    rows = [judge(held, made(method, held.of_a_run())) for held in clips]
    likeness = style_scores(style_consistency(method, clips), style_similarity(method, clips))
    return (*compared(rows, truths, HOW, BARS), *likeness)


def style_scores(kept: Ranked, styled: Styled) -> tuple[Score, ...]:
    """Return the scores of styles that are told apart: among generations, and by their style clips."""
    named = NAMED.format(np.mean(styled.right_of_real))
    return (
        mean_score("style similarity of generations", kept.shares, kept.people, ">= 0.9", KEPT),
        mean_score("style similarity to the clip", styled.like.shares, styled.like.people, ">= 0.9", STYLED),
        mean_score("emotion of the style clip", styled.right, styled.like.people, "", named),
    )


def renderer_scores(method: DreamTalk, clips: Sequence[Held], truths: Sequence[Judged]) -> tuple[Score, ...]:
    """Return the scores of clips that are rendered of their true expression and head motion."""
    rows, errors = [], []
    for held in clips:
        frames = driven_by_truth(method, held)
        rows.append(judge(held, frames))
        errors.append(10 * np.log10(255**2 / np.square(frames.astype(float) - held.frames).mean()))
    return driven_scores(rows, errors, truths)


def driven_scores(rows: Sequence[Judged], errors: Sequence[float], truths: Sequence[Judged]) -> tuple[Score, ...]:
    """Return the scores of rendered clips: `errors` in dB, and those beside the real ones."""
    signal = mean_score("PSNR", errors, [row.person for row in rows], "", f"dB; {DRIVEN}")
    return (signal, *compared(rows, truths, DRIVEN, DRIVEN_BARS))


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


def prediction(found: Ranked) -> Score:
    """Return the score of predicted styles that are told apart."""
    return mean_score("style retrieval", found.shares, found.people, "> 0.5", PREDICTED)


def score_all(method: DreamTalk, clips: Sequence[Clip], folder: Path) -> None:
    """Measure the method and put the scores on the cards of a folder."""
    held = list(read_held(clips))
    truths = [judge(each, each.frames) for each in held]
    for name, scores in (
        ("mini", method_scores(method, held, truths)),
        ("mini_renderer", renderer_scores(method, held, truths)),
        ("mini_style_predictor", (prediction(style_prediction(method, held)),)),
    ):
        keep_scores(folder / f"{name}.safetensors", scores)
