"""The registry of frozen weight files: what counts as the published file, and how one gets it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from thbench.backbones import weights
from thbench.cli import main
from thbench.errors import ExitCode, MissingWeightsError, UsageError, WeightsMismatchError
from thbench.spec import WeightSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 5000
SPEC = WeightSpec(
    name="toy",
    file="toy.bin",
    bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="CC0-1.0",
    source="https://example.org/toy",
    used_for="tests",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, and a registry that knows one small file."""
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "WEIGHTS", MappingProxyType({"toy": SPEC}))
    monkeypatch.setattr(weights, "SLOT_OF", MappingProxyType({}))
    return tmp_path / "weights"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    path = tmp_path / "copy.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


class Publisher(HTTPServer):
    """Serves `content` under every path, and can promise more than it sends."""

    content = CONTENT
    promised: int | None = None
    requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised or len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    server = Publisher(("127.0.0.1", 0), Handler)
    spec = SPEC.model_copy(update={"url": f"http://127.0.0.1:{server.server_port}/toy.bin"})
    monkeypatch.setattr(weights, "WEIGHTS", MappingProxyType({"toy": spec}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_spec_is_named_once_and_by_its_key() -> None:
    assert len(weights.WEIGHTS) == len(weights._FILES)
    assert all(name == spec.name for name, spec in weights.WEIGHTS.items())
    files = [spec.file for spec in weights.WEIGHTS.values()]
    assert len(set(files)) == len(files)
    assert all(spec.url is None or spec.url.startswith("https://") for spec in weights.WEIGHTS.values())


def test_registered_face_landmarker_is_the_published_file(shared: Path) -> None:
    spec = weights.WEIGHTS["face-landmarker"]
    content = (shared / "weights" / spec.file).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (spec.bytes, spec.sha256)


def test_folder_is_the_named_one_else_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THBENCH_WEIGHTS", str(tmp_path))
    assert weights.weights_folder() == tmp_path
    monkeypatch.delenv("THBENCH_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert weights.weights_folder() == tmp_path / "x" / "thbench" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert tmp_path / "home" in weights.weights_folder().parents


def test_missing_file_names_file_folder_and_command(folder: Path) -> None:
    assert weights.find("toy") is None
    with pytest.raises(MissingWeightsError) as caught:
        weights.locate("toy")
    assert all(text in str(caught.value) for text in ("toy.bin", str(folder), "thbench weights get toy"))


def test_unknown_name_suggests(folder: Path) -> None:
    for call in (weights.find, weights.locate, weights.verify, weights.fetch):
        with pytest.raises(UsageError, match="did you mean 'toy'"):
            call("toi")


def test_fetch_from_a_file_then_locate(folder: Path, copy: Path, no_network: None) -> None:
    seen: list[tuple[int, int]] = []
    path = weights.fetch("toy", source=copy, on_bytes=lambda done, total: seen.append((done, total)))
    assert path == folder / "toy.bin" == weights.locate("toy") == weights.find("toy") == weights.verify("toy")
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (SPEC.bytes, SPEC.bytes)
    assert [p.name for p in folder.iterdir()] == ["toy.bin"]


def test_fetch_of_a_present_file_reads_neither_source_nor_network(publisher: Publisher, copy: Path) -> None:
    weights.fetch("toy", source=copy)
    copy.unlink()
    weights.fetch("toy", source=copy)
    weights.fetch("toy")
    assert publisher.requests == 0


def test_fetch_downloads(publisher: Publisher) -> None:
    assert weights.fetch("toy").read_bytes() == CONTENT
    assert publisher.requests == 1


def test_fetch_replaces_a_wrong_file(folder: Path, copy: Path) -> None:
    folder.mkdir()
    (folder / "toy.bin").write_bytes(b"x" * SPEC.bytes)
    with pytest.raises(WeightsMismatchError):
        weights.locate("toy")
    weights.fetch("toy", source=copy)
    assert weights.locate("toy").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x" * (3 << 20), b"", b"y" + CONTENT[1:]])
def test_wrong_download_leaves_nothing(publisher: Publisher, folder: Path, content: bytes) -> None:
    publisher.content = content
    with pytest.raises(WeightsMismatchError, match=r"toy\.bin"):
        weights.fetch("toy")
    assert list(folder.iterdir()) == []


def test_broken_connection_leaves_nothing(publisher: Publisher, folder: Path) -> None:
    publisher.content, publisher.promised = CONTENT[:1000], SPEC.bytes
    with pytest.raises((MissingWeightsError, WeightsMismatchError), match=r"toy\.bin"):
        weights.fetch("toy")
    assert list(folder.iterdir()) == []


def test_refused_connection_says_what_to_do(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    spec = SPEC.model_copy(update={"url": f"http://127.0.0.1:{free.getsockname()[1]}/toy.bin"})
    monkeypatch.setattr(weights, "WEIGHTS", MappingProxyType({"toy": spec}))
    with pytest.raises(MissingWeightsError, match="thbench weights get toy --from FILE"):
        weights.fetch("toy")
    free.close()


def test_file_without_download_says_where_it_is_published(folder: Path, no_network: None) -> None:
    with pytest.raises(MissingWeightsError, match=r"https://example.org/toy.*--from FILE"):
        weights.fetch("toy")


def test_unreadable_source_and_unusable_folder(folder: Path, copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        weights.fetch("toy", source=tmp_path / "absent")
    with pytest.raises(UsageError, match="cannot be read"):
        weights.fetch("toy", source=tmp_path)
    folder.rmdir()
    folder.write_text("a file where the folder should be")
    with pytest.raises(UsageError, match="THBENCH_WEIGHTS"):
        weights.fetch("toy", source=copy)


def test_wrong_size_and_wrong_content_name_expected_and_got(folder: Path) -> None:
    folder.mkdir()
    path = folder / "toy.bin"
    path.write_bytes(CONTENT[:10])
    assert weights.find("toy") is None
    with pytest.raises(WeightsMismatchError, match=rf"{path}.*expected {SPEC.bytes} bytes, got 10 bytes"):
        weights.locate("toy")
    wrong = CONTENT[::-1]
    path.write_bytes(wrong)
    with pytest.raises(
        WeightsMismatchError, match=rf"expected SHA-256 {SPEC.sha256}, got {hashlib.sha256(wrong).hexdigest()}"
    ):
        weights.locate("toy")


def test_a_folder_under_the_file_name_is_missing(folder: Path) -> None:
    (folder / "toy.bin").mkdir(parents=True)
    with pytest.raises(MissingWeightsError):
        weights.locate("toy")


def test_a_right_file_is_hashed_once(folder: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda *a: hashed.append(1) or digest(*a))
    for _ in range(3):
        weights.locate("toy")
    assert len(hashed) == 1
    weights.verify("toy")
    assert len(hashed) == 2


def test_a_changed_file_is_hashed_again(folder: Path) -> None:
    folder.mkdir()
    path = folder / "toy.bin"
    path.write_bytes(CONTENT)
    weights.locate("toy")
    before = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(WeightsMismatchError):
        weights.locate("toy")


def test_a_spoilt_note_is_no_proof(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    path = folder / "toy.bin"
    path.write_bytes(CONTENT)
    weights.locate("toy")
    (note,) = (tmp_path / "cache" / "thbench" / "verified").iterdir()
    for text in ("", "[]", "not json", json.dumps({"sha256": SPEC.sha256})):
        note.write_text(text)
        assert weights.locate("toy") == path
    assert json.loads(note.read_text())["sha256"] == SPEC.sha256


def test_an_unwritable_cache_is_no_obstacle(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache should be")
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)
    assert weights.locate("toy") == weights.locate("toy") == folder / "toy.bin"


def test_command_get_list_verify_where(folder: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--json"]) == ExitCode.OK
    assert [(row["name"], row["state"]) for row in json.loads(capsys.readouterr().out)] == [("toy", "absent")]
    assert main(["weights", "verify"]) == ExitCode.OK
    assert main(["weights", "verify", "toy"]) == ExitCode.FAILED
    assert main(["weights", "get", "toy"]) == ExitCode.FAILED
    assert main(["weights", "get", "toi"]) == ExitCode.USAGE
    assert main(["weights", "get", "toy", "toy", "--from", str(copy)]) == ExitCode.USAGE
    capsys.readouterr()
    assert main(["weights", "get", "toy", "--from", str(copy), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == [{"name": "toy", "path": str(folder / "toy.bin")}]
    assert main(["weights", "verify", "toy", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)[0]["state"] == "right"
    assert main(["weights", "list"]) == ExitCode.OK
    assert "present" in capsys.readouterr().out
    assert main(["weights", "where"]) == ExitCode.OK
    assert capsys.readouterr().out == f"{folder}\n"


def test_command_verify_finds_a_wrong_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT[::-1])
    assert main(["weights", "verify"]) == ExitCode.FAILED
    assert "wrong" in capsys.readouterr().out
    (folder / "toy.bin").write_bytes(b"")
    assert main(["weights", "list"]) == ExitCode.OK
    assert "wrong size" in capsys.readouterr().out
