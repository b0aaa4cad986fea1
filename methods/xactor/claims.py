"""Puts X-Actor's claims to the test with its small preset, and its held-out scores onto its cards.

`python -m thbench_methods.xactor.claims FOLDER` writes the claims into the folder of a run or report.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil
import torch
from thbench_methods.common import Noise, Stages, speech
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import IMAGE_DIFFUSION_BARS, compared, judge, measured, one_of_each, read_held
from thbench_methods.common.still import acted_at_rest
from thbench_methods.common.training import keep_scores
from thbench_methods.dawn.claims import asked, long_speech
from thbench_methods.xactor.bundle import ACTING_FILE, RENDERING_FILE
from thbench_methods.xactor.config import MINI
from thbench_methods.xactor.crop import boxes_of, crop_boxes, cropped
from thbench_methods.xactor.encoder import as_faces
from thbench_methods.xactor.networks import Acted
from thbench_methods.xactor.pipeline import XActor
from thbench_methods.xactor.spec import CONTROLS

from thbench.accel.tree import tensors
from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.metrics.csim import unit
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments
from thbench.report.claims import Claim
from thbench.stats import mean_estimate
from thbench.stats.jackknife import jackknife
from thbench.training.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.report.claims import Verdict
    from thbench.stats import Estimate
    from thbench.training import Score
    from thbench.types import Method, Request

    Frames = NDArray[np.uint8]
    Rows = NDArray[np.float32]

PAPER = "Zhang et al., X-Actor, arXiv 2508.02944"
VARIANT = "x-actor@mini"
COMMAND = "python -m thbench_methods.xactor.claims FOLDER"
FPS = 25
SECONDS, END = 60, 10
"""Length of the long clips, and of what is compared of them: their beginning and their end."""
PEOPLE = 4
"""Held-out people who speak long clips."""
DRIVEN = 8
"""Held-out people whose portraits are moved by stage 2 alone."""
GROWTH = 8e6
"""Bytes by which the process may have grown from the end of the first part to the end of the clip; the frames
between them would be 61 MB. An allocator's own unsteadiness is a few MB."""
BATCH = 25
CLEAN: Mapping[str, object] = {"history_noise": 0.0}
"""Controls of the rival that was trained with a clean history."""


class End(NamedTuple):
    """What is known of a stretch of a clip."""

    similarity: float
    """Mean cosine to the portrait."""
    features: Rows
    """Of its frames, (frames, d), by the mini frame encoder."""


class Ends(NamedTuple):
    """The beginning and the end of a long clip."""

    person: str
    first: End
    last: End
    grown: float
    """Bytes by which the process grew between them."""


@torch.inference_mode()
def seen(frames: Sequence[Frames], portrait: Frames) -> End:
    """Look at frames (128, 128, 3) of a portrait."""
    network = loaded.identity()

    def embedded(pictures: Sequence[Frames]) -> NDArray[np.float64]:
        small = as_input(np.stack([whole_frame(picture, network.INPUT_SIZE) for picture in pictures]))
        return unit(np.concatenate([network(part).numpy() for part in torch.split(small, BATCH)]))

    size = loaded.frame_encoder().INPUT_SIZE
    whole = as_input(np.stack([whole_frame(frame, size) for frame in frames]))
    features = np.concatenate([loaded.frame_encoder()(part).numpy() for part in torch.split(whole, BATCH)])
    return End(float((embedded(frames) @ embedded([portrait])[0]).mean()), features)


def ends_of(method: Method, request: Request, person: str, length: int = END * FPS) -> Ends:
    """Generate a clip, and keep of it only what is known of its first and last `length` frames."""
    process = psutil.Process()
    frames: Iterable[Frames] = method.generate(request).frames  # type: ignore[assignment]
    held: list[Frames] = []
    first: End | None = None
    before = 0
    for number, frame in enumerate(frames):
        held = [*held[-(length - 1) :], frame]
        if number == length - 1:
            first = seen(held, request.portrait)
        if number == 2 * length - 1:
            before = process.memory_info().rss
    grown = float(process.memory_info().rss - before)
    if first is None or request.frames < 2 * length:
        raise ValueError(f"a clip of {request.frames} frames has no two ends of {length}")
    return Ends(person, first, seen(held, request.portrait), grown)


@dataclass(frozen=True, slots=True)
class Distance:
    """Frame FID (mini) of stretches of clips to real clips."""

    real: Rows
    """Features of real frames."""

    def __call__(self, ends: Mapping[str, End]) -> Estimate:
        """Return the distance of the frames of all people, with its interval over people."""
        whole = self._of(list(ends.values()))
        without = {
            name: self._of([end for other, end in ends.items() if other != name]) for name in ends if len(ends) > 1
        }
        return jackknife(whole, without)

    def difference(self, worse: Mapping[str, End], better: Mapping[str, End]) -> Estimate:
        """Return by how much farther the one is, with its interval over people."""

        def apart(left_out: str | None) -> float:
            return self._of([e for n, e in worse.items() if n != left_out]) - self._of(
                [e for n, e in better.items() if n != left_out]
            )

        return jackknife(apart(None), {name: apart(name) for name in worse})

    def _of(self, ends: Sequence[End]) -> float:
        rows = np.concatenate([end.features for end in ends])
        return frechet_distance(moments(rows), moments(self.real), ddof=0).value


def inside(first: Estimate, last: float, *, higher_is_better: bool) -> Verdict:
    """Return whether the end is within the interval of the beginning, or better."""
    ends = first.interval
    if ends is None:
        return "cannot tell"
    return "pass" if (last >= ends.low if higher_is_better else last <= ends.high) else "fail"


def end_claims(rows: Sequence[Ends], distance: Distance) -> tuple[Claim, Claim]:
    """Compare the ends of long clips with their beginnings."""
    people = [row.person for row in rows]
    first, last = (mean_estimate([end.similarity for end in ends], people) for ends in _columns(rows))
    near, far = (distance(by_person) for by_person in (_by(rows, "first"), _by(rows, "last")))
    same = inside(first, last.value, higher_is_better=True)
    stable = inside(near, far.value, higher_is_better=False)
    return (
        _claim(
            f"Errors do not accumulate: identity at the end of {SECONDS} s is that of the beginning.",
            f"likeness to the portrait (mini) of the last {END} s within the interval of the first {END} s, or above",
            f"first {in_words(first)}, last {in_words(last)}",
            same,
        ),
        _claim(
            f"Errors do not accumulate: frames at the end of {SECONDS} s are as real as at the beginning.",
            f"frame FID (mini) of the last {END} s within the interval of the first {END} s, or below",
            f"first {in_words(near)}, last {in_words(far)}",
            stable,
        ),
    )


def memory_claim(rows: Sequence[Ends], carried: tuple[int, int]) -> Claim:
    """Say what is carried on, and by how much the process grew.

    Args:
        rows: Long clips.
        carried: Bytes carried from chunk to chunk after the first and after the last part of a clip.
    """
    grown = max(row.grown for row in rows)
    return _claim(
        f"Video of any length is generated in constant memory: {SECONDS} s as {END} s.",
        f"as many bytes carried from chunk to chunk, the process grown by at most {GROWTH / 1e6:g} MB",
        f"{carried[0]} bytes after {END} s, {carried[1]} after {SECONDS} s; the process grew by at most"
        f" {grown / 1e6:.1f} MB from {2 * END} s on, in {len(rows)} clips",
        "pass" if carried[0] == carried[1] and grown <= GROWTH else "fail",
    )


def forcing_claims(ours: Sequence[Ends], rival: Sequence[Ends], distance: Distance) -> tuple[Claim, Claim]:
    """Compare the ends with those of the same network trained with a clean history."""
    people = [row.person for row in ours]
    likeness = mean_estimate([a.last.similarity - b.last.similarity for a, b in zip(ours, rival, strict=True)], people)
    farther = distance.difference(_by(rival, "last"), _by(ours, "last"))
    statement = f"Without diffusion forcing the last {END} of {SECONDS} s are worse"
    return (
        _claim(
            f"{statement} in identity.",
            "likeness to the portrait (mini) above that of the same network trained with a clean history",
            f"difference {in_words(likeness)}",
            above(likeness),
        ),
        _claim(
            f"{statement} in realism.",
            "frame FID (mini) below that of the same network trained with a clean history",
            f"difference {in_words(farther)}",
            above(farther),
        ),
    )


def carried_bytes(method: XActor, request: Request, chunks: int) -> int:
    """Return the bytes in memory that are carried on after some chunks."""
    told = method.told({name: control.default for name, control in CONTROLS.items()} | dict(request.controls))
    sound = speech(request, request.frames, FPS)
    scene = method.scene(method.look(request.portrait), sound, request.frames, told, Noise(request.seed))
    carried = scene.begin()
    for _ in range(chunks):
        _, carried = scene.act(carried)
    whole = tensors((carried.settled, carried.recent, carried.flying))
    return sum(part.untyped_storage().nbytes() for part in whole)


@torch.inference_mode()
def driven(method: XActor, portrait: Frames, frames: Frames, seed: int = 0) -> Frames:
    """Return a portrait (128, 128, 3) moved as in frames (n, 128, 128, 3) by stage 2 alone; its head stays in place."""
    config, size = method.config, method.config.size
    crops = crop_boxes(boxes_of(look(loaded.face(), frames).landmarks), size)
    cut = np.stack([cropped(frame, box, config.encoder.side) for frame, box in zip(frames, crops, strict=True)])
    motion = torch.cat([method.bundle.rendering.encoder(part) for part in torch.split(as_faces(cut), BATCH)])
    told = method.told({name: control.default for name, control in CONTROLS.items()})
    rows = iter(method.bundle.acted.normalised(motion))
    pictures = method.render(method.look(portrait), rows, len(frames), told, Noise(seed), Stages())
    return np.stack(list(pictures))


def at_rest(held: Held) -> Held:
    """Return a clip of synth-heads drawn with its head at rest, as stage 2 was trained on."""
    return replace(held, frames=acted_at_rest(truth_of(held.clip))["frames"])


def identity_claim(clips: Sequence[Held], drive: Callable[[Frames, Frames], Frames]) -> Claim:
    """Move each person as the next one, and see who it is."""
    likeness = []
    for number, held in enumerate(clips):
        other = clips[(number + 1) % len(clips)]
        frames = list(drive(held.frames[0], other.frames))
        likeness.append(seen(frames, held.frames[0]).similarity - seen(frames, other.frames[0]).similarity)
    estimate = mean_estimate(likeness, [held.clip.identity for held in clips])
    return _claim(
        "The motion latent is agnostic of identity: a portrait moved as another person stays itself.",
        "likeness (mini) to the portrait above that to the person whose motion it is",
        f"difference {in_words(estimate)}",
        above(estimate),
    )


def claims(method: XActor, rival: XActor | None, clips: Sequence[Held], controls: Mapping[str, object]) -> list[Claim]:
    """Test every claim on held-out clips.

    Args:
        method: Loaded.
        rival: With the actor that was trained with a clean history; None where it is not there.
        clips: One for each person.
        controls: Of all long clips.
    """
    long = long_speech(clips[:PEOPLE], SECONDS)
    requests = [replace(asked(held), controls=controls) for held in long]
    people = [held.clip.identity for held in long]
    distance = Distance(np.concatenate([seen(list(held.frames), held.frames[0]).features for held in clips]))
    variant = ", ".join((VARIANT, *(f"{name} {value}" for name, value in controls.items())))
    ours = [ends_of(method, request, person) for request, person in zip(requests, people, strict=True)]
    chunk = MINI.actor.chunk
    carried = [carried_bytes(method, requests[0], seconds * FPS // chunk) for seconds in (END, SECONDS)]
    found = [
        *_under(variant, memory_claim(ours, (carried[0], carried[1])), *end_claims(ours, distance)),
        identity_claim(
            [at_rest(held) for held in clips[:DRIVEN]], lambda portrait, frames: driven(method, portrait, frames)
        ),
    ]
    if rival is None:
        return [*found, *(_untested(part) for part in ("identity", "realism"))]
    others = [replace(request, controls={**controls, **CLEAN}) for request in requests]
    theirs = [ends_of(rival, request, person) for request, person in zip(others, people, strict=True)]
    return [*found, *_under(variant, *forcing_claims(ours, theirs, distance))]


def with_rival(method: XActor, path: Path) -> XActor:
    """Return a method like another, with the actor of a file."""
    acted = Acted(method.config)
    load_weights(path, acted)
    other = XActor("mini")
    other.bundle = replace(method.bundle, acted=acted)
    return other


def rendering_scores(method: XActor, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return the scores of clips at rest that stage 2 makes of their own motion."""
    clips = [at_rest(held) for held in clips[:DRIVEN]]
    rows = [judge(held, driven(method, held.frames[0], held.frames)) for held in clips]
    truths = [judge(held, held.frames) for held in clips]
    return compared(rows, truths, "heads drawn at rest, motion of each true frame, first frame as portrait; seed 0")


def _under(variant: str, *claims: Claim) -> list[Claim]:
    return [claim.model_copy(update={"variant": variant}) for claim in claims]


def _columns(rows: Sequence[Ends]) -> tuple[list[End], list[End]]:
    return [row.first for row in rows], [row.last for row in rows]


def _by(rows: Sequence[Ends], which: str) -> dict[str, End]:
    return {row.person: getattr(row, which) for row in rows}


def _untested(part: str) -> Claim:
    return Claim(
        method="x-actor",
        statement=f"Without diffusion forcing the last {END} of {SECONDS} s are worse in {part}.",
        source=PAPER,
        expected="worse with the same network trained with a clean history",
        verdict="not tested",
        reason="the rival's weights are not here; `thbench train x-actor` leaves them in its folder of checkpoints",
        variant=VARIANT,
        command=COMMAND,
    )


def _claim(statement: str, expected: str, found: str, verdict: Verdict) -> Claim:
    return Claim(
        method="x-actor",
        statement=statement,
        source=f"{PAPER}, abstract",
        expected=f"{expected}; no number of the paper is known here",
        measured=found,
        verdict=verdict,
        reason="the intervals do not tell" if verdict == "cannot tell" else None,
        variant=VARIANT,
        command=COMMAND,
    )


def main() -> None:
    """Test, write the claims, and put the scores on the cards."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.xactor.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report")
    parser.add_argument("--rival", type=Path, help="actor trained with a clean history, from the training's folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    method = XActor("mini")
    rival = None if options.rival is None else with_rival(method, options.rival)
    chosen = one_of_each(clips_of())
    clips = list(read_held(chosen))
    keep_scores(ACTING_FILE, measured(method, chosen, IMAGE_DIFFUSION_BARS))
    keep_scores(RENDERING_FILE, rendering_scores(method, clips))
    keep_claims(options.folder, claims(method, rival, clips, {}))


if __name__ == "__main__":
    main()
