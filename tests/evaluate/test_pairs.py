from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from thbench.data.folder import identities_of, videos_of
from thbench.errors import UsageError
from thbench.evaluate.pairs import pair_folders

if TYPE_CHECKING:
    from pathlib import Path


def folder_of(path: Path, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"x")
    return path


def test_partners_share_a_name_whatever_their_ending(tmp_path: Path) -> None:
    made = folder_of(tmp_path / "g", "a.mp4", "b.mkv", ".hidden.mp4", "notes.txt")
    real = folder_of(tmp_path / "r", "a.mov", "c.mp4")
    pairs = {
        p.clip: (p.generated and p.generated.name, p.reference and p.reference.name) for p in pair_folders(made, real)
    }
    assert pairs == {"a": ("a.mp4", "a.mov"), "b": ("b.mkv", None), "c": (None, "c.mp4")}


def test_without_reference_every_generated_video_stands_alone(tmp_path: Path) -> None:
    made = folder_of(tmp_path / "g", "a.mp4")
    assert [(p.clip, p.reference) for p in pair_folders(made, None)] == [("a", None)]


def test_a_table_pairs_other_names(tmp_path: Path) -> None:
    made = folder_of(tmp_path / "g", "a_fake.mp4")
    real = folder_of(tmp_path / "r", "a.mp4")
    table = tmp_path / "pairs.csv"
    table.write_text("generated,reference\na_fake.mp4,a.mp4\n")
    (pair,) = pair_folders(made, real, table)
    assert (pair.clip, pair.generated.name if pair.generated else None) == ("a", "a_fake.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "must have generated,reference"),
        ("generated,reference\nb.mp4,a.mp4\n", "names generated video 'b.mp4'"),
        ("generated,reference\na_fake.mp4,z.mp4\n", "names reference video 'z.mp4'"),
        ("generated,reference\na_fake.mp4,a.mp4\na_fake.mp4,a.mp4\n", "twice"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    made = folder_of(tmp_path / "g", "a_fake.mp4")
    real = folder_of(tmp_path / "r", "a.mp4")
    table = tmp_path / "pairs.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        pair_folders(made, real, table)


def test_folders_that_cannot_be_used_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        videos_of(tmp_path / "nowhere", role="--generated")
    with pytest.raises(UsageError, match="no video in"):
        videos_of(folder_of(tmp_path / "empty", "readme.txt"), role="--generated")
    with pytest.raises(UsageError, match="one clip name"):
        videos_of(folder_of(tmp_path / "twice", "a.mp4", "a.mkv"), role="--generated")
    file = tmp_path / "file.mp4"
    file.write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        videos_of(file, role="--generated")


def test_identities_come_from_a_table_a_pattern_or_the_clip(tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text("clip,identity\nann_1,Ann\n")
    clips = ["ann_1", "ann_2", "bob_1"]
    assert identities_of(clips) == {c: c for c in clips}
    assert identities_of(clips, pattern="^([^_]+)_") == {"ann_1": "ann", "ann_2": "ann", "bob_1": "bob"}
    assert identities_of(clips, table=table, pattern="^([^_]+)_")["ann_1"] == "Ann"
    for pattern, message in (("(", "not a regular expression"), ("ann", "has no group")):
        with pytest.raises(UsageError, match=message):
            identities_of(clips, pattern=pattern)
