"""The list of a split's files with their digests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from thbench.errors import UsageError
from thbench.types import Document

if TYPE_CHECKING:
    from pathlib import Path

NAME = "manifest.json"


class File(Document):
    """One file of a clip."""

    name: str
    """File name in the split's folder."""
    bytes: int = Field(gt=0)
    """Exact size."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    def fault(self, folder: Path) -> str | None:
        """What is wrong with the file in a folder; None when it is as listed."""
        path = folder / self.name
        if not path.is_file():
            return f"{self.name} is missing"
        size = path.stat().st_size
        if size != self.bytes:
            return f"{self.name} has {size} bytes, not {self.bytes}"
        digest = sha256_of(path)
        return None if digest == self.sha256 else f"{self.name} has the SHA-256 {digest}, not {self.sha256}"


class Entry(Document):
    """One clip."""

    id: str
    identity: str
    """Who speaks."""
    video: File
    """H.264 with sound."""
    truth: File
    """See `truth.read_truth`."""

    def faults(self, folder: Path) -> list[str]:
        """What is wrong with the clip's files in a folder."""
        return [fault for file in (self.video, self.truth) if (fault := file.fault(folder))]


class Manifest(Document):
    """A split as it was made."""

    version: int
    """Of the generator."""
    split: str
    size: int
    """Pixels along each side."""
    seconds: float
    """Length of each clip."""
    fps: float
    clips: tuple[Entry, ...]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_of(path: Path) -> File:
    """Describe a file as it is."""
    return File(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))


def entry_of(clip: str, identity: str, video: Path, truth: Path) -> Entry:
    """Describe a clip's files as they are."""
    return Entry(id=clip, identity=identity, video=file_of(video), truth=file_of(truth))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a folder's manifest in one step."""
    temporary = folder / f".{NAME}.part"
    temporary.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / NAME)


def read_manifest(folder: Path, *, missing_ok: bool = False) -> Manifest | None:
    """Read a folder's manifest.

    Args:
        folder: Of the split.
        missing_ok: Return None where there is none.

    Raises:
        UsageError: There is none, or it cannot be read as one.
    """
    path = folder / NAME
    if not path.is_file():
        if missing_ok:
            return None
        raise UsageError(f"{folder} has no {NAME}; give the folder of a split, or make one with `thbench data make`")
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a manifest of synth-heads: {error}; make the split again") from error


def check(folder: Path) -> tuple[Manifest, list[str]]:
    """Compare every file of a split with its manifest.

    Args:
        folder: Of the split.

    Returns:
        The manifest, and what is wrong, one sentence each; files that no entry lists are wrong too.

    Raises:
        UsageError: There is no manifest.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UsageError(f"{folder} has no {NAME}; give the folder of a split")
    faults = [fault for entry in manifest.clips for fault in entry.faults(folder)]
    listed = {file.name for entry in manifest.clips for file in (entry.video, entry.truth)}
    extra = [p.name for p in sorted(folder.iterdir()) if p.suffix in {".mp4", ".npz"} and p.name not in listed]
    return manifest, faults + [f"{name} is not in the manifest" for name in extra]
