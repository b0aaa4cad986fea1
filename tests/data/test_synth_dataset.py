"""The test split of the package, making and checking splits, and the command."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from thbench.cli import main
from thbench.data.synth_heads import dataset
from thbench.data.synth_heads.make import make_split
from thbench.data.synth_heads.manifest import check, read_manifest
from thbench.data.synth_heads.model import make_model
from thbench.data.synth_heads.person import make_person
from thbench.data.synth_heads.plan import VERSION, plan
from thbench.data.synth_heads.render import render
from thbench.data.synth_heads.scene import make_scene
from thbench.data.synth_heads.truth import select68
from thbench.errors import ExitCode, UsageError


@pytest.fixture(scope="module")
def clips():
    return dataset.clips_of()


def test_the_embedded_split_is_as_listed(clips):
    manifest, faults = check(dataset.embedded_folder())
    assert faults == []
    assert manifest.version == VERSION
    assert (manifest.split, manifest.size, manifest.seconds, manifest.fps) == ("test", 128, 4.0, 25.0)
    assert len(clips) == 48 and len({c.identity for c in clips}) == 24
    assert sum(f.stat().st_size for f in dataset.embedded_folder().iterdir()) < 8e6


def test_every_truth_is_that_of_its_plan(clips):
    for index, clip in enumerate(clips):
        about = dataset.truth_of(clip).about
        planned = plan("test", index)
        assert (about.id, about.identity, about.text) == (clip.id, clip.identity, planned.text)
        assert (about.emotion, about.level, about.intent) == (planned.emotion, planned.level, planned.intent)


@pytest.mark.parametrize("index", [0, 17, 40])
def test_videos_are_what_their_truth_says(clips, index):
    """Draw a few frames again from the stored movements and compare them with the decoded video."""
    from thbench.media import probe, read_audio, read_frames

    clip = clips[index]
    truth = dataset.truth_of(clip)
    decoded = [frame.rgb for frame in read_frames(clip.path)]
    assert len(decoded) == len(truth) == 100
    assert probe(clip.path).width == 128
    audio = read_audio(clip.path)
    assert audio.duration == pytest.approx(4.0, abs=0.1)
    first, last = truth.about.phonemes[0][1], truth.about.phonemes[-1][2]
    loud = np.abs(audio.samples) > 0.02
    assert not loud[: round((first - 0.03) * 16000)].any()
    assert not loud[round((last + 0.08) * 16000) :].any()
    model, scene = make_model(make_person(truth.about.person), 256), make_scene(truth.about.seed)
    for _, frame, picture in zip(range(3), render(model, truth.motion, scene, 128), decoded, strict=False):
        error = np.mean((frame.rgb.astype(float) - picture) ** 2)
        assert 10 * np.log10(255**2 / error) > 30
    assert np.allclose(select68(truth.landmarks478()), truth.landmarks68, atol=1 / 64)


def test_openings_and_pixels_agree_over_the_split(clips):
    agreement = []
    for clip in clips:
        truth = dataset.truth_of(clip)
        agreement.append(np.corrcoef(truth.opening, truth.mouth)[0, 1])
    assert min(agreement) > 0.85


def test_head_motion_differs_from_clip_to_clip(clips):
    poses = [dataset.truth_of(c).pose for c in clips]
    alike = [np.abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) for i, a in enumerate(poses) for b in poses[:i]]
    assert np.mean(alike) < 0.45


@pytest.fixture
def made(tmp_path):
    pytest.importorskip("espeakng_loader", reason="speech needs the extra `synth`")
    folder = tmp_path / "split"
    make_split("train", folder, clips=2, size=128, seconds=2.0)
    return folder


def test_making_again_keeps_what_is_there(made):
    before = {p.name: p.stat().st_mtime_ns for p in made.glob("*.mp4")}
    (made / "train_00001.mp4").write_bytes(b"damaged")
    manifest = make_split("train", made, clips=3, size=128, seconds=2.0)
    after = {p.name: p.stat().st_mtime_ns for p in made.glob("*.mp4")}
    assert [e.id for e in manifest.clips] == ["train_00000", "train_00001", "train_00002"]
    assert after["train_00000.mp4"] == before["train_00000.mp4"]
    assert check(made)[1] == []
    with pytest.raises(UsageError, match="128 px"):
        make_split("train", made, clips=1, size=64, seconds=2.0)


def test_two_makings_give_equal_files(made, tmp_path):
    # Not smaller: below 128 pixels x264 with its macroblock tree writes several bit streams for one picture.
    other = make_split("train", tmp_path / "again", clips=2, size=128, seconds=2.0, workers=2)
    assert other == read_manifest(made)


def test_check_names_every_fault(tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(dataset.embedded_folder(), folder)
    assert main(["data", "check", "--data", str(folder)]) == ExitCode.OK
    video = folder / "test_00003.mp4"
    changed = bytearray(video.read_bytes())
    changed[len(changed) // 2] ^= 1
    video.write_bytes(changed)
    (folder / "test_00004.npz").unlink()
    (folder / "stranger.mp4").write_bytes(b"x")
    capsys.readouterr()
    assert main(["data", "check", "--data", str(folder), "--json"]) == ExitCode.FAILED
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert len(faults) == 3
    assert {f.split()[0] for f in faults} == {"test_00003.mp4", "test_00004.npz", "stranger.mp4"}


def test_list_tells_of_the_embedded_split(capsys):
    assert main(["data", "list", "--json"]) == ExitCode.OK
    splits = json.loads(capsys.readouterr().out)["splits"]
    assert any(s["split"] == "test" and s["clips"] == 48 and s["identities"] == 24 for s in splits)


@pytest.mark.parametrize("arguments", [["--clips", "0"], ["--size", "63"], ["--seconds", "0.5"], ["--workers", "0"]])
def test_wrong_numbers_are_usage_errors(arguments, tmp_path, capsys):
    assert main(["data", "make", "synth-heads", "--out", str(tmp_path / "x"), *arguments]) == ExitCode.USAGE
    assert arguments[1] in capsys.readouterr().err


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no manifest"):
        dataset.clips_of(tmp_path)


def test_missing_speech_package_names_the_extra(monkeypatch, tmp_path, capsys):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "espeakng_loader" else real(name, *a)
    )
    code = main(["data", "make", "synth-heads", "--out", str(tmp_path / "x"), "--clips", "1", "--workers", "1"])
    assert code == ExitCode.USAGE
    assert "thbench[synth]" in capsys.readouterr().err
