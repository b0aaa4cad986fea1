"""Receipts of the accelerated variants of a run, written into its folder, where reports find them.

    python -m thbench_methods.lightningcp.receipts RUN --clips 4

Each clip is generated once without acceleration and once under each variant's; what the sampler loop was given, what
it ran and what came of it are compared. At the end the variants are audited: the same clip over and over must not be
faster than clips that were never seen.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from thbench_methods.hallo.spec import HALLO
from thbench_methods.lightningcp.spec import ACCELERATIONS, LIGHTNINGCP

from thbench.accel.captured import heard, method_receipt
from thbench.accel.receipts import Audit, audit
from thbench.errors import UsageError
from thbench.registry import DATASETS, METHODS
from thbench.report.receipts import VariantReceipt, write_receipts
from thbench.run.files import write_atomically
from thbench.run.generate import request_of
from thbench.run.info import RunInfo
from thbench.run.suite import Suite, Variant, parse_variant
from thbench.spec import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from thbench.types import Clip, Request

AUDITED_FRAMES = 16
"""Frames of a clip of the audit."""


def receipts(suite: Suite, clips: Sequence[Clip], device: str = "cpu") -> Iterator[VariantReceipt]:
    """Yield a receipt for each clip of each accelerated variant of a suite, first seed.

    Args:
        suite: As resolved.
        clips: Of its dataset.
        device: Where methods compute.
    """
    for base, fast in groups(suite):
        build = load(METHODS[base.method].factory, purpose=f"method {base.method!r}")
        for clip in clips:
            asked = _request(suite, base, clip)
            plain = heard(build, base.preset, (), asked, device)
            for name, accelerations in fast.items():
                yield VariantReceipt(
                    variant=name,
                    baseline=base.name,
                    clip=clip.id,
                    seed=asked.seed,
                    receipt=method_receipt(plain, heard(build, base.preset, accelerations, asked, device)),
                )


def audited(suite: Suite, variant: Variant, clips: Sequence[Clip], device: str = "cpu", rounds: int = 7) -> Audit:
    """Time a variant on the same short clip over and over, in turn with others.

    Args:
        suite: As resolved.
        variant: Which.
        clips: At least one; further samples are of other seeds.
        device: Where it computes.
        rounds: Of both.
    """
    spec = METHODS[variant.method]
    method = load(spec.factory, purpose=f"method {variant.method!r}")(
        preset=variant.preset, device=device, accelerations=variant.accelerations
    )
    asked = replace(_request(suite, variant, clips[0]), frames=AUDITED_FRAMES)

    def generate(number: int) -> None:
        for _ in method.generate(replace(asked, seed=number)).frames:
            pass

    return audit(generate, rounds=rounds)


def groups(suite: Suite) -> list[tuple[Variant, dict[str, tuple[str, ...]]]]:
    """Return the unaccelerated variants that a suite accelerates, with names and accelerations of the accelerated ones.

    The method `lightningcp` is Hallo with accelerations.
    """
    found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for variant in map(parse_variant, suite.variants):
        method, accelerations = variant.method, tuple(variant.accelerations)
        if method == LIGHTNINGCP.name:
            method, accelerations = HALLO.name, (*ACCELERATIONS, *accelerations)
        if accelerations:
            found.setdefault((method, variant.preset), {})[variant.name] = accelerations
    return [(Variant(method=method, preset=preset), fast) for (method, preset), fast in found.items()]


def _request(suite: Suite, variant: Variant, clip: Clip) -> Request:
    spec = METHODS[variant.method]
    controls = suite.controls.get(variant.method, {})
    return request_of(spec, clip.path, fps=suite.fps, seed=suite.seeds[0], controls=controls)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the receipts of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--clips", type=int, default=4, help="the first so many of its clips (default: 4)")
    parser.add_argument("--rounds", type=int, default=7, help="of the audit (default: 7)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    args = parser.parse_args(arguments)
    kept = RunInfo.model_validate_json((args.run / "run.json").read_bytes()).suite
    suite = Suite.model_validate({name: value for name, value in kept.items() if name in Suite.model_fields})
    dataset = DATASETS[suite.dataset]
    clips = load(dataset.factory, purpose=f"dataset {dataset.name!r}")(suite.data)[: args.clips]
    found = list(receipts(suite, clips, args.device))
    if not found:
        raise UsageError(f"{args.run} has no accelerated variant; receipts are of those")
    write_receipts(args.run, "accelerations", found)
    fast = dict.fromkeys(one.variant for one in found)
    audits = {name: audited(suite, parse_variant(name), clips, args.device, args.rounds) for name in fast}
    lines = [
        f"{name}: same clip {audit.gain:+.1%} faster, allowed {audit.allowed:.0%}" for name, audit in audits.items()
    ]
    write_atomically(args.run / "receipts" / "audits.txt", "\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if all(audit.passed for audit in audits.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
