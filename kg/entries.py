"""What a campaign holds of each experiment: entries, rows, trials, regimes."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from kg.vocab import Value

SEED = "other.seed"
DIRECTED = ("increase", "decrease")


class Outcome(StrEnum):
    """What became of an experiment, measured against what it was edited from."""

    IMPROVED = "improved"  # kept, and better
    WORSENED = "worsened"
    EQUAL = "equal"  # no accepted difference: equal, better but discarded, worse but kept
    CRASHED = "crashed"
    UNKNOWN = "unknown"  # no value, or nothing to compare it with
    INTERRUPTED = "interrupted"  # cut off from outside: not an attempt
    LINEAGE = "lineage"  # puts an earlier program back, was not run: not an attempt


ATTEMPTED = frozenset({Outcome.IMPROVED, Outcome.WORSENED, Outcome.EQUAL, Outcome.CRASHED})
"""The outcomes that say something of an edit."""


class Scale(NamedTuple):
    """What two values must share to be compared: metric, which way is better, data and scorer."""

    metric: str
    sense: str
    manifest: str  # of the data; with the scorer's hash behind a + where it is known

    def better(self, value: float, than: float) -> bool:
        """Tell whether a value beats another."""
        return value > than if self.sense == "max" else value < than


class EvidenceKey(NamedTuple):
    """What the outcomes of edits are summed by.

    ``to`` is the new value of an edit without a direction, "" for increase and decrease.
    """

    metric: str
    sense: str
    component: str
    knob: str
    direction: str
    to: str
    scope: str
    isolated: bool


class Edits(NamedTuple):
    """What answers are grouped by: an edit, on a metric."""

    sense: str
    metric: str
    component: str
    knob: str
    direction: str
    to: str


def edit_of(key: EvidenceKey) -> Edits:
    """Return the edit an evidence is about, alone or combined, whichever optimizer it touched."""
    return Edits(key.sense, key.metric, key.component, key.knob, key.direction, key.to)


class Try(NamedTuple):
    """One edit of an experiment, as far as its outcome is concerned."""

    component: str
    knob: str
    direction: str
    to: str
    scope: str
    isolated: bool
    old: Value | None
    new: Value | None
    told: str = ""  # the direction as it was told, where the old value was inferred

    def key(self, scale: Scale) -> EvidenceKey:
        """Return what the outcome of this edit is summed under."""
        return EvidenceKey(scale.metric, scale.sense, *self[:6])


class Entry(NamedTuple):
    """What a campaign has to know of one experiment to go on.

    A tuple and not a dataclass, as rows and trials are: a thousand are made in 1 ms, not 4.
    """

    seq: int
    name: str
    commit: str  # 7 digits, "" if lost
    status: str
    value: float | None
    scale: Scale
    seconds: float | None
    agent: str
    task: str
    fingerprint: str | None  # 16 digits
    parent: str | None
    apart: str  # why it was no attempt: interrupted or lineage; "" for all others
    net: bool  # the edits are taken against the last accepted file, not against the parent
    hypothesis: bool
    expected: float | None
    lost: bool  # there is no source: its settings are those accepted before, and what it says
    tries: tuple[Try, ...] = ()
    settings: tuple[tuple[str, Value], ...] | None = None  # None if the source is lost

    @property
    def order(self) -> tuple[int, str]:
        """Return the place in the campaign."""
        return self.seq, self.name


class Row(NamedTuple):
    """One experiment as a campaign's log holds it: an entry and what became of it."""

    entry: Entry  # without its settings and, where they are evidence, its tries
    outcome: str
    delta: float | None  # value minus that of `compared`, in the metric's units
    compared: str | None  # name of the experiment the delta is taken against
    deviates: dict[str, Value | None] | None = None  # from what was accepted; None: unknown

    @property
    def order(self) -> tuple[int, str]:
        """Return the place in the campaign."""
        return self.entry.order

    @property
    def name(self) -> str:
        """Return the name of the experiment."""
        return self.entry.name

    @property
    def attempt(self) -> bool:
        """Tell whether anything was tried."""
        return not self.entry.apart

    @property
    def lineage(self) -> bool:
        """Tell whether it only puts an earlier program back on the accepted line."""
        return self.entry.apart == Outcome.LINEAGE

    @property
    def kept(self) -> bool:
        """Tell whether something was tried and accepted."""
        return self.entry.status == "keep" and self.attempt

    @property
    def untold(self) -> bool:
        """Tell whether it was accepted and nobody told its result."""
        return self.kept and self.entry.value is None


class Trial(NamedTuple):
    """One edit with its outcome, as an evidence node holds it."""

    seq: int
    name: str
    commit: str
    outcome: str
    delta: float | None
    old: Value | None
    new: Value | None
    told: str = ""  # as of `Try`

    @property
    def order(self) -> tuple[int, str]:
        """Return the place in the campaign."""
        return self.seq, self.name


class Regime(NamedTuple):
    """A setting that held on the accepted line from one kept experiment to another."""

    knob: str
    value: Value
    since: int
    by: str  # name of the experiment that brought it
    until: int | None = None
    ended_by: str | None = None

    def as_of(self, seq: int) -> Regime:
        """Return the regime as it stood after an experiment."""
        ended = self.until is not None and self.until <= seq
        return self if ended else self._replace(until=None, ended_by=None)

    def covers(self, order: tuple[int, str]) -> bool:
        """Tell whether the regime held when an experiment of that place was over."""
        if (self.since, self.by) > order:
            return False
        return self.until is None or (self.until, self.ended_by or "") > order


def goal(direction: str, new: Value | None) -> str:
    """Return the new value an edit without a direction is known by, "" for all others."""
    return "" if direction in DIRECTED or new is None else str(new)[:80]


def as_told(key: EvidenceKey, trial: Trial) -> Try:
    """Return an edit as its experiment told it, without what was inferred."""
    tried = Try(*key[2:], trial.old, trial.new)
    if not trial.told:
        return tried
    return tried._replace(old=None, direction=trial.told, to=goal(trial.told, trial.new))
