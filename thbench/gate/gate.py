"""The gate: two runs, rules, a confirmation before red, and one report."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from thbench._version import __version__
from thbench.errors import UsageError
from thbench.gate.costs import read_costs
from thbench.gate.document import ORDER, Finding, GateReport, gravest
from thbench.gate.examine import Comparison, Side, against_anchor, confirmed, examine, unconfirmed
from thbench.gate.noise import machine_of
from thbench.gate.outputs import videos_of
from thbench.gate.quality import Quality, quality_of
from thbench.run.store import RUN_FILE, RunStore

if TYPE_CHECKING:
    from pathlib import Path

    from thbench.gate.noise import Noise
    from thbench.gate.rules import Rules

PLACES = ("{baseline}", "{candidate}")
"""What a confirmation command may hold; folders are put there."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A second measurement."""

    name: str
    """Where it came from, for people."""
    candidate: Side
    """The candidate again."""
    baseline: Side | None = None
    """The baseline again, where it was measured again as well; timings are then compared with this one."""


Confirm = Callable[[], Confirmation | None]
"""Makes the second measurement; called at most once, and only if something is red. None if it could not be made."""


def read_side(folder: Path) -> Side:
    """Read a run folder, one with cost records only, or one cost record.

    Raises:
        UsageError: There is neither a run nor a cost record.
    """
    costs = read_costs(folder)
    if (folder / RUN_FILE).is_file():
        contents = RunStore.open(folder).read()
        return Side(str(folder), quality_of(contents), costs, videos_of(contents), contents.warnings)
    if not costs.records:
        raise UsageError(
            f"{folder} holds neither a run ({RUN_FILE}) nor cost records (costs/*.json); make them with thbench run "
            "and thbench time --json"
        )
    return Side(str(folder), Quality(), costs)


def run_gate(
    baseline: Side,
    candidate: Side,
    rules: Rules,
    *,
    anchor: Side | None = None,
    confirm: Confirm | None = None,
    noise: Noise | None = None,
) -> GateReport:
    """Compare a candidate with its baseline, and with an anchor beside it, by rules.

    An anchor is an older run that does not move with the baseline: small losses, none of which matters alone, add up
    against it.

    Args:
        baseline: The parent, e.g. the main branch.
        candidate: What is examined.
        rules: What matters.
        anchor: The fixed older run.
        confirm: Measures again, if something is red.
        noise: This machine's, see `thbench.gate.noise`.

    Raises:
        UsageError: A rule does not fit a metric.
    """
    pairs = [Comparison(baseline, candidate, noise if _is_of_this_machine(noise, candidate) else None)]
    if anchor is not None:
        pairs.append(against_anchor(pairs[0], anchor))
    findings = [finding for pair in pairs for finding in examine(pair, rules)]
    second = confirm() if confirm is not None and any(f.verdict == "regression" for f in findings) else None
    findings = [f if f.verdict != "regression" else _confirmed(f, pairs, rules, second) for f in findings]
    ordered = tuple(sorted(findings, key=lambda f: (ORDER.index(f.verdict), f.against != "baseline")))
    sides = [pair.baseline for pair in pairs] + [candidate]
    return GateReport(
        thbench=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        verdict=gravest(ordered),
        baseline=baseline.name,
        candidate=candidate.name,
        anchor=None if anchor is None else anchor.name,
        confirmed_by=None if second is None else second.name,
        findings=ordered,
        warnings=tuple(f"{side.name}: {warning}" for side in sides for warning in side.warnings)
        + _new_variants(baseline, candidate)
        + _noise_warnings(candidate, noise),
    )


def _confirmed(finding: Finding, pairs: list[Comparison], rules: Rules, second: Confirmation | None) -> Finding:
    if second is None:
        return unconfirmed(finding, rules)
    first = next(pair for pair in pairs if pair.against == finding.against)
    again_baseline = second.baseline if second.baseline is not None and first.against == "baseline" else first.baseline
    again = Comparison(again_baseline, second.candidate, first.noise, first.against, first.resamples)
    return confirmed(finding, examine(again, rules), second.name)


def _new_variants(baseline: Side, candidate: Side) -> tuple[str, ...]:
    new = sorted(candidate.variants - baseline.variants)
    return (f"only the candidate has {', '.join(new)}; nothing was judged there",) if new else ()


def _is_of_this_machine(noise: Noise | None, candidate: Side) -> bool:
    return noise is not None and bool(candidate.costs.records) and noise.machine == machine_of(candidate.costs)


def _noise_warnings(candidate: Side, noise: Noise | None) -> tuple[str, ...]:
    if not candidate.costs.records or _is_of_this_machine(noise, candidate):
        return ()
    if noise is None:
        return ("this machine's noise is unknown; thbench gate --calibrate measures it",)
    machine = machine_of(candidate.costs)
    return (f"the noise is that of another machine ({noise.machine}) and not used; this is {machine}, calibrate here",)


def confirmation_from(candidate: Path, baseline: Path | None) -> Confirm:
    """A second measurement that was made already."""

    def confirm() -> Confirmation:
        again = None if baseline is None else read_side(baseline)
        return Confirmation(str(candidate), read_side(candidate), again)

    return confirm


def confirmation_by(command: str, folder: Path) -> Confirm:
    """A second measurement that a command makes when it is needed.

    Args:
        command: Split like a shell's words, run without a shell. `{candidate}` becomes an empty folder for the second
            run of the candidate, `{baseline}` one for that of the baseline.
        folder: Where these folders are made.

    Raises:
        UsageError: The command does not say where its result goes.
    """
    words = shlex.split(command)
    if PLACES[1] not in command or not words:
        raise UsageError(f"--confirm-command {command!r} must hold {PLACES[1]}, the folder for the second run")
    places = {place: folder / place.strip("{}") for place in PLACES}

    def confirm() -> Confirmation | None:
        for path in places.values():
            path.mkdir(parents=True, exist_ok=True)
        filled = [_filled(word, places) for word in words]
        try:
            code = subprocess.run(filled, check=False).returncode
        except OSError as error:
            raise UsageError(f"--confirm-command cannot be run: {error}; give another") from error
        # A method that fails some clips exits with 1 and still leaves a run; what is there decides.
        if not _holds_run(places[PLACES[1]]):
            return None
        again = read_side(places[PLACES[0]]) if _holds_run(places[PLACES[0]]) else None
        return Confirmation(f"{shlex.join(filled)} (exit {code})", read_side(places[PLACES[1]]), again)

    return confirm


def _filled(word: str, places: dict[str, Path]) -> str:
    for place, path in places.items():
        word = word.replace(place, str(path))
    return word


def _holds_run(folder: Path) -> bool:
    return (folder / RUN_FILE).is_file() or any((folder / "costs").glob("*.json"))
