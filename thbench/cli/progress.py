"""A progress bar with the time that is left, on standard error; silent where that is no terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from thbench.types import Record


class RunProgress:
    """Shows how far a run is, in seconds of video, so that the estimate does not depend on how clips are cut."""

    def __init__(self, lengths: Sequence[float], fps: float, *, quiet: bool = False) -> None:
        """Prepare the bar.

        Args:
            lengths: Seconds of video of each job.
            fps: Instants per second, to turn beats into seconds.
            quiet: Show nothing.
        """
        self._lengths = lengths
        self._fps = fps
        self._done = [0.0] * len(lengths)
        self._finished = 0
        self._failed = 0
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("s of video"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=quiet or not console.is_terminal,
            expand=True,
        )
        self._task = self._bar.add_task("clips", total=max(round(sum(lengths)), 1), note="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progressed(self, job: int, instants: int) -> None:
        """A job has done so many instants."""
        self._done[job] = max(self._done[job], min(instants / self._fps, self._lengths[job]))
        self._show()

    def finished(self, job: int, records: Sequence[Record]) -> None:
        """A job is done."""
        self._done[job] = self._lengths[job]
        self._finished += 1
        self._failed += sum(record.status == "failed" for record in records)
        for record in records:
            if record.status == "failed":
                self._bar.console.print(f"[red]failed[/red] {record.variant} {record.clip}: ", end="")
                self._bar.console.print(record.error, markup=False, highlight=False)
        self._show()

    def _show(self) -> None:
        note = f"{self._finished}/{len(self._lengths)} clips" + (f", {self._failed} failed" if self._failed else "")
        self._bar.update(self._task, completed=round(sum(self._done)), note=note)
