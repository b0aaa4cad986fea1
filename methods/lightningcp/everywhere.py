"""Every acceleration on every registered method that samples by diffusion: what it saves, or why it cannot be applied.

Each pair is run on one short clip with the method's small preset; the receipt says what ran. Run by

    python -m thbench_methods.lightningcp.everywhere --out reports/accel
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from thbench.accel.captured import Heard, heard, method_receipt
from thbench.accel.receipts import Receipt
from thbench.errors import MethodError
from thbench.registry import ACCELERATIONS, METHODS
from thbench.run.files import write_atomically
from thbench.run.generate import request_of
from thbench.spec import load
from thbench.types import Document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thbench.spec import MethodSpec
    from thbench.types import Request

FRAMES = 16
"""Of the clip."""
PRESET = "mini"
"""Methods that have it are run."""


class Applied(Document):
    """One acceleration of one method."""

    method: str
    """With its preset."""
    acceleration: str
    """Of the registry."""
    reason: str = ""
    """Why it cannot be applied; empty where it can."""
    receipt: Receipt | None = None
    """What it has to show; None where it cannot be applied."""


class Everywhere(Document):
    """All pairs."""

    schema_version: int = 1
    """Version of this layout."""
    frames: int = FRAMES
    """Of the clip that was run."""
    pairs: tuple[Applied, ...]
    """In the order of the registries."""


def everywhere(methods: Sequence[str], request: Request, device: str = "cpu") -> Iterator[Applied]:
    """Yield every acceleration of some methods.

    Args:
        methods: Names; one that runs no sampler loop yields nothing.
        request: What is generated.
        device: Where methods compute.
    """
    for name in methods:
        spec = METHODS[name]
        build = load(spec.factory, purpose=f"method {name!r}")
        base = heard(build, PRESET, (), request, device)
        if base.loops:
            yield from (_applied(spec, acceleration, base, request, device) for acceleration in ACCELERATIONS)


def _applied(spec: MethodSpec, acceleration: str, base: Heard, request: Request, device: str) -> Applied:
    build, pair = load(spec.factory, purpose=f"method {spec.name!r}"), f"{spec.name}@{PRESET}"
    try:
        fast = heard(build, PRESET, (acceleration,), request, device)
    except MethodError as reason:
        return Applied(method=pair, acceleration=acceleration, reason=str(reason))
    return Applied(method=pair, acceleration=acceleration, receipt=method_receipt(base, fast))


def small_methods() -> list[str]:
    """Return the names of the methods that have a small preset and a training."""
    return [name for name, spec in METHODS.items() if PRESET in spec.presets and spec.trainers]


def markdown(found: Sequence[Applied]) -> str:
    """Return a table of methods by accelerations: the ratio of operations, `n/a` with its reason below."""
    methods = list(dict.fromkeys(one.method for one in found))
    names = list(dict.fromkeys(one.acceleration for one in found))
    cells = {(one.method, one.acceleration): one for one in found}
    reasons = list(dict.fromkeys(one.reason for one in found if one.reason))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for method in methods:
        row = []
        for name in names:
            one = cells[method, name]
            row.append(f"n/a [{reasons.index(one.reason) + 1}]" if one.receipt is None else _cell(one.receipt))
        lines.append(f"| {method} | {' | '.join(row)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)]
    about = (
        f"Operations of the sampler loop, unaccelerated over accelerated, and PSNR of the first {FRAMES} frames to the"
        " unaccelerated ones of the same seed."
    )
    return "\n".join([about, "", *lines, "", *notes, ""])


def _cell(receipt: Receipt) -> str:
    psnr = "" if receipt.output is None else f", {receipt.output.psnr:.1f} dB"
    return f"{receipt.flop_ratio:.2f}x{psnr}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all pairs and write `everywhere.json` and `everywhere.md`."""
    from thbench.data.synth_heads.dataset import clips_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/accel"), help="folder (default: reports/accel)")
    parser.add_argument("--methods", help="which, with commas between (default: all with a small preset)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    args = parser.parse_args(arguments)
    clip = clips_of()[0]
    methods = args.methods.split(",") if args.methods else small_methods()
    found = []
    for name in methods:
        asked = replace(request_of(METHODS[name], clip.path, fps=clip.fps or 25.0), frames=FRAMES)
        found += list(everywhere([name], asked, args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out / "everywhere.json", Everywhere(pairs=tuple(found)).model_dump_json(indent=1) + "\n")
    write_atomically(args.out / "everywhere.md", markdown(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
