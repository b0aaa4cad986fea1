"""On what a run was computed: versions, machine, and the state of thbench's own source."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from thbench._version import __version__
from thbench.types import Document

PACKAGES = (
    "av",
    "mediapipe",
    "numpy",
    "opencv-contrib-python",
    "pydantic",
    "ray",
    "safetensors",
    "scipy",
    "soxr",
    "torch",
)
"""Packages whose version can change a number or a time."""

GIT_SECONDS = 10.0
"""A git that takes longer than this (a dead network disk) is done without."""


class Source(Document):
    """State of the repository that holds thbench's source."""

    commit: str
    """Full commit hash."""
    dirty: bool
    """Whether tracked files differ from the commit."""
    remote: str | None = None
    """`host/path` of the remote `origin`, without user and credentials; None where it is a local path or absent."""


class Environment(Document):
    """On what a run was computed."""

    thbench: str
    """Version of thbench."""
    source: Source | None = None
    """State of thbench's own source tree; None for an installed release."""
    python: str
    """Python version."""
    platform: str
    """Operating system and architecture."""
    cpu: str
    """Processor model."""
    cores: int
    """Logical cores that the process may use."""
    memory: int
    """Bytes of main memory."""
    packages: Mapping[str, str] = {}
    """Name to version of the packages that matter; those that are not installed are left out."""
    gpus: tuple[str, ...] | None = None
    """GPU names as torch gives them; None if nobody looked (torch was not loaded)."""


def environment(*, load_torch: bool = False) -> Environment:
    """Collect what is known of this machine and this installation.

    Args:
        load_torch: Import torch to name the GPUs; otherwise they are named only if torch is loaded already.
    """
    return Environment(
        thbench=__version__,
        source=source_of(Path(__file__).resolve().parent.parent),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cores=usable_cores(),
        memory=psutil.virtual_memory().total,
        packages=package_versions(),
        gpus=gpu_names(load_torch=load_torch),
    )


def source_of(package: Path) -> Source | None:
    """State of the git repository that tracks the files of `package`.

    The repository of the current directory has no say, nor has one that merely surrounds an installed copy (a virtual
    environment inside somebody's project): the package's own `__init__.py` must be tracked.

    Args:
        package: Folder of a Python package.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(package, "rev-parse", "HEAD")
    status = _git(package, "status", "--porcelain", "--untracked-files=no")
    if commit is None or status is None:
        return None
    remote = _git(package, "remote", "get-url", "origin")
    return Source(commit=commit, dirty=bool(status), remote=public_remote(remote) if remote else None)


def public_remote(url: str) -> str | None:
    """`host/path` of a git remote, without user, password, token, port or query; None for a local path.

    Example:
        >>> public_remote("https://user:token@example.org:8443/team/thbench.git?x=1")
        'example.org/team/thbench'
    """
    scp = re.fullmatch(r"(?:[^@/]*@)?(?P<host>[^@/:\\]{2,}):(?P<path>(?!//).+)", url)
    if scp is not None:
        host, path = scp["host"], scp["path"]
    else:
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        host, path = "" if parts.scheme == "file" else parts.hostname or "", parts.path
    return f"{host}/{path.strip('/').removesuffix('.git')}" if host else None


def cpu_model() -> str:
    """Processor model as the system names it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", text, flags=re.MULTILINE)
    if found:
        return found[1].strip()
    if sys.platform == "darwin":
        named = _output(["sysctl", "-n", "machdep.cpu.brand_string"], os.environ)
        if named:
            return named
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Logical cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def package_versions() -> dict[str, str]:
    """Versions of the packages that matter, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def gpu_names(*, load_torch: bool) -> tuple[str, ...] | None:
    """GPU names by torch, or None if torch is not there to be asked."""
    if load_torch and "torch" not in sys.modules:
        try:
            import torch  # noqa: F401
        except ImportError:
            return None
    torch_module = sys.modules.get("torch")
    if torch_module is None:
        return None
    cuda = torch_module.cuda
    return tuple(cuda.get_device_name(index) for index in range(cuda.device_count())) if cuda.is_available() else ()


def _git(folder: Path, *arguments: str) -> str | None:
    # A git hook or a wrapper may have set GIT_DIR and the like, which point at somebody else's repository.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Locks that are only optional would disturb a git that works in the same repository.
    return _output(["git", "-C", str(folder), *arguments], clean | {"GIT_OPTIONAL_LOCKS": "0"})


def _output(command: list[str], variables: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(
            command, env=dict(variables), capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
