"""Writing: exact store, right colours in the copy for people, nothing half-written under a finished name."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_clips import beep, beep_at, numbered, sine, solid

from thbench.errors import MediaError, UsageError
from thbench.media import VideoWriter, probe, read_audio, read_frames, write_video
from thbench.types import Audio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


def noise(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(2, 70),
    width=st.integers(2, 70),
    count=st.integers(1, 6),
    rate=st.sampled_from([25, 30, 12.5, 23.976, 30000 / 1001]),
    seed=st.integers(0, 99),
)
def test_the_store_gives_back_every_bit(
    tmp_path: Path, height: int, width: int, count: int, rate: float, seed: int
) -> None:
    frames = noise(count, height, width, seed)
    path = tmp_path / "store.mkv"
    assert write_video(path, iter(frames), rate) == count
    back = list(read_frames(path))
    assert len(back) == count
    assert all(np.array_equal(frame.rgb, wrote) for frame, wrote in zip(back, frames, strict=True))
    assert [frame.time for frame in back] == pytest.approx([n / rate for n in range(count)], rel=1e-12, abs=1e-12)
    assert np.array_equal(np.stack([frame.rgb for frame in read_frames(path, rate)]), np.stack(frames))


def test_sound_in_the_store_is_exact(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 12345).astype(np.float32)
    write_video(tmp_path / "a.mkv", noise(30), 25, audio=Audio(samples, 22050))
    info = probe(tmp_path / "a.mkv")
    assert (info.codec, info.audio_codec, info.audio_rate, info.warnings) == ("ffv1", "pcm_f32le", 22050, ())
    assert np.array_equal(read_audio(tmp_path / "a.mkv", 22050).samples, samples)


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (250, 200, 180)])
def test_the_copy_for_people_has_the_right_colours_in_every_reader(tmp_path: Path, color: tuple[int, int, int]) -> None:
    path = tmp_path / "view.mp4"
    write_video(path, [solid(color, 48, 64)] * 3, 25, quality="view")
    info = probe(path)
    assert (info.color_space, info.color_range, info.color_primaries, info.color_transfer) == (
        "bt709",
        "tv",
        "bt709",
        "bt709",
    )
    assert (info.codec, info.pixel_format, info.warnings) == ("h264", "yuv420p", ())
    for frame in read_frames(path):
        assert np.abs(frame.rgb.astype(int) - color).max() <= 4
    with av.open(str(path)) as container:
        for plain in container.decode(video=0):
            assert np.abs(plain.to_ndarray(format="rgb24").astype(int) - color).max() <= 4


def test_real_like_pictures_survive_the_copy(tmp_path: Path) -> None:
    y, x = np.mgrid[:64, :96]
    frames = [np.stack([x * 2 + n, y * 3, 255 - x - y], -1).astype(np.uint8) for n in range(10)]
    write_video(tmp_path / "view.mp4", frames, 25, quality="view")
    for frame, wrote in zip(read_frames(tmp_path / "view.mp4"), frames, strict=True):
        error = np.mean((frame.rgb.astype(float) - wrote) ** 2)
        assert 10 * np.log10(255**2 / error) > 33


@pytest.mark.parametrize("quality", ["lossless", "view"])
@pytest.mark.parametrize("rate", [25, 30000 / 1001])
@pytest.mark.parametrize("sound_rate", [16000, 44100])
def test_picture_and_sound_start_together_and_keep_their_lengths(
    tmp_path: Path, quality: str, rate: float, sound_rate: int
) -> None:
    path = tmp_path / ("clip.mkv" if quality == "lossless" else "clip.mp4")
    frames = [numbered(n) for n in range(50)]
    audio = Audio(beep(2.5, 1.0, sound_rate), sound_rate)
    write_video(path, frames, rate, quality=quality, audio=audio)  # type: ignore[arg-type]
    info = probe(path)
    assert info.audio_start == pytest.approx(0, abs=1e-9)
    assert info.duration == pytest.approx(50 / rate, abs=1e-3)
    assert info.average_rate == Fraction(rate).limit_denominator(1001)
    back = read_audio(path, sound_rate)
    assert abs(len(back.samples) - len(audio.samples)) <= 1
    assert beep_at(back.samples, sound_rate) == pytest.approx(1.0, abs=1e-3)
    assert sum(1 for _ in read_frames(path, rate)) == 50


def test_odd_sizes_of_the_copy_repeat_their_edge(tmp_path: Path) -> None:
    y, x = np.mgrid[:33, :47]
    frame = np.stack([x * 5, y * 7, x + y], -1).astype(np.uint8)
    write_video(tmp_path / "odd.mp4", [frame] * 2, 25, quality="view")
    (out, _) = read_frames(tmp_path / "odd.mp4")
    assert out.rgb.shape == (34, 48, 3)
    assert np.abs(out.rgb[:33, :47].astype(int) - frame).mean() < 6
    assert np.abs(out.rgb[-1].astype(int) - out.rgb[-2]).mean() < 3


def test_a_finished_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_video(path, noise(3), 25)
    write_video(path, noise(5, seed=1), 25)
    assert len(list(read_frames(path))) == 5
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_video(path, noise(3), 25)
    before = path.read_bytes()

    def failing() -> Iterator[NDArray[np.uint8]]:
        yield from noise(20)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_video(path, failing(), 25, audio=Audio(sine(1.0), 16000))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_while_writing_there_is_no_file_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with VideoWriter(path, 25) as writer:
        for frame in noise(4):
            writer.write(frame)
            assert not path.exists()
            assert not list(tmp_path.glob("*.mkv"))
    assert writer.frames == 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["clip.mkv", "clip.mp4"])
def test_no_frames_is_an_error(tmp_path: Path, ending: str) -> None:
    with pytest.raises(MediaError, match="no frames"):
        write_video(tmp_path / ending, [], 25, quality="lossless" if ending.endswith("mkv") else "view")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.zeros((8, 8, 4), np.uint8), "shape"),
        (np.zeros((8, 8, 3), np.float32), "float32"),
        (np.zeros((0, 8, 3), np.uint8), "shape"),
        (np.zeros((1, 8, 3), np.uint8), "at least 2x2"),
        ([[0, 0, 0]], "list"),
        (np.zeros((8, 10, 3), np.uint8), "10x8, expected 8x8"),
    ],
)
def test_frames_that_are_none_are_refused_by_number(tmp_path: Path, frame: object, said: str) -> None:
    with pytest.raises(MediaError, match=said) as raised:
        write_video(tmp_path / "clip.mkv", [np.zeros((8, 8, 3), np.uint8), frame], 25)  # type: ignore[list-item]
    assert "frame 1" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_given_size_binds_the_first_frame(tmp_path: Path) -> None:
    with (
        pytest.raises(MediaError, match="64x48, expected 32x16"),
        VideoWriter(tmp_path / "a.mkv", 25, size=(16, 32)) as w,
    ):
        w.write(noise(1)[0])


def test_views_and_strides_are_fine(tmp_path: Path) -> None:
    frame = noise(1, 40, 60)[0]
    write_video(tmp_path / "a.mkv", [frame[::2, ::-1]] * 2, 25)
    assert all(np.array_equal(out.rgb, frame[::2, ::-1]) for out in read_frames(tmp_path / "a.mkv"))


@pytest.mark.parametrize(
    ("name", "quality", "said"),
    [("a.mp4", "lossless", ".mkv"), ("a.mkv", "view", ".mp4"), ("a.mkv", "lossles", "did you mean 'lossless'")],
)
def test_wrong_endings_and_qualities_are_refused(tmp_path: Path, name: str, quality: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        VideoWriter(tmp_path / name, 25, quality=quality)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (Audio(np.zeros((2, 100), np.float32), 16000), "mono"),
        (Audio(np.zeros(0, np.float32), 16000), "n > 0"),
        (Audio(np.array([0.1, np.nan], np.float32), 16000), "not numbers"),
        (Audio(np.zeros(100, np.float32), 17000), "AAC has no rate"),
    ],
)
def test_sound_that_cannot_be_written_is_refused_first(tmp_path: Path, audio: Audio, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        write_video(tmp_path / "a.mp4", noise(2), 25, quality="view", audio=audio)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path: Path) -> None:
    def never() -> Iterator[NDArray[np.uint8]]:
        pytest.fail("frames were asked for")
        yield

    with pytest.raises(MediaError, match=r"cannot write to .*none"):
        write_video(tmp_path / "none" / "a.mkv", never(), 25)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MediaError, match="cannot write to"):
        write_video(tmp_path / "a.mkv", noise(1), 25)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = VideoWriter(tmp_path / "a.mkv", 25)
    writer._temporary.symlink_to("/dev/full")
    monkeypatch.setattr("pathlib.Path.touch", lambda self, exist_ok: None)
    with pytest.raises(MediaError, match="no space left"), writer:
        for frame in noise(40, 128, 128):
            writer.write(frame)
    assert list(tmp_path.iterdir()) == []
