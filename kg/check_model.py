"""What `check` answers with: a verdict, the experiments it rests on, what stands differently."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from kg.vocab import Value


class Advised(StrEnum):
    """What the memory says of an edit before it is run."""

    NEW = "new"
    NEAR = "near"  # something like it was tried: worth reading, no reason to stop
    REPEAT = "repeat"  # the same knobs set to the same values did not improve before
    IDENTICAL = "identical"  # the same program: its result is known
    DEAD_END = "dead-end"  # the same direction failed again and again, and this goes as far
    RETRY_JUSTIFIED = "retry-justified"  # it failed, and what was accepted since bears on it


EXIT_CODES: Final = {
    Advised.NEW: 0,
    Advised.NEAR: 0,
    Advised.RETRY_JUSTIFIED: 0,
    Advised.IDENTICAL: 3,
    Advised.REPEAT: 4,
    Advised.DEAD_END: 5,
}
"""Exit code of `nightlab check` by verdict: 0 go on, 3 to 5 think again (1 and 2 are errors)."""


@dataclass(frozen=True, slots=True)
class Idea:
    """One edit of a proposal: what `kg.board.Try` is for an experiment that was run."""

    knob: str
    component: str
    direction: str  # increase, decrease, or the change type where the values are no numbers
    old: Value | None
    new: Value | None
    optimizer_scope: str = "none"

    @property
    def text(self) -> str:
        """Say it in short: ``model.depth 8 -> 9``, ``residual.rezero add``."""
        if self.new is None:
            return f"{self.knob} {self.direction}"
        before = "" if self.old is None else f"{shown(self.old)} "
        return f"{self.knob} {before}-> {shown(self.new)}"


@dataclass(frozen=True, slots=True)
class Reason:
    """One experiment a verdict rests on, and what it says about the proposal."""

    experiment: str
    commit: str  # 7 digits, "" if lost
    text: str
    knob: str = ""
    value: Value | None = None
    outcome: str = ""
    delta: float | None = None  # in the metric's units, against what it was edited from
    within_noise: bool | None = None  # None while the noise was never measured


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that was accepted since, and whether it bears on what is proposed."""

    knob: str
    label: str
    before: Value | None  # None: absent, or not told
    after: Value | None
    experiment: str  # the experiment that brought it
    commit: str
    since: str  # the earlier attempt it is counted from
    bears: bool
    why: str = ""

    @property
    def text(self) -> str:
        """Say it in one line: ``weight decay on embeddings 0 -> 0.001 since mar8-0036``."""
        before = ("off" if self.bears else "?") if self.before is None else shown(self.before)
        after = "removed" if self.after is None else shown(self.after)
        line = f"{self.label} {before} -> {after} since {self.since} (by {self.experiment})"
        return f"{line}: {self.why}" if self.why else line


@dataclass(frozen=True, slots=True)
class Alternative:
    """An edit next to the proposed one that nobody has tried."""

    knob: str
    value: Value | None
    text: str
    experiment: str = ""  # the result it lies next to
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer of `check`."""

    verdict: Advised
    reasons: tuple[Reason, ...] = ()
    differences: tuple[Difference, ...] = ()
    alternative: Alternative | None = None
    ideas: tuple[Idea, ...] = ()
    notes: tuple[str, ...] = ()  # what could not be compared, and other remarks
    campaign: str | None = None
    noise: float | None = None  # the floor the outcomes were held against

    @property
    def exit_code(self) -> int:
        """Return the exit code of this verdict."""
        return EXIT_CODES[self.verdict]

    @property
    def summary(self) -> str:
        """Say the verdict in one line, with the first experiment it rests on."""
        because = [d.text for d in self.differences if d.bears]
        if self.verdict is Advised.RETRY_JUSTIFIED and because:
            return f"{self.verdict}: {because[0]}"
        if self.reasons:
            return f"{self.verdict}: {self.reasons[0].text}"
        knobs = ", ".join(dict.fromkeys(idea.knob for idea in self.ideas))
        return f"{self.verdict}: no attempt at {knobs} is known" if knobs else str(self.verdict)

    def to_json(self) -> dict[str, Any]:
        """Return the advice as plain values; the CLI and the MCP server print the same."""
        return {
            "verdict": str(self.verdict),
            "exit_code": self.exit_code,
            "summary": self.summary,
            "reasons": [asdict(reason) for reason in self.reasons],
            "differences": [{**asdict(d), "text": d.text} for d in self.differences],
            "alternative": asdict(self.alternative) if self.alternative else None,
            "changes": [asdict(idea) for idea in self.ideas],
            "notes": list(self.notes),
            "campaign": self.campaign,
            "noise": self.noise,
        }


def shown(value: Value) -> str:
    """Return a value as a line shows it.

    >>> shown(0.0010000000000000002), shown(262144), shown("SSSL")
    ('0.001', '262144', 'SSSL')
    """
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())[:60]
