"""Live progress on stderr: a bar for a person at a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trainer.run import Watch, printable


@contextmanager
def watching(title: str, console: Console | None = None) -> Iterator[Watch]:
    """Show one run while it lasts; yields the function to call with seconds and last line."""
    console = console or Console(stderr=True, markup=False, highlight=False)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20, pulse_style="green"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(printable(title)[:40], total=None, line="")

        def watch(seconds: float, line: str) -> None:
            share = percent(line)
            total, done = (100.0, share) if share is not None else (None, 0.0)
            progress.update(task, total=total, completed=done, line=line[-60:])

        yield watch


def percent(line: str) -> float | None:
    """Return the share of the budget a training line reports (`... | 21 %`), if it does."""
    words = line.replace("%", " % ").split()
    if "%" not in words[1:]:
        return None
    try:
        return min(100.0, max(0.0, float(words[words.index("%") - 1])))
    except ValueError:
        return None
