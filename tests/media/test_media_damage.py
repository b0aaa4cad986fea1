"""Bad input: one clear sentence for each, and never a hang, a crash or a silently shorter video."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from media_clips import Sound, beep, encode, numbered, sine, write_sound

from thbench.errors import MediaError
from thbench.media import NoAudioError, probe, read_audio, read_frames, write_video
from thbench.media._ffv1 import has_checksums, is_intact
from thbench.types import Audio

if TYPE_CHECKING:
    from collections.abc import Callable

WORKER = Path(__file__).with_name("damage_worker.py")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [numbered(n) for n in range(60)]
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4", frames, sound=Sound(beep(2.4, 1.0)))


def all_readers() -> list[Callable[[Path], object]]:
    return [probe, lambda path: list(read_frames(path)), lambda path: list(read_frames(path, 25)), read_audio]


def _missing(folder: Path) -> Path:
    return folder / "none.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    return folder / "text.mp4"


def _subtitles(folder: Path) -> Path:
    (folder / "subs.mp4").write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n\n")
    return folder / "subs.mp4"


def _playlist(folder: Path) -> Path:
    (folder / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    return folder / "list.mp4"


def _picture(folder: Path) -> Path:
    from PIL import Image

    Image.fromarray(numbered(7)).save(folder / "picture.png")
    return (folder / "picture.png").rename(folder / "picture.mp4")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_missing, "does not exist"),
        (lambda folder: folder, "is a folder"),
        (_empty, "is empty"),
        (_text, "not a video or audio file"),
        (_subtitles, "no video stream|no sound"),
        (_playlist, "not a video or audio file"),
        (_picture, "still picture"),
    ],
    ids=["missing", "folder", "empty", "text", "subtitles", "playlist", "picture"],
)
def test_what_is_no_video_is_said_in_one_sentence(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    path = make(tmp_path)
    for read in all_readers():
        with pytest.raises(MediaError, match=said) as raised:
            read(path)
        assert str(path) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.wav", Sound(sine(0.2), codec="pcm_s16le"))
    for read in all_readers()[:3]:
        with pytest.raises(MediaError, match="no video stream"):
            read(path)
    assert read_audio(path).duration == pytest.approx(0.2)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    """An mp3 with a picture of the album: the sound counts from its own start, and there is no video."""
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libmp3lame", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame(32, 32, "yuvj420p")
        frame.pts = 0
        container.mux(cover.encode(frame))
        container.mux(cover.encode(None))
        from media_clips import encode_sound

        encode_sound(container, track, Sound(sine(1.0), codec="libmp3lame"))
        container.mux(track.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(MediaError, match="no video stream"):
        probe(path)
    assert read_audio(path).duration == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9, 0.9999])
@pytest.mark.parametrize("layout", ["moov-last", "moov-first"])
def test_a_truncated_mp4_never_reads_like_a_shorter_one(tmp_path: Path, clip: Path, share: float, layout: str) -> None:
    path = tmp_path / "cut.mp4"
    whole = (clip if layout == "moov-last" else faststart(clip, tmp_path / "fast.mp4")).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MediaError, match=r"not a video|cut short"):
        list(read_frames(path))
    with pytest.raises(MediaError):
        read_audio(path)


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm", "tone.wav", "tone.flac"])
def test_other_truncated_files_are_found_out(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    if name.startswith("tone"):
        write_sound(path, Sound(sine(2.0), codec="flac" if name.endswith("flac") else "pcm_s16le"))
    else:
        encode(path, [numbered(n) for n in range(60)], codec="vp9" if name.endswith("webm") else "ffv1")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(MediaError):
        read_audio(path) if name.startswith("tone") else list(read_frames(path))


def test_a_break_midway_names_the_frame(tmp_path: Path) -> None:
    """The frames before the break still come out; then the error says where it is."""
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(60)], options={"g": "1", "bf": "0"})
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][30]
    data = bytearray(path.read_bytes())
    middle = (packet.pos or 0) + packet.size // 2
    data[middle : middle + packet.size // 4] = b"\xff" * (packet.size // 4)
    path.write_bytes(data)
    seen = []
    with pytest.raises(MediaError, match=r"breaks after \d+ frames \(\d\.\d+ s\)") as raised:
        seen.extend(frame.index for frame in read_frames(path))
    assert seen == list(range(30))
    assert "after 30 frames (1.200 s)" in str(raised.value)


def test_a_lost_packet_is_noticed_at_once(tmp_path: Path) -> None:
    """A block that is missing in the middle of the store is a gap on its grid."""
    source, target = tmp_path / "whole.mkv", tmp_path / "holed.mkv"
    write_video(source, [numbered(n) for n in range(30)], 25)
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        writer.metadata.update(reader.metadata)
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(p for p in reader.demux() if p.dts is not None):
            packet.stream = stream
            if number != 12:
                writer.mux(packet)
    with pytest.raises(MediaError, match=r"after 12 frames \(0.480 s\)"):
        list(read_frames(target))


def test_frame_rates_of_days_are_damage(tmp_path: Path, clip: Path) -> None:
    """A damaged time scale must not turn two seconds into hours of repeated frames."""
    data = bytearray(clip.read_bytes())
    where = data.find(b"mdhd") + 16
    data[where : where + 4] = (1).to_bytes(4, "big")
    (tmp_path / "slow.mp4").write_bytes(data)
    with pytest.raises(MediaError, match="damaged"):
        list(read_frames(tmp_path / "slow.mp4", 25))


def test_ffv1_checksums_follow_the_standard(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", [numbered(n) for n in range(3)], 25)
    with av.open(str(tmp_path / "a.mkv")) as container:
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    assert all(has_checksums(packet) and is_intact(packet) for packet in packets)
    for place in range(len(packets[0])):
        broken = bytearray(packets[0])
        broken[place] ^= 0x10
        assert not is_intact(bytes(broken))


def test_ffv1_without_checksums_is_read_too(tmp_path: Path) -> None:
    options = {"slicecrc": "0"}
    path = encode(tmp_path / "a.mkv", [numbered(n) for n in range(3)], codec="ffv1-rgb", options=options)
    with av.open(str(path)) as container:
        assert not has_checksums(next(bytes(packet) for packet in container.demux() if packet.size))
    assert len(list(read_frames(path))) == 3


def faststart(source: Path, target: Path) -> Path:
    """The same streams with the header in front of the data."""
    with av.open(str(source)) as reader, av.open(str(target), "w", options={"movflags": "faststart"}) as writer:
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    return target


def damage(source: Path, scratch: Path, kind: str, seed: int, count: int) -> list[dict[str, Any]]:
    """Run the worker and return its outcomes; a hang or a crash fails the test and says which damage did it."""
    command = [
        sys.executable,
        "-X",
        "faulthandler",
        str(WORKER),
        str(source),
        str(scratch),
        kind,
        str(seed),
        str(count),
    ]
    limit = 30 + 5 * count
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"hung for {limit} s at {str(error.stdout)[-200:]}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"died with {done.returncode} at {lines[-1:]}: {done.stderr[-2000:]}"
    whats = [line["what"] for line in lines if "what" in line]
    outcomes = [line["outcome"] for line in lines if "outcome" in line]
    assert len(outcomes) == count
    return [{"what": what} | outcome for what, outcome in zip(whats, outcomes, strict=True)]


def check(outcome: dict[str, Any]) -> None:
    """Either an error or everything that the file declares."""
    assert ("frames" in outcome) != ("stored" in outcome), outcome
    assert ("resampled" in outcome) != ("at25" in outcome), outcome
    assert ("audio" in outcome) != ("samples" in outcome), outcome
    if "stored" in outcome:
        assert outcome["ordered"], outcome
        if outcome.get("declared") is not None:
            assert outcome["stored"] == outcome["declared"], outcome
    if "at25" in outcome and outcome.get("duration") is not None:
        assert abs(outcome["at25"] / 25 - outcome["duration"]) <= 0.53, outcome


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, Path]:
    """A real H.264 clip where there is one, else a made one, in two layouts; a VP9 file; the project's own store."""
    folder = tmp_path_factory.mktemp("victims")
    real = Path(__file__).resolve().parents[2].parent / "shared/real/reference/talkvid_10.mp4"
    source = real if real.is_file() else clip
    frames = [numbered(n) for n in range(40)]
    write_video(folder / "store.mkv", frames, 25, audio=Audio(sine(1.6), 16000))
    return {
        "mp4": source,
        "mp4-faststart": faststart(source, folder / "fast.mp4"),
        "webm": encode(folder / "clip.webm", frames, codec="vp9", sound=Sound(sine(1.6, 48000), 48000, "libopus")),
        "store": folder / "store.mkv",
    }


@pytest.mark.parametrize("kind", ["bytes", "header", "truncate"])
@pytest.mark.parametrize("victim", ["mp4", "mp4-faststart", "webm", "store"])
def test_damaged_files_fail_or_are_complete(victims: dict[str, Path], tmp_path: Path, victim: str, kind: str) -> None:
    _damage_and_check(victims[victim], tmp_path, kind, seed=1, count=8)


@pytest.mark.full
@pytest.mark.parametrize("seed", (2, 3))
@pytest.mark.parametrize("kind", ["bytes", "header", "truncate"])
@pytest.mark.parametrize("victim", ["mp4", "mp4-faststart", "webm", "store"])
def test_damaged_files_fail_or_are_complete_long(
    victims: dict[str, Path], tmp_path: Path, victim: str, kind: str, seed: int
) -> None:
    _damage_and_check(victims[victim], tmp_path, kind, seed, count=60)


def _damage_and_check(victim: Path, folder: Path, kind: str, seed: int, count: int) -> None:
    whole = len(list(read_frames(victim)))
    outcomes = damage(victim, folder / f"damaged{victim.suffix}", kind, seed, count)
    for outcome in outcomes:
        check(outcome)
        # Matroska from elsewhere lists no frames: there a block whose header is damaged cannot be missed. A byte that
        # is changed in the list itself makes another file, as long as this one says.
        told = victim.suffix != ".webm" and outcome.get("declared") in (None, whole)
        if kind == "truncate" or (kind == "bytes" and told):
            assert outcome.get("stored", whole) == whole, outcome
    assert any("frames" in outcome for outcome in outcomes)


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.full)])
def test_the_store_gives_the_same_pixels_or_an_error(victims: dict[str, Path], tmp_path: Path, count: int) -> None:
    """With its checksums no changed byte may change a picture unnoticed."""
    (whole,) = damage(victims["store"], tmp_path / "same.mkv", "truncate", 0, 1)
    del whole
    from zlib import crc32

    pixels = crc32(json.dumps([crc32(frame.rgb) for frame in read_frames(victims["store"])]).encode())
    for outcome in damage(victims["store"], tmp_path / "damaged.mkv", "bytes", 7, count):
        check(outcome)
        if "stored" in outcome:
            assert (outcome["stored"], outcome["pixels"]) == (40, pixels), outcome


def test_audio_errors_are_media_errors(tmp_path: Path) -> None:
    assert issubclass(NoAudioError, MediaError)
    path = write_sound(tmp_path / "nan.wav", Sound(np.array([0.0, np.nan, 0.5] * 400, np.float32), codec="pcm_f32le"))
    with pytest.raises(MediaError, match="not numbers"):
        read_audio(path)
    assert Fraction(1) == 1
