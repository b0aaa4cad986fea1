"""Puts PoseTalk's claims to the test with its small preset, and its held-out scores onto its cards.

`python -m thbench_methods.posetalk.claims FOLDER` writes the claims into the folder of a run or report.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from thbench_methods.common import Noise, speech, to_frame_batch
from thbench_methods.common.claims import above, in_words, keep_claims
from thbench_methods.common.judging import compared, judge, made, mean_score, one_of_each, read_held
from thbench_methods.common.training import keep_scores
from thbench_methods.posetalk.actions import NAMES, RULES, SHOWN, agreement
from thbench_methods.posetalk.bundle import POSE_FILE, VIDEO_FILE
from thbench_methods.posetalk.objective import lip_share
from thbench_methods.posetalk.pipeline import BATCH, PoseTalk
from thbench_methods.posetalk.pose import from_portrait
from thbench_methods.posetalk.tracks import read_portrait, true_track
from thbench_methods.posetalk.train_video import lips_of

from thbench.backbones.mini import loaded
from thbench.backbones.mini.face import look
from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.moments import moments
from thbench.report.claims import Claim
from thbench.stats import mean_estimate
from thbench.training import Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from thbench_methods.common.judging import Held

    from thbench.report.claims import Verdict

    Track = NDArray[np.float64]

PAPER = "Ling et al., arXiv 2409.02657"
COMMAND = "python -m thbench_methods.posetalk.claims FOLDER"
FPS = 25
PROMPTS = {"nod": "he nods", "shake": "she shakes the head", "look away": "the person turns and looks to the side"}
"""Intent to the prompt that asks for it; clips of synth-heads turn and look at once."""
ASKED = ("nod", "shake", "turn", "look")
"""Actions of the paper's prompts."""
SEEDS = 5
WINDOW, STRIDE, DIRECTIONS = 64, 32, 16
"""Frames of the stretches whose distribution is compared, frames from one to the next, and principal directions."""
LEAST, LIPS_LEAST = 0.8, 0.04
"""Precision and recall that are asked for; share of the plain loss that the paper says lips do not reach."""
OPPOSITE: Mapping[Verdict, Verdict] = MappingProxyType({"pass": "fail", "fail": "pass", "cannot tell": "cannot tell"})
"""A verdict about what shall lie below a bound, by the one about lying above it."""
FRAMES_PER_SECOND, CORES = 8.0, 2
MOUTH, EYES = slice(48, 68), (36, 45)


def posed(method: PoseTalk, held: Held, seed: int, text: str | None, *, heard: bool = True) -> Track:
    """Return the generated track (frames, 8) of a clip's sound, as it differs from its first frame."""
    request, net = held.request(seed), method.networks.posing
    audio = method.hear(speech(request, request.frames, FPS), request.frames)
    diffusion, sizes = method.config.diffusion, method.config.pose
    starts = net.diffusion.starts(len(audio), diffusion)
    noise = Noise(seed)
    start = torch.stack([noise.normal(sizes.latent_shape, "window", n) for n in range(len(starts))])
    with torch.inference_mode():
        prompt = None if text is None else net.text([text])[0]
        return net.diffusion.long_track(audio, prompt, start, diffusion, heard=heard).double().numpy()


def true_tracks(clips: Sequence[Held]) -> list[Track]:
    """Return the true tracks, as they differ from their first frames."""
    truths = [truth_of(held.clip) for held in clips]
    tracks = [true_track(t.pose, t.gaze, t.landmarks68).double().numpy() for t in truths]
    return [track - track[:1] for track in tracks]


def action_scores(method: PoseTalk, clips: Sequence[Held]) -> dict[str, tuple[float, float]]:
    """Return precision and recall of each action, over all prompts and clips."""
    intents = [intent for intent in PROMPTS for _ in clips]
    # A seed for each person: with one for all, every track would start from the same noise.
    tracks = [posed(method, held, seed, PROMPTS[intent]) for intent in PROMPTS for seed, held in enumerate(clips)]
    return dict(agreement([RULES.actions(track) for track in tracks], intents))


def action_claims(method: PoseTalk, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Say what was prompted, and see whether the head does it."""
    found = action_scores(method, clips)
    prompts = "; ".join(PROMPTS.values())

    def claim(name: str) -> Claim:
        precision, recall = found[name]
        return _claim(
            f"Prompts that ask for it make the head {name}.",
            "section 3.2 and demo videos",
            f"precision and recall at least {LEAST}",
            f"precision {precision:.2f}, recall {recall:.2f} over {len(PROMPTS) * len(clips)} tracks of {len(clips)}"
            f" people; prompts: {prompts}",
            "pass" if min(precision, recall) >= LEAST else "fail",
        )

    return tuple(claim(name) for name in ASKED)


def stretches(tracks: Sequence[Track], unit: Track) -> Track:
    """Return stretches of tracks and of their velocities, in units, (n, WINDOW x 16)."""
    rows = []
    for track in tracks:
        known = track / unit
        both = np.concatenate((known, np.diff(known, axis=0, prepend=known[:1])), axis=1)
        for start in range(0, len(both) - WINDOW + 1, STRIDE):
            part = both[start : start + WINDOW]
            rows.append((part - part[:1] * ([1.0] * 8 + [0.0] * 8)).ravel())
    return np.stack(rows)


def realness(real: Sequence[Track], ways: Mapping[str, Sequence[Track]]) -> dict[str, float]:
    """Return the Fréchet distance of generated stretches to real ones, along the real ones' principal directions."""
    unit = np.concatenate(real).std(axis=0)
    rows = stretches(real, unit)
    middle = rows.mean(axis=0)
    directions = np.linalg.svd(rows - middle, full_matrices=False)[2][:DIRECTIONS].T

    def seen(tracks: Sequence[Track]) -> Any:
        return moments((stretches(tracks, unit) - middle) @ directions)

    truth = seen(real)
    return {name: frechet_distance(truth, seen(tracks), ddof=0).value for name, tracks in ways.items()}


def realness_claim(method: PoseTalk, clips: Sequence[Held]) -> Claim:
    """Generate pose of text and sound, of text alone and of sound alone."""
    real = true_tracks(clips)
    prompts = [PROMPTS.get(truth_of(held.clip).about.intent) for held in clips]
    names = ("text and sound", "text", "sound")
    found = []
    for number in range(SEEDS):
        seeds = range(number * len(clips), (number + 1) * len(clips))
        rows = list(zip(clips, seeds, prompts, strict=True))
        ways = {
            "text and sound": [posed(method, held, seed, text) for held, seed, text in rows],
            "text": [posed(method, held, seed, text, heard=False) for held, seed, text in rows],
            "sound": [posed(method, held, seed, None) for held, seed, _ in rows],
        }
        distances = realness(real, ways)
        found.append([distances[name] for name in names])
    table = np.array(found)
    gain = mean_estimate((table[:, 1:].min(axis=1) - table[:, 0]).tolist(), [str(seed) for seed in range(SEEDS)])
    values = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, table.mean(axis=0), strict=True))
    interval = "" if gain.interval is None else f" (95 % interval {gain.interval.low:.3g} to {gain.interval.high:.3g})"
    return _claim(
        "Pose from text and sound is more real than from either alone.",
        "section 4, ablation of Pose Latent Diffusion",
        "a lower distance to real pose than the better of the two; the paper's numbers are not known",
        f"Fréchet distance of stretches of {WINDOW} frames: {values}; gain {gain.value:.3g}{interval}, {SEEDS} times a"
        f" seed for each of {len(clips)} people",
        above(gain),
    )


def redrawn(method: PoseTalk, held: Held) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[float]]:
    """Draw a clip along its true track: coarse frames, refined frames, and the lips' share of the coarse error."""
    truth, request = truth_of(held.clip), held.request()
    own = read_portrait(held.frames[0])
    track = true_track(truth.pose, truth.gaze, truth.landmarks68)
    audio = method.hear(speech(request, request.frames, FPS), request.frames)
    windows = method.windows(from_portrait(track - track[0], own.track[0])[: len(audio)], audio)
    real = torch.from_numpy(held.frames).permute(0, 3, 1, 2).float() / 127.5 - 1
    coarse, refined, shares = [], [], []
    for first in range(0, len(windows), BATCH):
        drawn = method.draw(real[:1], own, windows[first : first + BATCH])
        coarse.append(to_frame_batch((drawn.coarse.image + 1) / 2))
        refined.append(to_frame_batch((drawn.refined[-1].image + 1) / 2))
        rows = range(first, first + len(drawn.image))
        lips = torch.stack([lips_of(truth.landmarks68[row], real.shape[-1]) for row in rows])
        shares.append(float(lip_share(drawn.coarse.image, real[rows.start : rows.stop], lips)))
    return np.concatenate(coarse), np.concatenate(refined), shares


def mouth_error(frames: NDArray[np.uint8], held: Held) -> float:
    """Return the mean distance of mouth landmarks to the true ones, in inter-ocular distances."""
    seen, true = look(loaded.face(), frames).landmarks, truth_of(held.clip).landmarks68[: len(frames)]
    apart = np.linalg.norm(true[:, EYES[0]] - true[:, EYES[1]], axis=-1)
    return float((np.linalg.norm(seen[:, MOUTH] - true[:, MOUTH], axis=-1).mean(axis=1) / apart).mean())


def lip_claims(method: PoseTalk, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Measure how little the lips are of a plain loss, and what refinement does to them."""
    shares, errors, people = [], [], []
    for held in clips:
        coarse, refined, own = redrawn(method, held)
        shares.append(float(np.mean(own)))
        errors.append([mouth_error(frames, held) for frames in (coarse, refined)])
        people.append(held.clip.identity)
    share = mean_estimate(shares, people)
    before, after = np.array(errors).T
    gain = mean_estimate((before - after).tolist(), people)
    return (
        _claim(
            "Lips are less than 4 % of a plain reconstruction loss.",
            "section 3.3",
            "below 0.04",
            f"share of CoarseNet's absolute error that lies on the lips: {in_words(share)}",
            OPPOSITE[above(share, LIPS_LEAST)],
        ),
        _claim(
            "RefineNet brings the lips nearer than CoarseNet alone.",
            "section 3.3, with and without refinement",
            "a smaller error of mouth landmarks",
            f"{before.mean():.4f} coarse, {after.mean():.4f} refined, inter-ocular distances, along true pose; gain"
            f" {in_words(gain)}",
            above(gain),
        ),
    )


def speed_claim(method: PoseTalk, held: Held) -> Claim:
    """Measure processor seconds of a clip, end to end, the networks loaded."""
    made(method, held.request())
    start = time.process_time()
    frames = made(method, held.request())
    spent = time.process_time() - start
    rate = CORES * len(frames) / spent
    return _claim(
        f"The small preset makes at least {FRAMES_PER_SECOND:g} frames a second on {CORES} cores.",
        "no number in the paper; the bar is the project's",
        f"{FRAMES_PER_SECOND:g} frames a second at 128 px",
        f"{rate:.1f} frames a second: {len(frames)} frames in {spent:.1f} s of one thread's processor time, {CORES}"
        " threads taken to be twice as fast",
        "pass" if rate >= FRAMES_PER_SECOND else "fail",
    )


def claims(method: PoseTalk, clips: Sequence[Held]) -> tuple[Claim, ...]:
    """Test every claim on held-out clips."""
    return (
        *action_claims(method, clips),
        realness_claim(method, clips),
        *lip_claims(method, clips),
        speed_claim(method, clips[0]),
    )


def whole_scores(method: PoseTalk, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return the scores of whole clips."""
    rows = [judge(held, made(method, held.of_a_run())) for held in clips]
    truths = [judge(held, held.frames) for held in clips]
    bars = {"LSE-C (mini)": ">= 0.5", "identity (mini)": ">= 0.85"}
    return compared(rows, truths, "a run with seed 0, first frame and sound of each clip, no prompt", bars)


def pose_scores(method: PoseTalk, clips: Sequence[Held]) -> tuple[Score, ...]:
    """Return how much pose moves without a prompt, and precision and recall of prompted actions."""
    people = [held.clip.identity for held in clips]
    spread = [
        float(posed(method, held, seed, None)[:, :3].std(axis=0).mean() / track[:, :3].std(axis=0).mean())
        for seed, (held, track) in enumerate(zip(clips, true_tracks(clips), strict=True))
    ]
    found = action_scores(method, clips)
    tracks, bar = len(PROMPTS) * len(clips), f">= {LEAST}"
    protocol = f"rules on tracks of {len(PROMPTS)} prompts for {len(clips)} clips; a seed for each"
    scores = [mean_score("pose diversity, share of truth", spread, people, "", "yaw, pitch and roll; a seed for each")]
    for name in (name for name in NAMES if any(name in SHOWN[intent] for intent in PROMPTS)):
        for what, value in zip(("precision", "recall"), found[name], strict=True):
            named = f"{name}: {what}"
            scores.append(Score(name=named, value=value, n=tracks, people=len(set(people)), bar=bar, protocol=protocol))
    return tuple(scores)


def _claim(statement: str, place: str, expected: str, found: str, verdict: Verdict) -> Claim:
    return Claim(
        method="posetalk",
        statement=statement,
        source=f"{PAPER}, {place}",
        expected=expected,
        measured=found,
        verdict=verdict,
        reason="The bound lies within the interval." if verdict == "cannot tell" else None,
        variant="posetalk@mini",
        command=COMMAND,
    )


def main() -> None:
    """Test, write the claims, and put the scores on the cards."""
    parser = argparse.ArgumentParser(prog="python -m thbench_methods.posetalk.claims")
    parser.add_argument("folder", type=Path, help="folder of a run or of a report")
    options = parser.parse_args()
    torch.set_num_threads(1)
    method = PoseTalk("mini")
    clips = list(read_held(one_of_each(clips_of())))
    keep_scores(VIDEO_FILE, whole_scores(method, clips))
    keep_scores(POSE_FILE, pose_scores(method, clips))
    keep_claims(options.folder, claims(method, clips))


if __name__ == "__main__":
    main()
