"""The Prefect flows: `research`, a batch of experiments, and `graph`, the memory derived from them.

Prefect shows and schedules; git and DVC are the truth. An experiment is in the ledger before its
task ends, so an API that dies in mid-batch costs the picture and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import flows.untracked  # isort: skip  # noqa: F401

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed
from pydantic import Field

from flows import derived, ledger
from flows.batch import OnExperiment, Plan, Work, has_outcome, line, run_batch
from flows.campaign import Done
from flows.lab import Campaign, Lab, open_lab
from flows.records import (
    API_ERRORS,
    Table,
    drain,
    marked,
    own_output,
    quiet,
    reachable,
    summary,
    verdict,
)
from trainer.run import Watch

__all__ = ["follow", "graph", "research", "run_recorded"]

log = logging.getLogger(__name__)
TAG = "night-{date}"
LIMIT = 300  # experiments in one flow run: its page stays quick; a longer batch takes several
ROOT = "NIGHTLAB_ROOT"  # the repository of a flow run that `nightlab serve` starts


@dataclass
class Session:
    """What a flow run gets beside its parameters when a command of ours calls it."""

    lab: Lab
    watch: Watch | None = None
    on_experiment: OnExperiment | None = None
    finished: list[Done] = field(default_factory=list)
    outcome: Future[Done] = field(default_factory=Future)  # of the experiment that is followed


SESSION: ContextVar[Session | None] = ContextVar("session", default=None)


def session() -> Session:
    """Return the caller's session, else one for the repository `nightlab serve` serves."""
    return SESSION.get() or Session(open_lab(Path(os.environ.get(ROOT, "."))))


def dated(tag: str) -> str:
    """Put today's local date into a tag: `night-{date}` becomes `night-2026-11-22`."""
    return tag.replace("{date}", f"{datetime.now().astimezone():%Y-%m-%d}")


def run_name() -> str:
    """Name a flow run after its campaign."""
    return dated(str(runtime.flow_run.parameters.get("tag", TAG)))


@task(
    name="experiment",
    task_run_name="{name}",
    retries=0,  # five minutes of a GPU are never spent twice unasked
    cache_policy=NO_CACHE,
    persist_result=False,
)
def experiment(name: str, work: Work) -> State[Done]:
    """Run one experiment; discard and crash are results, so its state is Completed too."""
    del name  # of the task run
    done = work()
    return Completed(message=verdict(done), data=done)


@task(name="experiment", task_run_name="{name}", cache_policy=NO_CACHE, persist_result=False)
async def followed(name: str, outcome: Future[Done]) -> State[Done]:
    """Wait for an experiment that another thread runs."""
    del name
    done = await asyncio.wrap_future(outcome)
    return Completed(message=verdict(done), data=done)


def as_task(name: str, work: Work) -> Done:
    """Run one experiment as a task; directly while there is no API to show it."""
    if not reachable():
        log.warning("prefect: does not answer; %s runs without it", name)
        return work()
    box: list[Done] = []

    def once() -> Done:
        box.append(work())
        return box[0]

    try:
        experiment(name, once)
    except API_ERRORS as error:
        log.warning("prefect: %s; %s is not shown there, git has it", error, name)
        if not box:
            once()
    return box[0]


@flow(name="research", flow_run_name=run_name, retries=0, persist_result=False)
def research(
    tag: str = TAG,
    experiments: Annotated[int | None, Field(ge=0, le=LIMIT)] = None,
    hours: Annotated[float | None, Field(gt=0)] = None,
    profile: str | None = None,
    agent: str | None = None,
    seed: int = 0,
    task: str | None = None,
    budget_seconds: Annotated[float | None, Field(gt=0)] = None,
) -> State[None]:
    """Run a batch of experiments in one campaign, each as a task `exp-NNNN`.

    Args:
        tag: Campaign autoresearch/TAG, started if it is new, else continued. {date} becomes
            today's date.
        experiments: How many, beside the baseline; at most 300 in one flow run. None: until the
            hours are over.
        hours: No experiment starts later than so many hours after the first.
        profile: Kind of machine, a profile of nightlab.toml such as cpu or h100. None: the
            campaign's own, else that of params.yaml.
        agent: Who proposes the edits. None: the agent of nightlab.toml.
        seed: Of the built-in researcher; the same seed and history propose the same edits.
        task: A task of nightlab.toml. None: the campaign's own, else the default one.
        budget_seconds: Training clock of one run in seconds. None: the profile's own.
    """
    here, number = session(), LIMIT if experiments is None else experiments
    if runtime.deployment.id:
        own_output(here.lab)
    plan = Plan(dated(tag), number, hours, profile, agent, seed, task, budget_seconds)
    finished = shown_batch(here, plan)
    if runtime.deployment.id:  # else the caller runs the graph flow
        ask_for_graph(plan.tag)
    return Completed(message=summary(finished))


def shown_batch(here: Session, plan: Plan) -> list[Done]:
    """Run a batch inside a flow run: a task, a log line and a row of the table an experiment."""
    logger, table = get_run_logger(), Table(plan.tag, f"Campaign `autoresearch/{plan.tag}`")

    def report(place: Campaign, done: Done) -> None:
        here.finished.append(done)
        logger.info("%s", line(done))
        table.add(done)
        if here.on_experiment:
            here.on_experiment(place, done)

    with marked(here.lab, runtime.flow_run.id):
        finished = run_batch(here.lab, plan, here.watch, report, as_task)
    if not reachable():
        drain()  # else what waits for the API keeps this process for minutes
    return finished


def ask_for_graph(tag: str) -> None:
    """Let `nightlab serve` run the `graph` flow after a batch, as a flow run of its own."""
    try:
        name = str(runtime.deployment.name).replace("research", "graph", 1)  # asks the API
        run_deployment(f"graph/{name}", timeout=0, as_subflow=False, flow_run_name=f"after {tag}")
    except API_ERRORS as error:
        log.warning("prefect: %s; run `nightlab kg rebuild` if the graph lacks anything", error)


@flow(name="graph", retries=0, persist_result=False)
async def graph(rebuild: bool = False) -> State[None]:
    """Bring the memory up to the ledger, which is the truth.

    Args:
        rebuild: Make the whole graph anew instead of adding what it lacks.
    """
    lab = session().lab
    added = derived.rebuild(lab) if rebuild else derived.catch_up(lab)
    rows = [
        {"campaign": tag, "experiments": len(names), "in the graph": len(names & known)}
        for tag, names, known in counts(lab)
    ]
    await acreate_table_artifact(table=rows, key="graph", description="The memory by campaign")
    return Completed(message=f"{added} experiments {'built' if rebuild else 'added'}")


def counts(lab: Lab) -> list[tuple[str, set[str], set[str]]]:
    """Return each campaign's experiments, and all that the graph knows."""
    known = set(lab.memory.names())
    found: dict[str, set[str]] = {}
    for name in ledger.names(lab.repository):
        parts = ledger.name_parts(name)
        found.setdefault(parts[0] if parts else name, set()).add(name)
    return [(tag, names, known) for tag, names in sorted(found.items())]


@flow(name="try", flow_run_name="{name}", retries=0, persist_result=False)
async def follow(name: str) -> State[None]:
    """Show one experiment that `nightlab try` runs in another thread."""
    here = session()
    with marked(here.lab, runtime.flow_run.id):
        await followed(f"exp-{name.rpartition('-')[2]}", here.outcome)
    done = here.outcome.result()
    get_run_logger().info("%s", line(done))
    return Completed(message=verdict(done))


def run_recorded(
    lab: Lab,
    plan: Plan,
    watch: Watch | None = None,
    on_experiment: OnExperiment | None = None,
) -> list[Done]:
    """Run a batch as flow runs of the configured API, then bring the graph up to it.

    An API that dies costs the picture only: what the flow has not run is run without it.
    """
    here = Session(lab, watch, on_experiment)
    rest = partial(remaining, plan, here, has_outcome(lab, plan.tag), time.monotonic())
    token = SESSION.set(here)
    quiet()
    try:
        while todo := rest():
            before = len(here.finished)
            research(**asdict(replace(todo, experiments=min(LIMIT, todo.experiments or LIMIT))))
            if len(here.finished) - before < LIMIT:
                break  # it had its number, its hours, or nothing left to try
        asyncio.run(graph.with_options(flow_run_name=f"after {plan.tag}")())
    except API_ERRORS as error:
        log.warning("prefect: %s; the batch goes on without it, nothing is lost", error)
        if todo := rest():
            here.finished += run_batch(lab, todo, watch, on_experiment)
    finally:
        drain()
        SESSION.reset(token)
    return here.finished


def remaining(plan: Plan, here: Session, had_baseline: bool, begun: float) -> Plan | None:
    """Return what is left of a plan, None if nothing."""
    ran = len(here.finished)
    if ran and not had_baseline:
        ran -= 1  # the baseline is not counted
    number = None if plan.experiments is None else plan.experiments - ran
    spent = (time.monotonic() - begun) / 3600
    hours = None if plan.hours is None else plan.hours - spent
    over = (hours is not None and hours <= 0) or (number is not None and number <= 0)
    return None if over and here.finished else replace(plan, experiments=number, hours=hours)
