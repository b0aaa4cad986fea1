"""A process that stores records until it is killed; `test_store_kill.py` runs it.

Started as `python store_victim.py FOLDER COUNT`. Says `start KEY` before and `done KEY` after each record is stored,
each in one write, so that the one who kills it knows what must be on the disk.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from store_helpers import MACHINE, recipe, record, run_info

from thbench.run.info import Planned
from thbench.run.store import RunStore


def payload(key: str) -> str:
    """A text that proves that a record is whole; at times so long that a kill can hit in the middle of its write."""
    seed = random.Random(key)
    length = seed.choice([10, 1000, 100_000, 3_000_000])
    text = hashlib.sha256(key.encode()).hexdigest() * (length // 64 + 1)
    return text[:length]


def say(word: str, key: str) -> None:
    os.write(1, f"{word} {key}\n".encode())


def main(folder: Path, count: int) -> None:
    keys = [f"job{i}" for i in range(count)]
    planned = [Planned(key=key, variant="v", clip=key, identity="i", recipe=recipe().key) for key in keys]
    with RunStore.create(folder, run_info(planned=planned), resume=True) as store:
        store.update(store.info.begun(workers=1, started=datetime.now(UTC), on=MACHINE))
        finished = store.finished_keys()
        for key in keys:
            if key not in finished:
                say("start", key)
                store.append(record(key, error=payload(key), attempt=len(store.info.attempts) - 1))
                say("done", key)
        store.update(store.info.ended("success", ended=datetime.now(UTC), seconds=1.0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
