"""`thbench time`: interleaved latency and memory of a method, accelerated against unaccelerated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thbench.cli.calibrating import CLIPS, calibrate
from thbench.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from thbench.cli.entry import Subparsers
    from thbench.cost.record import CostRecord, Protocol
    from thbench.run.suite import Variant
    from thbench.spec import MethodSpec
    from thbench.types import Request


def add_parser(subparsers: Subparsers) -> None:
    """Declare the command's arguments."""
    parser = subparsers.add_parser(
        "time",
        help="latency and memory of a method, against itself unaccelerated",
        description="Times a method in fresh processes: cold start, first frame, steady frames, steps, end to end. "
        "An accelerated variant runs interleaved with the unaccelerated one, in random order. Memory is measured "
        "in a pass of its own. Every sample is kept in the JSON.",
    )
    parser.add_argument("method", metavar="METHOD", help="name of a method (see `thbench list methods`)")
    parser.add_argument("--preset", metavar="P", help="one of its presets (default: the first)")
    parser.add_argument("--accelerate", metavar="A+B", help="accelerations, timed beside the unaccelerated method")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the cost record to FILE (- for stdout)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of clips (default: the embedded ones)")
    parser.add_argument("--clip", metavar="ID", help="which clip (default: the first)")
    parser.add_argument("--frames", type=int, metavar="N", help="only the first N frames of the clip")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("--processes", type=int, default=5, help="fresh processes for interleaved trials (default: 5)")
    parser.add_argument("--cold-starts", type=int, default=3, help="fresh processes per cold start (default: 3)")
    parser.add_argument("--warm-ups", type=int, default=1, help="discarded generations per process (default: 1)")
    parser.add_argument("--rounds", type=int, default=3, help="fewest rounds per process (default: 3)")
    parser.add_argument("--max-rounds", type=int, default=50, help="most rounds per process (default: 50)")
    parser.add_argument(
        "--min-seconds", type=float, default=1.0, help="least measured time per variant and process (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the generation and of the random order (default: 0)")
    parser.add_argument("--no-memory", action="store_true", help="time only")
    parser.add_argument(
        "--leak-check", action="store_true", help="also repeat one generation 20 times and watch memory"
    )
    parser.add_argument(
        "--calibrate",
        type=int,
        nargs="?",
        const=CLIPS,
        metavar="N",
        help=f"choose key steps on the first N clips of --data and store them with the method (default: {CLIPS})",
    )
    parser.add_argument("--key-steps", type=int, metavar="K", help="with --calibrate: how many (default: 11 of 40)")
    parser.add_argument(
        "--roofline",
        action="store_true",
        help="also count operations, and say how far from this machine's limit it runs",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, write, show."""
    from thbench.cost.child import Target
    from thbench.cost.leaks import REPEATS
    from thbench.cost.measure import Passes, measure
    from thbench.errors import ExitCode
    from thbench.registry import METHODS
    from thbench.run.suite import parse_variant

    _check(args)
    if args.calibrate is not None:
        return calibrate(args)
    preset = f"@{args.preset}" if args.preset else ""
    base = parse_variant(f"{args.method}{preset}")
    variants = [base, parse_variant(f"{args.method}{preset}+{args.accelerate}")] if args.accelerate else [base]
    spec = METHODS[base.method]
    clip, request = _request(args, spec)
    counts = _roofline(variants, args.device) if args.roofline else {}
    record = measure(
        [Target(v.name, spec.factory, v.preset, args.device, v.accelerations) for v in variants],
        request,
        clip=clip,
        protocol=_protocol(args),
        passes=Passes(memory=0 if args.no_memory else 1, leak_repeats=REPEATS if args.leak_check else 0),
        watching=_say if sys.stderr.isatty() and not args.quiet else lambda what, number, of: None,
    )
    record = record.model_copy(update=counts)
    _write(record, args)
    return ExitCode.FAILED if any(check.leaks for check in record.leaks) else ExitCode.OK


def _check(args: argparse.Namespace) -> None:
    """Refuse numbers that are out of range, and a file that cannot be written, before anything is measured."""
    if args.calibrate is not None and args.calibrate < 1:
        raise UsageError(f"--calibrate is {args.calibrate}; it must be 1 clip or more")
    least = {"processes": 1, "cold_starts": 0, "warm_ups": 0, "rounds": 1, "max_rounds": 1, "min_seconds": 0}
    for name, low in least.items():
        value = getattr(args, name)
        if value < low:
            raise UsageError(f"--{name.replace('_', '-')} is {value:g}; it must be {low} or more")
    if args.max_rounds < args.rounds:
        raise UsageError(f"--max-rounds is {args.max_rounds}; it must be at least --rounds, which is {args.rounds}")
    if args.frames is not None and args.frames < 1:
        raise UsageError(f"--frames is {args.frames}; it must be 1 or more")
    if args.json is not None and str(args.json) != "-":
        try:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.touch()
        except OSError as error:
            raise UsageError(f"--json: cannot write {args.json}: {error.strerror}; give another file") from error


def _request(args: argparse.Namespace, spec: MethodSpec) -> tuple[str, Request]:
    """The clip's id and what the method is asked for."""
    from thbench.cost.measure import shortened
    from thbench.errors import did_you_mean
    from thbench.registry import DATASETS
    from thbench.run.generate import request_of
    from thbench.spec import load

    dataset = DATASETS["folder" if args.data else "synth-heads"]
    clips = load(dataset.factory, purpose=f"dataset {dataset.name!r}")(args.data)
    if not clips:
        raise UsageError(f"{args.data or dataset.name} holds no clip; give a folder of videos with --data DIR")
    by_id = {clip.id: clip for clip in clips}
    if args.clip is not None and args.clip not in by_id:
        raise UsageError(f"no clip is called {args.clip!r}{did_you_mean(args.clip, by_id)}")
    chosen = by_id[args.clip] if args.clip is not None else clips[0]
    other = next((clip.path for clip in clips if clip.identity != chosen.identity), None)
    request = request_of(spec, chosen.path, fps=chosen.fps or 25.0, seed=args.seed, other=other)
    return chosen.id, request if args.frames is None else shortened(request, args.frames)


def _roofline(variants: list[Variant], device: str) -> dict[str, Any]:
    """The record's fields `work` and `limits`."""
    from thbench.cost.device import open_device
    from thbench.cost.planned import count_variants, dtype_of
    from thbench.cost.rates import limits

    offer, counted = count_variants(variants)
    parts = {name: found for name, (_, found) in counted.items()}
    return {
        "work": {name: work for name, (work, _) in counted.items()},
        "limits": limits(parts, open_device(device), dtype_of(offer.dtype)),
    }


def _protocol(args: argparse.Namespace) -> Protocol:
    from thbench.cost.record import Protocol

    return Protocol(
        processes=args.processes,
        cold_starts=args.cold_starts,
        warm_ups=args.warm_ups,
        min_rounds=args.rounds,
        min_seconds=args.min_seconds,
        max_rounds=args.max_rounds,
        seed=args.seed,
    )


def _say(what: str, number: int, of: int) -> None:
    """One line that is written over and over."""
    sys.stderr.write(f"\r\x1b[K{number + 1}/{of} {what}" if number < of else "\r\x1b[K")
    sys.stderr.flush()


def _write(record: CostRecord, args: argparse.Namespace) -> None:
    from rich.console import Console

    from thbench.cost.table import render

    text = record.model_dump_json(indent=1) + "\n"
    if str(args.json) == "-":
        sys.stdout.write(text)
        return
    if args.json is not None:
        args.json.write_text(text, encoding="utf-8")
    if not args.quiet:
        Console().print(render(record))
