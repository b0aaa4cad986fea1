"""What both sides work on: a real clip, a worse copy of it, its lip crop, and the same random weights for all.

Speed and agreement do not depend on trained weights. Batch-normalisation statistics are taken from real frames, so that
signals stay in range through all layers and a difference anywhere shows at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from thbench.backbones.arcface import IResNet
from thbench.backbones.i3d import I3D
from thbench.backbones.inception import InceptionFID
from thbench.backbones.lpips import LPIPS
from thbench.backbones.s3fd import S3FD
from thbench.backbones.syncnet import SyncNet
from thbench.faces import FaceTracker
from thbench.faces.alignment import arcface_crop, smooth_track, syncnet_crop
from thbench.faces.landmarks import face_box, five_points
from thbench.media import read_audio, read_frames, write_video
from thbench.metrics import csim, fid, fvd, lse
from thbench.types import Audio

WORSE = 18
"""JPEG quality of the copy that plays the generated video."""

FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "inception": InceptionFID,
    "i3d": I3D,
    "syncnet": SyncNet,
    "s3fd": S3FD,
    "arcface": IResNet,
    "alex": lambda: LPIPS("alex"),
}


def network(folder: Path, name: str) -> nn.Module:
    """One of ours with the shared weights, in the published form."""
    with torch.device("meta"):
        net = FACTORIES[name]()
    net.load_state_dict(torch.load(folder / f"{name}.pth", weights_only=True), assign=True)
    return net.eval()


def make(folder: Path, clip: Path, frames: int) -> None:
    """Write everything into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [frame.rgb for frame, _ in zip(read_frames(clip, 25), range(frames), strict=False)]
    sound = read_audio(clip)
    sound = Audio(sound.samples[: int(len(pictures) / 25 * sound.rate)], sound.rate)
    write_video(folder / "reference.mp4", pictures, 25, quality="view", audio=sound)
    write_video(folder / "generated.mp4", [_worse(p) for p in pictures], 25, quality="view", audio=sound)
    shown = [frame.rgb for frame in read_frames(folder / "generated.mp4")]
    with FaceTracker() as tracker:
        faces = [tracker.find(picture) for picture in shown]
    if any(face is None for face in faces):
        raise SystemExit(f"{clip.name} has frames without a face; take another clip")
    points = [face.points for face in faces if face is not None]
    np.save(folder / "boxes.npy", np.stack([face_box(p) for p in points]))
    np.save(folder / "fives.npy", np.stack([five_points(p) for p in points]))
    places = smooth_track(np.load(folder / "boxes.npy"))
    crops = [syncnet_crop(picture, place) for picture, place in zip(shown, places, strict=True)]
    write_video(folder / "crop.mp4", crops, 25, quality="view", audio=sound)
    aligned = np.stack([arcface_crop(p, f) for p, f in zip(shown[:8], faces[:8], strict=True) if f is not None])
    _write_weights(folder, shown, crops, aligned, sound)


def _worse(picture: np.ndarray) -> np.ndarray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, WORSE])[1]
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))


def _write_weights(folder: Path, shown: list, crops: list, aligned: np.ndarray, sound: Audio) -> None:
    images = torch.from_numpy(np.stack(shown[::4][:8]))
    clip = torch.from_numpy(np.stack(shown[:16]))[None]
    bgr = np.stack(crops)[..., ::-1].copy()
    pcm = to_int16(sound.samples)
    windows = lse.audio_windows(pcm, lse.window_count(len(bgr), len(pcm)))
    lips = torch.stack([torch.from_numpy(bgr[i : i + 5]).permute(3, 0, 1, 2).float() for i in range(0, 40, 5)])
    runs: dict[str, Callable[[Any], Any]] = {
        "inception": lambda net: net(fid.prepare(images, "pytorch-fid")),
        "i3d": lambda net: net(fvd.stretched(clip)),
        "syncnet": lambda net: (net.lips(lips), net.audio(windows)),
        "s3fd": lambda net: None,
        "arcface": lambda net: net(csim.prepare(aligned)),
        "alex": lambda net: None,
    }
    for seed, (name, factory) in enumerate(FACTORIES.items()):
        torch.save(_calibrated(factory(), runs[name], seed).state_dict(), folder / f"{name}.pth")
    onnx_network = network(folder, "arcface")
    options = {"input_names": ["input"], "output_names": ["embedding"], "dynamo": False}
    axes = {"input": {0: "n"}, "embedding": {0: "n"}}
    torch.onnx.export(onnx_network, torch.zeros(1, 3, 112, 112), folder / "arcface.onnx", dynamic_axes=axes, **options)


@torch.no_grad()
def _calibrated(net: nn.Module, run: Callable[[Any], Any], seed: int) -> nn.Module:
    random = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            spread = (2 / layer.weight[0].numel()) ** 0.5
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=random) * spread)
            if layer.bias is not None:
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=random) * 0.1)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            layer.momentum = 1.0
    if isinstance(net, LPIPS):
        for layer in net.children():
            if not isinstance(layer, nn.Sequential):
                layer.model[1].weight.abs_()
    run(net.train())
    return net.eval()


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as the 16-bit ones that the sound network expects."""
    return np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("frames", type=int)
    chosen = parser.parse_args()
    make(chosen.folder, chosen.clip, chosen.frames)
