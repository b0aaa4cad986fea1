"""Frozen weight files: what they are, where they lie, and whether they are the published ones.

A file counts only if its size and SHA-256 are those of its publisher. Nothing here touches the network except `fetch`
without `source`, which runs only when somebody asks for it.

To add a file, add a `WeightSpec` to `_FILES`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import secrets
import stat
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from thbench.errors import MissingWeightsError, UsageError, WeightsMismatchError, did_you_mean
from thbench.spec import WeightSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FOLDER_VARIABLE = "THBENCH_WEIGHTS"
"""Environment variable that names the weights folder."""

_FILES: tuple[WeightSpec, ...] = (
    WeightSpec(
        name="face-landmarker",
        file="face_landmarker.task",
        bytes=3_758_596,
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        licence="Apache-2.0",
        source="MediaPipe Face Landmarker, float16, version 1: https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        used_for="the face pass: landmarks, blendshapes and head pose",
    ),
)

WEIGHTS: Mapping[str, WeightSpec] = MappingProxyType({spec.name: spec for spec in sorted(_FILES, key=lambda s: s.name)})
"""Weight files by name."""

_CHUNK = 1 << 20
_TIMEOUT = 60.0


def weights_folder() -> Path:
    """Folder of the weight files: `THBENCH_WEIGHTS` if set, else `weights` in the user's cache folder for thbench."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else _cache_folder() / "weights"


def spec_of(name: str) -> WeightSpec:
    """Return the spec of a weight file.

    Raises:
        UsageError: No weight file is called `name`.
    """
    try:
        return WEIGHTS[name]
    except KeyError:
        raise UsageError(f"no weight file is called {name!r}{did_you_mean(name, WEIGHTS)}") from None


def find(name: str) -> Path | None:
    """Return where a weight file lies, or None if no file of the right name and size is there; reads no content.

    Raises:
        UsageError: No weight file is called `name`.
    """
    spec = spec_of(name)
    path = weights_folder() / spec.file
    return path if _size(path) == spec.bytes else None


def locate(name: str) -> Path:
    """Return where a weight file lies, once it is known to be the published one.

    The first call for a file hashes it; that it was right is remembered in the user's cache folder by path, size and
    modification time, so that later calls, also in other processes, only look at those.

    Args:
        name: Name in `WEIGHTS`.

    Returns:
        Path of a file with the published size and SHA-256.

    Raises:
        UsageError: No weight file is called `name`.
        MissingWeightsError: The file is not there.
        WeightsMismatchError: A file is there, but not the published one.
    """
    spec = spec_of(name)
    path = weights_folder() / spec.file
    _require_size(path, spec)
    note = _Note(path, spec)
    if not note.holds():
        _require_digest(path, spec)
        note.write()
    return path


def verify(name: str) -> Path:
    """Hash a weight file, whatever is remembered of it, and return where it lies.

    Raises:
        UsageError: No weight file is called `name`.
        MissingWeightsError: The file is not there.
        WeightsMismatchError: A file is there, but not the published one.
    """
    spec = spec_of(name)
    path = weights_folder() / spec.file
    _require_size(path, spec)
    _require_digest(path, spec)
    _Note(path, spec).write()
    return path


def fetch(name: str, *, source: Path | None = None, on_bytes: Callable[[int, int], None] | None = None) -> Path:
    """Put a weight file into the weights folder; a right one that is there already is left alone, without network.

    The bytes go to a temporary file in the same folder, are hashed as they pass, and take the final name only when they
    are the published ones. A wrong file under the final name is replaced.

    Args:
        name: Name in `WEIGHTS`.
        source: A copy of the file on this machine; None downloads it from the `url` of its spec.
        on_bytes: Told after each piece how many bytes have come and how many there will be.

    Returns:
        Path of the file in the weights folder.

    Raises:
        UsageError: No weight file is called `name`, or the folder or `source` cannot be used.
        MissingWeightsError: The file has no direct download, or the download failed.
        WeightsMismatchError: What came is not the published file; nothing is left in the folder.
    """
    spec = spec_of(name)
    with suppress(MissingWeightsError, WeightsMismatchError):
        return locate(name)
    target = weights_folder() / spec.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _opened(spec, source) as stream, _partial(target) as part:
            _copy_verified(stream, part, spec, str(source or spec.url), on_bytes)
            part.replace(target)
    except OSError as error:
        raise UsageError(
            f"{spec.file!r} cannot be written to {target.parent}: {error}; make room there, or set {FOLDER_VARIABLE} "
            "to another folder"
        ) from error
    _Note(target, spec).write()
    return target


@contextmanager
def _opened(spec: WeightSpec, source: Path | None) -> Iterator[IO[bytes]]:
    """Open the bytes of a weight file, from this machine or from its publisher."""
    if source is not None:
        try:
            stream: IO[bytes] = source.open("rb")
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}; give the path of {spec.file!r}") from error
    elif spec.url is None:
        raise MissingWeightsError(
            f"{spec.file!r} has no direct download; get it from {spec.source}, then run: "
            f"thbench weights get {spec.name} --from FILE"
        )
    else:
        try:
            stream = urllib.request.urlopen(spec.url, timeout=_TIMEOUT)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _download_failed(spec, error) from error
    with stream:
        yield stream


def _copy_verified(
    stream: IO[bytes], part: Path, spec: WeightSpec, origin: str, on_bytes: Callable[[int, int], None] | None
) -> None:
    digest = hashlib.sha256()
    count = 0
    with part.open("xb") as out:
        # A publisher that sends more than the published size is stopped there.
        while count <= spec.bytes and (chunk := _read(stream, spec)):
            digest.update(chunk)
            out.write(chunk)
            count += len(chunk)
            if on_bytes is not None:
                on_bytes(count, spec.bytes)
    if count != spec.bytes:
        got = "more" if count > spec.bytes else f"{count} bytes"
        raise _mismatch(origin, spec, f"{spec.bytes} bytes", got)
    if digest.hexdigest() != spec.sha256:
        raise _mismatch(origin, spec, f"SHA-256 {spec.sha256}", digest.hexdigest())


def _read(stream: IO[bytes], spec: WeightSpec) -> bytes:
    try:
        return stream.read(_CHUNK)
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _download_failed(spec, error) from error


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """A temporary name beside `target`; removed at the end if it still exists."""
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


class _Note:
    """The memory that a file was found right: a small file in the user's cache folder.

    It lies there and not beside the weights, since those may be in a folder that all may read and few may write.
    """

    def __init__(self, path: Path, spec: WeightSpec) -> None:
        status = path.stat()
        where = str(path.resolve())
        self._state = {
            "path": where,
            "bytes": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": spec.sha256,
        }
        key = hashlib.sha256(where.encode()).hexdigest()[:16]
        self._file = _cache_folder() / "verified" / f"{spec.name}-{key}.json"

    def holds(self) -> bool:
        """Whether the file was found right in the state in which it is now."""
        try:
            return bool(json.loads(self._file.read_text(encoding="utf-8")) == self._state)
        except (OSError, ValueError):
            return False

    def write(self) -> None:
        """Remember it; where nothing can be written, the next start hashes again."""
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with _partial(self._file) as part:
                part.write_text(json.dumps(self._state), encoding="utf-8")
                part.replace(self._file)


def _require_size(path: Path, spec: WeightSpec) -> None:
    size = _size(path)
    if size is None:
        raise MissingWeightsError(
            f"the weight file {spec.file!r} ({spec.used_for}) is not in {path.parent}; run: thbench weights get "
            f"{spec.name}, or set {FOLDER_VARIABLE} to the folder that has it"
        )
    if size != spec.bytes:
        raise _mismatch(str(path), spec, f"{spec.bytes} bytes", f"{size} bytes")


def _require_digest(path: Path, spec: WeightSpec) -> None:
    try:
        with path.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; make it readable for you") from error
    if got != spec.sha256:
        raise _mismatch(str(path), spec, f"SHA-256 {spec.sha256}", got)


def _mismatch(origin: str, spec: WeightSpec, expected: str, got: str) -> WeightsMismatchError:
    return WeightsMismatchError(
        f"{origin} is not the published {spec.file!r}: expected {expected}, got {got}; run: "
        f"thbench weights get {spec.name}"
    )


def _download_failed(spec: WeightSpec, error: Exception) -> MissingWeightsError:
    return MissingWeightsError(
        f"{spec.file!r} could not be downloaded from {spec.url}: {error}; get it on another machine, then run: "
        f"thbench weights get {spec.name} --from FILE"
    )


def _size(path: Path) -> int | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _cache_folder() -> Path:
    """The user's cache folder for thbench, by the custom of the platform."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        return Path(root).expanduser() / "thbench"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "thbench"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "thbench"
    return Path.home() / ".cache" / "thbench"
