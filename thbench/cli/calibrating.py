"""`thbench time METHOD --calibrate`: chooses key steps on a few clips and stores them with the method."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from thbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from thbench.accel.calibrate import Calibration
    from thbench.spec import MethodSpec
    from thbench.types import Request

CLIPS = 3
"""How many clips are taken unless stated."""


def calibrate(args: argparse.Namespace) -> int:
    """Measure, choose, store.

    Raises:
        UsageError: No folder of clips is given: key steps are not to be chosen on the clips that methods are scored on.
    """
    from thbench.accel.calibrate import calibrate_method, stored_beside, write
    from thbench.registry import METHODS
    from thbench.spec import load

    if args.data is None:
        raise UsageError(
            "--calibrate needs a folder of clips; give one with --data DIR, of other clips than methods are scored on"
        )
    spec = METHODS[args.method]
    preset = args.preset or spec.presets[0]
    if preset not in spec.presets:
        raise UsageError(f"{spec.name} has no preset {preset!r}; its presets: {', '.join(spec.presets)}")
    found = calibrate_method(
        load(spec.factory, purpose=f"method {spec.name!r}"),
        _requests(args, spec),
        name=spec.name,
        preset=preset,
        device=args.device,
        count=args.key_steps,
    )
    path = args.json or stored_beside(spec.factory.partition(":")[0], preset)
    if str(path) == "-":
        sys.stdout.write(found.model_dump_json() + "\n")
        return ExitCode.OK
    write(found, path)
    if not args.quiet:
        _show(found, path)
    return ExitCode.OK


def _requests(args: argparse.Namespace, spec: MethodSpec) -> list[tuple[str, Request]]:
    from thbench.cost.measure import shortened
    from thbench.registry import DATASETS
    from thbench.run.generate import request_of
    from thbench.spec import load

    clips = load(DATASETS["folder"].factory, purpose="dataset 'folder'")(args.data)
    if not clips:
        raise UsageError(f"{args.data} holds no clip; give a folder of videos with --data DIR")
    chosen = clips[: args.calibrate]
    found = []
    for clip in chosen:
        other = next((c.path for c in clips if c.identity != clip.identity), None)
        request = request_of(spec, clip.path, fps=clip.fps or 25.0, seed=args.seed, other=other)
        found.append((clip.id, request if args.frames is None else shortened(request, args.frames)))
    return found


def _show(found: Calibration, path: Path) -> None:
    from rich.console import Console

    console = Console()
    keys = ", ".join(map(str, found.key_steps))
    console.print(f"{found.method}: key steps {keys} of {found.steps}, from {len(found.clips)} clips")
    console.print(f"sum of feature changes {found.cost:.4f}; equally spaced, it would be {found.uniform_cost:.4f}")
    console.print(f"written to {path} and, as a figure, to {path.with_suffix('.png')}")
