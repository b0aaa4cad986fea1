"""Files that survive a kill: whole-file replacement, and lines that are only ever appended."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from thbench.errors import ThbenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
"""Flags that open a file only if it did not exist."""


class WriteError(ThbenchError):
    """A result cannot be written any more, e.g. because the disk is full."""


def check_writable(folder: Path) -> None:
    """Make `folder` and prove, before anything is computed, that a file can be written and replaced in it.

    Raises:
        UsageError: It cannot; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(prefix=".writable-", dir=folder)
        try:
            os.write(handle, b"?")
        finally:
            os.close(handle)
            Path(probe).unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {folder}: {reason_of(error)}; give another folder with --out or free this one"
        ) from error


def reason_of(error: OSError) -> str:
    """What went wrong, without number and path."""
    return error.strerror or str(error)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` by a file with `content`: a reader or a crash sees the old content or the new one, never a part.

    Raises:
        WriteError: The file cannot be written.
    """
    # Not tempfile: its files are readable by their owner alone, and results are for everybody whom the umask lets in.
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        try:
            with os.fdopen(os.open(temporary, NEW_FILE, 0o666), "wb") as file:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {reason_of(error)}; make room or rights there, then run again with --resume"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make new and renamed names in `folder` last through a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse to sync a folder; the data itself is synced already.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


class Line(NamedTuple):
    """One line of an append-only file."""

    number: int
    """From 1."""
    data: bytes
    """Without its line break."""
    complete: bool
    """False for a last line without line break: the writer may have died in it."""


def read_lines(path: Path) -> Iterator[Line]:
    """Lines of `path` that hold anything at all, read as a stream.

    A line without its break is the last: what a writer adds to it meanwhile is not a line of its own.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            complete = raw.endswith(b"\n")
            if raw.strip():
                yield Line(number, raw.rstrip(b"\r\n"), complete)
            if not complete:
                return


class LineWriter:
    """Appends lines to a file of its own, which no other process and no later start ever writes to.

    The file is named `<prefix><host>-<pid>-<counter>.jsonl` and made by the first line. Since nobody appends to a file
    that an earlier process left behind, a torn last line can never be glued to a new one.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._pid = 0
        self._handle: int | None = None
        self._end = 0

    def append(self, data: bytes) -> None:
        """Write one line and wait until it is on the disk.

        Args:
            data: The line, without line breaks.

        Raises:
            WriteError: It cannot be written; the file ends with the line before.
        """
        try:
            handle = self._open()
            try:
                self._write(handle, data + b"\n")
                os.fsync(handle)
            except OSError:
                # Take back what was written of the line, so that the file stays whole.
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, self._end)
                self.close()
                raise
            self._end += len(data) + 1
        except OSError as error:
            raise WriteError(
                f"cannot store a record in {self._folder}: {reason_of(error)}; make room or rights there, "
                "then run again with --resume"
            ) from error

    def close(self) -> None:
        """Close the file; a later line opens a new one."""
        if self._handle is not None and self._pid == os.getpid():
            with contextlib.suppress(OSError):
                os.close(self._handle)
        self._handle = None

    def _open(self) -> int:
        # A forked child must not write into its parent's file.
        if self._handle is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._handle = _create_unique(self._folder, f"{self._prefix}{_host()}-{self._pid}-")
            self._end = 0
            sync_folder(self._folder)
        return self._handle

    @staticmethod
    def _write(handle: int, data: bytes) -> None:
        # One call writes the line; the loop is for file systems that take less than they were given.
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]


def _create_unique(folder: Path, stem: str) -> int:
    for counter in itertools.count():
        try:
            return os.open(folder / f"{stem}{counter}.jsonl", NEW_FILE | os.O_APPEND, 0o666)
        except FileExistsError:
            continue
    raise RuntimeError("itertools.count ended")


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()).strip("-")[:40] or "host"
