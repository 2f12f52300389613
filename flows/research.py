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

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed

from flows import derived, ledger
from flows.batch import OnExperiment, Plan, Work, has_outcome, line, run_batch, run_night
from flows.campaign import Done
from flows.follow import try_through_server
from flows.lab import Campaign, Lab, open_lab
from flows.parameters import (
    LIMIT,
    TAG,
    Agent,
    BudgetSeconds,
    Experiments,
    Hours,
    Profile,
    Rebuild,
    Seed,
    Tag,
    TaskName,
)
from flows.records import API_ERRORS, Table, drain, marked, summary, verdict
from kg.memory import open_memory
from trainer.run import Watch

__all__ = ["Plan", "graph", "research", "run_night", "run_recorded", "try_through_server"]

log = logging.getLogger(__name__)
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
    """Run one experiment as a task; directly if Prefect fails before it has begun."""
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
    tag: Tag = TAG,
    experiments: Experiments = None,
    hours: Hours = None,
    profile: Profile = None,
    agent: Agent = None,
    seed: Seed = 0,
    task: TaskName = None,
    budget_seconds: BudgetSeconds = None,
) -> State[None]:
    """Run a batch of experiments in one campaign, each as a task `exp-NNNN`."""
    here = session()
    number = LIMIT if experiments is None else experiments
    plan = Plan(dated(tag), number, hours, profile, agent, seed, task, budget_seconds)
    logger, table = get_run_logger(), Table(plan.tag, f"Campaign `autoresearch/{plan.tag}`")

    def report(place: Campaign, done: Done) -> None:
        here.finished.append(done)
        logger.info("%s", line(done))
        table.add(done)
        if here.on_experiment:
            here.on_experiment(place, done)

    with marked(here.lab, runtime.flow_run.id):
        found = run_batch(here.lab, plan, here.watch, report, as_task)
    if runtime.deployment.id:  # else the caller runs it
        ask_for_graph(plan.tag)
    return Completed(message=summary(found))


def ask_for_graph(tag: str) -> None:
    """Let `nightlab serve` run the `graph` flow after a batch, as a flow run of its own."""
    try:
        run_deployment("graph/graph", timeout=0, as_subflow=False, flow_run_name=f"after {tag}")
    except API_ERRORS as error:
        log.warning("prefect: %s; run `nightlab kg rebuild` if the graph lacks anything", error)


@flow(name="graph", retries=0, persist_result=False)
async def graph(rebuild: Rebuild = False) -> State[None]:
    """Bring the memory up to the ledger, or make it anew; git is the truth."""
    lab = session().lab
    added = derived.rebuild(lab) if rebuild else derived.catch_up(lab, open_memory(lab.graph))
    rows = [
        {"campaign": tag, "experiments": len(names), "in the graph": len(names & known)}
        for tag, names, known in counts(lab)
    ]
    await acreate_table_artifact(table=rows, key="graph", description="The memory by campaign")
    return Completed(message=f"{added} experiments {'built' if rebuild else 'added'}")


def counts(lab: Lab) -> list[tuple[str, set[str], set[str]]]:
    """Return each campaign's experiments, and all that the graph knows."""
    known = set(open_memory(lab.graph).names())
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
    try:
        while todo := rest():
            before = len(here.finished)
            research(**asdict(replace(todo, experiments=min(LIMIT, todo.experiments or LIMIT))))
            if len(here.finished) - before < LIMIT:
                break  # it had its number, its hours, or nothing left to try
        asyncio.run(graph())
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
