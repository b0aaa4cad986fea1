"""The sample tables of an MP4 against each other: each damaged number is found, whole files have no fault."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from media_clips import CODECS, Sound, cut, encode, numbered, sine

from thbench.errors import MediaError
from thbench.media import probe, read_frames
from thbench.media._layout import missing_from_matroska, missing_from_mp4, missing_from_wav
from thbench.media._mp4 import table_fault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    return encode(folder / "clip.mp4", [numbered(n) for n in range(50)], sound=Sound(sine(2.0)))


def changed(source: Path, target: Path, box: bytes, offset: int, value: int, size: int = 4) -> Path:
    """Copy with one number changed, counted from the contents of the first box of that name."""
    data = bytearray(source.read_bytes())
    where = data.find(box) + 4 + offset
    data[where : where + size] = value.to_bytes(size, "big")
    target.write_bytes(data)
    return target


@pytest.mark.parametrize(
    ("box", "offset", "value", "said"),
    [
        (b"stts", 8, 49, "times for 49 of 50"),
        (b"ctts", 8, 7, "display times for"),
        (b"ctts", 12, 2**30, "is to be shown at"),
        (b"stsz", 8, 48, "times for 50 of 48"),
        (b"stsz", 12 + 4 * 20, 10**6, "reach to byte|overlapping"),
        (b"stsc", 12, 3, "shorter than it says"),
        (b"stco", 8, 10**9, "reach to byte"),
        (b"stco", 12, 60, "overlapping"),
        (b"mdhd", 16, 10**6, "the header says"),
        (b"stts", 4, 10**6, "shorter than it says|not a video"),
    ],
)
def test_a_damaged_number_is_found(clip: Path, tmp_path: Path, box: bytes, offset: int, value: int, said: str) -> None:
    path = changed(clip, tmp_path / "damaged.mp4", box, offset, value)
    with pytest.raises(MediaError, match=said):
        list(read_frames(path))
    with pytest.raises(MediaError, match=said):
        probe(path)


@pytest.mark.parametrize("codec", [name for name, (_, _, ending, _) in CODECS.items() if ending == ".mp4"])
def test_whole_files_have_no_fault(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / "clip.mp4", [numbered(n) for n in range(30)], codec=codec, sound=Sound(sine(1.2)))
    assert table_fault(path) is None
    assert table_fault(cut(path, tmp_path / "cut.mp4", Fraction(15, 25), Fraction(1))) is None
    assert missing_from_mp4(path) == 0


def test_fragmented_files_are_read(tmp_path: Path, clip: Path) -> None:
    """Their tables are spread over the file; the count of packets still has to agree."""
    import av

    path = tmp_path / "fragments.mp4"
    flags = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(clip)) as reader, av.open(str(path), "w", options=flags) as writer:
        streams = {stream.index: writer.add_stream_from_template(stream) for stream in reader.streams}
        for packet in reader.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writer.mux(packet)
    assert table_fault(path) is None
    assert len(list(read_frames(path))) == 50


@pytest.mark.real
def test_real_files_have_no_fault(shared: Path) -> None:
    for path in shared.glob("real/*/*.mp4"):
        assert table_fault(path) is None
        assert missing_from_mp4(path) == 0


def test_lacking_bytes_are_counted(tmp_path: Path, clip: Path) -> None:
    whole = clip.read_bytes()
    path = tmp_path / "short"
    for lost in (1, 9, 500):
        path.write_bytes(whole[:-lost])
        assert missing_from_mp4(path) == lost
    path.write_bytes(whole + b"\0" * 30)
    assert missing_from_mp4(path) == 0
    store = encode(tmp_path / "clip.mkv", [numbered(1)] * 3, codec="ffv1").read_bytes()
    for lost in (0, 1, 50):
        path.write_bytes(store[: len(store) - lost])
        assert missing_from_matroska(path) == lost
    path.write_bytes(b"RIFF" + (100).to_bytes(4, "little") + b"\0" * 60)
    assert missing_from_wav(path) == 40
