"""What a memory is built from: experiments as the ledger knows them, and measured noise."""

from __future__ import annotations

from dataclasses import dataclass, field

from kg.model import Status


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What another seed alone does to a metric, measured under one set of conditions."""

    campaign: str
    metric: str
    device: str  # "" if it was not told
    manifest: str  # hash of the data, "" if it was not told
    profile: str
    floor: float  # standard deviation over seeds, in the metric's units
    threshold: float  # what an effect must exceed to be more than noise, in the metric's units
    runs: int


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """One experiment as the ledger knows it: everything the graph is built from.

    The graph is a pure function of a set of these records, so it can be deleted and rebuilt.
    """

    name: str  # unique in one memory, `<campaign>-<seq:04d>`
    campaign: str  # tag of `autoresearch/<tag>`, or the name of an imported ref
    seq: int  # 0 is the baseline; order of experiments in the campaign
    commit: str  # full hash of the commit that holds this train.py, "" if it is lost
    parent: str | None  # name of the experiment it was edited from
    parent_commit: str | None
    status: Status
    reason: str  # why this verdict, one sentence
    description: str  # the agent's message
    metric: str  # key of the metric, `val_bpb`
    direction: str  # "min" or "max": which way is better
    value: float | None  # None for a crash; never 0.0 in place of a missing value
    agent: str = ""
    task: str = ""
    hypothesis: str | None = None
    expected_delta: float | None = None
    started: str | None = None  # UTC, ISO 8601 with Z
    ended: str | None = None
    seed: int | None = None
    device: str | None = None
    isolation: str | None = None
    manifest: str | None = None  # hash of corpus, tokenizer and validation rows
    scorer: str | None = None  # hash of what else a value depends on: the files that score a run
    summary: dict[str, float] = field(default_factory=dict)  # training_seconds, num_steps, ...
    source: str | None = None  # the target file, None if the diff is lost
    parent_source: str | None = None  # the file it was edited from
    kept_source: str | None = None  # the last accepted file, if it is not the parent
    history: tuple[str, ...] = ()  # versions before the parent, newest first, at most some 20
    origin: str = ""  # where an imported record came from (repository and ref)
    forced_because: str | None = None  # the agent's reason for overruling `check`
