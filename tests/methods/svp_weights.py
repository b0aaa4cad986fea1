"""Random weights in the place of SVP's shipped file, and what trainings that begin with Hallo's weights are given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from thbench_methods.dreamtalk.acted import Acted
from thbench_methods.hallo.networks import Hallo
from thbench_methods.svp import bundle
from thbench_methods.svp.config import MINI
from thbench_methods.svp.networks import SVP

from thbench.data.synth_heads.dataset import clips_of, truth_of
from thbench.media import read_frames
from thbench.training.weights import save_weights


@contextmanager
def random_mini(folder: Path) -> Iterator[None]:
    """Load the preset `mini` from random weights inside, with one thread."""
    torch.manual_seed(0)
    path = folder / "mini.safetensors"
    save_weights(path, SVP(MINI).state_dict(), torch.float16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bundle, "FILE", path)
            yield
    finally:
        torch.set_num_threads(threads)


def small_split(folder: Path, count: int) -> None:
    """Make a split of the first shipped clips."""
    folder.mkdir()
    clips = clips_of()[:count]
    for clip in clips:
        for path in (clip.path, clip.path.with_suffix(".npz")):
            shutil.copy(path, folder / path.name)
    manifest = json.loads((clips[0].path.parent / "manifest.json").read_text())
    kept = [entry for entry in manifest["clips"] if entry["id"] in {clip.id for clip in clips}]
    (folder / "manifest.json").write_text(json.dumps({**manifest, "clips": kept}))


def beginning(patch: pytest.MonkeyPatch, train: ModuleType, folder: Path) -> None:
    """Let a training begin with random weights of Hallo, and nothing be drawn anew."""
    torch.manual_seed(0)
    path = folder / "hallo.safetensors"
    save_weights(path, Hallo(MINI.base).state_dict(), torch.float16)
    patch.setattr(train, "HALLO_FILE", path)
    patch.setattr(train, "open_acted", lambda _, clips, **kinds: acted(clips))
    patch.setattr(train, "still", lambda _, pictures: pictures)


def acted(clips: Sequence[Any]) -> Acted:
    """Two frames of each clip, in the place of pictures with expressions of others."""
    body = np.tile(np.array([5, 30]), (len(clips), 1))
    frames = [[f.rgb for f in read_frames(clip.path, threads=1)] for clip in clips]
    truths = [truth_of(clip) for clip in clips]
    return Acted(
        np.stack([np.stack(own)[at] for own, at in zip(frames, body, strict=True)]),
        np.stack([truth.landmarks68[at] for truth, at in zip(truths, body, strict=True)]),
        np.stack([truth.mask[at] for truth, at in zip(truths, body, strict=True)]),
        body,
        np.tile(np.arange(len(clips))[:, None], (1, 2)),
        body,
    )
