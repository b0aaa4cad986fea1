"""Puts SVP's claims to the test with its small preset, and its held-out scores onto its card.

`python -m thbench_methods.svp.claims FOLDER` writes the claims into the folder of a run or report. Styles are compared
by what the mini face regressor reads of the frames, in three ways: by a style reader that no network of SVP knows
(`style_reader`, which decides), by DreamTalk's style encoder, and by SVP's own extractor, which knows no better than to
find what it was trained for. All three know a face by what the regressor reads of it, as SVP does of its style clips
and portraits. Beside each stands what the same way finds of true pictures, drawn of the same people who say the same in
the same styles; a method that overdoes styles may be told apart more easily than these.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import combinations, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import FPS, IMAGE_DIFFUSION_BARS, made, measured, one_of_each, read_held
from thbench_methods.common.still import acted_at_rest
from thbench_methods.common.training import keep_scores
from thbench_methods.dreamtalk.bundle import load_mini as load_dreamtalk
from thbench_methods.dreamtalk.config import MINI as DREAMTALK
from thbench_methods.dreamtalk.faces import UNIT
from thbench_methods.dreamtalk.motion import style_clip
from thbench_methods.svp.bundle import FILE, style_inputs
from thbench_methods.svp.key_points import followed, key_points_of
from thbench_methods.svp.objective import statistics
from thbench_methods.svp.pipeline import SVP
from thbench_methods.svp.restyled import with_habits
from thbench_methods.svp.spec import NONE, SAMPLED
from thbench_methods.svp.style_reader import load_style_reader

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import SIDE, look
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.data.synth_heads.style import make_style
from thbench.report.claims import Claim
from thbench.stats import mean_estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.data.synth_heads.truth import Truth
    from thbench.report.claims import Verdict
    from thbench.stats import Estimate
    from thbench.types import Request

    Values = NDArray[np.float64]

SOURCE = "Tan et al., arXiv 2409.03270"
COMMAND = "python -m thbench_methods.svp.claims FOLDER"
STYLES = 24
"""Style clips, each of another person."""
LEAST = 0.85
"""Area under the ROC curve that is asked for."""
PAIRS, MIXES = 8, (0.0, 0.25, 0.5, 0.75, 1.0)
"""Pairs of styles that are mixed, and shares of the second."""
PEOPLE, DRAWS = 6, 3
"""People for whom styles are sampled, and how many styles and seeds for each."""
FOLLOWERS = 6
"""People whose heads follow another's."""
SECONDS = 2.0
"""Length of mixtures, of samples and of led heads; of what styles are told by, whole clips."""
SPEECHES = (3, 5)
"""How far from a style clip the two clips are whose words are said in its style."""
FEWEST = max(SPEECHES) + 1
"""Clips that styles are told by."""
READER, OTHER, OWN = "the style reader", "DreamTalk's style encoder", "SVP's own extractor"


class Read(NamedTuple):
    """What styles are compared by."""

    expression: NDArray[np.float32]
    """As the mini face regressor reads it, shape (frames, 53), range [0, 1]."""
    hidden: torch.Tensor
    """Of the speech encoder, shape (frames, layers, width)."""


def read(frames: NDArray[np.uint8], sound: NDArray[np.float32], method: SVP) -> Read:
    """Read frames (n, 128, 128, 3) and their sound at 16 kHz."""
    return Read(look(loaded.face(), frames).expression, method.bundle.hear(sound, len(frames)))


def plain(one: Read) -> Values:
    """Return mean, deviation and energy of movement of each expression."""
    return np.asarray(statistics(torch.from_numpy(one.expression)[None])[0].double())


def encoders(method: SVP) -> dict[str, Callable[[Read], Values]]:
    """Return the ways in which styles are compared; the first decides."""
    other, reader = load_dreamtalk(DREAMTALK).speaking.diffusion, load_style_reader()
    every = method.config.style.every

    def read_by_reader(one: Read) -> Values:
        return np.asarray(reader(one.expression[None, ::every])[0])

    @torch.inference_mode()
    def of_dreamtalk(one: Read) -> Values:
        clip = style_clip(UNIT * torch.from_numpy(one.expression), DREAMTALK.sizes.style_length)
        return np.asarray(other.style(*clip)[0].double())

    @torch.inference_mode()
    def own(one: Read) -> Values:
        clip = style_inputs(one.expression[::every], one.hidden, every)
        return np.asarray(method.bundle.networks.style(*clip).mean[0].double())

    return {READER: read_by_reader, OTHER: of_dreamtalk, OWN: own}


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


def ranked(found: Values, wanted: Values, people: Sequence[str], kinds: Sequence[str]) -> Ranked:
    """Compare rows with rows of other kinds; row i belongs to row i.

    Rows are compared by cosine about the mean of their own side: how all results differ from all real clips tells
    nothing of a style, and what is the same for all styles is worth 0.5.

    Args:
        found: Shape (n, values).
        wanted: Shape (n, values); its deviation is the unit of both.
        people: Of each row.
        kinds: Of each row; rows of the same kind are no others.

    Raises:
        ValueError: All rows are of one kind.
    """
    if len(set(kinds)) < 2:
        raise ValueError(f"all rows are of the kind {kinds[0]!r}; areas are over rows of others")
    deviation = wanted.std(axis=0) + 1e-6
    units = [(rows - rows.mean(axis=0)) / deviation for rows in (found, wanted)]
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12) for rows in units]
    alike, names = units[0] @ units[1].T, np.asarray(kinds)
    shares = []
    for number, row in enumerate(alike):
        others = row[names != names[number]]
        shares.append(float(np.mean(row[number] > others) + 0.5 * np.mean(row[number] == others)))
    return Ranked(tuple(shares), tuple(people))


@dataclass(frozen=True, slots=True)
class Spoken:
    """Results in many styles."""

    first: tuple[Read, ...]
    """One for each style."""
    second: tuple[Read, ...]
    """With other speech by another portrait."""
    clips: tuple[Read, ...]
    """The style clips."""
    people: tuple[str, ...]
    """Of the style clips."""
    kinds: tuple[str, ...]
    """Emotion and level of each."""


def spoken(
    method: SVP,
    clips: Sequence[Held],
    say: Callable[[Held, Held, Held], NDArray[np.uint8]],
    kinds: Sequence[str],
) -> Spoken:
    """Say two speeches in the style of each clip, by the same two portraits: who is seen tells nothing of the style.

    Args:
        method: What hears for the extractor.
        clips: Style clips; speeches are theirs, too.
        say: Returns frames of speaker, portrait and style clip.
        kinds: Emotion and level of each clip.

    Raises:
        ValueError: There are so few clips that a style would say its own clip's words.
    """
    if len(clips) < FEWEST:
        raise ValueError(f"there are {len(clips)} clips; at least {FEWEST} are needed")

    def result(number: int, speech: int) -> Read:
        portrait = [held for place, held in enumerate(clips[:3]) if place != number][speech]
        speaker = clips[(number + SPEECHES[speech]) % len(clips)]
        frames = say(speaker, portrait, clips[number])
        return read(frames, speaker.sound, method)

    first, second = ([result(number, speech) for number in range(len(clips))] for speech in range(2))
    return Spoken(
        tuple(first),
        tuple(second),
        tuple(read(held.frames, held.sound, method) for held in clips),
        tuple(held.clip.identity for held in clips),
        tuple(kinds),
    )


def generated(method: SVP) -> Callable[[Held, Held, Held], NDArray[np.uint8]]:
    """Return what generates the results of `spoken`."""

    def say(speaker: Held, portrait: Held, style: Held) -> NDArray[np.uint8]:
        request = replace(_asked(speaker, style=str(style.clip.path)), portrait=portrait.frames[0])
        return made(method, request)

    return say


def drawn(speaker: Held, portrait: Held, style: Held) -> NDArray[np.uint8]:
    """Return true pictures of a person, at rest, who says another's words with the habits and emotion of a third."""
    said, seen, manner = (truth_of(held.clip) for held in (speaker, portrait, style))
    moved = with_habits(said, make_style(manner.about.person), manner.about.emotion, manner.about.level)
    about = said.about.model_copy(update={"person": seen.about.person})
    frames: NDArray[np.uint8] = acted_at_rest(replace(said, about=about), moved)["frames"]
    return frames


def kind_of(truth: Truth) -> str:
    """Return emotion and level; a neutral face has no level."""
    return truth.about.emotion if truth.about.emotion == "neutral" else f"{truth.about.emotion} {truth.about.level}"


def likeness_to_clip(way: Callable[[Read], Values], one: Spoken) -> Estimate:
    """Return the area under the ROC curve of results and style clips; of both results of a style, the mean code."""
    both = (_codes(way, one.first) + _codes(way, one.second)) / 2
    return ranked(both, _codes(way, one.clips), one.people, one.kinds).area


def likeness_of_results(way: Callable[[Read], Values], one: Spoken) -> Estimate:
    """Return the area under the ROC curve of the first and the second result of each style."""
    return ranked(_codes(way, one.first), _codes(way, one.second), one.people, one.kinds).area


def style_claims(found: Spoken, true: Spoken, ways: Mapping[str, Callable[[Read], Values]]) -> tuple[Claim, Claim]:
    """Compare results with their style clips, and with results of other speech by another portrait.

    Args:
        found: Results.
        true: True pictures of the same.
        ways: Codes of what was read; the first decides.
    """

    def claim(statement: str, shown: str, area: Callable[[Callable[[Read], Values], Spoken], Estimate]) -> Claim:
        areas = {name: area(way, found) for name, way in ways.items()}
        first, *rest = (
            f"{name} {in_words(areas[name])}; of true pictures {area(way, true).value:.3g}"
            for name, way in ways.items()
        )
        return _claim(
            statement,
            "abstract and section on style",
            f"no number is known; here an area under the ROC curve of {LEAST}",
            f"AUC by {first}" + "".join(f"; by {words}" for words in rest),
            above(next(iter(areas.values())), LEAST),
            f"{shown} Of what the mini face regressor reads; the paper's StyleSim and its numbers are not known.",
        )

    return (
        claim(
            "A result speaks in the style of its style clip, more than in that of another.",
            "Each style says two speeches by two portraits, whose mean code is compared with those of all style clips.",
            likeness_to_clip,
        ),
        claim(
            "What is said in one style is alike, whatever is said, and by whom.",
            "One speech by one portrait against another speech by another portrait.",
            likeness_of_results,
        ),
    )


def steps_along(rows: Sequence[Values], start: Values, end: Values) -> list[float]:
    """Return how far rows go from each to the next along a line, in its lengths."""
    line = end - start
    places = [float((row - start) @ line / (line @ line).clip(1e-12)) for row in rows]
    return np.diff(places).tolist()


def mixed(method: SVP, clips: Sequence[Held], pairs: int = PAIRS) -> tuple[list[list[float]], list[str]]:
    """Mix some styles with the one that differs most from each; return steps along the line of the style clips."""
    stats = np.stack([plain(read(held.frames, held.sound, method)) for held in clips])
    deviation = stats.std(axis=0) + 1e-6
    units = stats / deviation
    steps, people = [], []
    for number, held in enumerate(clips[:pairs]):
        other = int(np.linalg.norm(units - units[number], axis=1).argmax())
        speaker = clips[(number + 1) % len(clips)]
        paths = {"style": str(held.clip.path), "style_to": str(clips[other].clip.path)}
        rows = [made(method, _briefly(speaker, **paths, mix=share)) for share in MIXES]
        found = [plain(read(frames, speaker.sound, method)) / deviation for frames in rows]
        steps.append(steps_along(found, units[number], units[other]))
        people.append(held.clip.identity)
    return steps, people


def mixing_claim(steps: Sequence[Sequence[float]], people: Sequence[str]) -> Claim:
    """State whether every step from one style to the other goes towards the other."""
    means = [mean_estimate(list(column), people) for column in zip(*steps, strict=True)]
    verdicts = [above(mean) for mean in means]
    words = "; ".join(
        f"{low:g} to {high:g}: {in_words(mean)}" for (low, high), mean in zip(pairwise(MIXES), means, strict=True)
    )
    worst: Verdict = "fail" if "fail" in verdicts else "cannot tell" if "cannot tell" in verdicts else "pass"
    return _claim(
        "Between two styles one can go evenly: every step of the share goes towards the second.",
        "abstract and figures, interpolation of styles",
        "visible; no number. Here every step of the share has to go forward on average",
        f"steps along the line from one style clip's statistics to the other's, in its lengths: {words}",
        worst,
        "Of mean, deviation and movement of the expressions that the mini face regressor reads.",
    )


def spread(rows: Sequence[Values]) -> float:
    """Return the mean distance of all pairs of rows."""
    return float(np.mean([np.linalg.norm(a - b) for a, b in combinations(rows, 2)]))


def sampled(method: SVP, clips: Sequence[Held], people: int = PEOPLE, draws: int = DRAWS) -> list[tuple[float, float]]:
    """Return, for each person, how far results of sampled styles lie apart, and those of seeds in one style."""
    unit = np.stack([plain(read(held.frames, held.sound, method)) for held in clips]).std(axis=0) + 1e-6
    found = []
    for held in clips[:people]:
        seeds = range(draws)

        def say(seed: int, number: int, held: Held = held) -> Values:
            request = replace(_briefly(held, style=SAMPLED, style_seed=number), seed=seed)
            row: Values = plain(read(made(method, request), held.sound, method)) / unit
            return row

        one = [say(0, 1 + number) for number in seeds]
        found.append((spread(one), spread([one[0], *(say(seed, 1) for seed in seeds[1:])])))
    return found


def sampling_claim(found: Sequence[tuple[float, float]], people: Sequence[str]) -> Claim:
    """State whether sampled styles differ by more than seeds do."""
    gain = mean_estimate([styles - seeds for styles, seeds in found], people)
    styles, seeds = np.mean(found, axis=0)
    return _claim(
        "Sampled styles give different movement for the same speech and portrait.",
        "abstract and figures, sampling of styles",
        "visible; no number. Here results of different styles have to lie further apart than those of different seeds",
        f"mean distance {styles:.3g} of styles, {seeds:.3g} of seeds in one style; difference {in_words(gain)}",
        above(gain),
        "Of mean, deviation and movement of the expressions that the mini face regressor reads.",
    )


def heads(method: SVP, clips: Sequence[Held], people: int = FOLLOWERS) -> list[tuple[float, float]]:
    """Return, for each person, how far key points lie from those of a followed head: led, and left alone."""
    found = []
    for number, held in enumerate(clips[:people]):
        other = clips[(number + 1) % len(clips)]
        seen = method.look(held.frames[0])
        track = followed(method.bundle.head_track(Path(other.clip.path)), seen.key_points)
        apart = float(torch.linalg.vector_norm(seen.key_points[1] - seen.key_points[0]))
        errors = []
        for controls in ({"head": str(other.clip.path)}, {}):
            frames = made(method, _briefly(held, style=NONE, **controls))
            points = key_points_of(torch.from_numpy(look(loaded.face(), frames).landmarks / SIDE))
            count = min(len(points), len(track))
            away = torch.linalg.vector_norm(points[:count] - track[:count], dim=-1)
            errors.append(float(away.mean()) / apart)
        found.append((errors[0], errors[1]))
    return found


def head_claim(found: Sequence[tuple[float, float]], people: Sequence[str]) -> Claim:
    """State whether heads follow the key points that they are led by."""
    gain = mean_estimate([free - led for led, free in found], people)
    led, free = np.mean(found, axis=0)
    return _claim(
        "Heads go where the key points of the guider are.",
        "HEAD-Kps guider",
        "no number is known; here led heads have to be nearer to the followed track than those left alone",
        f"distance of eyes and nose from the track, in distances of the eyes: {led:.3g} led, {free:.3g} left alone;"
        f" gain {in_words(gain)}",
        above(gain),
        "Key points as the mini face regressor reads them.",
    )


def claims(method: SVP, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips, one of each person."""
    people, styles = [held.clip.identity for held in clips], clips[:STYLES]
    kinds = [kind_of(truth_of(held.clip)) for held in styles]
    result, true = (spoken(method, styles, say, kinds) for say in (generated(method), drawn))
    steps, pairs = mixed(method, clips)
    draws, led = sampled(method, clips), heads(method, clips)
    return (
        *style_claims(result, true, encoders(method)),
        mixing_claim(steps, pairs),
        sampling_claim(draws, people[: len(draws)]),
        head_claim(led, people[: len(led)]),
    )


def _codes(way: Callable[[Read], Values], part: Sequence[Read]) -> Values:
    return np.stack([way(one) for one in part])


def _asked(held: Held, **controls: object) -> Request:
    return held.request(controls=controls)


def _briefly(held: Held, **controls: object) -> Request:
    request = _asked(held, **controls)
    return replace(request, frames=min(request.frames, round(SECONDS * FPS)))


def _claim(statement: str, where: str, expected: str, found: str, verdict: Verdict, reason: str) -> Claim:
    return Claim(
        method="svp",
        statement=statement,
        source=f"{SOURCE}, {where}",
        expected=expected,
        measured=found,
        verdict=verdict,
        reason=reason,
        variant="svp@mini",
        command=COMMAND,
    )


def main() -> None:
    """Test, write the claims, and put the scores on the card."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.svp.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report")
    parser.add_argument("--data", type=Path, help="folder of a split (default: the embedded one)")
    parser.add_argument("--clips", type=int, help="only so many people, from the first")
    options = parser.parse_args()
    if options.clips is not None and options.clips < FEWEST:
        parser.error(f"--clips is {options.clips}; it must be {FEWEST} or more")
    clips = tuple(islice(one_of_each(clips_of(options.data)), options.clips))
    if len(clips) < FEWEST:
        parser.error(f"{options.data} has clips of {len(clips)} people; at least {FEWEST} are needed")
    torch.set_num_threads(1)
    method = SVP("mini")
    if options.data is None:
        keep_scores(FILE, measured(method, clips, IMAGE_DIFFUSION_BARS))
    keep_claims(options.folder, claims(method, list(read_held(clips))))


if __name__ == "__main__":
    main()
