"""Frozen weight files: what they are, where they lie, and whether they are the published ones.

A file counts only if its size and SHA-256 are those of its publisher. Nothing here touches the network except `fetch`
without `source`, which runs only when somebody asks for it.

A user may put a file of their own in the place of any of them (`add`). It is then held to the size and digest that it
had when it was added, and every number that comes of it says so.

To make a file known, add it to `thbench.backbones.weight_files`.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import stat
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from thbench.backbones import own_files
from thbench.backbones.own_files import partial_file
from thbench.backbones.weight_files import PUBLISHED, SLOTS
from thbench.errors import MissingWeightsError, UsageError, WeightsMismatchError, did_you_mean
from thbench.spec import WeightSlot, WeightSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FOLDER_VARIABLE = "THBENCH_WEIGHTS"
"""Environment variable that names the weights folder."""

_FILES = PUBLISHED
WEIGHTS: Mapping[str, WeightSpec] = MappingProxyType({spec.name: spec for spec in sorted(_FILES, key=lambda s: s.name)})
"""Weight files by name."""

SLOT_OF: Mapping[str, WeightSlot] = MappingProxyType({slot.name: slot for slot in sorted(SLOTS, key=lambda s: s.name)})
"""Files whose digest is not known, by name; only `add` brings them."""

_CHUNK = 1 << 20
_TIMEOUT = 60.0


def weights_folder() -> Path:
    """Folder of the weight files: `THBENCH_WEIGHTS` if set, else `weights` in the user's cache folder for thbench."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else _cache_folder() / "weights"


def known_names() -> tuple[str, ...]:
    """Names of all weight files, those of known digest first."""
    return (*WEIGHTS, *(name for name in SLOT_OF if name not in WEIGHTS))


def about(name: str) -> WeightSpec | WeightSlot:
    """Return what is known of a weight file as its publisher gives it.

    Raises:
        UsageError: No weight file is called `name`.
    """
    found = WEIGHTS.get(name) or SLOT_OF.get(name)
    if found is None:
        raise UsageError(f"no weight file is called {name!r}{did_you_mean(name, known_names())}")
    return found


def spec_of(name: str) -> WeightSpec:
    """Return the spec of the file that counts: the user's own where one was added, else the published one.

    Raises:
        UsageError: No weight file is called `name`.
        MissingWeightsError: Its digest is not known and no file of the user's was added.
    """
    published = about(name)
    if (own := user_spec(name)) is not None:
        return own
    if isinstance(published, WeightSlot):
        raise MissingWeightsError(
            f"the weight file {published.file!r} ({published.used_for}) is not here; get it from {published.source}, "
            f"then run: {command_for(name)}"
        )
    return published


def user_spec(name: str) -> WeightSpec | None:
    """Return the spec of the user's own file for `name`, as it was when it was added; None if none was.

    Raises:
        UsageError: No weight file is called `name`, or what was written of the file cannot be read.
    """
    used_for = about(name).used_for
    return own_files.spec(weights_folder(), name, used_for)


def command_for(name: str, *, own: bool = False) -> str:
    """Return the command that brings a weight file."""
    if own or isinstance(about(name), WeightSlot):
        return f"thbench weights add {name} FILE"
    return f"thbench weights get {name}"


def find(name: str) -> Path | None:
    """Return where a weight file lies, or None if no file of the right name and size is there; reads no content.

    Raises:
        UsageError: No weight file is called `name`.
    """
    try:
        spec = spec_of(name)
    except MissingWeightsError:
        return None
    path = weights_folder() / spec.file
    return path if _size(path) == spec.bytes else None


def add(name: str, source: Path) -> WeightSpec:
    """Put a file of the user's in the place of a weight file, and write down its size and digest.

    Args:
        name: Name of a weight file.
        source: The file; it is copied.

    Returns:
        The spec of the copy: the published one where the file is just that, else that of the user's own file.

    Raises:
        UsageError: No weight file is called `name`, the file cannot be read or the folder not be written to.
    """
    published = about(name)
    measured = own_files.measure(source)
    if isinstance(published, WeightSpec) and measured == (published.bytes, published.sha256):
        remove(name)
        fetch(name, source=source)
        return published
    own_files.store(weights_folder(), name, source, measured)
    return spec_of(name)


def remove(name: str) -> bool:
    """Take away the user's own file for `name`, so that the published one counts again; say whether there was one.

    Raises:
        UsageError: No weight file is called `name`, or the file cannot be removed.
    """
    about(name)
    return own_files.remove(weights_folder(), name)


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
        with _opened(spec, source) as stream, partial_file(target) as part:
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
            with partial_file(self._file) as part:
                part.write_text(json.dumps(self._state), encoding="utf-8")
                part.replace(self._file)


def _require_size(path: Path, spec: WeightSpec) -> None:
    size = _size(path)
    if size is None:
        own = spec.licence == own_files.TERMS
        raise MissingWeightsError(
            f"the weight file {spec.file!r} ({spec.used_for}) is not in {path.parent}; run: "
            f"{command_for(spec.name, own=own)}, or set {FOLDER_VARIABLE} to the folder that has it"
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
    if spec.licence == own_files.TERMS:
        return WeightsMismatchError(
            f"{origin} is not the file that was added for {spec.name!r}: expected {expected}, got {got}; run: "
            f"{command_for(spec.name, own=True)}"
        )
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
