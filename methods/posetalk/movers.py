"""Speech and tracks of many more people, for the training of the mini Pose Latent Diffusion alone.

Heads nod on stressed syllables, some a little and some much; of a hundred people a network learns these people instead
of how nods follow sound. Nothing is drawn here, since the pose networks see no picture: the people who speak for
DreamTalk's style predictor also move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from thbench_methods.dreamtalk.voices import FIRST, FPS, PART, SECONDS, SIZE, kept_people, spoken_clip
from thbench_methods.posetalk.examples import Moves, heard
from thbench_methods.posetalk.tracks import true_track

from thbench.data.synth_heads.model import make_geometry
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.plan import describe, plan
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import landmarks, select68

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from thbench.data.synth_heads.motion import Motion

COUNT = 1024
"""People, each with one clip."""


def open_movers(folder: Path, count: int = COUNT) -> Moves:
    """Open people who speak and move; who never did does so now and is kept.

    Args:
        folder: Where they are kept; made if absent.
        count: How many, a multiple of `voices.PART`.

    Raises:
        UsageError: There cannot be so many.
    """
    kept = kept_people(folder, "movers", count, PART, moved)
    track, audio = (torch.from_numpy(kept[name]).float() for name in ("track", "audio"))
    return Moves(track, audio, tuple(map(str, kept["intent"])), tuple(map(str, kept["prompt"])))


def moved(numbers: range) -> dict[str, NDArray[np.generic]]:
    """Let people speak and move: the fields of `Moves`, sound in half precision."""
    sounds, tracks, intents, prompts = [], [], [], []
    for number in numbers:
        sound, motion = spoken_clip(number)
        sounds.append(sound)
        tracks.append(track_of(number, motion).numpy())
        planned = plan("train", number, SECONDS)
        intents.append(planned.intent)
        prompts.append(describe(make_person(FIRST + number), planned))
    audio = heard(sounds, round(SECONDS * FPS)).half().numpy()
    return {"track": np.stack(tracks), "audio": audio, "intent": np.array(intents), "prompt": np.array(prompts)}


def track_of(number: int, motion: Motion) -> Tensor:
    """Return the true track (frames, 8) of a person's movement."""
    seed = FIRST + number
    geometry, camera = make_geometry(make_person(seed)), make_scene(seed).camera
    points = [select68(landmarks(geometry, motion, camera, SIZE, frame)) for frame in range(len(motion))]
    return true_track(motion.pose, motion.gaze, np.stack(points))
