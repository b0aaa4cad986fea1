"""Training cards: what a shipped network was trained on, how, and what it scores on people it never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thbench.training.loop import Point, Recipe
from thbench.types import Document

if TYPE_CHECKING:
    from pathlib import Path


class Score(Document):
    """One held-out number."""

    name: str
    """What is measured."""
    value: float
    low: float | None = None
    """Lower end of the 95 % interval over people."""
    high: float | None = None
    n: int
    """Samples behind the value."""
    people: int
    """Identities behind it."""
    bar: str = ""
    """What was asked for, e.g. `>= 0.95`."""
    protocol: str = ""
    """How it was measured, in one sentence."""


class Card(Document):
    """All that is known of a shipped network; lies beside its weights as JSON and Markdown."""

    name: str
    title: str
    source: str
    """Paper or repository whose design it follows."""
    file: str
    """File name of the weights."""
    bytes: int
    sha256: str
    parameters: int
    data: str
    """Split, clips, people and version of synth-heads."""
    objective: str
    """What was minimised, in a sentence or two."""
    recipe: Recipe
    seconds: float
    """Wall time of the training."""
    machine: str
    """Processor, threads and versions."""
    command: str
    """What was typed."""
    curve: tuple[Point, ...]
    scores: tuple[Score, ...]
    notes: tuple[str, ...] = ()
    """What a user should know."""


def write_card(card: Card, folder: Path) -> None:
    """Write `<name>.json` and `<name>.md` into a folder."""
    (folder / f"{card.name}.json").write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / f"{card.name}.md").write_text(as_markdown(card), encoding="utf-8")


def as_markdown(card: Card) -> str:
    """The card for people."""
    facts = {
        "follows": card.source,
        "weights": f"`{card.file}`, {card.bytes / 1e6:.2f} MB, {card.parameters:,} parameters, SHA-256 `{card.sha256}`",
        "data": card.data,
        "objective": card.objective,
        "training": f"{card.recipe.steps} steps, seed {card.recipe.seed}, {card.seconds / 60:.1f} minutes",
        "machine": card.machine,
        "command": f"`{card.command}`",
    }
    lines = [f"# {card.title}", "", "| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in facts.items()), ""]
    lines += ["## Held-out scores", "", "| score | value | 95 % interval | bar | n | people | protocol |"]
    lines += ["| --- | ---: | --- | --- | ---: | ---: | --- |", *map(_score_row, card.scores), ""]
    if card.curve:
        names = sorted({n for p in card.curve for n in p.values})
        lines += ["## Curve", "", "| step | " + " | ".join(names) + " |", "| ---: |" + " ---: |" * len(names)]
        shown = card.curve[:: max(len(card.curve) // 12, 1)]
        if shown[-1] is not card.curve[-1]:
            shown = (*shown, card.curve[-1])
        for p in shown:
            lines.append(
                f"| {p.step} | " + " | ".join(f"{p.values[n]:.4g}" if n in p.values else "" for n in names) + " |"
            )
        lines.append("")
    return "\n".join([*lines, *(f"- {note}" for note in card.notes), ""]).rstrip() + "\n"


def _score_row(s: Score) -> str:
    interval = "" if s.low is None or s.high is None else f"{s.low:.4g} to {s.high:.4g}"
    return f"| {s.name} | {s.value:.4g} | {interval} | {s.bar} | {s.n} | {s.people} | {s.protocol} |"
