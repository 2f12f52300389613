"""What the campaign commands do; flows/cli_campaign.py describes their options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from flows import campaign, derived, ledger
from flows.errors import CampaignError, NotAdvised
from flows.experiment import Proposal
from flows.gate import earlier, gate, next_step, said
from flows.lab import Campaign, Lab, Wishes, current_tag, edited, open_campaign, open_lab, tags
from flows.output import (
    done_json,
    emit,
    experiment_json,
    notes,
    out,
    say_done,
    show_results,
    verdict_line,
)
from flows.pending import clear_hypothesis, pending_hypothesis
from flows.progress import display
from trainer.run import Watch
from trainer.terminal import printable

if TYPE_CHECKING:
    from flows.batch import Plan
    from kg.check_model import Advice


def wishes(options: argparse.Namespace) -> Wishes:
    """Return what the user chose."""
    return Wishes(options.task, options.profile, options.budget)


def start(options: argparse.Namespace) -> int:
    """`nightlab start`: a campaign with its baseline."""
    lab = open_lab()
    with display("baseline") as shown:
        started, done = campaign.start(lab, options.tag, wishes(options), shown.watch)
    if options.json:
        place = {"tag": started.tag, "branch": started.branch, "workdir": str(started.work)}
        baseline = done_json(lab, started, done)
        emit({**place, "target": str(started.target), "baseline": baseline})
        return 0
    out().print(f"campaign {started.branch}\nwork directory {started.work}")
    say_done(lab, started, done)
    return 0


def attempt(options: argparse.Namespace) -> int:
    """`nightlab try`: one experiment with the edit in the work directory.

    Raises:
        CampaignError: `--force` comes without a reason, or as `campaign.attempt`.
    """
    lab = open_lab()
    tag = options.tag or current_tag(lab, Path.cwd())
    if options.force and not options.because:
        raise CampaignError('--force: needs a reason; add --because "..."')

    advised: list[Advice] = []

    def propose(place: Campaign, accepted: bytes) -> Proposal:
        source, kept = edited(place), pending_hypothesis(place.directory)
        if not options.force and source != accepted:
            advised.append(gate(lab, place, source, accepted, options.message))
            notes().print(printable(f"check: {advised[0].summary}"))
        return Proposal(
            source,
            options.message,
            options.hypothesis or (kept.hypothesis if kept else None),
            kept.expected_delta if kept and options.expect is None else options.expect,
            options.agent,
            options.because if options.force else None,
        )

    try:
        with display(options.message) as shown:
            place, done = through_server(lab, tag, propose, shown.watch)
        clear_hypothesis(place.directory)
    except NotAdvised as error:
        return known(lab, tag, error, as_json=options.json)
    if options.json:
        emit({**done_json(lab, place, done), **said(advised[0] if advised else None)})
    else:
        say_done(lab, place, done)
    return 0


def known(lab: Lab, tag: str, error: NotAdvised, *, as_json: bool) -> int:
    """Answer with the result the identical program has had; nothing is run again."""
    entry = earlier(lab, error)
    if entry is None:
        if as_json:
            emit({"error": str(error), "check": error.advice})
        notes().print(f"error: {error}")
        return error.exit_code
    place, _ = open_campaign(lab, tag)
    with campaign.held(place):
        campaign.restore(lab, place, edited(place))
    done = campaign.Done(entry, {})
    then = next_step(
        lab, place, entry, unchanged=any("unchanged" in n for n in error.advice["notes"])
    )
    if as_json:
        emit({**done_json(lab, place, done), "next": then, "check": error.advice})
    else:
        out().print(f"not run again, the program is the one of {entry.facts.name}:")
        out().print(printable(f"{verdict_line(entry)}\nnext: {then}"))
    return 0


def through_server(
    lab: Lab, tag: str, propose: campaign.Propose, watch: Watch
) -> tuple[Campaign, campaign.Done]:
    """Run one experiment as a flow of a running `nightlab serve`, else directly."""
    from flows.prefect_server import running_server

    server = running_server(lab)
    if server is None:

        def begins() -> None:
            notes().print("no `nightlab serve` is running: the experiment runs directly")

        return campaign.attempt(lab, tag, propose, watch, begins)
    from flows.follow import try_through_server

    return try_through_server(lab, server, tag, propose, watch)


def run(options: argparse.Namespace) -> int:
    """`nightlab run`: a batch by a researcher, as flow runs of a Prefect server."""
    from flows.batch import Plan

    plan = Plan(
        options.tag,
        options.experiments,
        options.hours,
        options.profile,
        options.agent,
        options.seed,
        options.task,
        options.budget,
    )
    lab = open_lab()
    done = night(lab, plan, prefect=not options.no_prefect)
    place, _ = open_campaign(lab, options.tag)
    derived.plot(lab, place)
    if options.json:
        found = [done_json(lab, place, item) for item in done]
        emit({"tag": place.tag, "branch": place.branch, "experiments": found})
        return 0
    show_results([item.entry for item in done])
    out().print(f"plot {place.plot}\nresults {place.results}")
    return 0


def night(lab: Lab, plan: Plan, *, prefect: bool = True) -> list[campaign.Done]:
    """Run a batch with a live display."""
    from flows.batch import run_night

    with display(plan.tag) as shown:

        def tell(place: Campaign, done: campaign.Done) -> None:
            shown.say(verdict_line(done.entry))
            shown.now(f"{plan.tag} after {done.entry.facts.name}")

        return run_night(lab, plan, shown.watch, tell, prefect=prefect)


def serve(options: argparse.Namespace) -> int:
    """`nightlab serve`: Prefect's server and UI with our deployments, until Ctrl-C."""
    from flows.serve import serve as serve_until_stopped

    lab = open_lab()
    serve_until_stopped(lab, port=options.port or lab.config.prefect.port)
    return 0


def log(options: argparse.Namespace) -> int:
    """`nightlab log`: the experiments in order.

    Raises:
        CampaignError: There is no such campaign.
    """
    lab = open_lab()
    tag = options.tag_option or options.tag
    found = list(ledger.entries(lab.repository, tag))
    if tag and not found and tag not in tags(lab):
        raise CampaignError(f"campaign {tag}: does not exist; run `nightlab start {tag}`")
    if options.json:
        emit({"experiments": [experiment_json(entry) for entry in found]})
        return 0
    show_results(found)
    return 0


def plot(options: argparse.Namespace) -> int:
    """`nightlab plot`: progress.png of a campaign."""
    lab = open_lab()
    place, _ = open_campaign(lab, options.tag or current_tag(lab, Path.cwd()))
    derived.plot(lab, place)
    if options.json:
        emit({"tag": place.tag, "plot": str(place.plot)})
    else:
        out().print(str(place.plot))
    return 0
