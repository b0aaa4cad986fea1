"""Listing, reading, reporting and comparing need neither torch nor a codec, and answer at once."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "av", "cv2", "mediapipe", "soxr", "scipy", "matplotlib", "ray")
BLOCK = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f'{{name}} is blocked', name=name)
sys.meta_path.insert(0, Block())
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("what", ["methods", "metrics", "accelerations", "datasets", "suites", "weights"])
def test_lists_need_nothing_heavy(what: str) -> None:
    done = python(BLOCK + f"from thbench.cli import main; sys.exit(main(['list', '{what}']))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_reading_and_reporting_need_nothing_heavy() -> None:
    done = python(BLOCK + "import thbench.report, thbench.run.store, thbench.stats, thbench.types, thbench.spec")
    assert done.returncode == 0, done.stderr


def test_evaluating_without_its_extra_names_the_extra() -> None:
    done = python(
        BLOCK + "from thbench.cli import main; sys.exit(main(['eval', '--generated', '.', '--reference', '.']))"
    )
    assert done.returncode == 3
    assert "pip install 'thbench[eval]'" in done.stderr
    assert "Traceback" not in done.stderr


PYDANTIC = "import pydantic.json_schema\nclass One(pydantic.BaseModel):\n  x: int"
"""A record as `list` has many: what cannot be done without pydantic cannot take less."""


@pytest.mark.parametrize("arguments", [["list", "metrics"], ["--help"]])
def test_answers_come_at_once(arguments: list[str]) -> None:
    """The bar is 0.3 s; on a processor on which pydantic alone takes more than half of that, twice what it takes.

    In processor seconds, and one quiet try of many will do, since others may use the machine.
    """
    tries: list[float] = []
    alone: list[float] = []
    for _ in range(15):
        tries.append(processor_seconds([sys.executable, "-m", "thbench", *arguments]))
        if min(tries) < 0.3:
            return
        alone.append(processor_seconds([sys.executable, "-c", PYDANTIC]))
        if len(tries) > 4 and min(tries) < 2 * min(alone):
            return
    pytest.fail(f"none of {len(tries)} tries took less than 0.3 s: {tries}; pydantic alone takes {min(alone):.2f} s")


def processor_seconds(command: list[str]) -> float:
    """User and system time of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
