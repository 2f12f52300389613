"""Everything that can be deleted and rebuilt from the ledger: results.tsv, graph, plot, cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from filelock import Timeout

from flows import ledger, results, tracking
from flows.errors import CampaignError, FlowError
from flows.experiment import Clock
from flows.lab import Campaign, Lab
from flows.ledger import Entry
from flows.noise import floors_of
from kg.errors import KgError
from kg.record import ExperimentRecord

log = logging.getLogger(__name__)
HISTORY = 20  # accepted versions given to the diff, to tell a revert from a new idea


def update(lab: Lab, campaign: Campaign, entry: Entry, clock: Clock) -> None:
    """Bring results.tsv, the graph and DVC's cache up to one more experiment.

    None of them is the truth, so a failure is a warning: the next rebuild mends it.
    """
    with clock("results"):
        append_result(lab, campaign, entry)
    with clock("graph"):
        remember(lab, entry)
    with clock("dvc"):
        try:
            tracking.warm(lab.root, entry.commit)
        except FlowError as error:
            log.warning("%s", error)


def remember(lab: Lab, entry: Entry) -> None:
    """Add one experiment to the graph; whatever the graph had missed is added with it."""
    memory = lab.memory
    previous = ledger.name_of(entry.facts.campaign, entry.facts.seq - 1)
    try:
        if not memory.whole():
            rebuild(lab)
        elif entry.facts.seq and not memory.holds(previous):
            catch_up(lab)
        else:
            memory.add(record_of(lab, entry))
    except Exception as error:  # derived: no fault in it may end a night
        log.warning("graph: %s; run `nightlab kg rebuild`", error, exc_info=not expected(error))


def expected(error: Exception) -> bool:
    """Tell a store that is busy or broken from a bug, which is shown with its traceback."""
    return isinstance(error, KgError | OSError | Timeout)


def remember_noise(lab: Lab, tag: str) -> None:
    """Tell the graph the noise of a campaign that was just measured."""
    try:
        lab.memory.measure(tag, floors_of(lab, tag))
    except (KgError, OSError, Timeout) as error:
        log.warning("graph: %s; run `nightlab kg rebuild`", error)


def catch_up(lab: Lab) -> int:
    """Add every experiment the graph does not have; the number added."""
    memory = lab.memory
    known = set(memory.names())
    new = [entry for entry in ledger.entries(lab.repository) if entry.facts.name not in known]
    memory.add_all([record_of(lab, entry) for entry in new])
    for tag in sorted({entry.facts.campaign for entry in new}):
        memory.measure(tag, floors_of(lab, tag))
    return len(new)


def rebuild(lab: Lab) -> int:
    """Rebuild the graph and every results.tsv from the ledger; the number of experiments."""
    found = list(all_records(lab))
    tags = sorted({record.campaign for record in found})
    floors = [floor for tag in tags for floor in floors_of(lab, tag)]
    lab.memory.rebuild(found, floors=floors)
    for tag in tags:
        write_results(lab, tag)
    return len(found)


def all_records(lab: Lab, tag: str | None = None) -> Iterator[ExperimentRecord]:
    """Yield the experiments of the ledger as the graph wants them, in order."""
    for entry in ledger.entries(lab.repository, tag):
        yield record_of(lab, entry)


def record_of(lab: Lab, entry: Entry) -> ExperimentRecord:
    """Return an experiment with its sources and the accepted versions before its parent."""
    return ledger.record(lab.repository, entry, HISTORY)


def append_result(lab: Lab, campaign: Campaign, entry: Entry) -> None:
    """Append one row; a results.tsv that is missing or short is written anew."""
    path = campaign.results
    rows = path.read_text(encoding="utf-8").count("\n") - 1 if path.is_file() else -1
    if rows == entry.facts.seq:
        results.append_row(path, row(entry), metric=entry.facts.metric)
    else:
        write_results(lab, campaign.tag)


def write_results(lab: Lab, tag: str) -> None:
    """Write a campaign's results.tsv from the ledger."""
    found = list(ledger.entries(lab.repository, tag))
    if found:
        path = lab.state / "campaigns" / tag / "results.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        results.write_rows(path, [row(e) for e in found], metric=found[0].facts.metric)


def row(entry: Entry) -> results.Row:
    """Return an experiment as a row of results.tsv."""
    megabytes = entry.metrics.get("peak_vram_mb")
    memory = float(megabytes) / 1024 if isinstance(megabytes, int | float) else None
    subject = entry.facts.subject
    return results.Row(entry.commit[:7], entry.value, memory, entry.status.value, subject)


def plot(lab: Lab, campaign: Campaign) -> None:
    """Draw a campaign's progress.

    Raises:
        CampaignError: There is no such campaign.
    """
    from flows.plot import Point, progress_plot

    found = list(ledger.entries(lab.repository, campaign.tag))
    if not found and lab.repository.resolve(campaign.ref) is None:
        tag = campaign.tag
        raise CampaignError(f"campaign {tag}: does not exist; run `nightlab start {tag}`")
    campaign.directory.mkdir(parents=True, exist_ok=True)  # derived: a fresh clone has none
    points = [Point(e.facts.name, e.status.value, e.value, e.facts.subject) for e in found]
    progress_plot(
        points,
        campaign.plot,
        metric=campaign.task.metric,
        direction=campaign.task.direction,
        title=campaign.branch,
    )
