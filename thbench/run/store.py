"""The run folder: one `run.json`, and Records in append-only files.

`run.json` is replaced as a whole. Records go to `clips-<host>-<pid>-<counter>.jsonl`, one file for each process that
ever wrote, each line on the disk before the next begins. A kill therefore loses at most the record in hand. Resuming
copies nothing, so that a second kill at any moment loses no more than the first.

Reading follows four rules:

1. A last line that lacks its line break and is no record was torn by a kill; it is passed over in silence.
2. Any other line that is no record (a hand edit, a bad disk) is passed over with a warning that names file and line;
   the clip then counts as not run.
3. A line or a `run.json` of a newer layout ends reading with an error: nothing may be half-understood.
4. Of several records with one key the last one counts, ordered by attempt, then by file name, then by line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import ValidationError

from thbench.errors import UsageError
from thbench.run.features import read_features
from thbench.run.files import Line, LineWriter, check_writable, read_lines, reason_of, write_atomically
from thbench.run.hashing import canonical_json, content_hash
from thbench.run.info import RunInfo, join
from thbench.types import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Contents", "RunStore", "check_writable", "merge"]

RUN_FILE = "run.json"
"""What is known of the run as a whole."""
RECORD_PREFIX = "clips-"
"""Record files are `clips-*.jsonl`."""
SCHEMA_VERSION = 1
"""Newest layout of `run.json` and of records that this thbench reads."""


@dataclass(frozen=True, slots=True)
class Contents:
    """All that one or several run folders hold."""

    info: RunInfo
    """The runs as a whole."""
    records: tuple[Record, ...]
    """One per key, ordered by key."""
    warnings: tuple[str, ...] = ()
    """Lines that were passed over, and what else a reader of the numbers should know."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Record key to the run folder that the record is from."""

    def features(self, extractor: str, key: str) -> NDArray[np.float32] | None:
        """Return the features of a record, shape (n, d); None if they are not there.

        Raises:
            UsageError: Their file cannot be read.
        """
        folder = self.folders.get(key)
        return None if folder is None else read_features(folder, extractor, key)


class RunStore:
    """One run folder.

    A process may append as soon as it has the store; the record file is made by the first record, and a forked child
    gets a file of its own. Threads of one process must take turns.
    """

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self._info = info
        self._writer = LineWriter(folder, RECORD_PREFIX)

    @classmethod
    def create(cls, folder: Path, info: RunInfo, *, resume: bool = False) -> RunStore:
        """Start a run in `folder`, or go on with the one that is there.

        Args:
            folder: The run folder; made if absent.
            info: The run.
            resume: Go on with a run of the same suite; its recipes and planned records stay beside those of `info`. A
                folder without a run is then started like any other.

        Raises:
            UsageError: The folder cannot be written to, holds a run while `resume` is false, or holds a run of another
                suite.
        """
        check_writable(folder)
        if (folder / RUN_FILE).exists():
            if not resume:
                raise UsageError(
                    f"the folder {folder} already holds a run; add --resume to go on with it, or give another --out"
                )
            earlier = _read_info(folder)
            _require_same_suite(folder, earlier, info)
            info = earlier.extended(info)
        elif _record_files(folder):
            raise UsageError(
                f"the folder {folder} holds records but no {RUN_FILE}; restore that file, or give another --out"
            )
        store = cls(folder, info)
        store.update(info)
        return store

    @classmethod
    def open(cls, folder: Path) -> RunStore:
        """Open a run to read it, or to append to it from another process.

        Raises:
            UsageError: The folder holds no run, or one that cannot be read.
        """
        return cls(folder, _read_info(folder))

    @property
    def info(self) -> RunInfo:
        """The run as a whole, as this object last read or wrote it."""
        return self._info

    def update(self, info: RunInfo) -> None:
        """Replace `run.json`.

        Raises:
            WriteError: It cannot be written.
        """
        write_atomically(self.folder / RUN_FILE, info.model_dump_json(indent=2) + "\n")
        self._info = info

    def append(self, record: Record) -> None:
        """Store one record; it is on the disk when this returns.

        Raises:
            WriteError: It cannot be written; records stored before are safe.
        """
        self._writer.append(record.model_dump_json().encode("utf-8"))

    def read(self) -> Contents:
        """All records and what was passed over on the way; also while other processes append.

        Raises:
            UsageError: A file cannot be read or is of a newer layout.
        """
        latest: dict[str, _Ranked] = {}
        warnings: list[str] = []
        for path in _record_files(self.folder):
            for ranked in _records_of(path, warnings):
                known = latest.get(ranked.record.key)
                if known is None or known.rank < ranked.rank:
                    latest[ranked.record.key] = ranked
        records = tuple(latest[key].record for key in sorted(latest))
        return Contents(self.info, records, tuple(warnings), dict.fromkeys(latest, self.folder))

    def records(self) -> tuple[Record, ...]:
        """The record of each key, ordered by key."""
        return self.read().records

    def finished_keys(self, *, retry_failed: bool = False) -> frozenset[str]:
        """Keys that need not be done again.

        Args:
            retry_failed: Whether failed clips are to be tried again.
        """
        return frozenset(record.key for record in self.records() if not (retry_failed and record.status == "failed"))

    def close(self) -> None:
        """Close the record file; a later `append` opens a new one."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def merge(folders: Sequence[Path]) -> Contents:
    """Read several run folders as one, e.g. shards of one suite from several machines.

    The result does not depend on the order of the folders. Where two runs hold a record of one key, a scored one counts
    before a failed one, then the later attempt; a warning says how many keys they share.

    Raises:
        UsageError: A folder holds no run, or a weight file differs between the runs.
    """
    several = [RunStore.open(folder).read() for folder in folders]
    chosen: dict[str, Record] = {}
    origins: dict[str, Path] = {}
    shared: set[str] = set()
    for found, record in ((contents, record) for contents in several for record in contents.records):
        known = chosen.get(record.key)
        if known is not None:
            shared.add(record.key)
        if known is None or _preference(known) < _preference(record):
            chosen[record.key] = record
            origins[record.key] = found.folders[record.key]
    warnings = sorted({warning for contents in several for warning in contents.warnings})
    if shared:
        warnings.append(f"{len(shared)} records are in several of the merged runs; one of each counts")
    info = join([contents.info for contents in several])
    return Contents(info, tuple(chosen[key] for key in sorted(chosen)), tuple(warnings), origins)


class _Ranked(NamedTuple):
    rank: tuple[int, str, int]
    record: Record


def _records_of(path: Path, warnings: list[str]) -> Iterator[_Ranked]:
    for line in _readable_lines(path):
        try:
            record = Record.model_validate_json(line.data)
        except ValidationError as error:
            where = f"{path.name}, line {line.number}"
            _refuse_newer(line.data, where)
            if line.complete:
                warnings.append(f"{where} is not a record and was passed over: {_first_problem(error)}")
            continue
        yield _Ranked((record.attempt, path.name, line.number), record)


def _readable_lines(path: Path) -> Iterator[Line]:
    try:
        yield from read_lines(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason_of(error)}; check the rights of the file") from error


def _record_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{RECORD_PREFIX}*.jsonl"))


def _read_info(folder: Path) -> RunInfo:
    path = folder / RUN_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"{folder} holds no run: there is no {RUN_FILE} in it; give the --out folder of a run"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason_of(error)}; check the rights of the file") from error
    try:
        return RunInfo.model_validate_json(data)
    except ValidationError as error:
        _refuse_newer(data, str(path))
        raise UsageError(
            f"{path} is not the description of a run: {_first_problem(error)}; restore the file or run again elsewhere"
        ) from error


def _refuse_newer(data: bytes, where: str) -> None:
    """Tell a newer layout from a broken file.

    Raises:
        UsageError: It is a newer layout.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return
    found = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(found, int) and found > SCHEMA_VERSION:
        raise UsageError(
            f"{where} has schema version {found}, this thbench reads versions up to {SCHEMA_VERSION}; update thbench"
        )


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else first["msg"]


def _require_same_suite(folder: Path, earlier: RunInfo, now: RunInfo) -> None:
    names = sorted({*earlier.suite, *now.suite})
    other = [n for n in names if canonical_json(earlier.suite.get(n)) != canonical_json(now.suite.get(n))]
    if other:
        name = other[0]
        raise UsageError(
            f"the folder {folder} holds another run: {name!r} is {earlier.suite.get(name)!r} there and "
            f"{now.suite.get(name)!r} now; ask for the same to --resume it, or give another --out"
        )


def _preference(record: Record) -> tuple[bool, int, str]:
    return record.status == "ok", record.attempt, content_hash(record, length=64)
