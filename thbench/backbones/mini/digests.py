"""Which weights the mini networks have: their SHA-256, as they were shipped. Needs no torch."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from thbench.errors import UsageError, did_you_mean

FILE = "digests.json"
SHOWN = 12
"""Letters of a digest that a protocol tells."""


def weights_folder() -> Path:
    """Folder of the shipped weights and of their training cards."""
    return Path(str(files(__package__).joinpath("weights")))


@lru_cache(maxsize=1)
def digests() -> dict[str, str]:
    """Network to the SHA-256 of its weight file.

    Raises:
        UsageError: The package was installed without its data.
    """
    path = weights_folder() / FILE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(f"{path} is absent; install thbench again with its package data") from None


def digest(name: str) -> str:
    """SHA-256 of a network's weight file.

    Raises:
        UsageError: There is no such network.
    """
    known = digests()
    if name not in known:
        raise UsageError(f"no mini network is called {name!r}{did_you_mean(name, known)}")
    return known[name]


def mark(name: str) -> str:
    """How a protocol names a network and its weights, e.g. `mini-sync-0123456789ab`."""
    return f"mini-{name.replace('_', '-')}-{digest(name)[:SHOWN]}"


def record_digest(name: str, sha256: str) -> None:
    """Write down the digest of weights that were just made; for training scripts."""
    path = weights_folder() / FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[name] = sha256
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")
    digests.cache_clear()
