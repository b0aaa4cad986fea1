"""FID, KID, FVD, LSE, CSIM, LPIPS and head-pose networks through whole commands, with random weights."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from e2e_numbers import differences
from random_weights import add_random

from thbench.backbones import loaded
from thbench.data.drawn_clips import write_drawn_clips
from thbench.evaluate.engine import evaluate_clip
from thbench.evaluate.settings import Settings
from thbench.faces import FaceTracker, arcface_crop
from thbench.media import read_audio, read_frames, write_video
from thbench.metrics import csim, fid, frechet, fvd, kid, lpips, lse
from thbench.metrics.available import select
from thbench.metrics.moments import moments
from thbench.metrics.sound import to_int16

CLIPS = ("drawn_1", "drawn_2", "drawn_3")
METRICS = (
    "lpips/alex,csim/w600k-r50,lse-c/wav2lip-lrs,lse-d/wav2lip-lrs,av-offset/wav2lip-lrs,lse-c/shared-faces,"
    "fid/pytorch-fid,kid/pytorch-fid,kid/torch-fidelity,fvd/styleganv-16f,fvd/16"
)
NEEDED = ("inception-fid", "i3d-torchscript", "syncnet", "alexnet", "arcface-w600k-r50")


@pytest.fixture(scope="module")
def own_weights(weights: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A weights folder with the face landmarker and random files of the user's."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copyfile(Path(weights) / "face_landmarker.task", folder / "face_landmarker.task")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THBENCH_WEIGHTS", str(folder))
        add_random(tmp_path_factory.mktemp("files"), NEEDED)
        yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Real clips of 17 frames, and made ones that are a little brighter."""
    real, made = tmp_path_factory.mktemp("real"), tmp_path_factory.mktemp("made")
    write_drawn_clips(real, seconds=0.68, size=128)
    for path in real.glob("*.mp4"):
        frames = [np.clip(frame.rgb.astype(int) + 9, 0, 255).astype(np.uint8) for frame in read_frames(path)]
        write_video(made / path.name, frames, 25, quality="view", audio=read_audio(path))
    return real, made


def evaluate(made: Path, real: Path | None, out: Path, metrics: str = METRICS, *more: str) -> dict[str, Any]:
    from thbench.cli import main

    words = ["eval", "--generated", str(made), "--name", "made", "--out", str(out), "--metrics", metrics, "--quiet"]
    words += ["--executor", "local", "--workers", "1", *(["--reference", str(real)] if real else []), *more]
    main(words)
    return dict(json.loads((out / "leaderboard.json").read_text()))


def cells(board: dict[str, Any], row: str = "made") -> dict[str, dict[str, Any]]:
    (found,) = [r for r in board["rows"] if r["variant"] == row]
    return dict(found["cells"])


@pytest.fixture(scope="module")
def run(own_weights: Path, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    evaluate(folders[1], folders[0], out)
    return out


@pytest.fixture(scope="module")
def board(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "leaderboard.json").read_text()))


def frames_of(folder: Path, clip: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.stack([frame.rgb for frame in read_frames(folder / f"{clip}.mp4", 25)])


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def test_every_metric_has_a_finite_value(board: dict[str, Any]) -> None:
    assert board["failures"] == []
    for name, cell in cells(board).items():
        if name == "kid/torch-fidelity":
            assert cell["value"] is None and cell["scored"] == 0
            assert list(cell["missing"]) == [
                "KID needs sets of at least 1000 samples for its subsets; there are 51 and 51"
            ]
        else:
            assert (cell["scored"], cell["total"]) == (3, 3), (name, cell)
            assert math.isfinite(cell["value"]), (name, cell)


def test_lpips_is_that_of_the_pure_function(board: dict[str, Any], folders: tuple[Path, Path]) -> None:
    network = loaded.lpips("alex")
    expected = mean([
        float(lpips.distances(network, frames_of(folders[1], c), frames_of(folders[0], c)).mean()) for c in CLIPS
    ])  # fmt: skip
    assert cells(board)["lpips/alex"]["value"] == pytest.approx(expected, rel=1e-4)
    assert cells(board, "ground-truth")["lpips/alex"]["value"] == 0


def test_lse_is_that_of_the_pure_functions(board: dict[str, Any], folders: tuple[Path, Path]) -> None:
    scores = []
    for clip in CLIPS:
        frames = np.stack([lse.whole_frame(frame) for frame in frames_of(folders[1], clip)])
        audio = to_int16(read_audio(folders[1] / f"{clip}.mp4").samples)
        scores.append(lse.score(*lse.clip_embeddings(loaded.syncnet(), frames, audio)))
    assert cells(board)["lse-c/wav2lip-lrs"]["value"] == pytest.approx(mean([s.lse_c for s in scores]), rel=1e-3)
    assert cells(board)["lse-d/wav2lip-lrs"]["value"] == pytest.approx(mean([s.lse_d for s in scores]), rel=1e-4)
    assert cells(board)["av-offset/wav2lip-lrs"]["value"] == pytest.approx(mean([float(s.offset) for s in scores]))


def test_csim_is_that_of_the_pure_functions(board: dict[str, Any], folders: tuple[Path, Path]) -> None:
    queue = loaded.arcface("arcface-w600k-r50")

    def embed(folder: Path, clip: str) -> np.ndarray[Any, Any]:
        with FaceTracker() as tracker:
            frames = frames_of(folder, clip)
            crops = [arcface_crop(f, face) for f in frames if (face := tracker.find(f)) is not None]
        assert len(crops) == len(frames)
        return csim.embed(queue._network, np.stack(crops))

    for against in ("same-frame", "portrait"):
        expected = []
        for clip in CLIPS:
            ours, theirs = embed(folders[1], clip), embed(folders[0], clip)
            expected.append(csim.similarity(ours, theirs if against == "same-frame" else theirs[0]).value)
        name = f"csim/w600k-r50/mediapipe-5pt/{against}"
        assert cells(board)[name]["value"] == pytest.approx(mean(expected), abs=1e-5)
    truth = cells(board, "ground-truth")
    assert truth["csim/w600k-r50/mediapipe-5pt/same-frame"]["value"] == pytest.approx(1)


def test_fid_and_kid_are_those_of_all_frames_together(board: dict[str, Any], folders: tuple[Path, Path]) -> None:
    network = loaded.inception()
    made, real = (
        fid.features(network, [torch.from_numpy(f) for c in CLIPS for f in frames_of(folder, c)], "pytorch-fid")
        for folder in (folders[1], folders[0])
    )
    expected = frechet.frechet_distance(moments(made.numpy()), moments(real.numpy()), ddof=1).value
    cell = cells(board)["fid/pytorch-fid"]
    assert cell["value"] == pytest.approx(expected, rel=1e-5)
    assert cells(board)["kid/pytorch-fid"]["value"] == pytest.approx(
        kid.kid(made.numpy(), real.numpy(), kid.PROTOCOLS["shrinking"]).value, rel=1e-4, abs=1e-12
    )
    remarks = " ".join(cell["remarks"])
    assert "51 samples against 51 real ones" in remarks and "only 51 samples for 2048 dimensions" in remarks
    assert "real against real, halves of 17 and 34 samples" in remarks
    assert cell["method"] == "jackknife-t" and cell["low"] < cell["value"] < cell["high"]
    assert "leaving out each of 3 identities" in remarks
    assert cells(board, "ground-truth")["fid/pytorch-fid"]["value"] == pytest.approx(0, abs=1e-9 + 1e-6 * expected)


def test_fvd_is_that_of_the_protocols_clips(board: dict[str, Any], folders: tuple[Path, Path]) -> None:
    network = loaded.i3d_torchscript()
    made, real = (
        fvd.logits(network, [torch.from_numpy(frames_of(folder, c)[:16]) for c in CLIPS], fvd.PROTOCOLS["16"])
        for folder in (folders[1], folders[0])
    )
    expected = frechet.frechet_distance(moments(made.numpy()), moments(real.numpy()), ddof=0).value
    assert cells(board)["fvd/16"]["value"] == pytest.approx(expected, rel=1e-4)
    assert cells(board, "ground-truth")["fvd/16"]["value"] == pytest.approx(0, abs=1e-6 * expected)
    # 17 frames leave two offsets to the real clips, so the real set is not equal to itself taken from frame 0.
    assert cells(board)["fvd/styleganv-16f"]["value"] != pytest.approx(expected, rel=1e-6)


def test_run_json_says_which_files_were_the_users(run: Path, own_weights: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    digest = json.loads((own_weights / "own" / "inception-fid.json").read_text())["sha256"]
    assert info["weights"]["inception-fid"] == f"{digest} (user-supplied)"
    assert "user-supplied" not in info["weights"]["face-landmarker"]
    (recipe,) = info["recipes"].values()
    assert recipe["metrics"]["fid/pytorch-fid"]["protocol"].endswith(f"/user-supplied-inception-fid-{digest[:12]}")


def test_shards_in_any_order_give_the_numbers_of_the_whole(
    board: dict[str, Any], folders: tuple[Path, Path], tmp_path: Path, own_weights: Path
) -> None:
    from thbench.cli import main

    few = ("fid/pytorch-fid", "kid/pytorch-fid", "fvd/styleganv-16f", "fvd/16")
    for shard, names in (("x", CLIPS[1:2]), ("y", (CLIPS[0], CLIPS[2]))):
        for side, folder in zip(("real", "made"), folders, strict=True):
            (tmp_path / shard / side).mkdir(parents=True)
            for name in names:
                shutil.copyfile(folder / f"{name}.mp4", tmp_path / shard / side / f"{name}.mp4")
        evaluate(tmp_path / shard / "made", tmp_path / shard / "real", tmp_path / f"run-{shard}", ",".join(few))
    found = []
    for order in (("x", "y"), ("y", "x")):
        out = tmp_path / "".join(order)
        assert main(["report", *(str(tmp_path / f"run-{s}") for s in order), "--out", str(out), "--json"]) == 0
        found.append(json.loads((out / "leaderboard.json").read_text()))
    assert differences(tmp_path / "xy", tmp_path / "yx") == {}
    for name in few:
        ours, whole = cells(found[0])[name], cells(board)[name]
        assert (ours["remarks"], ours["scored"]) == (whole["remarks"], 3)
        for number in ("value", "low", "high"):
            same = whole[number] if whole[number] is None else pytest.approx(whole[number], rel=1e-9)
            assert ours[number] == same, (name, number)


def test_features_that_are_gone_are_missed(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "features" / "i3d.16")
    from thbench.cli import main

    assert main(["report", str(tmp_path / "run"), "--json"]) == 0
    cell = cells(json.loads((tmp_path / "run" / "leaderboard.json").read_text()))["fvd/16"]
    assert cell["value"] is None and cell["scored"] == 0
    assert "are not in the run folder; run it again" in str(cell["missing"])


def test_two_faces_and_none_in_a_video(own_weights: Path, tmp_path: Path) -> None:
    """Beside each other they are followed as one track of one of them; without any there is no number."""
    write_drawn_clips(tmp_path / "drawn", seconds=0.6, size=128)
    one, two = ([f.rgb for f in read_frames(tmp_path / "drawn" / f"drawn_{i}.mp4", 25)] for i in (1, 2))
    audio = read_audio(tmp_path / "drawn" / "drawn_1.mp4")
    videos = {
        "two": [np.concatenate((a, b), axis=1) for a, b in zip(one, two, strict=True)],
        "none": [np.zeros_like(a) for a in one],
    }
    names = ["lse-d/shared-faces", "csim/w600k-r50/mediapipe-5pt/same-frame"]
    found = {}
    for name, frames in videos.items():
        path = tmp_path / f"{name}.mkv"
        write_video(path, frames, 25, quality="lossless", audio=audio)
        (found[name],) = evaluate_clip(
            {"a": path}, path, selection=select(names), settings=Settings(), new_tracker=FaceTracker
        ).values()
    assert set(found["two"].values) == set(names)
    assert found["none"].missing == dict.fromkeys(names, "no face in any frame")


def test_one_pair_and_no_pair_have_no_distance(own_weights: Path, folders: tuple[Path, Path], tmp_path: Path) -> None:
    real, made = tmp_path / "real", tmp_path / "made"
    for folder, source in ((real, folders[0]), (made, folders[1])):
        folder.mkdir()
        shutil.copyfile(source / "drawn_1.mp4", folder / "drawn_1.mp4")
    one = cells(evaluate(made, real, tmp_path / "one", "fvd/16,psnr"))["fvd/16"]
    assert (one["value"], one["scored"], one["total"]) == (None, 0, 1)
    assert "set has 1 sample; a Frechet distance needs at least 2" in str(one["missing"])
    alone = cells(evaluate(made, None, tmp_path / "alone", "fvd/16,flicker"))["fvd/16"]
    assert (alone["value"], alone["missing"]) == (None, {"no reference video": 1})


def test_a_still_image_has_no_covariance(own_weights: Path, tmp_path: Path) -> None:
    frames = [np.full((64, 64, 3), 90, np.uint8)] * 32
    for side in ("real", "made"):
        (tmp_path / side).mkdir()
        write_video(tmp_path / side / "a.mkv", frames, 25, quality="lossless")
    cell = cells(evaluate(tmp_path / "made", tmp_path / "real", tmp_path / "run", "fvd/16,psnr"))["fvd/16"]
    assert cell["value"] is None and "all 2 samples of the first set are equal" in str(cell["missing"])
