from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_helpers import MACHINE, NOON, recipe, record, run_info

from thbench.errors import UsageError
from thbench.run.files import WriteError, check_writable, read_lines, write_atomically
from thbench.run.store import RunStore, merge
from thbench.types import Record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def store(folder: Path) -> RunStore:
    return RunStore.create(folder, run_info())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("clips-*.jsonl"))


def as_json(records: tuple[Record, ...]) -> list[str]:
    """Records as text, in which NaN equals NaN."""
    return [one.model_dump_json() for one in records]


class TestRoundTrip:
    def test_records_come_back(self, store: RunStore, folder: Path) -> None:
        made = [record("b", counts={"frames": 3}), record("a", status="failed", error="no face", values={})]
        for one in made:
            store.append(one)
        assert RunStore.open(folder).records() == (made[1], made[0])

    def test_nan_and_infinities_survive(self, store: RunStore, folder: Path) -> None:
        store.append(record(values={"a": math.nan, "b": math.inf, "c": -math.inf, "d": -0.0, "e": 5e-324}))
        (line,) = files(folder)[0].read_text().splitlines()
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        (back,) = RunStore.open(folder).records()
        assert math.isnan(back.values["a"])
        assert (back.values["b"], back.values["c"], back.values["e"]) == (math.inf, -math.inf, 5e-324)
        assert math.copysign(1, back.values["d"]) == -1

    @given(st.dictionaries(st.text(max_size=8), st.floats(), max_size=4), st.text(), st.text())
    @settings(max_examples=30, deadline=None)
    def test_any_record_comes_back(
        self, tmp_path_factory: pytest.TempPathFactory, values: dict[str, float], clip: str, error: str
    ) -> None:
        where = tmp_path_factory.mktemp("any") / "run"
        made = record(clip=clip, error=error, values=values, warnings=(error, clip))
        with RunStore.create(where, run_info()) as store:
            store.append(made)
        assert as_json(RunStore.open(where).records()) == as_json((made,))

    def test_info_comes_back(self, store: RunStore, folder: Path) -> None:
        info = store.info.begun(workers=3, started=NOON, on=MACHINE).ended("success", ended=NOON, seconds=1.5)
        store.update(info)
        assert RunStore.open(folder).info == info == store.info

    def test_nothing_but_run_json_before_the_first_record(self, store: RunStore, folder: Path) -> None:
        assert [path.name for path in folder.iterdir()] == ["run.json"]

    def test_files_are_readable_by_others_as_the_umask_says(self, store: RunStore, folder: Path) -> None:
        store.append(record())
        mask = os.umask(0)
        os.umask(mask)
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask, path


class TestCreate:
    def test_another_run_is_not_overwritten(self, store: RunStore, folder: Path) -> None:
        store.append(record())
        with pytest.raises(UsageError, match="already holds a run; add --resume"):
            RunStore.create(folder, run_info())
        assert len(RunStore.open(folder).records()) == 1

    def test_resume_goes_on(self, store: RunStore, folder: Path) -> None:
        store.append(record("a"))
        again = RunStore.create(folder, run_info(recipe(fps=30)), resume=True)
        assert again.finished_keys() == {"a"}
        assert set(again.info.recipes) == {recipe().key, recipe(fps=30).key}
        again.append(record("b"))
        assert RunStore.open(folder).finished_keys() == {"a", "b"}

    def test_resume_starts_where_there_is_no_run_yet(self, folder: Path) -> None:
        assert RunStore.create(folder, run_info(), resume=True).records() == ()

    def test_resume_of_another_suite_names_what_differs(self, store: RunStore, folder: Path) -> None:
        with pytest.raises(UsageError, match="'name' is 'test' there and 'other' now"):
            RunStore.create(folder, run_info(suite={"name": "other"}), resume=True)

    def test_suites_that_differ_only_in_how_numbers_are_written_are_the_same(self, tmp_path: Path) -> None:
        RunStore.create(tmp_path, run_info(suite={"fps": 25}))
        RunStore.create(tmp_path, run_info(suite={"fps": 25.0}), resume=True)

    def test_failed_clips_are_finished_unless_they_are_to_be_retried(self, store: RunStore) -> None:
        store.append(record("a"))
        store.append(record("b", status="failed"))
        assert store.finished_keys() == {"a", "b"}
        assert store.finished_keys(retry_failed=True) == {"a"}

    def test_records_without_their_run_are_not_adopted(self, store: RunStore, folder: Path) -> None:
        store.append(record())
        (folder / "run.json").unlink()
        with pytest.raises(UsageError, match=r"holds records but no run\.json"):
            RunStore.create(folder, run_info(), resume=True)

    def test_a_folder_with_other_things_is_fine(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        RunStore.create(tmp_path, run_info())
        assert (tmp_path / "notes.txt").read_text() == "mine"


class TestOpen:
    def test_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"holds no run: there is no run\.json"):
            RunStore.open(tmp_path / "nowhere")

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match="holds no run"):
            RunStore.open(tmp_path / "file")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": 1}', b"[" * 100_000])
    def test_a_broken_description(self, store: RunStore, folder: Path, content: bytes) -> None:
        (folder / "run.json").write_bytes(content)
        with pytest.raises(UsageError, match="is not the description of a run"):
            RunStore.open(folder)

    def test_a_newer_layout_asks_for_an_update(self, store: RunStore, folder: Path) -> None:
        path = folder / "run.json"
        path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2, "new": 1'))
        with pytest.raises(UsageError, match="schema version 2, this thbench reads versions up to 1; update thbench"):
            RunStore.open(folder)

    def test_a_record_of_a_newer_layout_asks_for_an_update(self, store: RunStore, folder: Path) -> None:
        (folder / "clips-x-1-0.jsonl").write_text('{"schema_version": 3, "all": "new"}\n')
        with pytest.raises(UsageError, match=r"clips-x-1-0\.jsonl, line 1 has schema version 3"):
            store.records()


class TestDamage:
    """What a kill, a full disk or a hand leaves behind."""

    def test_every_cut_keeps_the_records_before_it(self, store: RunStore, folder: Path) -> None:
        made = [record(f"k{i}", clip="é\u2028" * i) for i in range(4)]
        for one in made:
            store.append(one)
        store.close()
        (path,) = files(folder)
        whole = path.read_bytes()
        ends = [i for i, byte in enumerate(whole) if byte == ord("\n")]
        for cut in range(len(whole) + 1):
            path.write_bytes(whole[:cut])
            contents = RunStore.open(folder).read()
            # A record whose line break alone is missing is whole.
            assert len(contents.records) == sum(end <= cut for end in ends), cut
            assert contents.warnings == ()

    def test_what_is_appended_after_a_kill_is_not_glued_to_a_torn_line(self, store: RunStore, folder: Path) -> None:
        store.append(record("a"))
        store.append(record("b"))
        store.close()
        (path,) = files(folder)
        path.write_bytes(path.read_bytes()[:-20])
        with RunStore.create(folder, run_info(), resume=True) as again:
            assert again.finished_keys() == {"a"}
            again.append(record("b", values={"psnr": 1.0}))
        contents = RunStore.open(folder).read()
        assert [(one.key, one.values["psnr"]) for one in contents.records] == [("a", 30.0), ("b", 1.0)]
        assert contents.warnings == ()

    def test_a_bad_line_in_the_middle_is_named_and_the_rest_is_kept(self, store: RunStore, folder: Path) -> None:
        for key in "abc":
            store.append(record(key))
        store.close()
        (path,) = files(folder)
        lines = path.read_bytes().split(b"\n")
        lines[1] = lines[1].replace(b'"status":"ok"', b'"status":"fine"')
        path.write_bytes(b"\n".join(lines))
        contents = store.read()
        assert [one.key for one in contents.records] == ["a", "c"]
        (warning,) = contents.warnings
        assert f"{path.name}, line 2" in warning
        assert "status" in warning

    def test_a_complete_last_line_that_is_no_record_is_named(self, store: RunStore, folder: Path) -> None:
        store.append(record("a"))
        with files(folder)[0].open("ab") as file:
            file.write(b"\x00\x00\x00\n")
        contents = store.read()
        assert len(contents.records) == 1
        assert len(contents.warnings) == 1

    def test_empty_lines_and_foreign_line_ends_are_no_damage(self, store: RunStore, folder: Path) -> None:
        text = "\r\n\r\n".join(record(key).model_dump_json() for key in "ab") + "\r\n\n"
        (folder / "clips-edited-1-0.jsonl").write_bytes(text.encode())
        contents = store.read()
        assert len(contents.records) == 2
        assert contents.warnings == ()

    def test_a_full_disk_ends_the_run_and_leaves_the_file_whole(
        self, store: RunStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.append(record("a"))
        real, written = os.write, []

        def full(handle: int, data: bytes) -> int:
            if written:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(1)
            return real(handle, bytes(data)[:30])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(WriteError, match=r"No space left on device.*--resume"):
            store.append(record("b"))
        monkeypatch.undo()
        (path,) = files(folder)
        assert path.read_bytes().endswith(b"}\n")
        store.append(record("b"))
        assert store.finished_keys() == {"a", "b"}
        assert store.read().warnings == ()

    def test_a_file_system_that_takes_little_at_a_time(
        self, store: RunStore, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
        store.append(record("a"))
        assert store.records() == (record("a"),)


class TestWhichRecordCounts:
    def test_the_last_line_of_a_file(self, store: RunStore) -> None:
        for value in (1.0, 3.0, 2.0):
            store.append(record(values={"psnr": value}))
        assert store.records()[0].values == {"psnr": 2.0}

    def test_the_later_attempt_wherever_its_file_sorts(self, store: RunStore, folder: Path) -> None:
        for name, attempt in (("z", 0), ("a", 1)):
            (folder / f"clips-{name}.jsonl").write_text(
                record(attempt=attempt, values={"psnr": float(attempt)}).model_dump_json() + "\n"
            )
        assert store.records()[0].attempt == 1


class TestWriters:
    def test_every_process_and_every_start_has_its_own_file(self, folder: Path, store: RunStore) -> None:
        store.append(record("a"))
        RunStore.open(folder).append(record("b"))
        context = multiprocessing.get_context("fork")
        child = context.Process(target=store.append, args=(record("c"),))
        child.start()
        child.join()
        store.append(record("d"))
        assert [len(path.read_text().splitlines()) for path in files(folder)] in ([2, 1, 1], [1, 2, 1], [1, 1, 2])
        assert store.finished_keys() == set("abcd")

    def test_names_tell_host_process_and_number(self, store: RunStore, folder: Path, monkeypatch) -> None:
        monkeypatch.setattr(socket, "gethostname", lambda: "node 7/ü.example")
        store.append(record("a"))
        store.close()
        store.append(record("b"))
        assert [p.name for p in files(folder)] == [f"clips-node-7-example-{os.getpid()}-{n}.jsonl" for n in (0, 1)]

    def test_a_line_that_is_being_written_is_the_last(self, tmp_path: Path) -> None:
        path = tmp_path / "lines.jsonl"
        path.write_bytes(b"whole\nto")
        lines = read_lines(path)
        assert [next(lines), next(lines)] == [(1, b"whole", True), (2, b"to", False)]
        with path.open("ab") as file:
            file.write(b"rn\nnext\n")
        assert list(lines) == []
        assert [line.data for line in read_lines(path)] == [b"whole", b"torn", b"next"]

    def test_many_processes_at_once(self, folder: Path, store: RunStore) -> None:
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=append_many, args=(folder, name, 40)) for name in "abcd"]
        for child in children:
            child.start()
        seen = 0
        while any(child.is_alive() for child in children):
            contents = store.read()
            assert contents.warnings == ()
            assert len(contents.records) >= seen
            seen = len(contents.records)
        for child in children:
            child.join()
        assert store.finished_keys() == {f"{name}{i}" for name in "abcd" for i in range(40)}

    def test_a_closed_store_opens_a_new_file_when_needed(self, store: RunStore, folder: Path) -> None:
        with store:
            store.append(record("a"))
        store.close()
        store.append(record("b"))
        assert store.finished_keys() == {"a", "b"}


def append_many(folder: Path, name: str, count: int) -> None:
    with RunStore.open(folder) as store:
        for i in range(count):
            store.append(record(f"{name}{i}", error="x" * 5000))


class TestMerge:
    def shard(self, folder: Path, *records: Record, **changes: Any) -> Path:
        with RunStore.create(folder, run_info(**changes)) as store:
            for one in records:
                store.append(one)
        return folder

    def test_shards_are_one_run(self, tmp_path: Path) -> None:
        a = self.shard(tmp_path / "a", record("x"))
        b = self.shard(tmp_path / "b", record("y"))
        there, back = merge([a, b]), merge([b, a])
        assert [one.key for one in there.records] == ["x", "y"]
        assert there.records == back.records
        assert there.info == back.info
        assert there.warnings == ()

    @pytest.mark.parametrize("turned", [False, True])
    def test_of_one_key_a_scored_record_counts_then_the_later_attempt(self, tmp_path: Path, turned: bool) -> None:
        a = self.shard(
            tmp_path / "a", record("x", status="failed", attempt=5), record("y", attempt=1), record("z", clip="1")
        )
        b = self.shard(tmp_path / "b", record("x", attempt=0), record("y", attempt=2), record("z", clip="2"))
        contents = merge([b, a] if turned else [a, b])
        x, y, z = contents.records
        assert (x.status, y.attempt) == ("ok", 2)
        assert z.clip == merge([a, b]).records[2].clip
        assert contents.warnings == ("3 records are in several of the merged runs; one of each counts",)

    def test_other_weights_are_refused(self, tmp_path: Path) -> None:
        a = self.shard(tmp_path / "a", weights={"w": "1"})
        b = self.shard(tmp_path / "b", weights={"w": "2"})
        with pytest.raises(UsageError, match="weight file 'w'"):
            merge([a, b])


class TestWritable:
    def test_a_new_folder_is_made_and_left_empty(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "a" / "b")
        assert list((tmp_path / "a" / "b").iterdir()) == []

    @pytest.mark.parametrize("inner", ["", "run"])
    def test_a_file_in_the_way(self, tmp_path: Path, inner: str) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(UsageError, match=r"cannot write to the folder .*file"):
            check_writable(tmp_path / "file" / inner)
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_read_only_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By a planted error, since rights do not bind an administrator."""

        def refuse(*arguments: object, **options: object) -> int:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(UsageError, match="Read-only file system; give another folder"):
            RunStore.create(tmp_path / "run", run_info())

    @pytest.mark.skipif(os.name != "posix" or not Path("/proc").is_dir(), reason="needs a place nobody can write to")
    def test_a_place_nobody_can_write_to(self) -> None:
        with pytest.raises(UsageError, match="cannot write to the folder /proc/thbench"):
            check_writable(Path("/proc/thbench"))


class TestAtomicFiles:
    def test_a_failure_leaves_the_old_file_and_no_litter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "run.json"
        write_atomically(path, "old")

        def fail(self: Path, target: Path) -> Path:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(WriteError, match=r"cannot write .*run\.json: Input/output error"):
            write_atomically(path, "new")
        assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
        assert path.read_text() == "old"

    def test_text_is_written_as_utf8_whatever_the_locale(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "x", "—∞\n")
        assert (tmp_path / "x").read_bytes() == "—∞\n".encode()
