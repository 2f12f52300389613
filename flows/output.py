"""What commands print: one JSON object, or text for people."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.model import Status
from trainer.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console

    from flows.campaign import Done
    from flows.lab import Campaign, Lab
    from flows.ledger import Entry

PIPE_WIDTH = 180  # columns


def emit(value: Any) -> None:
    """Write one JSON object to stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def tell(lines: Iterable[str]) -> None:
    """Write untrusted lines of text to stdout; loading a console takes longer than many answers."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def out() -> Console:
    """Return a console on stdout, without markup: what it shows is often untrusted text.

    Into a pipe or a log it writes wide lines: 80 columns would fold most answers.
    """
    from rich.console import Console

    console = Console(markup=False, highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    return console


def show_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Print the rows of an answer: a table on a terminal, a line a row into a pipe.

    An agent reads pipes, and there the table of 13 columns of `ask conflicts` folded its names
    and took 19,727 characters for the 3,584 of a header and lines of cells between tabs. With
    COLUMNS set it is a table of that width everywhere.
    """
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        from flows.tables import answer_table

        answer_table(out(), columns, rows)
    else:
        from flows.cells import row_line

        head = {column: column for column in columns}
        sys.stdout.writelines(f"{row_line(columns, row)}\n" for row in (head, *rows))


def show_results(entries: Sequence[Entry]) -> None:
    """Print experiments as a table, the best marked."""
    from flows import derived
    from flows.tables import results_table

    if not entries:
        notes().print("no experiments yet")
        return
    facts = entries[0].facts
    rows = [derived.row(entry) for entry in entries]
    results_table(out(), rows, metric=facts.metric, direction=facts.direction[:3])


def notes() -> Console:
    """Return a console on stderr."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


def experiment_json(entry: Entry) -> dict[str, Any]:
    """Return what `log` and `try` say of one experiment."""
    facts = entry.facts
    return {
        "experiment": facts.name,
        "commit": entry.commit,
        "parent": entry.parent_commit,
        "status": entry.status.value,
        "reason": str(entry.metrics.get("reason", "")),
        "metric": facts.metric,
        "value": entry.value,
        "best_before": facts.best_before,
        "delta": entry.delta,
        "description": facts.description,
        "hypothesis": facts.hypothesis,
        "expected_delta": facts.expected_delta,
        "agent": facts.agent,
        "because": facts.forced_because,
        "campaign": facts.campaign,
        "started": facts.started,
        "ended": facts.ended,
        "lines_added": facts.lines_added,
        "lines_removed": facts.lines_removed,
        "nodes_added": facts.nodes_added,
    }


def done_json(lab: Lab, campaign: Campaign, done: Done) -> dict[str, Any]:
    """Return what `try` says: the verdict, where the time went, what to do next."""
    entry = done.entry
    steps = ("training_seconds", "eval_seconds", "startup_seconds", "run_seconds")
    inside = {key: entry.metrics[key] for key in steps if key in entry.metrics}
    return {
        **experiment_json(entry),
        "seconds": {**done.seconds, **inside},
        "workdir": str(campaign.work),
        "target": str(campaign.target),
        **({"log": str(log_of(campaign))} if is_last_run(lab, campaign, entry) else {}),
        "next": advice(lab, campaign, entry),
    }


def log_of(campaign: Campaign) -> Path:
    """Return where the log of a campaign's last run lies."""
    return campaign.run / "exp" / "artifacts" / "run.log"


def is_last_run(lab: Lab, campaign: Campaign, entry: Entry) -> bool:
    """Tell whether a campaign's run directory is that of an experiment: the next run takes it.

    An earlier result that is answered with again has its log in DVC's cache alone.
    """
    from flows.experiment import OWNER
    from flows.ledger import FACTS

    owner = campaign.run / OWNER
    candidate = owner.read_text(encoding="utf-8") if owner.is_file() else ""
    facts = lab.repository.read(candidate, FACTS) if candidate else None
    return facts is not None and json.loads(facts).get("name") == entry.facts.name


def advice(lab: Lab, campaign: Campaign, entry: Entry) -> str:
    """Say in one or two sentences what an agent does now."""
    edit = f'edit {campaign.target.relative_to(lab.root)} and run `nightlab try -m "..."`'
    again = f"git show {entry.commit[:7]}:{campaign.task.target}"
    if entry.status is Status.KEEP:
        return f"kept: it is the new accepted version; {edit}"
    if entry.status is Status.DISCARD:
        return f"discarded: the target is back at the accepted version; {edit}"
    return (
        f"crashed: {entry.metrics.get('reason', '')}; the target is back at the accepted version "
        f"(`{again}` shows yours); {edit}"
    )


def verdict_line(entry: Entry) -> str:
    """Say the verdict of one experiment in a line."""
    value = "no result" if entry.value is None else f"{entry.facts.metric} {entry.value:.6f}"
    best = entry.facts.best_before
    against = "" if best is None else f" (best before {best:.6f})"
    head = f"{entry.facts.name} {entry.commit[:7]} {entry.status.value}"
    return f"{head}: {value}{against}  {entry.facts.subject}"


def say_done(lab: Lab, campaign: Campaign, done: Done) -> None:
    """Print the verdict in a few lines an agent can read."""
    entry, console = done.entry, out()
    console.print(printable(verdict_line(entry)))
    console.print(printable(f"reason: {entry.metrics.get('reason', '')}"))
    console.print(printable(f"next: {advice(lab, campaign, entry)}"))
