"""A batch: experiments of one campaign, one after the other, proposed by an agent.

The loop is a plain one. Prefect (flows/research.py) gives it another `step`, which runs the same
work as a task with a name; nothing else differs, and nothing is read back from Prefect.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial

from filelock import FileLock, Timeout

from flows import campaign, ledger
from flows.agents import Agent, agent_named
from flows.campaign import Done
from flows.errors import CampaignError
from flows.experiment import Proposal, next_seq
from flows.lab import Campaign, Lab, Wishes, open_campaign, read_target
from flows.prefect_server import temporary_server, use_server
from flows.recovery import was_interrupted
from trainer.run import Watch

log = logging.getLogger(__name__)
PATIENCE_SECONDS = 120.0  # beyond a run's limit: the time DVC and the graph may need after it


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch is to do; None takes what the campaign has, else nightlab.toml's default."""

    tag: str
    experiments: int | None = None  # beside the baseline; None: until the hours are over
    hours: float | None = None  # no experiment starts later; None: until the number is reached
    profile: str | None = None
    agent: str | None = None
    seed: int = 0
    task: str | None = None
    budget_seconds: float | None = None

    @property
    def wishes(self) -> Wishes:
        """What is fixed when the campaign starts."""
        return Wishes(self.task, self.profile, self.budget_seconds)


Work = Callable[[], Done]
Step = Callable[[str, Work], Done]  # runs the work of one experiment under a name
OnExperiment = Callable[[Campaign, Done], None]


def directly(name: str, work: Work) -> Done:
    """Run one experiment as it is."""
    del name
    return work()


def run_batch(
    lab: Lab,
    plan: Plan,
    watch: Watch | None = None,
    on_experiment: OnExperiment | None = None,
    step: Step = directly,
) -> list[Done]:
    """Start or continue a campaign and run experiments until the number or the time is reached.

    A baseline that is missing is run first and not counted. A batch also ends when the agent
    has nothing left to try.

    Args:
        lab: The repository.
        plan: What to do.
        watch: Called about twice a second while a run lasts.
        on_experiment: Called after each experiment.
        step: Runs one experiment; its first argument is `exp-NNNN`, the number it gets.

    Raises:
        CampaignError: The plan has no end, or does not fit the campaign.
    """
    finished: list[Done] = []
    with contextlib.closing(works(lab, plan, watch)) as todo:
        for place, work in todo:
            done = step(f"exp-{next_seq(lab, plan.tag):04d}", work)
            finished.append(done)
            log.info("%s", line(done))
            if on_experiment:
                on_experiment(place, done)
    return finished


def works(lab: Lab, plan: Plan, watch: Watch | None) -> Generator[tuple[Campaign, Work]]:
    """Yield the work of one experiment after the other; each sees what the last one left.

    The campaign is held from the proposal until the next is asked for.

    Raises:
        CampaignError: The plan has no end, or does not fit the campaign.
    """
    if plan.experiments is None and plan.hours is None:
        raise CampaignError(
            f"campaign {plan.tag}: nothing says when to stop; give a number of experiments or hours"
        )
    name = plan.agent or lab.config.agent
    agent = agent_named(name, lab, plan.tag, plan.seed)
    end_at = None if plan.hours is None else time.monotonic() + plan.hours * 3600
    place, budget = open_campaign(lab, plan.tag, plan.wishes)
    with turn(lab, place):
        campaign.settle(lab, place)
    if not has_outcome(lab, plan.tag):
        yield place, partial(baseline, lab, plan, watch, name)
    number = 0
    while plan.experiments is None or number < plan.experiments:
        if end_at is not None and time.monotonic() >= end_at:
            return
        with turn(lab, place):
            campaign.settle(lab, place)
            proposal = proposed(lab, place, agent, name)
            if proposal is None:
                return
            yield place, partial(campaign.experiment, lab, place, proposal, budget, watch)
        number += 1


def proposed(lab: Lab, place: Campaign, agent: Agent, name: str) -> Proposal | None:
    """Return what the agent wants to try; the accepted version where its evaluation was changed."""
    tip = lab.repository.resolve(place.ref) or lab.repository.head()
    accepted = read_target(lab, place, tip)
    if campaign.owed(lab, place, tip):
        return Proposal(accepted, "new baseline", agent=name)
    return agent(place, accepted)


def baseline(lab: Lab, plan: Plan, watch: Watch | None, agent: str) -> Done:
    """Start the campaign with its first experiment."""
    return campaign.start(lab, plan.tag, plan.wishes, watch, agent)[1]


@contextlib.contextmanager
def turn(lab: Lab, place: Campaign) -> Iterator[None]:
    """Hold a campaign; wait until an agent's `nightlab try` has finished its experiment.

    Raises:
        CampaignError: Somebody takes longer than a run may.
    """
    place.directory.mkdir(parents=True, exist_ok=True)
    path = place.directory / "lock"
    limit = lab.config.profiles[place.profile].limit_seconds + PATIENCE_SECONDS
    try:
        lock = FileLock(path).acquire(timeout=limit)
    except Timeout:
        raise CampaignError(
            f"campaign {place.tag}: another nightlab has been running an experiment in it for "
            f"{limit:g} s; end it, or start another tag"
        ) from None
    with lock:
        os.utime(path)  # the campaign worked on last is the default of many commands
        yield


def has_outcome(lab: Lab, tag: str) -> bool:
    """Tell whether a campaign has an experiment that says something about a program."""
    return any(not was_interrupted(entry) for entry in ledger.entries(lab.repository, tag))


def line(done: Done) -> str:
    """Return the one log line of an experiment."""
    entry = done.entry
    facts, value, best = entry.facts, entry.value, entry.facts.best_before
    outside = sum(spent for step, spent in done.seconds.items() if step != "run")
    words = {"experiment": facts.name, "status": entry.status.value}
    words[facts.metric] = "none" if value is None else f"{value:.6f}"
    if value is not None and best is not None:
        words["delta"] = f"{value - best:+.6f}"
    words |= {"run_seconds": f"{done.seconds.get('run', 0.0):.1f}", "overhead": f"{outside:.2f}"}
    words["reason"] = json.dumps(str(entry.metrics.get("reason", "")), ensure_ascii=False)
    return " ".join(f"{key}={text}" for key, text in words.items())


def run_night(
    lab: Lab,
    plan: Plan,
    watch: Watch | None = None,
    on_experiment: OnExperiment | None = None,
    *,
    prefect: bool = True,
) -> list[Done]:
    """Run a batch as flow runs of a Prefect server, or without one if there can be none.

    It takes the server of a running `nightlab serve`, else starts one for the batch; the history
    stays in `.nightlab/prefect`. See `run_batch` for the arguments and errors.
    """
    if not prefect:
        return run_batch(lab, plan, watch, on_experiment)
    with temporary_server(lab) as info:
        if info is None:
            return run_batch(lab, plan, watch, on_experiment)
        with use_server(info):
            from flows.research import run_recorded
            from flows.stale import reap

            if info.pid == os.getpid():  # nobody else has looked what the last one left
                asyncio.run(reap(lab, info))
            return run_recorded(lab, plan, watch, on_experiment)
