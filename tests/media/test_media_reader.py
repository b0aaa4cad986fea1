"""Reading frames: codecs, times, edit lists, orientation and colour."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av
import numpy as np
import psutil
import pytest
from media_clips import (
    CODECS,
    HEIGHT,
    WIDTH,
    Colour,
    Sound,
    beep,
    beep_at,
    cut,
    encode,
    number_of,
    numbered,
    solid,
)

from thbench.errors import MediaError
from thbench.media import probe, read_audio, read_frames
from thbench.media._picture import Orientation

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOSSY = 8
"""Levels that a solid colour may be off after a good lossy encoding, colour conversion both ways included."""


def numbers(path: Path, fps: float | Fraction | None = None) -> list[int]:
    return [number_of(frame.rgb) for frame in read_frames(path, fps)]


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_gives_every_frame_at_its_time(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / f"clip{CODECS[codec][2]}", [numbered(n) for n in range(40)], codec=codec, rate=25)
    frames = list(read_frames(path))
    assert [number_of(frame.rgb) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(40)], abs=5e-4)
    first = frames[0].rgb
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    info = probe(path)
    assert (info.width, info.height, info.pixel_format) == (WIDTH, HEIGHT, CODECS[codec][1])
    assert info.codec == codec.split("-")[0]
    assert info.average_rate == 25
    assert info.duration == pytest.approx(1.6, abs=1e-3)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("color", [(255, 0, 0), (0, 0, 255), (30, 200, 90)])
def test_a_solid_colour_keeps_its_colour(tmp_path: Path, codec: str, color: tuple[int, int, int]) -> None:
    path = encode(tmp_path / f"clip{CODECS[codec][2]}", [solid(color)] * 3, codec=codec)
    for frame in read_frames(path):
        assert np.abs(frame.rgb.astype(int) - color).max() <= (0 if codec == "ffv1-rgb" else LOSSY)


@pytest.mark.parametrize("space", [1, 5, 9], ids=["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("color_range", [1, 2], ids=["limited", "full"])
def test_tagged_matrix_and_range_are_used(tmp_path: Path, space: int, color_range: int) -> None:
    path = encode(tmp_path / "clip.mkv", [solid((200, 60, 20))] * 2, codec="ffv1", colour=Colour(space, color_range))
    (frame, _) = read_frames(path)
    assert np.abs(frame.rgb.astype(int) - (200, 60, 20)).max() <= LOSSY
    assert probe(path).warnings == ()


def test_untagged_colour_is_read_as_bt601_and_warned_of(tmp_path: Path) -> None:
    as_601 = encode(tmp_path / "601.mp4", [solid((255, 0, 0))] * 2, colour=Colour(5, tagged=False))
    as_709 = encode(tmp_path / "709.mp4", [solid((255, 0, 0))] * 2, colour=Colour(1, tagged=False))
    info = probe(as_601)
    assert info.color_space is None
    assert info.color_range is None
    assert any("not tagged" in warning for warning in info.warnings)
    (frame, _) = read_frames(as_601)
    assert np.abs(frame.rgb.astype(int) - (255, 0, 0)).max() <= LOSSY
    (frame, _) = read_frames(as_709)
    assert np.abs(frame.rgb.astype(int) - (255, 0, 0)).max() > LOSSY


def test_colour_tags_are_reported(tmp_path: Path) -> None:
    info = probe(encode(tmp_path / "clip.mp4", [numbered(0)] * 2))
    assert (info.color_space, info.color_range) == ("bt709", "tv")


def test_variable_rate_is_resampled_by_time(tmp_path: Path) -> None:
    """55 stored frames over 3 s are 75 at 25 fps, each showing what was on display."""
    starts = sorted(np.random.default_rng(1).choice(np.arange(1, 2800), 53, replace=False).tolist())
    times = [Fraction(int(t * 12.8), 12800) for t in [0, *starts, 2900, 3000]]
    path = encode(tmp_path / "vfr.mp4", [numbered(n) for n in range(55)], times=times, options={"bf": "0"})
    assert probe(path).duration == pytest.approx(3, abs=1e-3)
    stored = list(read_frames(path))
    assert [number_of(frame.rgb) for frame in stored] == list(range(55))
    assert [frame.time for frame in stored] == pytest.approx([float(t) for t in times[:-1]], abs=1e-9)
    out = list(read_frames(path, 25))
    assert len(out) == 75
    assert [frame.time for frame in out] == pytest.approx([n / 25 for n in range(75)])
    for frame in out:
        begun = [n for n, time in enumerate(times[:-1]) if time - Fraction(1, 50) < Fraction(frame.index, 25)]
        assert number_of(frame.rgb) == begun[-1]


@pytest.mark.parametrize(("fps", "count"), [(25, 50), (50, 100), (12.5, 25), (30000 / 1001, 60), (30, 60)])
def test_resampling_a_constant_rate(tmp_path: Path, fps: float, count: int) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(50)])
    out = numbers(path, fps)
    assert len(out) == count
    assert all(0 <= b - a <= max(1, 25 / fps) for a, b in pairwise(out))
    if fps == 50:
        assert out == [n // 2 for n in range(100)]


def test_repeated_frames_are_arrays_of_their_own(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(4)])
    seen: list[NDArray[np.uint8]] = []
    for frame in read_frames(path, 100):
        assert number_of(frame.rgb) == len(seen) // 4
        frame.rgb[:] = 0
        seen.append(frame.rgb)
    assert len(seen) == 16
    assert len({array.ctypes.data for array in seen}) == 16


@pytest.fixture(scope="module")
def flash_and_beep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds; at 2.4 s, frame 60, the number 255 flashes and a beep sounds."""
    frames = [numbered(255 if n == 60 else n) for n in range(100)]
    folder = tmp_path_factory.mktemp("flash")
    return encode(folder / "flash.mp4", frames, sound=Sound(beep(4.0, 2.4)), options={"g": "25"})


def test_picture_and_sound_agree(flash_and_beep: Path) -> None:
    assert numbers(flash_and_beep).index(255) == 60
    assert beep_at(read_audio(flash_and_beep).samples) == pytest.approx(2.4, abs=1e-3)


@pytest.mark.parametrize("first", [26, 40, 49, 50])
def test_a_stream_copied_cut_shows_what_its_edit_list_says(flash_and_beep: Path, tmp_path: Path, first: int) -> None:
    """Frames before the cut stay in the file to decode the others; they must not be shown, nor shift the sound."""
    path = cut(flash_and_beep, tmp_path / "cut.mp4", Fraction(first, 25), Fraction(80, 25))
    with av.open(str(path)) as container:
        hidden = sum(entry.is_discard for entry in container.streams.video[0].index_entries)
    assert hidden > 0
    shown = numbers(path)
    assert shown == [255 if n == 60 else n for n in range(first, 80)]
    assert numbers(path, 25) == shown
    assert beep_at(read_audio(path).samples) == pytest.approx((60 - first) / 25, abs=1e-3)
    info = probe(path)
    assert info.duration == pytest.approx((80 - first) / 25)
    assert info.average_rate == 25
    assert info.audio_start == pytest.approx(0, abs=1e-3)


def test_video_that_starts_late_is_time_zero(tmp_path: Path) -> None:
    """Sound from 0 s, picture from 0.4 s on: what sounded before the first frame is cut."""
    frames = [numbered(255 if n == 10 else n) for n in range(25)]
    times = [Fraction(n + 10, 25) for n in range(26)]
    path = encode(tmp_path / "late.mp4", frames, times=times, sound=Sound(beep(1.4, 0.8)))
    out = list(read_frames(path))
    assert out[0].time == 0
    assert number_of(out[10].rgb) == 255
    assert beep_at(read_audio(path).samples) == pytest.approx(out[10].time, abs=1e-3)
    assert len(numbers(path, 25)) == 25
    assert probe(path).audio_start == pytest.approx(-0.4, abs=1e-3)


def test_sound_that_starts_late_is_preceded_by_silence(tmp_path: Path) -> None:
    frames = [numbered(255 if n == 20 else n) for n in range(25)]
    sound = Sound(beep(0.5, 0.3), start=8000, codec="pcm_s16le")
    path = encode(tmp_path / "late.mkv", frames, codec="ffv1", sound=sound)
    audio = read_audio(path)
    assert beep_at(audio.samples) == pytest.approx(0.8, abs=1e-3)
    assert not audio.samples[:8000].any()
    assert probe(path).audio_start == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize(("mirrored", "upended"), [(False, False), (True, False), (False, True)])
def test_display_matrix_is_applied(tmp_path: Path, quarters: int, mirrored: bool, upended: bool) -> None:
    """FFmpeg's matrix turns the picture counter-clockwise, then mirrors it left-right or upside down."""
    stored = solid((40, 40, 40))
    stored[: HEIGHT // 4, : WIDTH // 4] = 250
    path = encode(tmp_path / "turned.mp4", [stored] * 2, turn=(90.0 * quarters, mirrored, upended))
    (frame, _) = read_frames(path)
    expected = np.rot90(stored, k=quarters)
    expected = expected[:, ::-1] if mirrored else expected[::-1] if upended else expected
    assert frame.rgb.shape == expected.shape
    assert np.abs(frame.rgb.astype(int) - expected).mean() < 6
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]
    if not (mirrored or upended):
        assert info.rotation == -90 * quarters % 360


def test_orientation_agrees_with_numpy() -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(Orientation().apply(rgb), rgb)
    assert np.array_equal(Orientation(True, False, True).apply(rgb), np.rot90(rgb, -1))
    assert np.array_equal(Orientation(True, True, False).apply(rgb), np.rot90(rgb))
    assert np.array_equal(Orientation(False, True, True).apply(rgb), np.rot90(rgb, 2))
    assert [Orientation(True, False, True).degrees, Orientation(True, True, False).degrees] == [90, 270]


def test_closing_early_closes_the_file(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(40)])
    with closing(read_frames(path)) as frames:
        assert number_of(next(frames).rgb) == 0
        assert _is_open(path)
    assert not _is_open(path)


def _is_open(path: Path) -> bool:
    return str(path) in {file.path for file in psutil.Process().open_files()}


def test_two_readers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(30)])
    pairs = zip(read_frames(path), read_frames(path, 50), strict=False)
    assert [number_of(a.rgb) for a, _ in pairs] == list(range(30))


def test_an_oblique_display_matrix_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "oblique.mp4", [numbered(1)] * 2, turn=(30.0, False, False))
    with pytest.raises(MediaError, match="quarter turns"):
        list(read_frames(path))


@pytest.mark.parametrize("codec", CODECS)
def test_frames_do_not_depend_on_threads(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / f"clip{CODECS[codec][2]}", [numbered(7 * n) for n in range(20)], codec=codec)
    one, four = (np.stack([frame.rgb for frame in read_frames(path, threads=count)]) for count in (1, 4))
    assert np.array_equal(one, four)


def test_a_change_of_size_midway_is_said(tmp_path: Path) -> None:
    small = encode(tmp_path / "a.webm", [solid((9, 9, 9))] * 5, codec="vp9")
    large = encode(tmp_path / "b.webm", [solid((9, 9, 9), 96, 160)] * 5, codec="vp9")
    joined = tmp_path / "joined.webm"
    with av.open(str(small)) as a, av.open(str(large)) as b, av.open(str(joined), "w") as writer:
        stream = writer.add_stream_from_template(a.streams.video[0])
        for shift, reader in ((0, a), (200, b)):
            for packet in reader.demux(video=0):
                if packet.pts is not None and packet.dts is not None:
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    writer.mux(packet)
    with pytest.raises(MediaError, match="changes from 128x64 to 160x96"):
        list(read_frames(joined))
