"""Puts DAWN's claims to the test with its small preset, and its held-out scores onto its cards.

`python -m thbench_methods.dawn.claims FOLDER` writes the claims into the folder of a run or report.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from thbench_methods.common import Noise, speech, to_frame_batch
from thbench_methods.common.claims import in_words, keep_claims
from thbench_methods.common.judging import (
    Held,
    compared,
    face,
    judge,
    made,
    mean_score,
    measured,
    one_of_each,
    read_held,
)
from thbench_methods.common.training import keep_scores
from thbench_methods.dawn.autoregressive import autoregressive
from thbench_methods.dawn.bundle import A2V_FILE, LFG_FILE, PBNET_FILE
from thbench_methods.dawn.examples import as_images, places_of
from thbench_methods.dawn.pipeline import Dawn
from thbench_methods.dawn.train_a2v import STAGES
from thbench_methods.dawn.true_flow import true_flow

from thbench.backbones.mini.face import BLINK
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.errors import UsageError
from thbench.metrics.blink import RATE as BLINK_RATE
from thbench.metrics.blink import blink_values
from thbench.metrics.observer import Missing
from thbench.report.claims import Claim
from thbench.stats import mean_estimate
from thbench.types import Audio, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from thbench.report.claims import Verdict
    from thbench.stats import Estimate
    from thbench.training import Score

PAPER = "Cheng et al., DAWN, ICLR 2025"
COMMAND = "python -m thbench_methods.dawn.claims FOLDER"
FPS, RATE = 25, 16_000
TRAINED = STAGES[-1].frames[1]
"""Frames of the longest training clips."""
LONG_SECONDS = (10, 20)
PEOPLE = 6
"""Held-out people who speak long clips."""
TOLERANCE, DRIFT, BLINKS = 0.1, 0.02, 0.3
"""Relative change of LSE-C with length, fall of the likeness to the portrait, and relative error of the blink rate that
are allowed."""
SEEDS = 5
"""Tracks of PBNet for each person."""
FRAMES_PER_SECOND, CORES = 8.0, 2
BARS = {"LSE-C (mini)": ">= 0.5", "identity (mini)": ">= 0.85"}
"""What clips, and those of true flows, are asked for as shares of the real ones' scores."""


def one_pass(method: Dawn, request: Request) -> Claim:
    """Count the passes of the denoising network."""
    seen: list[int] = []
    first = method.networks.diffusion.denoise_fn.init_temporal_attn
    hook = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2]))
    try:
        method.generate(request)
    finally:
        hook.remove()
    steps = method.config.diffusion.steps
    return _claim(
        "All frames of a clip are denoised at once, not one after the other.",
        "section 3.3",
        f"{steps} passes, one for each denoising step, all of the whole clip",
        f"{len(seen)} passes for {request.frames} frames, each of {sorted(set(seen))} frames",
        "pass" if seen == [request.frames] * steps else "fail",
    )


def long_speech(clips: Sequence[Held], seconds: float) -> list[Held]:
    """Return the portrait of each clip with a speech put together of its own sound and those of the next ones."""
    wanted = round(seconds * RATE)
    found = []
    for number, held in enumerate(clips):
        order = [clips[(number + step) % len(clips)] for step in range(math.ceil(wanted / len(held.sound)) + 1)]
        sound = np.concatenate([other.sound for other in order])[:wanted]
        found.append(Held(held.clip, held.frames[:1], sound))
    return found


def asked(held: Held, seed: int = 0, controls: Mapping[str, object] = MappingProxyType({})) -> Request:
    """Return the request for as many frames as a speech lasts."""
    frames = len(held.sound) * FPS // RATE
    return Request(held.frames[0], Audio(held.sound, RATE), float(FPS), frames, seed, controls)


def in_pieces(held: Held) -> list[Held]:
    """Return the speech in pieces of trained length, a shorter rest left out."""
    length = TRAINED * RATE // FPS
    starts = range(0, len(held.sound) - length + 1, length)
    return [Held(held.clip, held.frames, held.sound[start : start + length]) for start in starts]


def length_claims(method: Dawn, clips: Sequence[Held], lengths: Sequence[float] = LONG_SECONDS) -> tuple[Claim, ...]:
    """Compare long clips with the same speech in clips of trained length, and their end with their beginning.

    Returns:
        For each length in seconds the claim about speech, then that about identity within the longest.
    """
    # Speeches begin alike, whatever their length: so pieces of the longest are those of all. A seed for each person:
    # with one for all, all heads would move alike.
    longest = long_speech(clips, max(lengths))
    alone = [
        [judge(piece, made(method, asked(piece, seed))).lse_c for piece in in_pieces(held)]
        for seed, held in enumerate(longest)
    ]
    speech_claims = (_speech_claim(method, long_speech(clips, seconds), alone, seconds) for seconds in lengths)
    return (*speech_claims, _identity_claim(method, longest, max(lengths)))


def _speech_claim(method: Dawn, long: Sequence[Held], alone: Sequence[Sequence[float]], seconds: float) -> Claim:
    """Judge clips of one length, beside the LSE-C of each person's pieces of trained length."""
    people, at_length, trained = [], [], []
    for seed, (held, by_piece) in enumerate(zip(long, alone, strict=True)):
        whole, pieces = made(method, asked(held, seed)), in_pieces(held)
        stretches = [judge(p, whole[n * TRAINED : (n + 1) * TRAINED]).lse_c for n, p in enumerate(pieces)]
        people.append(held.clip.identity)
        at_length.append(float(np.mean(stretches)))
        trained.append(float(np.mean(by_piece[: len(pieces)])))
    ours, short = (mean_estimate(values, people) for values in (at_length, trained))
    share = ours.value / short.value - 1
    return _claim(
        f"Trained on clips of at most {TRAINED} frames, it speaks {seconds:g} s as well as that.",
        "section 4.3, table 3",
        f"LSE-C (mini) within {TOLERANCE:.0%} of that of clips of {TRAINED} frames",
        f"{in_words(ours)} in stretches of the long clips, {in_words(short)} in clips of {TRAINED} frames with the"
        f" same speech: {share:+.1%}",
        "pass" if abs(share) <= TOLERANCE else "fail",
    )


def _identity_claim(method: Dawn, long: Sequence[Held], seconds: float) -> Claim:
    """Compare the likeness at the end of clips with that at their beginning, heads being still.

    A head that turns is less like its portrait, in real clips too: so it would be the turning that is measured.
    """
    people, drift = [], []
    for seed, held in enumerate(long):
        whole = made(method, asked(held, seed, {"pose": "still"}))
        first, last = (judge(held, part).similarity for part in (whole[:FPS], whole[-FPS:]))
        people.append(held.clip.identity)
        drift.append(last - first)
    change = mean_estimate(drift, people)
    return _claim(
        f"Identity does not drift within {seconds:g} s.",
        "section 4.3, table 5",
        f"likeness to the portrait (mini), the head being still, in the last second at most {DRIFT} below that in the"
        " first",
        in_words(change),
        "pass" if change.value >= -DRIFT else "fail",
    )


def blinks_of(closure: NDArray[np.floating]) -> float:
    """Return blinks per second of the closure of the lids (frames,)."""
    found = blink_values(1.0 - np.asarray(closure, np.float64), float(FPS))[BLINK_RATE]
    if isinstance(found, Missing):
        raise UsageError(f"blinks cannot be counted in {len(closure)} frames: {found.reason}")
    return found


def blink_claim(method: Dawn, clips: Sequence[Held]) -> Claim:
    """Count blinks in generated clips and in the real ones, by the mini face regressor."""
    people = [held.clip.identity for held in clips]

    def rate(videos: Iterable[NDArray[np.uint8]]) -> Estimate:
        found = [face(frames).expression[:, list(BLINK)].mean(axis=1) for frames in videos]
        return mean_estimate([blinks_of(closure) for closure in found], people)

    # A seed for each person: with one for all, all would blink at the same times.
    ours = rate(made(method, held.request(seed)) for seed, held in enumerate(clips))
    real = rate(held.frames for held in clips)
    error = ours.value / real.value - 1
    return _claim(
        "Blinks come as often as in real videos.",
        "table 1, Blink/s",
        f"within {BLINKS:.0%} of real clips",
        f"{in_words(ours)} per second, real clips {in_words(real)}: {error:+.0%}",
        "pass" if abs(error) <= BLINKS else "fail",
    )


def seconds_per_frame(method: Dawn, request: Request, rounds: int = 3) -> dict[str, float]:
    """Return processor seconds per frame of all frames at once and of blocks, interleaved; medians of the rounds."""
    ways: dict[str, Callable[[], Any]] = {"at once": lambda: made(method, request)}
    for block in (TRAINED, 1):
        ways[f"in blocks of {block}"] = partial(lambda size: list(autoregressive(method, request, size)), block)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number:  # the first round warms up
                found[name].append((time.process_time() - start) / request.frames)
    return {name: float(np.median(values)) for name, values in found.items()}


def speed_claim(method: Dawn, request: Request) -> Claim:
    """Compare the seconds per frame."""
    found = seconds_per_frame(method, request)
    at_once = found.pop("at once")
    others = ", ".join(f"{1000 * s:.0f} ms {name} ({s / at_once:.2f}x)" for name, s in found.items())
    return _claim(
        "All frames at once are faster than the same network run autoregressively.",
        "section 4.3, table 2",
        "11.42 s against 7.32 s for 8 s of video (1.56x)",
        f"{1000 * at_once:.0f} ms per frame at once, {others}; processor time, one thread, {request.frames} frames",
        "pass" if min(found.values()) > at_once else "fail",
    )


def pace_claim(method: Dawn, request: Request) -> Claim:
    """Measure processor seconds of a clip, end to end, the networks loaded."""
    made(method, request)
    start = time.process_time()
    frames = len(made(method, request))
    spent = time.process_time() - start
    rate = CORES * frames / spent
    return _claim(
        f"The small preset makes at least {FRAMES_PER_SECOND:g} frames a second on {CORES} cores.",
        "no number in the paper; the bar is the project's",
        f"{FRAMES_PER_SECOND:g} frames a second at 128 px",
        f"{rate:.1f} frames a second: {frames} frames in {spent:.1f} s of one thread's processor time, {CORES} threads"
        " taken to be twice as fast",
        "pass" if rate >= FRAMES_PER_SECOND else "fail",
    )


def claims(method: Dawn, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips."""
    request = clips[0].request()
    return (
        one_pass(method, request),
        *length_claims(method, clips[:PEOPLE]),
        blink_claim(method, clips),
        speed_claim(method, request),
        pace_claim(method, request),
    )


def flow_scores(method: Dawn, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return the scores of clips that the latent flow generator makes of their own frames."""
    rows, truths, found = [], [], []
    for held in clips:
        rows.append(judge(held, reconstructed(method, held, truth_of(held.clip).landmarks68)))
        truths.append(judge(held, held.frames))
        found.append(judge(held, reconstructed(method, held)).lse_c)
    how = "flow from the first frame to each frame"
    own = mean_score("LSE-C (mini), found flows", found, [row.person for row in rows], "", f"{how}, as it is found")
    return (*compared(rows, truths, f"{how}, as true landmarks tell it", BARS), own)


@torch.inference_mode()
def reconstructed(method: Dawn, held: Held, landmarks: NDArray[np.float32] | None = None) -> NDArray[np.uint8]:
    """Return the frames of a clip as its first frame and the flows to its true frames give them.

    Args:
        method: Loaded.
        held: The clip.
        landmarks: Shape (frames, 68, 2), pixels: of its frames, which tell the flows; None lets the predictors find
            them.
    """
    images, lfg = as_images(held.frames), method.networks.lfg
    marks = None if landmarks is None else places_of(landmarks, images.shape[-1])
    portrait, parts = lfg.generator.encode(images[:1]), []
    for start in range(0, len(images), FPS):
        driving = images[start : start + FPS]
        source = images[:1].expand_as(driving)
        if marks is None:
            flow = lfg.flow(source, driving)
        else:
            flow = true_flow(
                source, driving, (marks[:1].expand(len(driving), -1, -1), marks[start : start + len(driving)])
            )
        parts.append(to_frame_batch(lfg.generator.decode(portrait.repeated(len(driving)), flow).prediction))
    return np.concatenate(parts)


def state_scores(method: Dawn, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return how much pose moves and how often lids shut, as PBNet generates them, as shares of the truth."""
    people, spread, rates, real = [], [], [], []
    for number, held in enumerate(clips):
        request, truth = held.request(), truth_of(held.clip)
        audio = method.networks.hear(speech(request, request.frames, FPS), request.frames, FPS)
        state = method.read(held.frames[0]).state
        real.append(blinks_of(truth.blink))
        # A seed for each: with one for all, all heads would move alike.
        for seed in range(SEEDS * number, SEEDS * (number + 1)):
            told = method.tell(state, audio, Noise(seed), {"pose": "generated", "blink": "generated"})
            people.append(held.clip.identity)
            spread.append(float(told.pose[:, :3].std(dim=0).mean()) / float(truth.pose.std(axis=0).mean()))
            rates.append(blinks_of(1 - told.blink.mean(dim=1).numpy()))
    moved = f"deviation of yaw, pitch and roll over a clip, share of the truth's; {SEEDS} seeds for each"
    bar, blinked = f"within {BLINKS:.0%} of {np.mean(real):.3f}", f"truth {np.mean(real):.3f}; {SEEDS} seeds for each"
    return (
        mean_score("pose diversity, share of truth", spread, people, "", moved),
        mean_score("blinks per second", rates, people, bar, blinked),
    )


def _claim(statement: str, place: str, expected: str, found: str, verdict: Verdict) -> Claim:
    return Claim(
        method="dawn",
        statement=statement,
        source=f"{PAPER}, {place}",
        expected=expected,
        measured=found,
        verdict=verdict,
        variant="dawn@mini",
        command=COMMAND,
    )


def main() -> None:
    """Test, write the claims, and put the scores on the cards."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.dawn.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report")
    options = parser.parse_args()
    torch.set_num_threads(1)
    method = Dawn("mini")
    chosen = one_of_each(clips_of())
    clips = list(read_held(chosen))
    keep_scores(LFG_FILE, flow_scores(method, clips))
    keep_scores(PBNET_FILE, state_scores(method, clips))
    keep_scores(A2V_FILE, measured(method, chosen, BARS))
    keep_claims(options.folder, claims(method, clips))


if __name__ == "__main__":
    main()
