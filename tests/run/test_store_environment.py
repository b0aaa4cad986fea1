from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import thbench
from thbench.run.environment import Environment, environment, public_remote, source_of

PACKAGE = Path(thbench.__file__).parent


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that tracks the package `pkg`."""
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def test_environment_of_this_machine_survives_json() -> None:
    found = environment()
    assert found.thbench == thbench.__version__
    assert found.cores >= 1
    assert found.memory > 2**28
    assert found.cpu
    assert set(found.packages) >= {"numpy", "pydantic"}
    assert Environment.model_validate_json(found.model_dump_json()) == found


def test_commit_is_that_of_our_own_source_whatever_the_current_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = source_of(PACKAGE)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    there = source_of(PACKAGE)
    theirs = git(repository, "rev-parse", "HEAD")
    assert (there and there.commit) == (ours and ours.commit)
    assert there is None or there.commit != theirs


def test_an_installed_copy_inside_somebodys_repository_has_no_commit(repository: Path) -> None:
    installed = repository / ".venv" / "site-packages" / "pkg"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert source_of(installed) is None


def test_no_repository_at_all(tmp_path: Path) -> None:
    assert source_of(tmp_path) is None


def test_no_git_at_all(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert source_of(repository / "pkg") is None


def test_changed_files_make_it_dirty(repository: Path) -> None:
    clean = source_of(repository / "pkg")
    (repository / "pkg" / "__init__.py").write_text("x = 1")
    dirty = source_of(repository / "pkg")
    assert clean is not None
    assert dirty is not None
    assert (clean.dirty, dirty.dirty) == (False, True)
    assert clean.commit == dirty.commit == git(repository, "rev-parse", "HEAD")


def test_credentials_in_the_remote_are_not_recorded(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://ann:s3cret@example.org/team/thbench.git")
    found = source_of(repository / "pkg")
    assert found is not None
    assert found.remote == "example.org/team/thbench"
    assert "s3cret" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ann:s3cret@example.org/team/x.git", "example.org/team/x"),
        ("https://t0ken@example.org/team/x", "example.org/team/x"),
        ("https://example.org/team/x?private_token=s3cret#s3cret", "example.org/team/x"),
        ("ssh://git:s3cret@example.org:2222/team/x.git", "example.org/team/x"),
        ("git@example.org:team/x.git", "example.org/team/x"),
        ("ann:s3cret@example.org:team/x.git", "example.org/team/x"),
        ("example.org:team/x", "example.org/team/x"),
        ("/home/ann/x.git", None),
        ("../x", None),
        ("C:\\Users\\ann\\x", None),
        ("file:///home/ann/x", None),
        ("file://server/home/ann/x", None),
        ("https://[broken/x", None),
        ("", None),
    ],
)
def test_public_part_of_a_remote(url: str, expected: str | None) -> None:
    assert public_remote(url) == expected


def test_torch_is_not_imported_to_name_gpus() -> None:
    code = (
        "import sys; from thbench.run.environment import environment; "
        "found = environment(); assert 'torch' not in sys.modules; print(found.gpus)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "None"


def test_gpus_are_named_if_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        @staticmethod
        def is_available() -> bool:
            return True

        @staticmethod
        def device_count() -> int:
            return 2

        @staticmethod
        def get_device_name(index: int) -> str:
            return f"GPU {index}"

    class Torch:
        cuda = Cuda

    monkeypatch.setitem(sys.modules, "torch", Torch)
    assert environment().gpus == ("GPU 0", "GPU 1")
