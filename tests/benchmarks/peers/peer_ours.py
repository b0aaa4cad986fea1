"""Our side of each part: from the files to the numbers; `setup` loads the networks, what it returns is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from peer_material import network, to_int16

from thbench.backbones.batches import FixedBatches, batch_for
from thbench.backbones.modes import Mode, prepare
from thbench.backbones.s3fd import find_faces_in_batch
from thbench.faces import FaceTracker
from thbench.faces.alignment import arcface_crop, arcface_matrix
from thbench.faces.face import Face
from thbench.faces.geometry import to_uint8, warp
from thbench.faces.landmarks import face_box
from thbench.media import read_audio, read_frames
from thbench.metrics import csim, fid, fvd, lpips, lse
from thbench.metrics.blink import BlinkObserver
from thbench.metrics.frechet import frechet_distance
from thbench.metrics.image import ImageObserver
from thbench.metrics.landmarks import FORMULAS, LandmarkObserver
from thbench.metrics.lip_stream import CropTracks
from thbench.metrics.moments import moments
from thbench.metrics.observer import ClipFacts, Moment, VideoFacts, View
from thbench.metrics.pose import PoseObserver
from thbench.metrics.ssim import SsimKernel

Arrays = dict[str, Any]
Work = Callable[[], Arrays]
FVD = fvd.protocol("16")


def ready(folder: Path, name: str, mode: Mode) -> Any:
    return prepare(network(folder, name), mode)


def pictures(path: Path) -> Iterator[np.ndarray]:
    return (frame.rgb for frame in read_frames(path))


def fid_features(tool: str) -> Callable[[Path, Mode], Work]:
    def setup(folder: Path, mode: Mode) -> Work:
        net = ready(folder, "inception", mode)
        return lambda: {
            name: fid.features(net, (torch.from_numpy(p) for p in pictures(folder / f"{name}.mp4")), tool).numpy()
            for name in ("generated", "reference")
        }

    return setup


def frechet(folder: Path, _mode: Mode) -> Work:
    first, second = np.load(folder / "first.npy"), np.load(folder / "second.npy")
    return lambda: {"value": [frechet_distance(moments(first), moments(second), ddof=1).value]}


def i3d(folder: Path, mode: Mode) -> Work:
    net = ready(folder, "i3d", mode)

    def run() -> Arrays:
        found = {}
        for name in ("generated", "reference"):
            frames = torch.from_numpy(np.stack(list(pictures(folder / f"{name}.mp4"))))
            found[name] = fvd.logits(net, _clips(frames), FVD).numpy()
        return found

    return run


def _clips(frames: torch.Tensor) -> list[torch.Tensor]:
    return [frames[start : start + 16] for start in range(0, len(frames) - 15, 16)]


def detection(folder: Path, mode: Mode) -> Work:
    if mode == "fast":
        return faces_of(folder, ("generated",))
    net = ready(folder, "s3fd", mode)

    def run() -> Arrays:
        frames = list(pictures(folder / "generated.mp4"))
        found = [boxes for start in range(0, len(frames), 8) for boxes in _faces(net, frames[start : start + 8])]
        return {"boxes": np.concatenate([boxes[:20] for boxes in found])}

    return run


def _faces(net: Any, frames: list[np.ndarray]) -> list[np.ndarray]:
    return find_faces_in_batch(net, frames)


def scoring(folder: Path, mode: Mode) -> Work:
    net = ready(folder, "syncnet", mode)

    def run() -> Arrays:
        frames = np.stack([p[..., ::-1] for p in pictures(folder / "crop.mp4")])
        return _scores(net, frames, to_int16(read_audio(folder / "crop.mp4").samples))

    return run


def scoring_of_their_frames(folder: Path, mode: Mode) -> Work:
    """The same on what the peer saw after its lossy conversions: the number must be its number."""
    from scipy.io import wavfile

    net = ready(folder, "syncnet", mode)
    frames = np.stack([cv2.imread(str(path)) for path in sorted((folder / "evaluated").glob("*.jpg"))])
    _, audio = wavfile.read(folder / "evaluated" / "audio.wav")
    return lambda: _scores(net, frames, audio)


def _scores(net: Any, frames: np.ndarray, audio: np.ndarray) -> Arrays:
    score = lse.score(*lse.clip_embeddings(net, frames, audio))
    return {"curve": score.curve, "lse_c": [score.lse_c], "lse_d": [score.lse_d], "offset": [score.offset]}


def identity(folder: Path, mode: Mode) -> Work:
    net = ready(folder, "arcface", mode)
    matrices = [arcface_matrix(points) for points in np.load(folder / "fives.npy") - 0.5]

    def run() -> Arrays:
        found = {}
        for name in ("generated", "reference"):
            both = zip(pictures(folder / f"{name}.mp4"), matrices, strict=True)
            aligned = np.stack([to_uint8(warp(picture, matrix, (112, 112))) for picture, matrix in both])
            found[name] = csim.embed(net, aligned)
        return found

    return run


def perceptual(folder: Path, mode: Mode) -> Work:
    net = ready(folder, "alex", mode)

    def run() -> Arrays:
        both = [np.stack(list(pictures(folder / f"{name}.mp4"))) for name in ("generated", "reference")]
        return {"distances": lpips.distances(net, both[0], both[1]).numpy()}

    return run


def similarity(folder: Path, _mode: Mode) -> Work:
    kernel = SsimKernel()
    pairs = [
        tuple(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in pair)
        for pair in zip(*(pictures(folder / f"{name}.mp4") for name in ("generated", "reference")), strict=True)
    ]
    return lambda: {"ssim": [kernel.terms(x, y).similarity for x, y in pairs]}


def faces_of(folder: Path, names: tuple[str, ...]) -> Work:
    trackers = {name: FaceTracker() for name in names}

    def run() -> Arrays:
        found = {}
        for name, tracker in trackers.items():
            sights = [tracker.find(picture) for picture in pictures(folder / f"{name}.mp4")]
            found[name] = np.stack([face_box(face.points) for face in sights if face is not None])
        return found

    return run


def complete(folder: Path, mode: Mode) -> Work:
    """Everything in one pass over both videos, each decoded once."""
    names = ["inception", "i3d", "syncnet", "arcface", "alex", *(["s3fd"] if mode == "exact" else [])]
    once = _OnePass({name: ready(folder, name, mode) for name in names})
    return lambda: once.run(folder)


class _OnePass:
    """The engine's pass over one pair of videos, written out."""

    def __init__(self, nets: dict[str, Any]) -> None:
        self.nets = nets
        self.fid = [FixedBatches(nets["inception"]) for _ in range(2)]
        self.identity = [FixedBatches(nets["arcface"]) for _ in range(2)]
        self.perceptual: FixedBatches | None = None
        self.trackers = [FaceTracker() for _ in range(2)]
        self.clips: list[list[np.ndarray]] = [[], []]
        self.logits: list[list[torch.Tensor]] = [[], []]
        self.observers = (
            ImageObserver(frozenset({"psnr", "ssim"})),
            LandmarkObserver(frozenset(FORMULAS)),
            PoseObserver(frozenset({"apd/mediapipe-deg", "pose-div/deg"})),
            BlinkObserver(frozenset({"blink-rate", "blink-duration"})),
        )
        self.tracks = CropTracks(nets["syncnet"])
        self.unseen: list[np.ndarray] = []
        self.shape: tuple[int, ...] = ()
        self.detections: list[np.ndarray] = []

    def run(self, folder: Path) -> Arrays:
        found = [self._faces(folder / f"{name}.mp4", side) for side, name in enumerate(("generated", "reference"))]
        with ThreadPoolExecutor() as threads:
            each = threads.map if torch.get_num_threads() > 1 else map
            for index, pair in enumerate(
                iter(lambda: tuple(each(lambda faces: next(faces, None), found)), (None, None))
            ):
                self._moment(index, *zip(*pair, strict=True))
        for tracker in self.trackers:
            tracker.close()
        self._detect()
        features = [batches.finish().numpy() for batches in self.fid]
        embeddings = [csim.unit(batches.finish().double().numpy()) for batches in self.identity]
        track = self.tracks.longest()
        audio = to_int16(read_audio(folder / "generated.mp4").samples)
        sound = audio[track.start * lse.SAMPLES_PER_FRAME :][: track.frames * lse.SAMPLES_PER_FRAME]
        sync = lse.scored(self.nets["syncnet"], track.lips, sound)
        distances = torch.zeros(0) if self.perceptual is None else self.perceptual.finish()
        logits = [torch.cat(rows).numpy() for rows in self.logits]
        height, width, frames = self.shape[0], self.shape[1], index + 1
        video = VideoFacts(width, height, frames, frames / 25, None)
        for observer in self.observers:
            observer.values(ClipFacts(25, video, video))
        return {
            "fid": [frechet_distance(moments(features[0]), moments(features[1]), ddof=1).value],
            "fvd": [frechet_distance(moments(logits[0]), moments(logits[1]), ddof=0).value],
            "lpips": [float(distances.mean())],
            "csim": [csim.similarity(embeddings[0], embeddings[1]).value],
            "lse_c": [sync.lse_c],
            "lse_d": [sync.lse_d],
            "offset": [sync.offset],
        }

    def _distances(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.nets["alex"](pairs[:, 0], pairs[:, 1])

    def _faces(self, path: Path, side: int) -> Iterator[tuple[np.ndarray, Face | None]]:
        return ((picture, self.trackers[side].find(picture)) for picture in pictures(path))

    def _moment(self, index: int, pair: tuple[np.ndarray, ...], faces: tuple[Face | None, ...]) -> None:
        views = [View(picture, face) for picture, face in zip(pair, faces, strict=True)]
        moment = Moment(index, views[0], views[1])
        for observer in self.observers:
            observer.observe(moment)
        prepared = [lpips.prepare(picture[None])[0] for picture in pair]
        if self.perceptual is None:
            self.perceptual = FixedBatches(self._distances, batch_for(*pair[0].shape[:2]))
        self.perceptual.add(torch.stack(prepared)[None])
        for side, (picture, face) in enumerate(zip(pair, faces, strict=True)):
            self.fid[side].add(fid.prepare(torch.from_numpy(picture)[None], "pytorch-fid"))
            if face is not None:
                self.identity[side].add(csim.prepare(arcface_crop(picture, face)[None]))
            self.clips[side].append(picture)
            if len(self.clips[side]) == 16:
                clip = torch.from_numpy(np.stack(self.clips[side]))
                self.logits[side].append(fvd.logits(self.nets["i3d"], [clip], FVD))
                self.clips[side] = []
        self.shape = pair[0].shape
        self.tracks.add(pair[0], None if faces[0] is None else face_box(faces[0].points))
        self.unseen.append(pair[0])
        if len(self.unseen) == 8:
            self._detect()

    def _detect(self) -> None:
        if "s3fd" in self.nets and self.unseen:
            self.detections += _faces(self.nets["s3fd"], self.unseen)
        self.unseen = []


PARTS: dict[str, Callable[[Path, Mode], Work]] = {
    "FID features, pytorch-fid": fid_features("pytorch-fid"),
    "FID features, clean-fid": fid_features("clean-fid"),
    "FID features, torch-fidelity": fid_features("torch-fidelity"),
    "FID features, torchmetrics": fid_features("torchmetrics"),
    "Frechet distance": frechet,
    "FVD logits": i3d,
    "LSE detection": detection,
    "LSE scoring": scoring,
    "LSE agreement": scoring_of_their_frames,
    "CSIM embeddings": identity,
    "LPIPS alex": perceptual,
    "SSIM": similarity,
    "Landmarks": lambda folder, _mode: faces_of(folder, ("generated", "reference")),
    "Complete set": complete,
}
