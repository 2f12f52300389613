"""One experiment, from an edited file to a verdict that cannot be lost.

Everything is prepared under a pending ref and becomes real by creating one ref; a runner killed
anywhere in between leaves a pending ref that the next start finishes or records (recovery.py).
These are plain functions: Prefect (research.py) and the command line call the same ones.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from flows import ledger, tracking
from flows.chance import is_seed_alone
from flows.comparable import ANEW, accepted_entry, best_to_beat, same_data
from flows.errors import FlowError
from flows.lab import Campaign, Lab
from flows.layout import lay_out
from flows.ledger import Entry, Facts
from flows.noise import FIRST_SEED, confirmed, keep, marked, noise_of, run_seed
from flows.scorer import scorer_of
from flows.verdict import Size, Verdict, judge
from kg.fingerprint import fingerprint, size
from kg.model import Status
from trainer.run import Watch
from trainer.stage import Job, environment, run_stage

PENDING = "refs/nightlab/pending/"
OWNER = ".nightlab-attempt"  # in a run's directory: the candidate it belongs to


@dataclass(frozen=True, slots=True)
class Proposal:
    """An edit of the target and what its author says about it."""

    source: bytes
    message: str
    hypothesis: str | None = None
    expected_delta: float | None = None
    agent: str = "agent"
    forced_because: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate under a pending ref: not an experiment yet."""

    commit: str
    parent: str
    facts: Facts

    @property
    def ref(self) -> str:
        """The ref that keeps the candidate until it is an experiment."""
        return PENDING + self.facts.name


@dataclass
class Clock:
    """Seconds of each step of one experiment."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Add the time of a block to a step."""
        begun = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begun
            self.seconds[step] = round(self.seconds.get(step, 0.0) + spent, 4)


def begin(lab: Lab, campaign: Campaign, proposal: Proposal, budget: float | None) -> Attempt:
    """Write the candidate commit and its pending ref; nothing has run yet.

    Raises:
        RefTaken: Another runner has just taken the same number.
    """
    repository = lab.repository
    parent = repository.resolve(campaign.ref) or repository.head()
    seq = next_seq(lab, campaign.tag)
    accepted = accepted_entry(lab, campaign, parent)
    edit = size_of(lab, campaign, parent, proposal) if seq else Size(0, 0, 0)
    facts = Facts(
        name=ledger.name_of(campaign.tag, seq),
        campaign=campaign.tag,
        seq=seq,
        parent=accepted.facts.name if accepted else None,
        description=proposal.message.strip() or "no description",
        task=campaign.task_name,
        profile=campaign.profile,
        target=campaign.task.target,
        metric=campaign.task.metric,
        direction=campaign.task.direction,
        agent=proposal.agent,
        started=now(),
        ended="",
        best_before=best_to_beat(lab, campaign, accepted, parent),
        lines_added=edit.lines_added,
        lines_removed=edit.lines_removed,
        nodes_added=edit.nodes,
        fingerprint=fingerprint(ledger.text(proposal.source) or ""),
        budget_seconds=budget,
        hypothesis=proposal.hypothesis,
        expected_delta=proposal.expected_delta,
        forced_because=proposal.forced_because,
    )
    files = {campaign.task.target: proposal.source, ledger.FACTS: ledger.facts_json(facts)}
    files |= pipeline_settings(lab, parent, campaign.profile, budget)
    commit = repository.commit(parent, files, message(facts))
    repository.create_ref(PENDING + facts.name, commit)
    return Attempt(commit, parent, facts)


def run_attempt(lab: Lab, campaign: Campaign, attempt: Attempt, watch: Watch | None) -> None:
    """Run a candidate in a directory of its own; its result is sealed in `exp/metrics.json`.

    Raises:
        FlowError: DVC could not save the run, so none is spent; the candidate is no attempt.
    """
    lay_out(lab, campaign, attempt.commit, campaign.run)
    try:
        tracking.check_dependencies(campaign.run, lab.root, campaign.task_name)
    except FlowError:
        lab.repository.delete_ref(attempt.ref)
        raise
    (campaign.run / OWNER).write_text(attempt.commit, encoding="utf-8")
    facts = attempt.facts
    job = Job(
        campaign.task.command,
        facts.target,
        facts.metric,
        lab.config.profiles[facts.profile].limit_seconds,
        environment(facts.profile, facts.budget_seconds),
        marker=attempt.commit,  # a name may run in another clone on this machine
    )
    run_stage(job, campaign.run, watch)


def finish(lab: Lab, campaign: Campaign, attempt: Attempt, clock: Clock) -> Entry:
    """Judge a sealed result and make it an experiment: DVC, the ref, the branch.

    Raises:
        TrackingError: DVC could not save the outputs; the pending ref stays.
        RefTaken: The branch was moved by someone else; the experiment is recorded all the same.
    """
    metrics = sealed(campaign)
    accepted = accepted_entry(lab, campaign, attempt.parent)
    best = attempt.facts.best_before if same_data(accepted, metrics.get("manifest")) else None
    facts = replace(attempt.facts, ended=attempt.facts.ended or now(), best_before=best)
    attempt = replace(attempt, facts=facts)
    with clock("confirm"):
        verdict = verdict_of(lab, campaign, attempt, metrics)
    metrics = {
        facts.metric: metrics.pop(facts.metric),
        "status": verdict.status.value,  # second column of `dvc exp show`
        **metrics,
        "isolation": "none",
        "lines_added": facts.lines_added,
        "lines_removed": facts.lines_removed,
        "nodes_added": facts.nodes_added,
        "reason": verdict.reason,  # last, it is a sentence
    }
    data = (json.dumps(metrics, indent=1, ensure_ascii=False) + "\n").encode()
    (campaign.run / ledger.METRICS).write_bytes(data)
    with clock("dvc"):
        lock = tracking.save_outputs(campaign.run, lab.root, campaign.task_name)
    with clock("git"):
        params = (campaign.run / ledger.PARAMS).read_bytes()
        files = {ledger.METRICS: data, ledger.PARAMS: params, "dvc.lock": lock}
        return record(lab, campaign, attempt, facts, files)


def record(
    lab: Lab, campaign: Campaign, attempt: Attempt, facts: Facts, files: dict[str, bytes]
) -> Entry:
    """Create the experiment's ref, then move the branch if it is kept."""
    repository = lab.repository
    source = repository.read(attempt.commit, facts.target) or b""
    files |= {facts.target: source, ledger.FACTS: ledger.facts_json(facts)}
    files |= pipeline_settings(lab, attempt.parent, facts.profile, facts.budget_seconds)
    status = json.loads(files[ledger.METRICS])["status"]
    commit = repository.commit(attempt.parent, files, message(facts, status))
    repository.create_ref(ledger.ref_of(attempt.parent, facts.name), commit)
    repository.delete_ref(attempt.ref)
    entry = ledger.read_entry(repository, commit)
    assert entry is not None  # just written
    if entry.status is Status.KEEP:
        repository.swap_ref(campaign.ref, commit, attempt.parent)
    return entry


def sealed(campaign: Campaign) -> dict[str, Any]:
    """Read the result a run has left in its directory."""
    raw: dict[str, Any] = json.loads((campaign.run / ledger.METRICS).read_text(encoding="utf-8"))
    return raw


def verdict_of(lab: Lab, campaign: Campaign, attempt: Attempt, metrics: dict[str, Any]) -> Verdict:
    """Judge a sealed result by the task's rule and the measured noise."""
    facts, rule = attempt.facts, campaign.task.verdict
    value, problem = metrics.get(facts.metric), str(metrics.get("problem", ""))
    edit = Size(facts.lines_added, facts.lines_removed, facts.nodes_added)
    seeded = (
        value is not None
        and facts.best_before is not None
        and is_seed_alone(lab.repository, attempt.parent, attempt.commit, facts)
    )
    best, way = facts.best_before, facts.direction
    verdict = judge(value, problem, best, edit, rule, way, seed_alone=seeded)
    if rule.confirm and verdict.status is Status.KEEP and facts.best_before is not None:
        again = run_seed(lab, campaign, attempt.commit, FIRST_SEED, facts.budget_seconds)
        keep(lab, again)
        if not confirmed([value, again.value], facts.best_before, facts.direction):
            told = "no result" if again.value is None else f"{again.value:.6f}"
            reason = f"{verdict.reason}; not confirmed: {told} with a second seed"
            verdict = replace(verdict, status=Status.DISCARD, reason=reason)
        else:
            reason = f"{verdict.reason}; confirmed: {again.value:.6f} with a second seed"
            verdict = replace(verdict, reason=reason)
    elif verdict.status is Status.KEEP and best is None and facts.parent is not None:
        verdict = replace(verdict, reason=ANEW)
    scorer = scorer_of(lab.repository, attempt.commit, facts.task, facts.target) or ""
    reason = marked(verdict.reason, verdict.delta, noise_of(lab, campaign.tag, scorer))
    return replace(verdict, reason=reason)


def size_of(lab: Lab, campaign: Campaign, parent: str, proposal: Proposal) -> Size:
    """Measure an edit against the version it was made from."""
    return measure(lab.repository.read(parent, campaign.task.target) or b"", proposal.source)


def measure(before: bytes, after: bytes) -> Size:
    """Count what an edit adds and removes; comments and blank lines are no AST nodes."""
    old, new = (ledger.text(data) or "" for data in (before, after))
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")
    marks = [line[0] for line in diff if not line.startswith(("---", "+++", "@@"))]
    nodes = size(new)[1] - size(old)[1]
    return Size(marks.count("+"), marks.count("-"), nodes)


def pipeline_settings(
    lab: Lab, parent: str, profile: str, budget: float | None
) -> dict[str, bytes]:
    """Return the params.yaml by which `dvc repro` would run the same profile and clock."""
    if lab.repository.read(parent, "params.yaml") is None:
        return {}
    return {"params.yaml": f"profile: {profile}\nbudget_seconds: {budget or 0:g}\n".encode()}


def pending_names(lab: Lab, tag: str) -> list[str]:
    """Return the names of a campaign's attempts that have no experiment yet."""
    found = (ref.removeprefix(PENDING) for ref in lab.repository.refs(PENDING))
    return [name for name in found if (parts := ledger.name_parts(name)) and parts[0] == tag]


def next_seq(lab: Lab, tag: str) -> int:
    """Return the number the next experiment of a campaign gets."""
    known = [*ledger.names(lab.repository, tag), *pending_names(lab, tag)]
    return max((parts[1] for name in known if (parts := ledger.name_parts(name))), default=-1) + 1


def message(facts: Facts, status: str | None = None) -> str:
    """Return a commit message: the author's words, then trailers a human can read in git log."""
    trailers = {"Experiment": facts.name, "Status": status, "Agent": facts.agent}
    trailers |= {"Hypothesis": facts.hypothesis, "Forced-because": facts.forced_because}
    lines = [f"{key}: {' '.join(value.split())}" for key, value in trailers.items() if value]
    return facts.description + "\n\n" + "\n".join(lines) + "\n"


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
