"""Live progress on stderr: a bar for a person at a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from trainer.terminal import printable


@dataclass(frozen=True, slots=True)
class Display:
    """A bar for the run that lasts and lines for what is done."""

    progress: Progress
    task: TaskID

    def watch(self, seconds: float, line: str) -> None:
        """Show how far a run is; the signature is `trainer.run.Watch`."""
        share = percent(line)
        total, done = (100.0, share) if share is not None else (None, 0.0)
        self.progress.update(self.task, total=total, completed=done, line=line[-60:])

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(printable(text), soft_wrap=True)

    def now(self, title: str) -> None:
        """Start the bar anew for another run."""
        self.progress.reset(self.task, description=printable(title)[:40], line="")


@contextmanager
def display(title: str) -> Iterator[Display]:
    """Show progress on stderr while a block lasts."""
    console = Console(stderr=True, markup=False, highlight=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20, pulse_style="green"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(printable(title)[:40], total=None, line="")
        yield Display(progress, task)


def percent(line: str) -> float | None:
    """Return the share of the budget a training line reports (`... | 21 %`), if it does."""
    words = line.replace("%", " % ").split()
    if "%" not in words[1:]:
        return None
    try:
        return min(100.0, max(0.0, float(words[words.index("%") - 1])))
    except ValueError:
        return None
