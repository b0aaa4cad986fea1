"""Puts DreamTalk's claims to the test with its small preset: `python -m thbench_methods.dreamtalk.claims`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.common import Noise
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import judge, made, read_held
from thbench_methods.common.sound import speech
from thbench_methods.dreamtalk.config import MINI
from thbench_methods.dreamtalk.faces import face_of, read_faces
from thbench_methods.dreamtalk.motion import style_clip
from thbench_methods.dreamtalk.pipeline import DreamTalk
from thbench_methods.dreamtalk.spec import NONE
from thbench_methods.dreamtalk.styles import cosines, nearness, right_emotions, strengths

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.emotion import EMOTIONS
from thbench.report.claims import Claim
from thbench.stats import mean_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.report.claims import Verdict
    from thbench.stats import Estimate
    from thbench.types import Request

    Values = NDArray[np.float64]

SOURCE = "Ma et al., arXiv 2312.09767"
STYLES, PORTRAITS = 24, 2
"""Style clips, each of another person, and portraits that are made to speak in all of them."""
SCALES, GUIDED = (1.0, 2.0, 3.0), 12
"""Of the guidance, and people whom it is tried on."""
COMMAND = "python -m thbench_methods.dreamtalk.claims RUN"
READ = "By the strength of each emotion in what the mini face regressor reads, not by a classifier that was trained"


@dataclass(frozen=True, slots=True)
class Ranked:
    """How often something is more like what it belongs to than like something else, with what that is over."""

    shares: tuple[float, ...]
    """For each row, over all others: 1 always, 0.5 by chance."""
    people: tuple[str, ...]

    @property
    def area(self) -> Estimate:
        """Area under the ROC curve of each row, averaged; the interval is over people."""
        return mean_estimate(self.shares, self.people)


def ranked(alike: Values, own: Sequence[int], people: Sequence[str]) -> Ranked:
    """Compare rows with what they belong to.

    Args:
        alike: Shape (rows, things): how alike they are, by any increasing measure.
        own: Which thing each row belongs to.
        people: Of each row.
    """
    shares = []
    for row, mine in zip(alike, own, strict=True):
        others = np.delete(row, mine)
        shares.append(float(np.mean(row[mine] > others) + 0.5 * np.mean(row[mine] == others)))
    return Ranked(tuple(shares), tuple(people))


def shown_in(frames: NDArray[np.uint8]) -> Values:
    """Return how strongly each emotion is shown in frames, as the face regressor reads them."""
    return strengths(look(loaded.face(), frames).expression)


def style_consistency(
    method: DreamTalk, clips: Sequence[Held], styles: int = STYLES, portraits: int = PORTRAITS
) -> Ranked:
    """Say two speeches in each style, and compare every result of the one with all results of the other.

    The portrait is the same for all that is compared: who is seen tells nothing of the style. A result of another style
    that says the same is among the others.
    """
    chosen = _one_of_each(clips)[:styles]
    people = [held.clip.identity for held in chosen]
    shares: list[float] = []
    for shown in chosen[:portraits]:
        first, second = (
            np.stack(
                [
                    shown_in(made(method, replace(_styled(chosen, number, step), portrait=shown.frames[0])))
                    for number in range(len(chosen))
                ]
            )
            for step in (3, 4)
        )
        shares.extend(ranked(nearness(first, second), range(len(chosen)), people).shares)
    return Ranked(tuple(shares), tuple(people * len(chosen[:portraits])))


@dataclass(frozen=True, slots=True)
class Styled:
    """Results in the style of clips of other people."""

    like: Ranked
    """How often a result is more like its style clip than like another."""
    right: tuple[float, ...]
    """1 where the emotion that is named of a result is that of its style clip, else 0."""
    right_of_real: tuple[float, ...]
    """The same of the style clips themselves."""


def style_similarity(method: DreamTalk, clips: Sequence[Held], styles: int = STYLES) -> Styled:
    """Say speech of one person in the style of another's clip, and compare every result with every style clip."""
    chosen = _one_of_each(clips)[:styles]
    wanted = np.stack([shown_in(held.frames) for held in chosen])
    found = np.stack([shown_in(made(method, _styled(chosen, number, 3))) for number in range(len(chosen))])
    asked = [truth_of(held.clip).about.emotion for held in chosen]
    like = ranked(nearness(found, wanted), range(len(chosen)), [held.clip.identity for held in chosen])
    return Styled(like, tuple(right_emotions(found, asked)), tuple(right_emotions(wanted, asked)))


def _styled(chosen: Sequence[Held], number: int, step: int) -> Request:
    """Return speech and portrait of the clip some steps on, in the style of a clip."""
    style = str(chosen[number].clip.path)
    return chosen[(number + step) % len(chosen)].request(controls={"style": style})


def style_prediction(method: DreamTalk, clips: Sequence[Held]) -> Ranked:
    """Predict style codes of speech and a portrait of another clip of the speaker; compare them with all real codes.

    Real codes are those of the true expression: how well faces are read is no matter of the prediction.
    """
    parts = method.parts
    if parts.predict is None:
        raise ValueError("the preset has no style predictor")
    codes, predicted, people = [], [], []
    for held in clips:
        truth = truth_of(held.clip)
        expression = face_of(truth.expression, truth.pose, truth.landmarks68).expression
        with torch.inference_mode():
            codes.append(parts.diffusion.style(*style_clip(expression, MINI.sizes.style_length))[0].numpy())
        other = next((o for o in clips if o.clip.identity == held.clip.identity and o is not held), held)
        request, count = held.request(), len(held.frames)
        features = parts.hear(speech(request, count, MINI.fps), count, MINI.fps)
        speaker = read_faces([other.frames[0]], "the portrait").speaker
        predicted.append(parts.predict(features, speaker, Noise(0), MINI.diffusion.steps)[0].numpy())
        people.append(held.clip.identity)
    found, wanted = (np.stack(rows).astype(np.float64) for rows in (predicted, codes))
    return ranked(cosines(found, wanted), range(len(wanted)), people)


@dataclass(frozen=True, slots=True)
class Scaled:
    """What the scale of the guidance does, clip by clip."""

    away: Values
    """Shape (clips, scales): distance of the mean expression from that without style."""
    sync: Values
    """Shape (clips, scales): LSE-C (mini)."""
    people: tuple[str, ...]


def guidance(
    method: DreamTalk, clips: Sequence[Held], scales: Sequence[float] = SCALES, people: int = GUIDED
) -> Scaled:
    """Generate clips in the style of another person's clip with rising scale."""
    chosen = _one_of_each(clips)[:people]
    away, sync = [], []
    for number, held in enumerate(chosen):
        style = str(chosen[(number + 1) % len(chosen)].clip.path)
        plain = judge(held, made(method, held.request(controls={"style": NONE}))).expression.mean(axis=0)
        rows = [judge(held, made(method, held.request(controls={"style": style, "guidance": s}))) for s in scales]
        away.append([np.linalg.norm(row.expression.mean(axis=0) - plain) for row in rows])
        sync.append([row.lse_c for row in rows])
    return Scaled(np.array(away), np.array(sync), tuple(held.clip.identity for held in chosen))


def claims(method: DreamTalk, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips."""
    kept, styled = style_consistency(method, clips), style_similarity(method, clips)
    return stated(kept, styled, style_prediction(method, clips), guidance(method, clips))


def stated(kept: Ranked, styled: Styled, predicted: Ranked, scaled: Scaled) -> tuple[Claim, ...]:
    """Return the claims with what was found."""
    more = mean_estimate((scaled.away[:, 1] - scaled.away[:, 0]).tolist(), scaled.people)
    fall = mean_estimate((scaled.sync[:, 0] - scaled.sync[:, 2]).tolist(), scaled.people)
    means = scaled.away.mean(axis=0)
    return (
        _claim(
            "What is said in one style is alike, whatever is said.",
            "table I",
            "style accuracy 86.7 %, real videos 92.5 %; here the area under the ROC curve is held against 0.9",
            f"results of one style clip are more alike than those of different ones: AUC {in_words(kept.area)}",
            above(kept.area, 0.9),
            f"{READ}.",
        ),
        _claim(
            "A result speaks in the style of its style clip.",
            "table I",
            "style accuracy 86.7 %, real videos 92.5 %; here the area under the ROC curve is held against 0.9",
            f"a result is more like its style clip than like another: AUC {in_words(styled.like.area)}",
            above(styled.like.area, 0.9),
            f"{READ}. The emotion that is named of a result is its style clip's in {100 * np.mean(styled.right):.0f} %,"
            f" that of real clips in {100 * np.mean(styled.right_of_real):.0f} %; by chance"
            f" {100 / len(EMOTIONS):.0f} %.",
        ),
        _claim(
            "The style can be predicted of speech and a portrait.",
            "table III",
            "style accuracy 78.6 % with predicted style; another method 5.3 %",
            f"a predicted code is more like the clip's own than another's: AUC {in_words(predicted.area)}",
            above(predicted.area, 0.5),
            "Held against chance; the portrait is of another clip of the speaker, real codes of the true expression.",
        ),
        _claim(
            "A larger scale of the guidance makes the style stronger.",
            "section on style guidance",
            "stronger expression; no number",
            f"mean expression lies {means[0]:.3g} from that without style at scale 1, {means[1]:.3g} at 2;"
            f" rise {in_words(more)}",
            above(more),
            "Expression as the mini face regressor reads it of the frames.",
        ),
        _claim(
            "Beyond a scale of 2 lips lose sync.",
            "section on style guidance",
            "visible loss; no number",
            f"LSE-C (mini) at scale 1 less that at 3: {in_words(fall)}",
            above(fall),
            "By a sync network trained on synth-heads.",
        ),
    )


def _claim(statement: str, where: str, expected: str, measured: str, verdict: Verdict, reason: str) -> Claim:
    return Claim(
        method="dreamtalk",
        statement=statement,
        source=f"{SOURCE}, {where}",
        expected=expected,
        measured=measured,
        verdict=verdict,
        reason=reason,
        variant="dreamtalk@mini",
        command=COMMAND,
    )


def _one_of_each(clips: Sequence[Held]) -> list[Held]:
    """Return the first clip of each person."""
    return list({held.clip.identity: held for held in reversed(clips)}.values())[::-1]


def main() -> None:
    """Write the claims into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="run folder that gets the claims")
    parser.add_argument("--data", type=Path, help="folder of a split (default: the embedded one)")
    parser.add_argument("--clips", type=int, help="only so many, from the first")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clips = list(read_held(islice(clips_of(args.data), args.clips)))
    keep_claims(args.folder, claims(DreamTalk("mini"), clips))


if __name__ == "__main__":
    main()
