"""The search for the next edit: which knob, which side, which value."""

from __future__ import annotations

import ast
import math
import random
from collections.abc import Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from flows.edits import Kind, Knob
from flows.evidence import Sighting, Trial, losing_streak, near_misses, sightings, weight
from flows.scale import WHOLE, lawful, reach, step_of, value_at
from flows.syntax import Value
from kg.syntax import syntax_tree

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it reports every trial on stderr

PLATEAU = 5  # experiments without a gain after which it looks further afield
DRAWS = 240  # edits drawn before it says that there is nothing left
STARTUP = 2  # values of a knob TPE has to see before it models them

Edits = list[tuple[Knob, Value]]


class Search:
    """One proposal being looked for: draws edits until one is new."""

    def __init__(
        self, found: Sequence[Knob], trials: Sequence[Trial], rng: random.Random, source: str
    ) -> None:
        self.trials, self.rng = trials, rng
        self.knobs = {knob.name: knob for knob in found}
        self.values = {knob.name: knob.value for knob in found}
        self.weights = {knob.name: weight(knob, trials) for knob in found}
        self.streak = losing_streak(trials)
        self.coupled = couples_batches(source)
        self.last = ""
        lost = [set(t.moved) for t in trials[-2:] if not t.kept]
        # the same knob does not lose three experiments in a row
        self.rested = lost[0] & lost[1] if len(lost) == 2 else set()
        for name in self.rested & self.weights.keys():
            self.weights[name] *= 0.001
        for knob in found:
            if self.streak >= PLATEAU and knob.kind is Kind.CHOICE:
                self.weights[knob.name] *= 2.0
        if "total_batch_size" in self.knobs:  # then the rows at once change memory, not the model
            self.weights.pop("device_batch_size", None)

    def draw(self, number: int) -> Edits:
        """Draw an edit; the later in one search, the wider."""
        names = self.ranked(heat=0.25 if self.streak < PLATEAU else 0.8)
        self.last = names[0] if names else ""
        wide = number > DRAWS // 4
        count = 1 if number < DRAWS // 2 else self.rng.choice((1, 2, 3))
        edits: Edits = []
        for name in names[:count]:
            value = self.value(self.knobs[name], wide=wide)
            if value is not None:
                edits.append((self.knobs[name], value))
        if len(edits) == 1 and self.rng.random() < self.chance_to_combine():
            edits += self.partner(edits[0][0], names)
        return self.completed(edits)

    def ranked(self, heat: float) -> list[str]:
        """Order the knobs by weight, shuffled by heat (Gumbel noise, so a draw by weight)."""
        scores = {
            name: math.log(share) - heat * math.log(-math.log(self.rng.random() or 0.5))
            for name, share in self.weights.items()
            if share > 0
        }
        return sorted(scores, key=lambda name: (-scores[name], name))

    def chance_to_combine(self) -> float:
        """Return how often two edits go together: never at first, more in a losing streak."""
        return 0.0 if len(self.trials) < 4 else 0.1 + 0.05 * min(self.streak, PLATEAU)

    def partner(self, first: Knob, names: Sequence[str]) -> Edits:
        """Return an edit to go with the first: a near miss, else the next knob's."""
        close = [
            (self.knobs[name], value)
            for name, value in near_misses(self.trials)
            if name in self.knobs
            and name != first.name
            and value != self.values[name]
            and name not in self.rested
        ]
        if close:
            return [self.rng.choice(close[:3])]
        for name in names[1:]:
            if name != first.name and name not in self.rested:
                value_of_next = self.value(self.knobs[name], wide=False)
                return [] if value_of_next is None else [(self.knobs[name], value_of_next)]
        return []

    def value(self, knob: Knob, *, wide: bool) -> Value | None:
        """Return a value to try for a knob; None if nothing is left of it for now."""
        seen = sightings(knob, self.trials)
        if knob.kind is Kind.CHOICE:
            return self.choice(knob, seen, wide=wide)
        low, high = reach(knob)
        lost = [s for s in seen if s.gain is None or (s.fresh and s.gain < 0 and not wide)]
        low = max([low, *(s.at for s in lost if s.at < 0)])
        high = min([high, *(s.at for s in lost if s.at > 0)])
        first = None if wide else self.first_step(knob, lost)
        least = 1.0 if knob.kind in WHOLE else step_of(knob) / 4
        inside = 1.0 if knob.kind in WHOLE else least / 2
        low += inside * any(s.at == low for s in lost)  # strictly between the lost values
        high -= inside * any(s.at == high for s in lost)
        if max(-low, high) < least or low >= high:
            return None
        scale: BaseDistribution = (
            IntDistribution(math.ceil(low), math.floor(high))
            if knob.kind in WHOLE
            else FloatDistribution(low, high)
        )
        if first is not None:
            first = min(high, max(low, first))
        at = self.ask(scale, [(s.at, s.gain) for s in seen], first, least)
        return value_at(knob, at) if isinstance(at, int | float) else None

    def first_step(self, knob: Knob, lost: Sequence[Sighting]) -> float | None:
        """Return a step to a side that has not lost yet; None if both have.

        The way of the last gain comes first, then what the knob's name suggests.
        """
        moves = [t for t in self.trials if t.kept and knob.name in t.moved]
        way = float(knob.upwards or self.rng.choice((-1, 1)))
        if moves and any(s.at < 0 for s in lost) != any(s.at > 0 for s in lost):
            way = 1.0 if any(s.at < 0 for s in lost) else -1.0
        for side in (way, -way):
            if not any(s.at * side > 0 for s in lost):
                jitter = 1.0 if knob.kind in WHOLE else self.rng.uniform(0.75, 1.25)
                return side * step_of(knob) * jitter
        return None

    def choice(self, knob: Knob, seen: Sequence[Sighting], *, wide: bool) -> Value | None:
        """Return another option of a choice: one not seen lately, else what TPE says."""
        options = sorted(set(knob.choices) - {str(knob.value)})
        fresh = {str(s.value) for s in seen if s.fresh}
        new = [option for option in options if option not in fresh]
        if not options or not (new or wide):
            return None
        first = self.rng.choice(new) if new else None
        past = [(str(s.value), s.gain) for s in seen if str(s.value) in options]
        picked = self.ask(CategoricalDistribution(options), past, first, 0.0)
        return None if picked is None else str(picked)

    def ask(
        self,
        scale: BaseDistribution,
        past: Sequence[tuple[float | str, float | None]],
        first: float | str | None,
        least: float,
    ) -> float | str | None:
        """Ask Optuna for a place on a knob's scale, the past replayed into a study of its own.

        A crash counts as twice the worst loss. The accepted value stands at 0 with no gain;
        places nearer to it than ``least`` are not worth a run.
        """
        sampler = optuna.samplers.TPESampler(
            seed=self.rng.randrange(2**31), n_startup_trials=STARTUP
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        worst = min([0.0, *(gain for _, gain in past if gain is not None)])
        numeric = not isinstance(scale, CategoricalDistribution)
        for at, gain in [*past, *([(0.0, 0.0)] if numeric else [])]:
            at = round(at) if isinstance(scale, IntDistribution) and not isinstance(at, str) else at
            if scale._contains(scale.to_internal_repr(at)):
                study.add_trial(
                    optuna.create_trial(
                        params={"at": at},
                        distributions={"at": scale},
                        value=gain if gain is not None else 2 * worst - 1e-9,
                    )
                )
        if first is not None:
            study.enqueue_trial({"at": first})
        for _ in range(12):
            asked: float | str = study.ask({"at": scale}).params["at"]
            if isinstance(asked, str) or abs(asked) >= least:
                return asked
        return None

    def completed(self, edits: Edits) -> Edits:
        """Add what has to move along, and sometimes what keeps the model's width."""
        new = {knob.name: value for knob, value in edits}
        rows, total = self.knobs.get("device_batch_size"), self.values.get("total_batch_size")
        wanted = new.get("total_batch_size")
        if self.coupled and rows and isinstance(total, int) and isinstance(wanted, int):
            fewer = int(rows.value) * wanted // total
            if wanted < total and fewer < 1:
                return []
            if wanted < total and "device_batch_size" not in new:
                edits = [*edits, (rows, fewer)]
        aspect, depth = self.knobs.get("aspect_ratio"), self.values.get("depth")
        deeper = new.get("depth")
        if (
            aspect
            and "aspect_ratio" not in {*new, *self.rested}
            and isinstance(deeper, int)
            and depth
        ):
            same_width = round(int(aspect.value) * int(depth) / deeper)
            if self.rng.random() < 0.5 and same_width not in (aspect.value, 0):
                edits = [*edits, (aspect, same_width)]
        return edits

    def sound(self, edits: Edits) -> bool:
        """Tell whether the edits name each knob once and break no relation between constants."""
        new = {knob.name: value for knob, value in edits}
        return len(new) == len(edits) and lawful(self.values, {**self.values, **new})

    def disappoint(self) -> None:
        """Make the knob of the last draw less likely in this search: its edit was no use."""
        if self.last:
            self.weights[self.last] *= 0.5


def couples_batches(source: str) -> bool:
    """Tell whether the file demands that the total batch be a multiple of the device's.

    In the reference campaign the one crash was ``batch 131K``: not divisible.
    """
    tree = syntax_tree(source)
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.Assert | ast.If)] if tree else []
    return any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mod)
        and isinstance(node.left, ast.Name)
        and node.left.id.lower() == "total_batch_size"
        for check in checks
        for node in ast.walk(check.test)
    )
