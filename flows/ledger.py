"""The ledger: one ref a finished experiment, `refs/exps/<2>/<38 of parent>/<name>`.

A ref is created once and never moved. Its commit holds the target file, `exp/params.json`,
`exp/metrics.json` (what `dvc exp show` compares), `exp/experiment.json` (what only nightlab
reads) and `dvc.lock`; results.tsv and the graph are derived from nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from flows.repository import Repository
from flows.scorer import scorer_of
from kg.model import Status

if TYPE_CHECKING:
    from kg.record import ExperimentRecord

EXPERIMENTS = "refs/exps/"
METRICS, PARAMS, FACTS = "exp/metrics.json", "exp/params.json", "exp/experiment.json"
NOT_NUMBERS = ("status", "reason", "outcome", "problem", "score_source", "seed")


@dataclass(frozen=True, slots=True)
class Facts:
    """What `exp/experiment.json` holds: everything about an experiment but its numbers."""

    name: str
    campaign: str
    seq: int
    parent: str | None
    description: str
    task: str
    profile: str
    target: str
    metric: str
    direction: str
    agent: str
    started: str
    ended: str
    best_before: float | None
    lines_added: int
    lines_removed: int
    nodes_added: int
    fingerprint: str
    budget_seconds: float | None = None  # None: the profile's own clock
    hypothesis: str | None = None
    expected_delta: float | None = None
    forced_because: str | None = None

    @property
    def subject(self) -> str:
        """The first line of the description."""
        return self.description.split("\n", 1)[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished experiment as the ledger holds it."""

    commit: str
    parent_commit: str
    facts: Facts
    metrics: dict[str, Any]

    @property
    def status(self) -> Status:
        """The verdict."""
        return Status(self.metrics["status"])

    @property
    def value(self) -> float | None:
        """The metric, None for a crash."""
        value = self.metrics.get(self.facts.metric)
        return float(value) if isinstance(value, int | float) else None

    @property
    def delta(self) -> float | None:
        """The value minus the best one before, to nine decimals; None where either is missing."""
        value, best = self.value, self.facts.best_before
        return None if value is None or best is None else round(value - best, 9)

    @property
    def best(self) -> float | None:
        """The best accepted value once this experiment has had its verdict."""
        known = [self.facts.best_before] if self.facts.best_before is not None else []
        if self.status is Status.KEEP and self.value is not None:
            known.append(self.value)
        better = min if self.facts.direction == "minimise" else max
        return better(known) if known else None


def ref_of(parent_commit: str, name: str) -> str:
    """Return the ref of an experiment, in DVC's layout."""
    return f"{EXPERIMENTS}{parent_commit[:2]}/{parent_commit[2:]}/{name}"


def names(repository: Repository, tag: str | None = None) -> dict[str, str]:
    """Return the names of finished experiments with their commits, in order of the name."""
    # git picks one campaign's out of 10,000 in 10 ms; here it would take 50
    wanted = EXPERIMENTS if tag is None else f"{EXPERIMENTS}*/*/{tag}-*"
    found = {ref.rsplit("/", 1)[1]: sha for ref, sha in repository.refs(wanted).items()}
    parts = {name: name_parts(name) for name in sorted(found)}
    return {n: found[n] for n, part in parts.items() if part and tag in (None, part[0])}


def name_parts(name: str) -> tuple[str, int] | None:
    """Split `<tag>-0007` into its parts; None if it is not an experiment's name."""
    tag, dash, number = name.rpartition("-")
    return (tag, int(number)) if dash and tag and number.isdigit() and len(number) >= 4 else None


def name_of(tag: str, seq: int) -> str:
    """Return the name of an experiment."""
    return f"{tag}-{seq:04d}"


def read_entry(repository: Repository, commit: str) -> Entry | None:
    """Read one experiment; None if the commit is not one of ours."""
    facts, metrics = (repository.read(commit, path) for path in (FACTS, METRICS))
    if facts is None or metrics is None:
        return None
    try:
        raw = json.loads(facts)
        known = {field.name for field in fields(Facts)}
        entry_facts = Facts(**{key: value for key, value in raw.items() if key in known})
        numbers = json.loads(metrics)
        Status(numbers["status"])
    except (ValueError, TypeError, KeyError):
        return None  # somebody else's file of the same name
    parents = repository.parents(commit)
    return Entry(commit, parents[0] if parents else "", entry_facts, numbers)


def is_experiment(repository: Repository, entry: Entry) -> bool:
    """Tell whether an entry was read at its own commit, not at a user's on top of it."""
    ref = ref_of(entry.parent_commit, entry.facts.name)
    return repository.resolve(ref) == entry.commit


def first_with(repository: Repository, entry: Entry) -> str:
    """Return the commit that brought an entry to a branch: a clone has no refs of experiments."""
    while older := read_entry(repository, entry.parent_commit):
        if older.facts.name != entry.facts.name:
            break
        entry = older
    return entry.commit


def entries(repository: Repository, tag: str | None = None) -> Iterator[Entry]:
    """Yield the finished experiments of one campaign or of all, in order."""
    for name, commit in names(repository, tag).items():
        entry = read_entry(repository, commit)
        if entry is not None and entry.facts.name == name:
            yield entry


def facts_json(facts: Facts) -> bytes:
    """Return the bytes of `exp/experiment.json`."""
    return (json.dumps(asdict(facts), indent=1, ensure_ascii=False) + "\n").encode()


def record(repository: Repository, entry: Entry, depth: int) -> ExperimentRecord:
    """Return an experiment as the graph wants it, with so many versions before its parent."""
    from kg.record import ExperimentRecord

    facts, metrics = entry.facts, entry.metrics
    seed = metrics.get("seed")
    return ExperimentRecord(
        name=facts.name,
        campaign=facts.campaign,
        seq=facts.seq,
        commit=entry.commit,
        parent=facts.parent,
        parent_commit=entry.parent_commit,
        status=entry.status,
        reason=str(metrics.get("reason", "")),
        description=facts.description,
        metric=facts.metric,
        direction="min" if facts.direction == "minimise" else "max",
        value=entry.value,
        agent=facts.agent,
        task=facts.task,
        hypothesis=facts.hypothesis,
        expected_delta=facts.expected_delta,
        started=facts.started,
        ended=facts.ended,
        seed=int(seed) if isinstance(seed, int | float) else None,
        device=metrics.get("device"),
        isolation=metrics.get("isolation"),
        manifest=metrics.get("manifest"),
        scorer=scorer_of(repository, entry.commit, facts.task, facts.target),
        summary=numbers_of(facts, metrics),
        source=text(repository.read(entry.commit, facts.target)),
        parent_source=text(repository.read(entry.parent_commit, facts.target)),
        forced_because=facts.forced_because,
        history=tuple(versions(repository, entry.parent_commit, facts.target, depth)),
    )


def numbers_of(facts: Facts, metrics: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a result beside its metric."""
    left_out = (*NOT_NUMBERS, facts.metric)
    return {
        key: float(value)
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and key not in left_out
    }


def versions(repository: Repository, commit: str, target: str, depth: int) -> Iterator[str]:
    """Yield the different versions of a file before a commit, newest first."""
    last = repository.read(commit, target)
    for _ in range(depth - 1):
        commit = next(iter(repository.parents(commit)), "")
        data = repository.read(commit, target) if commit else None
        if data is not None and data != last:
            last = data
            yield text(data) or ""


def text(data: bytes | None) -> str | None:
    """Decode a source file; odd bytes survive as escapes instead of raising."""
    return None if data is None else data.decode("utf-8", "backslashreplace")
