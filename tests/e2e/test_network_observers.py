"""Observers of published networks, frame by frame: oracles, and every input that gives no number."""

from __future__ import annotations

import os
import pickle
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from random_weights import FILES, TinyI3D, add_random, filled

from thbench.backbones import loaded
from thbench.backbones.weights import add, find, locate, remove, spec_of, user_spec
from thbench.cli import main
from thbench.errors import MissingWeightsError, WeightsMismatchError
from thbench.evaluate.engine import Scores, evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.faces import Face, smooth_track, syncnet_crop
from thbench.media import write_video
from thbench.metrics import fvd
from thbench.metrics.available import select
from thbench.metrics.lip_stream import CropTracks, FrameSpool, LipStream
from thbench.metrics.observe_csim import CsimObserver
from thbench.metrics.observe_fvd import ClipFeatures, FvdObserver
from thbench.metrics.observe_lpips import LpipsObserver
from thbench.metrics.observe_lse import LseObserver
from thbench.metrics.observe_pose_networks import PoseNetworkObserver
from thbench.metrics.observer import ClipFacts, Missing, Moment, VideoFacts, View
from thbench.types import Audio

NEEDED = ("i3d-torchscript", "i3d-videogpt", "syncnet", "s3fd", "vgg16", "arcface-iresnet", "hopenet", "sixdrepnet")


@pytest.fixture(scope="module")
def own_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THBENCH_WEIGHTS", str(folder))
        add_random(tmp_path_factory.mktemp("files"), NEEDED)
        yield folder
    shutil.rmtree(folder)


def noise(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def face(centre: tuple[float, float], size: float = 40) -> Face:
    """A face of scattered points within a box."""
    points = np.random.default_rng(1).uniform(-size, size, (478, 3))
    points[:, :2] += centre
    return Face(points.astype(np.float32), np.zeros(52, np.float32), np.eye(3))


def facts(frames: int, fps: float = 25, sound: Any = None) -> ClipFacts:
    video = VideoFacts(64, 64, frames, frames / fps, None, read_int16=None if sound is None else lambda: sound)
    return ClipFacts(fps, video, video)


def show(observer: Any, generated: list[View], reference: list[View | None] | None = None) -> Any:
    for index, view in enumerate(generated):
        observer.observe(Moment(index, view, None if reference is None else reference[index]))
    return observer


# Lip sync


class Echo:
    """Takes the place of SyncNet: its embeddings are the mean colours of the frames, and some coefficients."""

    def audio(self, windows: torch.Tensor) -> torch.Tensor:
        return windows[:, 0, 1:4, :5].flatten(1)

    def lips_of_clip(self, frames: torch.Tensor) -> torch.Tensor:
        means = frames.mean(dim=(2, 3)).T
        return torch.cat([means[i : len(means) - 4 + i] for i in range(5)], dim=1)


def test_the_stream_sees_the_windows_of_the_whole_clip() -> None:
    frames = noise(11, 8, 8)
    whole = Echo().lips_of_clip(torch.from_numpy(frames).permute(3, 0, 1, 2).float())
    for chunk in (1, 3, 32):
        lips = LipStream(Echo(), chunk)  # type: ignore[arg-type]
        for frame in frames:
            lips.add(frame)
        assert torch.equal(torch.cat(list(lips.pieces(len(whole)))), whole)


@pytest.mark.parametrize("gaps", [(), (4, 5, 6, 20), (0, 1), (38, 39)])
def test_crops_on_the_way_are_those_of_the_whole_track(gaps: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    frames = noise(40, 150, 160)
    boxes = np.array([[50 + i, 40 + 2 * np.sin(i), 100 + i, 95 + i / 3] for i in range(40)])
    known = [i for i in range(40) if i not in gaps]
    first, last = known[0], known[-1]
    masked = boxes[first : last + 1].copy()
    masked[[i - first for i in gaps if first < i < last]] = np.nan
    expected = [syncnet_crop(frames[first + i], place)[..., ::-1] for i, place in enumerate(smooth_track(masked))]
    seen: list[Any] = []
    monkeypatch.setattr(LipStream, "add", lambda self, f: (seen.append(f), setattr(self, "frames", self.frames + 1)))
    tracks = CropTracks(Echo())  # type: ignore[arg-type]
    for i in range(40):
        tracks.add(frames[i], None if i in gaps else boxes[i])
    track = tracks.longest()
    assert track is not None and (track.start, track.frames) == (first, last - first + 1)
    np.testing.assert_array_equal(np.stack(seen), np.stack(expected))


def test_a_jump_or_a_long_absence_begins_another_track() -> None:
    left, right = np.array([10.0, 10, 60, 60]), np.array([90.0, 10, 140, 60])
    frames = noise(80, 70, 150)
    for boxes, start, length in (
        ([left] * 20 + [right] * 40, 20, 40),
        ([left] * 30 + [None] * 26 + [left] * 20, 0, 30),
        ([left] * 30 + [None] * 25 + [left] * 20, 0, 75),
    ):
        tracks = CropTracks(Echo())  # type: ignore[arg-type]
        for frame, box in zip(frames, boxes, strict=False):
            tracks.add(frame, box)
        track = tracks.longest()
        assert track is not None and (track.start, track.frames) == (start, length)
    short = CropTracks(Echo())  # type: ignore[arg-type]
    for frame in frames[:6]:
        short.add(frame, left)
    assert short.longest() is None


def test_no_face_for_the_published_pipeline_is_said(own_weights: Path) -> None:
    found = show(LseObserver(frozenset({"lse-c/joonson"})), [View(f) for f in noise(2, 128, 130)])
    assert found.values(facts(2, sound=np.zeros(3000, np.int16))) == {
        "lse-c/joonson": Missing("S3FD finds no face in any frame")
    }
    small = show(LseObserver(frozenset({"lse-c/joonson"})), [View(f) for f in noise(2, 127, 200)])
    (value,) = small.values(facts(2, sound=np.zeros(3000, np.int16))).values()
    assert isinstance(value, Missing) and "frames are 200x127" in value.reason


@pytest.mark.parametrize(
    ("frames", "seconds", "fps", "words"),
    [
        (12, 0.2, 25, "this clip has 12 frames and 0.20 s of sound"),
        (4, 2.0, 25, "this clip has 4 frames"),
        (12, 2.0, 30, "use --fps 25"),
    ],
)
def test_clips_that_cannot_be_scored_for_lip_sync(
    own_weights: Path, frames: int, seconds: float, fps: float, words: str
) -> None:
    observer = show(LseObserver(frozenset({"lse-d/wav2lip-lrs"})), [View(f) for f in noise(frames, 32, 32)])
    value = observer.values(facts(frames, fps, np.zeros(round(seconds * 16000), np.int16)))["lse-d/wav2lip-lrs"]
    assert isinstance(value, Missing) and words in value.reason


def test_a_face_in_no_frame_gives_no_lip_sync(own_weights: Path) -> None:
    observer = show(LseObserver(frozenset({"lse-d/shared-faces"})), [View(f) for f in noise(9, 32, 32)])
    value = observer.values(facts(9, sound=np.zeros(16000, np.int16)))["lse-d/shared-faces"]
    assert value == Missing("no face is followed over 7 frames")


def test_spooled_frames_come_back() -> None:
    spool, frames = FrameSpool(), noise(5, 7, 9)
    for frame in frames:
        spool.add(frame[:, ::-1])
    assert all(np.array_equal(spool[i], frames[i][:, ::-1]) for i in (4, 0, 2))
    spool.close()


# Identity, perceptual distance, head pose


def test_frames_without_a_face_are_left_out_of_the_identity(own_weights: Path) -> None:
    name = "csim/iresnet/mediapipe-5pt/same-frame"
    frames = noise(4, 90, 90)
    views = [View(f, face((45, 45)) if i != 2 else None) for i, f in enumerate(frames)]
    same = show(CsimObserver(frozenset({name})), views, list(views))
    assert same.values(facts(4))[name] == pytest.approx(1)
    none = show(CsimObserver(frozenset({name})), [View(f) for f in frames], list(views))
    assert none.values(facts(4))[name] == Missing("no face in any frame")
    apart = show(CsimObserver(frozenset({name})), views[:2], [View(frames[0]), View(frames[1])])
    assert apart.values(facts(2))[name] == Missing("no frame in which both videos show a face")
    portrait = "csim/iresnet/mediapipe-5pt/portrait"
    lost = show(CsimObserver(frozenset({portrait})), views[:2], [View(frames[0]), views[1]])
    assert "no face in the portrait" in str(lost.values(facts(2))[portrait])


def test_a_face_is_embedded_once_for_all_rows(own_weights: Path) -> None:
    name = "csim/iresnet/whole-frame/same-frame"
    queue = loaded.arcface("arcface-iresnet")
    queue.flush()
    reference = View(noise(40, 40))
    for row in range(3):
        show(CsimObserver(frozenset({name})), [View(noise(40, 40, seed=row + 1))], [reference])
    assert len(queue._waiting) == 4
    queue.flush()


def test_lpips_of_other_sizes_and_of_nothing(own_weights: Path) -> None:
    def value(ours: Any, theirs: Any) -> Any:
        observer = show(
            LpipsObserver(frozenset({"lpips/vgg"})), [View(ours)], [View(theirs)] if theirs is not None else None
        )
        return observer.values(facts(1))["lpips/vgg"]

    assert "equal size only" in value(noise(64, 64), noise(64, 66)).reason
    assert "at least 64 pixels" in value(noise(40, 64), noise(40, 64)).reason
    assert "no instant in common" in value(noise(64, 64), None).reason
    assert value(noise(64, 64), noise(64, 64)) == 0
    assert 0 < value(noise(64, 64), noise(64, 64, seed=1)) < 10


def test_head_pose_networks_need_two_faces_in_time(own_weights: Path) -> None:
    names = frozenset({"pose-div/hopenet-logits", "pose-div/hopenet-degrees", "pose-div/sixdrepnet-degrees"})
    frames = noise(3, 90, 90)
    moving = show(PoseNetworkObserver(names), [View(f, face((40 + 6 * i, 45))) for i, f in enumerate(frames)])
    assert all(isinstance(value, float) and value > 0 for value in moving.values(facts(3)).values())
    names = frozenset({"pose-div/sixdrepnet-degrees"})
    still = show(PoseNetworkObserver(names), [View(frames[0], face((45, 45)))] * 3)
    assert all(abs(value) < 1e-9 for value in still.values(facts(3)).values())
    alone = show(PoseNetworkObserver(names), [View(frames[0], face((45, 45))), View(frames[1])])
    assert set(alone.values(facts(2)).values()) == {Missing("needs 2 frames with a face")}


# Video distance


@pytest.mark.parametrize(("name", "frames"), [("styleganv-16f", 21), ("16", 35), ("32", 40), ("videogpt-16f", 20)])
@pytest.mark.parametrize("side", ["reference", "generated"])
def test_clips_on_the_way_are_those_of_the_rule(name: str, frames: int, side: str) -> None:
    chosen, video = fvd.PROTOCOLS[name], noise(frames, 30, 40)
    seen: list[Any] = []

    def network(clips: torch.Tensor) -> torch.Tensor:
        seen.append(clips)
        return clips.mean(dim=(3, 4)).flatten(1)[:, :400]

    rule = getattr(chosen, side)
    features = ClipFeatures(rule, chosen, network)
    for frame in video:
        features.add(frame)
    rows = features.finish()
    starts = fvd.clip_starts(rule, frames, chosen, clip=str(zlib.crc32(video[0].data)))
    expected = [chosen.prepare(torch.from_numpy(video[s : s + chosen.frames])[None]) for s in starts]
    assert not isinstance(rows, Missing) and len(rows) == len(starts) == len(seen)
    for ours, theirs in zip(seen, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "frames"), [("styleganv-16f", 15), ("32", 31), ("disco", 8), ("latentsync", 35)])
def test_videos_too_short_for_a_clip_are_named(name: str, frames: int) -> None:
    chosen = fvd.PROTOCOLS[name]
    features = ClipFeatures(chosen.generated, chosen, lambda clips: torch.zeros(1, 400))
    for frame in noise(frames, 224, 224):
        features.add(frame)
    found = features.finish()
    assert isinstance(found, Missing) and f"has {frames} frames; this FVD needs at least" in found.reason


def test_features_that_are_no_numbers_are_refused() -> None:
    chosen = fvd.PROTOCOLS["16"]
    features = ClipFeatures("consecutive", chosen, lambda clips: torch.full((1, 400), torch.nan))
    for frame in noise(16, 8, 8):
        features.add(frame)
    assert features.finish() == Missing("1 of 1 features hold NaN or infinity")


def test_a_copy_of_the_reference_gives_the_features_of_a_real_video(own_weights: Path) -> None:
    frames = noise(17, 20, 20)
    name = frozenset({"fvd/styleganv-16f"})
    copy = show(FvdObserver(name), [View(f) for f in frames], [View(f.copy()) for f in frames])
    assert set(copy.features(facts(17))) == {"i3d.styleganv-16f.generated", "i3d.styleganv-16f.reference"}
    other = frames.copy()
    other[16, 0, 0, 0] ^= 1
    made = show(FvdObserver(name), [View(f) for f in other], [View(f) for f in frames])
    assert set(made.features(facts(17))) == {"i3d.styleganv-16f.generated"}


# Weight files


class Mischief:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def empty_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path


def scores(folder: Path, names: str) -> Scores:
    """Score a drawn clip of two seconds and a half against itself."""
    path = folder / "clip.mkv"
    if not path.exists():
        write_video(path, noise(18, 64, 64), 25, quality="lossless", audio=Audio(np.zeros(11520, np.float32), 16000))
    (found,) = evaluate_clip(
        {"a": path}, path, selection=select(names.split(",")), settings=Settings(), new_tracker=None
    ).values()
    return found


def test_a_users_file_counts_until_it_is_removed_or_changed(empty_weights: Path) -> None:
    file = empty_weights / "mine.pkl"
    FILES["hopenet"][1](file)
    assert find("hopenet") is None
    with pytest.raises(MissingWeightsError, match="thbench weights add hopenet FILE"):
        spec_of("hopenet")
    spec = add("hopenet", file)
    assert locate("hopenet").read_bytes() == file.read_bytes()
    assert (spec.licence, user_spec("hopenet")) == ("user-supplied", spec)
    content = bytearray(locate("hopenet").read_bytes())
    content[1000] ^= 1
    locate("hopenet").write_bytes(content)
    with pytest.raises(WeightsMismatchError, match="not the file that was added for 'hopenet'"):
        locate("hopenet")
    assert remove("hopenet") and not remove("hopenet")
    assert find("hopenet") is None


def test_the_command_adds_lists_and_removes(empty_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = empty_weights / "mine.pt"
    torch.jit.script(filled(TinyI3D())).save(str(file))
    assert main(["weights", "add", "i3d-torchscript", str(file)]) == 0
    assert "yours" in capsys.readouterr().out
    assert main(["weights", "list"]) == 0
    (line,) = [row for row in capsys.readouterr().out.splitlines() if row.startswith("i3d-torchscript")]
    assert "yours" in line and "own/i3d-torchscript/mine.pt" in line
    assert main(["weights", "verify", "i3d-torchscript"]) == 0
    assert main(["weights", "remove", "i3d-torchscript"]) == 0
    assert main(["weights", "verify", "i3d-torchscript"]) == 1
    assert main(["weights", "add", "i3d-torchscript", str(empty_weights / "absent")]) == 3
    assert main(["weights", "add", "i3d-torchskript", str(file)]) == 3


@pytest.mark.parametrize("spoil", ["wrong", "truncated", "pickle", "other"])
def test_a_bad_weight_file_costs_its_metrics_one_sentence_each(
    empty_weights: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    from types import MappingProxyType

    from thbench.backbones import weights

    file = empty_weights / "net.bin"
    if spoil == "wrong":
        # A file of the right name and size, but not the published one.
        spec = weights.WEIGHTS["i3d-torchscript"].model_copy(update={"bytes": 1000})
        monkeypatch.setattr(weights, "WEIGHTS", MappingProxyType({**weights.WEIGHTS, "i3d-torchscript": spec}))
        (empty_weights / "weights").mkdir()
        (empty_weights / "weights" / spec.file).write_bytes(bytes(1000))
        names, words = "fvd/16,fvd/32,psnr", "is not the published 'i3d_torchscript.pt'"
    elif spoil == "pickle":
        file.write_bytes(pickle.dumps(Mischief(empty_weights / "harm")))
        add("syncnet", file)
        names, words = "lse-c/wav2lip-lrs,lse-d/wav2lip-lrs,psnr", "could run code when read, and is refused"
    elif spoil == "other":
        torch.save({"elsewhere.weight": torch.zeros(3)}, file)
        add("syncnet", file)
        names, words = "lse-c/wav2lip-lrs,psnr", "does not fit SyncNet"
    else:
        FILES["syncnet"][1](file)
        file.write_bytes(file.read_bytes()[:100_000])
        add("syncnet", file)
        names, words = "lse-c/wav2lip-lrs,psnr", "truncated or damaged"
    found = scores(empty_weights, names)
    assert found.error is None and set(found.values) == {"psnr"}
    assert set(found.missing) == set(names.split(",")) - {"psnr"}
    for reason in found.missing.values():
        assert words in reason and "\n" not in reason
    assert not (empty_weights / "harm").exists()


def test_one_bad_file_leaves_the_metrics_of_other_files(empty_weights: Path) -> None:
    (empty_weights / "bad.pth").write_bytes(b"nothing")
    add("i3d-videogpt", empty_weights / "bad.pth")
    torch.jit.script(filled(TinyI3D())).save(str(empty_weights / "good.pt"))
    add("i3d-torchscript", empty_weights / "good.pt")
    found = scores(empty_weights, "fvd/16,fvd/videogpt-16f")
    assert set(found.features) == {"i3d.16"} and found.features["i3d.16"].shape == (1, 400)
    assert set(found.missing) == {"fvd/videogpt-16f"}


def test_without_packages_the_extra_is_named(empty_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thbench.metrics import available

    add_random(empty_weights, ("vgg16", "arcface-w600k-r50"))
    monkeypatch.setattr(available, "installed", lambda package: package not in ("torchmetrics", "lpips"))
    assert "pip install 'thbench[lpips]'" in select(["lpips/vgg"]).lacking["lpips/vgg"]
    monkeypatch.setattr(available, "installed", lambda package: False)
    name = "csim/w600k-r50/mediapipe-5pt/portrait"
    monkeypatch.setattr(available, "FACE_WEIGHTS", "vgg16")
    assert "pip install 'thbench[torch]'" in select([name]).lacking[name]
