"""Bad weight files, and clips that networks cannot score, as a user meets them: a sentence each, no number invented."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import FILES, TinyI3D, add_random, filled, state_of

from thbench.backbones.lpips import LPIPS
from thbench.backbones.weights import WEIGHTS, add
from thbench.media import write_video
from thbench.types import Audio

RUN = ("--executor", "local", "--workers", "1", "--quiet")


class Mischief:
    """Pickled code that makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders `real` and `made` without videos, and an empty weights folder."""
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path / "weights"))
    for name in ("real", "made", "weights"):
        (tmp_path / name).mkdir()
    return tmp_path


def video(place: Path, name: str, frames: int, seconds: float) -> None:
    """Write a clip and a darker copy, with `seconds` of sound."""
    pictures = np.random.default_rng(len(name)).integers(40, 200, (frames, 64, 64, 3)).astype(np.uint8)
    sound = Audio(0.1 * np.random.default_rng(0).standard_normal(round(16000 * seconds)).astype(np.float32), 16000)
    for folder, shift in (("real", 0), ("made", 20)):
        write_video(place / folder / f"{name}.mkv", pictures - np.uint8(shift), 25, quality="lossless", audio=sound)


def evaluate(thbench: Callable[..., Any], place: Path, metrics: str) -> Any:
    paths = ("--generated", place / "made", "--reference", place / "real", "--out", place / "run")
    outcome = thbench("eval", *paths, "--metrics", metrics, *RUN)
    assert "Traceback" not in outcome.err
    return outcome


def reason(outcome: Any, metric: str) -> str:
    """The one reason why no video of the row has a value."""
    cell = outcome.cell("made", metric)
    assert (cell["value"], cell["scored"]) == (None, 0)
    (found,) = cell["missing"]
    assert "\n" not in found
    return str(found)


def test_wrong_truncated_and_dangerous_files_cost_their_metrics_alone(thbench: Callable[..., Any], place: Path) -> None:
    video(place, "clip", 20, 0.8)
    # Under the right name and of the right size, but another file.
    spec = WEIGHTS["i3d-torchscript"]
    with (place / "weights" / spec.file).open("wb") as file:
        file.truncate(spec.bytes)
    torch.save(state_of(lambda: LPIPS("alex"), "features."), place / "alex.pth")
    (place / "alex.pth").write_bytes((place / "alex.pth").read_bytes()[:200_000])
    add("alexnet", place / "alex.pth")
    (place / "syncnet.model").write_bytes(pickle.dumps(Mischief(place / "harm"), protocol=2))
    add("syncnet", place / "syncnet.model")
    (place / "faces.onnx").write_bytes(b"not a network")
    add("arcface-iresnet", place / "faces.onnx")
    outcome = evaluate(
        thbench, place, "psnr,fvd/16,lpips/alex,lse-d/wav2lip-lrs,csim/iresnet/whole-frame/same-frame,fid/pytorch-fid"
    )
    assert outcome.code == 0
    assert outcome.cell("made", "psnr")["scored"] == 1
    assert "is not the published 'i3d_torchscript.pt': expected SHA-256 bec6519f" in reason(outcome, "fvd/16")
    assert "truncated or damaged" in reason(outcome, "lpips/alex")
    assert "could run code when read, and is refused" in reason(outcome, "lse-d/wav2lip-lrs")
    assert "no ONNX file" in reason(outcome, "csim/iresnet/whole-frame/same-frame")
    assert "thbench weights get inception-fid" in reason(outcome, "fid/pytorch-fid")
    assert not (place / "harm").exists()


def test_short_clips_and_short_sound_are_named(thbench: Callable[..., Any], place: Path) -> None:
    add_random(place, ("i3d-torchscript", "syncnet"))
    video(place, "short", 12, 0.48)
    video(place, "quiet", 18, 0.2)
    outcome = evaluate(thbench, place, "psnr,fvd/16,lse-c/wav2lip-lrs")
    assert outcome.cell("made", "psnr")["scored"] == 2
    fvd = outcome.cell("made", "fvd/16")
    assert fvd["value"] is None and fvd["total"] == 2
    assert any("has 12 frames; this FVD needs at least 16" in why for why in fvd["missing"])
    assert any("has 1 sample;" in why for why in fvd["missing"])
    sync = outcome.cell("made", "lse-c/wav2lip-lrs")
    assert sync["scored"] == 1 and sync["total"] == 2
    assert any("this clip has 18 frames and 0.20 s of sound" in why for why in sync["missing"])


def test_networks_that_give_no_numbers_give_none(thbench: Callable[..., Any], place: Path) -> None:
    class Nothing(TinyI3D):
        def forward(
            self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
        ) -> torch.Tensor:
            return self.conv(x).flatten(2).mean(dim=2) * torch.nan

    torch.jit.script(filled(Nothing())).save(str(place / "i3d.pt"))
    add("i3d-torchscript", place / "i3d.pt")
    FILES["alexnet"][1](place / "alex.pth")
    state = torch.load(place / "alex.pth", weights_only=True)
    torch.save({key: value * torch.nan for key, value in state.items()}, place / "alex.pth")
    add("alexnet", place / "alex.pth")
    video(place, "clip", 16, 0.64)
    outcome = evaluate(thbench, place, "psnr,fvd/16,lpips/alex")
    assert "1 of 1 features hold NaN or infinity" in reason(outcome, "fvd/16")
    assert "not numbers" in reason(outcome, "lpips/alex")
