"""Every module can be imported on a machine without a GPU, and none starts one."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest
import thbench_methods

import thbench

MODULES = sorted(
    info.name
    for package in (thbench, thbench_methods)
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not info.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_can_be_imported_without_a_gpu(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"


def test_the_harness_never_imports_the_methods() -> None:
    code = (
        "import sys, pkgutil, importlib, thbench\n"
        "for info in pkgutil.walk_packages(thbench.__path__, 'thbench.'):\n"
        "    if not info.name.endswith('__main__'): importlib.import_module(info.name)\n"
        "print([name for name in sys.modules if name.startswith('thbench_methods')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"
