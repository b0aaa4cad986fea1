"""`thbench doctor`: what is here, what is missing, and how to get it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from thbench.errors import ExitCode, ThbenchError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from thbench.cli.entry import Subparsers


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    """What was looked for."""
    state: Literal["ok", "missing", "broken"]
    """What was found."""
    detail: str
    """Version, path or reason."""
    needed_for: str
    """Who needs it."""
    remedy: str = ""
    """What to type."""


PACKAGES = (
    # import name, distribution, extra, needed for
    ("av", "av", "eval", "reading and writing video"),
    ("soxr", "soxr", "eval", "reading audio"),
    ("scipy", "scipy", "eval", "metrics"),
    ("cv2", "opencv-contrib-python", "eval", "metrics"),
    ("mediapipe", "mediapipe", "eval", "faces"),
    ("torch", "torch", "torch", "learned metrics and methods"),
    ("torchmetrics", "torchmetrics", "lpips", "heads of LPIPS (the package lpips will do as well)"),
    ("ray", "ray", "cluster", "--executor ray"),
)
REQUIRED = frozenset({"eval"})
"""Extras without which `thbench eval` does not work."""


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser("doctor", help="what is here, what is missing, and how to get it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings.

    Returns:
        FAILED if something is broken or `thbench eval` cannot work here; what is optional may be missing.
    """
    findings = list(examine())
    if args.json:
        sys.stdout.write(json.dumps([asdict(f) for f in findings], indent=2) + "\n")
    else:
        for finding in findings:
            remedy = f"\n           -> {finding.remedy}" if finding.remedy else ""
            sys.stdout.write(f"{finding.state:<8} {finding.what}: {finding.detail} ({finding.needed_for}){remedy}\n")
    required = {name for name, _, extra, _ in PACKAGES if extra in REQUIRED}
    wrong = any(f.state == "broken" or (f.state == "missing" and f.what in required) for f in findings)
    return ExitCode.FAILED if wrong else ExitCode.OK


def examine() -> Iterator[Finding]:
    """Look at the machine, the packages, the codecs, the registries and the weights."""
    yield Finding("python", "ok", platform.python_version(), "everything")
    yield Finding("machine", "ok", f"{platform.machine()}, {os.cpu_count()} cores", "everything")
    for module, distribution, extra, purpose in PACKAGES:
        yield _package(module, distribution, extra, purpose)
    yield from _accelerator()
    yield from _codecs()
    yield from _registries()
    yield from _weights()


def _package(module: str, distribution: str, extra: str, purpose: str) -> Finding:
    install = f"pip install 'thbench[{extra}]'"
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return Finding(module, "missing", "not installed", purpose, install)
    except (ImportError, OSError) as error:
        remedy = install
        if module == "cv2" and "libGL" in str(error):
            remedy = "pip install --force-reinstall --no-deps opencv-contrib-python-headless"
        return Finding(module, "broken", str(error), purpose, remedy)
    try:
        return Finding(module, "ok", version(distribution), purpose)
    except PackageNotFoundError:
        return Finding(module, "ok", "version unknown", purpose)


def _accelerator() -> Iterator[Finding]:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        yield Finding("cuda", "ok", torch.cuda.get_device_name(0), "methods on a GPU")
    else:
        yield Finding("cuda", "missing", "no CUDA device; everything runs on the CPU", "methods on a GPU")


def _codecs() -> Iterator[Finding]:
    av = sys.modules.get("av")
    if av is None:
        return
    wanted = {"hevc": "r", "h264": "r", "mpeg4": "r", "ffv1": "rw", "vp9": "r", "libx264": "w", "aac": "rw"}
    lacking = [f"{name} ({mode})" for name, modes in wanted.items() for mode in modes if not _has_codec(av, name, mode)]
    detail = "lacking " + ", ".join(lacking) if lacking else ", ".join(wanted)
    remedy = "pip install --force-reinstall av" if lacking else ""
    yield Finding("codecs", "broken" if lacking else "ok", detail, "video", remedy)


def _has_codec(av: object, name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)  # type: ignore[attr-defined]  # the module, looked up by name
    except ValueError:
        return False
    return True


def _registries() -> Iterator[Finding]:
    from thbench.registry import ACCELERATIONS, DATASETS, METHODS, METRICS

    for registry in (METHODS, METRICS, ACCELERATIONS, DATASETS):
        try:
            yield Finding(f"{registry.noun}s", "ok", f"{len(registry)} installed", registry.group)
        except ThbenchError as error:
            yield Finding(f"{registry.noun}s", "broken", str(error), registry.group)


def _weights() -> Iterator[Finding]:
    from thbench.backbones.weights import about, command_for, find, known_names, weights_folder

    yield Finding("weights folder", "ok", str(weights_folder()), "THBENCH_WEIGHTS names another")
    for name in known_names():
        file = about(name)
        path = find(name)
        if path:
            yield Finding(file.file, "ok", str(path), file.used_for)
        else:
            yield Finding(file.file, "missing", "absent", file.used_for, command_for(name))
