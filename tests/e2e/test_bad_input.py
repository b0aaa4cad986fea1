"""Every way a folder can be wrong: one clear sentence, the right exit code, and the rest is scored."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from thbench.media import read_frames, write_video

FAST = ("--metrics", "psnr,flicker,duration-error,lip-audio-corr", "--executor", "local", "--quiet")


@pytest.fixture
def folders(drawn: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A reference folder and a generated folder that is a copy of it."""
    real, made = tmp_path / "real", tmp_path / "made"
    shutil.copytree(drawn, real)
    shutil.copytree(drawn, made)
    return real, made


def failures(outcome: object) -> dict[str, str]:
    return {f["clip"]: f["error"] for f in outcome.leaderboard["failures"]}  # type: ignore[attr-defined]


def spoil_zero_bytes(path: Path) -> None:
    path.write_bytes(b"")


def spoil_text(path: Path) -> None:
    path.write_text("this is not a video\n" * 50)


def spoil_truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def spoil_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 4000] = bytes(4000)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("spoil", [spoil_zero_bytes, spoil_text, spoil_truncate, spoil_middle])
def test_one_bad_file_among_many_is_one_failed_record(
    folders: tuple[Path, Path],
    thbench: Callable[..., object],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    weights: str,
) -> None:
    real, made = folders
    spoil(made / "drawn_2.mp4")
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", tmp_path / "run", *FAST)
    assert outcome.code == 1
    errors = failures(outcome)
    assert list(errors) == ["drawn_2"]
    assert "drawn_2.mp4" in errors["drawn_2"]
    assert "\n" not in errors["drawn_2"]
    cell = outcome.cell("made", "psnr")
    assert (cell["scored"], cell["total"]) == (2, 3)
    truth = outcome.cell("ground-truth", "psnr")
    assert (truth["scored"], truth["total"]) == (3, 3)


def test_a_video_without_sound_keeps_its_other_metrics(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path, weights: str
) -> None:
    real, made = folders
    frames = [f.rgb for f in read_frames(made / "drawn_1.mp4")]
    write_video(made / "drawn_1.mp4", frames, 25, quality="view")
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", tmp_path / "run", *FAST)
    assert outcome.code == 0
    assert outcome.cell("made", "psnr")["scored"] == 3
    cell = outcome.cell("made", "lip-audio-corr")
    assert cell["scored"] == 2
    assert "no sound track" in str(cell["missing"])


def test_a_video_without_a_face_keeps_its_other_metrics(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path, weights: str
) -> None:
    real, made = folders
    noise = np.random.default_rng(0).integers(0, 256, (50, 192, 192, 3), dtype=np.uint8)
    write_video(made / "drawn_1.mp4", noise, 25, quality="view")
    outcome = thbench(
        "eval", "--generated", made, "--reference", real, "--out", tmp_path / "run",
        "--metrics", "psnr,m-lmd,blink-rate", "--executor", "local", "--quiet",
    )  # fmt: skip
    assert outcome.code == 0
    assert outcome.cell("made", "psnr")["scored"] == 3
    for metric in ("m-lmd/eat", "blink-rate"):
        cell = outcome.cell("made", metric)
        assert cell["scored"] == 2
        assert "no face" in str(cell["missing"])


def test_pairs_of_other_length_rate_and_size_say_so(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path, weights: str
) -> None:
    real, made = folders
    frames = [f.rgb for f in read_frames(real / "drawn_1.mp4")]
    write_video(made / "drawn_1.mp4", frames[:30], 25, quality="view")
    write_video(made / "drawn_2.mp4", frames, 30, quality="view")
    write_video(made / "drawn_3.mp4", [f[::2, ::2] for f in frames], 25, quality="view")
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", tmp_path / "run", *FAST)
    assert outcome.code == 0
    psnr = outcome.cell("made", "psnr")
    assert psnr["scored"] == 2
    assert "96x96" in str(psnr["missing"])
    text = (tmp_path / "run").joinpath(next(p.name for p in (tmp_path / "run").glob("clips-*.jsonl"))).read_text()
    for words in ("lengths differ", "frame rates differ", "sizes differ"):
        assert words in text


def test_missing_partners_are_named(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path, weights: str
) -> None:
    real, made = folders
    (made / "drawn_1.mp4").unlink()
    (real / "drawn_3.mp4").unlink()
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", tmp_path / "run", *FAST)
    assert outcome.code == 1
    assert failures(outcome) == {"drawn_1": "no generated video for reference clip 'drawn_1'"}
    psnr = outcome.cell("made", "psnr")
    assert (psnr["scored"], psnr["total"]) == (1, 3)
    assert "no reference video" in str(psnr["missing"])
    assert outcome.cell("made", "flicker")["scored"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--generated", "nowhere"), "no folder"),
        (("--metrics", "psrn"), "did you mean 'psnr'"),
        (("--fps", "0"), "--fps is 0"),
        (("--workers", "0"), "--workers is 0"),
    ],
)
def test_wrong_usage_exits_with_3_and_one_sentence(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path, change: tuple[str, ...], message: str
) -> None:
    real, made = folders
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", tmp_path / "run", *change)
    assert outcome.code == 3
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list((tmp_path / "run").glob("clips-*")) if (tmp_path / "run").exists() else True


def test_a_folder_without_videos_and_one_that_cannot_be_written(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path
) -> None:
    real, made = folders
    empty = tmp_path / "empty"
    empty.mkdir()
    outcome = thbench("eval", "--generated", empty, "--reference", real, "--out", tmp_path / "run")
    assert (outcome.code, "no video in" in outcome.err) == (3, True)
    file = tmp_path / "file"
    file.write_text("x")
    outcome = thbench("eval", "--generated", made, "--reference", real, "--out", file / "run", *FAST)
    assert outcome.code == 3
    assert str(file) in outcome.err


def test_nothing_measured_is_its_own_exit_code(
    folders: tuple[Path, Path], thbench: Callable[..., object], tmp_path: Path
) -> None:
    _, made = folders
    for path in made.iterdir():
        path.write_bytes(b"")
    outcome = thbench("eval", "--generated", made, "--out", tmp_path / "run", *FAST)
    assert outcome.code == 2
    assert "no clip gave a value" in outcome.err
