"""Puts FLAP's claims to the test with its small preset, and its held-out scores onto its card.

`python -m thbench_methods.flap.claims FOLDER` writes the claims into the folder of a run or report. What is asked for
is held against what the mini face regressor reads of the frames.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import IMAGE_DIFFUSION_BARS, made, measured, one_of_each, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.flap.bundle import FILE
from thbench_methods.flap.coefficients import EYES, JAW, LIDS
from thbench_methods.flap.pipeline import FLAP
from thbench_methods.flap.spec import FIXED, GENERATED, STILL

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.data.synth_heads.dataset import clips_of
from thbench.data.synth_heads.expression import EXPRESSIONS
from thbench.metrics.blink import RATE, blink_values
from thbench.report.claims import Claim
from thbench.stats import mean_estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.report.claims import Verdict
    from thbench.stats import Estimate
    from thbench.types import Request

    Values = NDArray[np.float64]

SOURCE = "Mu et al., arXiv 2502.19455"
COMMAND = "python -m thbench_methods.flap.claims FOLDER"
FPS = 25
ANGLES = (("yaw", (-15.0, 0.0, 15.0)), ("pitch", (-8.0, 8.0)), ("roll", (-8.0, 8.0)))
"""Name to degrees that are asked for; the other two are 0."""
MOST_DEGREES = 5.0
"""Mean error of an angle."""
BLINKS, BLINK_SECONDS = (20.0, 40.0), 6.0
"""Rates that are asked for, by the minute, and seconds in which they are counted."""
MOST_BLINKS = 0.25
"""Relative error of the rate."""
MOST_CROSS = 0.2
"""Effect of a control on what another one is for, over that one's own effect."""
PEOPLE, SECONDS = 24, 2.0
"""People for whom controls are tried, and seconds of each clip of those whose blinks are not counted."""
ASIDE = tuple(number for number, name in enumerate(EXPRESSIONS) if name in {*EYES, *JAW, *LIDS})
"""Expressions that speech, gaze and blinks move; the others tell the expression that is asked for."""


class Read(NamedTuple):
    """What is seen of a clip."""

    degrees: Values
    """Mean yaw, pitch, roll."""
    blinks: float
    """By the minute."""
    face: Values
    """Mean expressions without those of `ASIDE`."""


def read(frames: NDArray[np.uint8]) -> Read:
    """Read frames (n, 128, 128, 3), at least two seconds."""
    seen = look(loaded.face(), frames)
    found = blink_values(1.0 - seen.blink.astype(np.float64), float(FPS))[RATE]
    if not isinstance(found, float):
        raise ValueError(f"blinks cannot be counted in {len(frames)} frames: {found.reason}")
    face = np.delete(seen.expression.astype(np.float64).mean(axis=0), ASIDE)
    return Read(seen.pose.astype(np.float64).mean(axis=0), 60 * found, face)


def face_of(frames: NDArray[np.uint8]) -> Values:
    """Return the mean expressions of frames without those of `ASIDE`."""
    return np.delete(look(loaded.face(), frames).expression.astype(np.float64).mean(axis=0), ASIDE)


def asked(held: Held, seconds: float, **controls: object) -> Request:
    """Return a request of some seconds; the sound goes on with silence."""
    return replace(held.request(controls=controls), frames=round(seconds * FPS))


def angle_errors(method: FLAP, clips: Sequence[Held]) -> dict[str, list[float]]:
    """Return errors in degrees of each angle that is asked for, by person."""
    errors: dict[str, list[float]] = {name: [] for name, _ in ANGLES}
    for held in clips:
        for number, (name, degrees) in enumerate(ANGLES):
            found = [
                read(made(method, asked(held, SECONDS, head=FIXED, **{name: value}))).degrees[number] - value
                for value in degrees
            ]
            errors[name].append(float(np.abs(found).mean()))
    return errors


def angle_claim(errors: Mapping[str, Sequence[float]], people: Sequence[str]) -> Claim:
    """State whether heads are turned as asked."""
    means = {name: mean_estimate(list(values), people) for name, values in errors.items()}
    words = "; ".join(f"{name} {in_words(mean, ' degrees')}" for name, mean in means.items())
    asked_for = ", ".join(f"{name} {'/'.join(f'{d:g}' for d in degrees)}" for name, degrees in ANGLES)
    return _claim(
        "The head turns by the angles that are asked for.",
        "angle-level control of head pose",
        f"no number; here a mean error of at most {MOST_DEGREES:g} degrees",
        f"mean absolute error, asked {asked_for}: {words}",
        _worst([below(mean, MOST_DEGREES) for mean in means.values()]),
        "Angles as the mini face regressor reads them, whose own error is part of it.",
    )


def blink_rates(method: FLAP, clips: Sequence[Held]) -> dict[float, list[float]]:
    """Return measured rates for each rate that is asked for, by person."""
    return {
        rate: [read(made(method, asked(held, BLINK_SECONDS, blinks=rate))).blinks for held in clips] for rate in BLINKS
    }


def blink_claim(rates: Mapping[float, Sequence[float]], people: Sequence[str]) -> Claim:
    """State whether eyes blink as often as asked; a rate is the mean over people, whose blinks are few."""
    means = {rate: mean_estimate(list(values), people) for rate, values in rates.items()}
    errors = {rate: abs(mean.value / rate - 1) for rate, mean in means.items()}
    words = "; ".join(f"asked {rate:g}: {in_words(mean)}, error {errors[rate]:.0%}" for rate, mean in means.items())
    return _claim(
        "Eyes blink as often as is asked for.",
        "control of blink frequency",
        f"no number; here a rate within {MOST_BLINKS:.0%}",
        f"blinks by the minute in {BLINK_SECONDS:g} s: {words}",
        "pass" if max(errors.values()) <= MOST_BLINKS else "fail",
        "Lids as the mini face regressor reads them; counted as the metric blink-rate/mini counts.",
    )


@dataclass(frozen=True, slots=True)
class Crossed:
    """What each control does to what each is for; rows are controls, columns what is measured."""

    effects: Values
    """Shape (people, 3, 3), each measure in its own unit, 0 or above."""
    names: tuple[str, ...] = ("head", "blinks", "expression")

    @property
    def shares(self) -> Values:
        """Mean effect over people, over that of the control that is for it, (3, 3); the diagonal is 1."""
        mean = self.effects.mean(axis=0)
        shares: Values = mean / mean.diagonal()[None].clip(1e-12)
        return shares


def crossed(method: FLAP, clips: Sequence[Held], donors: Sequence[Held]) -> Crossed:
    """Change one control after the other, and measure head, blinks and expression.

    Args:
        method: The method.
        clips: Whose portraits and speech are taken.
        donors: Whose faces are asked for, one for each.
    """
    rows = []
    for held, donor in zip(clips, donors, strict=True):
        base = {"head": STILL, "blinks": 0.0, "expression": GENERATED}
        changes = ({"head": FIXED, "yaw": 15.0}, {"blinks": 60.0}, {"expression": str(donor.clip.path)})
        plain = read(made(method, asked(held, SECONDS, **base)))
        line = (
            np.delete(look(loaded.face(), donor.frames).expression.astype(np.float64).mean(axis=0), ASIDE) - plain.face
        )
        effects = []
        for change in changes:
            other = read(made(method, asked(held, SECONDS, **{**base, **change})))
            effects.append(effects_of(plain, other, line))
        rows.append(effects)
    return Crossed(np.array(rows))


def effects_of(plain: Read, other: Read, line: Values) -> tuple[float, float, float]:
    """Return by how much head, blinks and expression differ.

    Args:
        plain: Without a change.
        other: With it.
        line: From the expression without a change to the one that is asked for; what goes along it counts.
    """
    along = float((other.face - plain.face) @ line / np.linalg.norm(line).clip(1e-12))
    turned = float(np.linalg.norm(other.degrees - plain.degrees))
    return turned, abs(other.blinks - plain.blinks), abs(along)


def independence_claims(found: Crossed, people: Sequence[str]) -> tuple[Claim, ...]:
    """State for each control whether it leaves the others alone."""
    claims = []
    mean = found.effects.mean(axis=0).diagonal().clip(1e-12)
    for row, control in enumerate(found.names):
        verdicts, words = [], []
        for column, other in enumerate(found.names):
            if column != row:
                share = mean_estimate((found.effects[:, row, column] / mean[column]).tolist(), people)
                verdicts.append(below(share, MOST_CROSS))
                words.append(f"{other} {in_words(share)}")
        claims.append(
            _claim(
                f"The control of {control} leaves the others alone.",
                "independence of pose and expression",
                f"no number; here less than {MOST_CROSS:.0%} of the effect of the control that is for it",
                f"share of the other control's own effect: {'; '.join(words)}",
                _worst(verdicts),
                "As the mini face regressor reads head, lids and the other expressions.",
            )
        )
    return tuple(claims)


def below(estimate: Estimate, bound: float) -> Verdict:
    """Return whether a mean lies below a bound, by its 95 % interval."""
    turned: dict[Verdict, Verdict] = {"pass": "fail", "fail": "pass"}
    verdict = above(estimate, bound)
    return turned.get(verdict, verdict)


def most_different(clips: Sequence[Held]) -> list[Held]:
    """Return for each clip the one whose face differs most from it."""
    faces = [face_of(held.frames) for held in clips]
    return [clips[int(np.argmax([np.linalg.norm(own - other) for other in faces]))] for own in faces]


def claims(method: FLAP, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips, one of each person."""
    people = [held.clip.identity for held in clips]
    some, who = clips[:PEOPLE], people[:PEOPLE]
    donors = most_different(clips)[:PEOPLE]
    return (
        angle_claim(angle_errors(method, some), who),
        blink_claim(blink_rates(method, some), who),
        *independence_claims(crossed(method, some, donors), who),
    )


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    return "fail" if "fail" in verdicts else "cannot tell" if "cannot tell" in verdicts else "pass"


def _claim(statement: str, where: str, expected: str, found: str, verdict: Verdict, reason: str) -> Claim:
    return Claim(
        method="flap",
        statement=statement,
        source=f"{SOURCE}, {where}",
        expected=expected,
        measured=found,
        verdict=verdict,
        reason=reason,
        variant="flap@mini",
        command=COMMAND,
    )


def main() -> None:
    """Test, write the claims, and put the scores on the card."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.flap.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report")
    parser.add_argument("--data", type=Path, help="folder of a split (default: the embedded one)")
    parser.add_argument("--clips", type=int, help="only so many people, from the first")
    options = parser.parse_args()
    torch.set_num_threads(1)
    method, clips = FLAP("mini"), tuple(islice(one_of_each(clips_of(options.data)), options.clips))
    if options.data is None:
        keep_scores(FILE, measured(method, clips, IMAGE_DIFFUSION_BARS))
    keep_claims(options.folder, claims(method, list(read_held(clips))))


if __name__ == "__main__":
    main()
