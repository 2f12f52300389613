"""What the answers have in common: effects, noise, comparisons of values, limits."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from kg.amount import number, rounds_to, spoken
from kg.board import Board, Outcome, Row, Trial
from kg.edit import side
from kg.errors import BadArgument
from kg.totals import total
from kg.vocab import Value

if TYPE_CHECKING:
    from kg.query import Asked

Rows = list[dict[str, Any]]
Finish = Callable[["Asked"], tuple[Rows, bool]]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


UNDECIDED: Final = 1
"""Failures inside a measured noise floor that do not yet refuse a second run. In `bench
simulation` 29 % of the edits refused for one such failure were truly better, of all others 3 %."""


def limited(asked: Asked, rows: Rows) -> tuple[Rows, bool]:
    """Return as many rows as the question's limit lets through, and whether that cut any."""
    most = int(asked.number("limit"))
    return rows[:most], len(rows) > most


def campaign_by_campaign(
    asked: Asked, rows_of: Callable[[Board], Iterable[dict[str, Any]]]
) -> tuple[Rows, bool]:
    """Collect the rows of each campaign until the question's limit is reached."""
    most = int(asked.number("limit"))
    rows: Rows = []
    for board in asked.boards():
        rows += [{**row, "campaign": board.campaign} for row in rows_of(board)]
        if len(rows) > most:
            break
    return rows[:most], len(rows) > most


def condition(knob: str, text: str) -> Callable[[Value | None], bool]:
    """Return the test that ``8``, ``<8``, ``!=muon``, ``200K`` or ``>=2**17`` puts to a setting.

    A setting that stands for a number is compared as one: ``long_window // 8`` is 1/8.

    Raises:
        BadArgument: It asks whether a text is less or more.

    >>> condition("model.depth", "<8")(6), condition("model.depth", "<8")(None)
    (True, False)
    >>> [condition("optimizer.kind", name)("muon+adamw") for name in ("muon", "adamw")]
    [True, False]
    >>> condition("attention.short_window", "<0.2")("long_window // 8")
    True
    """
    sign = next((sign for sign in COMPARISONS if text.startswith(sign)), "")
    said = text[len(sign) :].strip()
    wanted = side(knob, said)
    told = spoken(said)
    aim = told[0] if told else number(wanted)
    compare = COMPARISONS[sign or "="]
    if sign in ("<", ">", "<=", ">=") and aim is None:
        raise BadArgument(f"value {text!r}: is not a number; compare text with = or !=")

    def test(value: Value | None) -> bool:
        if value is None:
            return False
        mine = number(value)
        if mine is not None and aim is not None:
            if told and sign in ("", "=", "!="):
                return rounds_to(mine, told) == (sign != "!=")
            return compare(mine, aim)
        if not isinstance(value, str) or not isinstance(wanted, str):
            return sign == "!="
        whole = value.lower()
        named = {whole, whole.partition("+")[0]}  # muon+adamw is called Muon by everyone
        return (wanted.lower() in named) == (sign != "!=")

    return test


def within_noise(delta: float | None, noise: float | None) -> bool | None:
    """Tell whether an effect is inside the measured noise, None where that is not known."""
    return None if delta is None or noise is None else abs(delta) <= noise


def undecided(failed: Iterable[Row], noise: float | None) -> bool:
    """Tell whether failures say nothing yet: few, and all inside the measured noise."""
    rows = list(failed)
    return len(rows) <= UNDECIDED and all(within_noise(row.delta, noise) for row in rows)


def mean_delta(trials: Iterable[Trial]) -> float | None:
    """Return the mean delta of trials, None if none has one."""
    deltas = [trial.delta for trial in trials if trial.delta is not None]
    return float(f"{total(deltas) / len(deltas):.9g}") if deltas else None


def best_trial(trials: Iterable[Trial], sense: str) -> Trial | None:
    """Return the trial with the best delta, the first name of equals."""
    sign = -1.0 if sense == "max" else 1.0
    measured = [trial for trial in trials if trial.delta is not None]
    return min(measured, key=lambda t: (sign * (t.delta or 0.0), t.name), default=None)


def count(trials: Iterable[Trial], outcome: Outcome) -> int:
    """Return how many trials came out so."""
    return sum(trial.outcome == outcome for trial in trials)


def how_failed(worsened: int, equal: int, crashed: int) -> str:
    """Say how an edit failed: it crashes, worsens, gains nothing, or a mixture."""
    kinds = {"crashes": crashed, "worsens": worsened, "no gain": equal}
    present = [kind for kind, number in kinds.items() if number]
    return present[0] if len(present) == 1 else "mixed: " + ", ".join(present)


def companions(board: Board, trial: Trial) -> list[str]:
    """Return the other knobs edited in the experiment of a trial, as ``knob=value``."""
    found = [
        f"{key.knob}={other.new}" if other.new is not None else f"{key.knob} {key.direction}"
        for key, other in board.pairs.get(trial.name, ())
        if other != trial
    ]
    return sorted(found)
