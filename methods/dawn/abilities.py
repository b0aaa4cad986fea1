"""What the paper claims of DAWN, measured on the mini preset; also the same network run autoregressively.

`python -m thbench_methods.dawn.abilities RUN` writes the claims of a run of `dawn@mini` with ground truth into its
folder, from which the report shows them.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from thbench_methods.common import Noise, Stages, read_controls, speech
from thbench_methods.dawn.config import MINI
from thbench_methods.dawn.pipeline import Dawn, Told
from thbench_methods.dawn.spec import CONTROLS
from thbench_methods.dawn.train_a2v import STAGES
from thbench_methods.dawn.unet import Cut

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.backbones.mini.identity import MiniIdentity
from thbench.backbones.mini.sync import lip_crops
from thbench.backbones.mini.whole_frame import as_input, whole_frame
from thbench.data.synth_heads.dataset import clips_of
from thbench.media import read_audio, read_frames
from thbench.metrics.csim import unit
from thbench.metrics.lse import SAMPLES_PER_FRAME
from thbench.metrics.observe_lse import to_int16
from thbench.metrics.observe_mini import LongestStretch
from thbench.report.claims import Claim, write_claims
from thbench.run.store import RunStore
from thbench.stats.bootstrap import mean_estimate
from thbench.types import GROUND_TRUTH, Audio, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from thbench.stats.bootstrap import Estimate

VARIANT = "dawn@mini"
COMMAND = "python -m thbench_methods.dawn.abilities RUN"
FPS, RATE = 25.0, 16_000
TRAINED = STAGES[-1].frames[1]
"""Frames of the longest training clips."""
LONG_SECONDS = (10, 20)
PEOPLE = 12
"""Held-out people, each with a sound that is put together of several clips."""
BLOCKS = (1, TRAINED)
"""Frames that the autoregressive form makes at a time."""


def long_requests(seconds: float, people: int = PEOPLE) -> list[Request]:
    """Return one request per held-out person: the first frame of a clip, and the sound of as many clips as it takes."""
    clips = clips_of()
    own = {clip.identity: clip for clip in reversed(clips)}
    sounds = [read_audio(clip.path).samples for clip in clips]
    places = {clip.id: number for number, clip in enumerate(clips)}
    requests = []
    for clip in list(own.values())[::-1][:people]:
        order = np.roll(np.arange(len(clips)), -places[clip.id])
        sound = np.concatenate([sounds[number] for number in order[: math.ceil(seconds / 4) + 1]])
        portrait = next(iter(read_frames(clip.path, threads=1))).rgb
        frames = round(seconds * FPS)
        requests.append(Request(portrait, Audio(sound[: round(seconds * RATE)], RATE), FPS, frames, seed=0))
    return requests


def pieces(request: Request, length: int = TRAINED) -> list[Request]:
    """Return the request in pieces of a length, the last one left out where it is shorter."""
    step = length * SAMPLES_PER_FRAME
    return [
        replace(request, audio=Audio(request.audio.samples[start * step : (start + 1) * step], RATE), frames=length)
        for start in range(request.frames // length)
    ]


def confidence(frames: NDArray[np.uint8], sound: NDArray[np.float32]) -> float:
    """Return LSE-C (mini) of frames (n, 128, 128, 3) and their sound."""
    seen, stretch = look(loaded.face(), frames), LongestStretch(loaded.sync())
    for number, crop in enumerate(lip_crops(list(frames), seen.landmarks.astype(np.float64))):
        stretch.add(number, crop)
    return stretch.finish(to_int16(sound)).lse_c


def likeness(frames: NDArray[np.uint8], portrait: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the cosine (n,) of each frame's identity (mini) with the portrait's."""
    network = loaded.identity()
    pictures = [whole_frame(frame, MiniIdentity.INPUT_SIZE) for frame in (portrait, *frames)]
    with torch.inference_mode():
        rows = unit(np.concatenate([network(as_input(picture)[None]).numpy() for picture in pictures]))
    return np.asarray(rows[1:] @ rows[0])


@dataclass(frozen=True, slots=True)
class Length:
    """What became of clips of one length."""

    long: list[float]
    """LSE-C of stretches of trained length in each clip, mean."""
    trained: list[float]
    """That of clips of trained length with the same sound, mean."""
    begin: list[float]
    """Likeness to the portrait in the first second of each clip."""
    end: list[float]
    """In the last second."""


def at_length(method: Dawn, seconds: float, people: int = PEOPLE) -> Length:
    """Generate long clips, and the same sound in clips of trained length."""
    found = Length([], [], [], [])
    for request in long_requests(seconds, people):
        whole = frames_of(method, request)
        parts = pieces(request)
        stretches = [whole[start * TRAINED : (start + 1) * TRAINED] for start in range(len(parts))]
        found.long.append(_mean(confidence(f, p.audio.samples) for f, p in zip(stretches, parts, strict=True)))
        found.trained.append(_mean(confidence(frames_of(method, p), p.audio.samples) for p in parts))
        second = round(FPS)
        found.begin.append(float(likeness(whole[:second], request.portrait).mean()))
        found.end.append(float(likeness(whole[-second:], request.portrait).mean()))
    return found


def frames_of(method: Dawn, request: Request) -> NDArray[np.uint8]:
    """Generate a clip."""
    frames = method.generate(request).frames
    if isinstance(frames, Path):
        raise TypeError("DAWN gives frames, not a file")
    return np.stack(list(frames))


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def autoregressive(method: Dawn, request: Request, block: int) -> list[NDArray[np.uint8]]:
    """Generate a clip block by block, each from the last frame of the block before, with the same network.

    It is the semi-autoregressive form of the paper's ablation: the last frame becomes the portrait, and pose and blinks
    are told as differences to its own.
    """
    controls = read_controls("dawn", request.controls, CONTROLS)
    noise, stages = Noise(request.seed), Stages()
    sitter = method.read(request.portrait)
    sound = speech(request, request.frames, FPS)
    told = method.tell(sitter.state, method.networks.hear(sound, request.frames, FPS), noise, controls)
    frames: list[NDArray[np.uint8]] = []
    for start in range(0, request.frames, block):
        part = Told(*(track[start : start + block] for track in (told.audio, told.pose, told.blink)))
        motion = method.move(sitter, part, Noise(request.seed + start), controls, stages)
        for first in range(0, motion.shape[1], 8):
            frames.extend(method.paint(sitter, motion[:, first : first + 8]))
        state = sitter.state._replace(pose=part.pose[-1], blink=part.blink[-1])
        sitter = method.sit(frames[-1], state)
    return frames


def seconds_per_frame(method: Dawn, request: Request, rounds: int = 3) -> dict[str, list[float]]:
    """Return processor seconds per frame of all frames at once and of each autoregressive form, interleaved."""
    ways: dict[str, Callable[[], object]] = {"at once": partial(frames_of, method, request)}
    ways |= {f"blocks of {block}": partial(autoregressive, method, request, block) for block in BLOCKS}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number:  # the first round warms up
                found[name].append((time.process_time() - start) / request.frames)
    return found


def passes(method: Dawn, request: Request) -> list[int]:
    """Return how many frames each pass of the denoising network sees while a clip is generated."""
    seen: list[int] = []
    original = Cut.full

    def full(self: Cut, motion: torch.Tensor, *rest: Any) -> Any:
        seen.append(motion.shape[2])
        return original(self, motion, *rest)

    Cut.full = full  # type: ignore[method-assign, assignment]
    try:
        method.generate(request)
    finally:
        Cut.full = original  # type: ignore[method-assign]
    return seen


def claims(folder: Path) -> list[Claim]:
    """Measure everything; the blink rate is read from a run of `dawn@mini` and ground truth."""
    torch.set_num_threads(1)
    method = Dawn("mini")
    return [_one_pass(method), *_lengths(method), _blinks(folder), _speed(method)]


def _one_pass(method: Dawn) -> Claim:
    request = long_requests(4.0, people=1)[0]
    seen, steps = passes(method, request), MINI.diffusion.steps
    return _claim(
        "All frames of a clip come out of one pass, not one after the other",
        "abstract; section 3.3",
        f"{steps} passes of the network over all {request.frames} frames",
        f"{len(seen)} passes over {sorted(set(seen))} frames",
        seen == [request.frames] * steps,
    )


def _lengths(method: Dawn) -> list[Claim]:
    found = []
    for seconds in LONG_SECONDS:
        length = at_length(method, seconds)
        people = [str(number) for number in range(len(length.long))]
        long, trained = (mean_estimate(values, people) for values in (length.long, length.trained))
        drift = mean_estimate([e - b for b, e in zip(length.begin, length.end, strict=True)], people)
        share = long.value / trained.value - 1
        found += [
            _claim(
                f"Trained on clips of at most {TRAINED} frames, it speaks for {seconds} s as well as for that length",
                "section 4.3, Table 3",
                "LSE-C within 10 %",
                f"{_told(long)} in stretches of the long clips, {_told(trained)} in clips of {TRAINED} frames with the"
                f" same sound: {share:+.1%} ({len(people)} people, mini)",
                abs(share) <= 0.1,
            ),
            _claim(
                f"Identity does not drift in {seconds} s",
                "section 4.3, Table 5",
                "likeness to the portrait no lower in the last second than in the first, by more than 0.02",
                f"{drift.value:+.4f} {_interval(drift)} ({len(people)} people, mini)",
                drift.value >= -0.02,
            ),
        ]
    return found


def _blinks(folder: Path) -> Claim:
    records = [record for record in RunStore.open(folder).records() if record.status == "ok"]

    def rate(variant: str) -> float:
        values = [
            r.values["blink-rate/mini"] for r in records if r.variant == variant and "blink-rate/mini" in r.values
        ]
        return float(np.mean(values)) if values else math.nan

    ours, truth = rate(VARIANT), rate(GROUND_TRUTH)
    if not math.isfinite(ours) or not math.isfinite(truth):
        return Claim(
            method="dawn",
            statement=BLINKS,
            source="Table 1, Blink/s",
            expected="within 30 % of the ground truth's",
            verdict="not tested",
            reason=f"the run holds no blink rate of {VARIANT} and {GROUND_TRUTH}",
        )
    measured = f"{ours:.3f}/s, ground truth {truth:.3f}/s: {ours / truth - 1:+.0%} (clips of the run, mini)"
    return _claim(
        BLINKS, "Table 1, Blink/s", "within 30 % of the ground truth's", measured, abs(ours / truth - 1) <= 0.3
    )


BLINKS = "Blinks come as often as in real videos"


def _speed(method: Dawn) -> Claim:
    request = long_requests(4.0, people=1)[0]
    found = {name: float(np.median(values)) for name, values in seconds_per_frame(method, request).items()}
    at_once = found.pop("at once")
    others = ", ".join(f"{1000 * value:.0f} ms {name} ({value / at_once:.2f}x)" for name, value in found.items())
    return _claim(
        "All frames at once are faster than the same network run autoregressively",
        "section 4.3, Table 2",
        "11.42 s against 7.32 s for 8 s of video (1.56x)",
        f"{1000 * at_once:.0f} ms per frame at once, {others}; processor time of one thread, {request.frames} frames,"
        " medians of 3",
        all(value > at_once for value in found.values()),
    )


def _claim(statement: str, source: str, expected: str, measured: str, holds: bool) -> Claim:
    return Claim(
        method="dawn",
        statement=statement,
        source=f"Cheng et al., DAWN, ICLR 2025, {source}",
        expected=expected,
        measured=measured,
        verdict="pass" if holds else "fail",
        variant=VARIANT,
        command=COMMAND,
    )


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} {_interval(estimate)}"


def _interval(estimate: Estimate) -> str:
    interval = estimate.interval
    return "" if interval is None else f"(95 % interval {interval.low:.3g} to {interval.high:.3g})"


def main() -> None:
    """Write the claims of a run."""
    folder = Path(sys.argv[1])
    write_claims(folder, "dawn", claims(folder))


if __name__ == "__main__":
    main()
