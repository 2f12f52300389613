"""Compare two configurations: one record a knob whose value differs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from kg.changes_pairs import pair_up, repeats, same
from kg.config import weight
from kg.fold import number_of
from kg.knobs import switch_values
from kg.model import Change, ChangeType
from kg.settings import Rank, Setting


@dataclass(frozen=True, slots=True)
class Difference:
    """One knob on both sides; one side is None where it is not set at all."""

    old: Setting | None
    new: Setting | None
    split: bool = False  # one value became several (by group, layer or shape), or the reverse
    places: tuple[Setting, ...] = ()  # of the old version that differ
    new_places: tuple[Setting, ...] = ()

    @property
    def knob(self) -> str:
        """Return the knob the two sides share."""
        side = self.new or self.old
        return side.knob if side else ""

    @property
    def weight(self) -> tuple[bool, int]:
        """Order the differences of one knob: those that act come first."""
        return max(weight(side) for side in (self.old, self.new) if side is not None)


def differences(old: Iterable[Setting], new: Iterable[Setting]) -> Iterator[Difference]:
    """Yield one difference for each knob that two lists of settings disagree on."""
    before: dict[str, list[Setting]] = defaultdict(list)
    after: dict[str, list[Setting]] = defaultdict(list)
    for setting in old:
        before[setting.knob].append(setting)
    for setting in new:
        after[setting.knob].append(setting)
    for knob in dict.fromkeys([*before, *after]):
        found = difference(before.get(knob, []), after.get(knob, []))
        if found is not None:
            yield found


def difference(old: list[Setting], new: list[Setting]) -> Difference | None:
    """Compare all places of one knob and return the one difference that speaks for it."""
    if len(old) == len(new) and all(map(stands, old, new)):
        return None  # so it is with 95 of 100 knobs
    both: list[Difference] = []
    alone: list[Difference] = []
    standing: tuple[list[Setting], list[Setting]] = ([], [])  # of each version, with a partner
    for before, after in pair_up(old, new):
        if before is None or after is None:
            alone.append(Difference(before, after))
            continue
        standing[0].append(before)
        standing[1].append(after)
        if not same(before, after):
            both.append(Difference(before, after))
    single = []
    for found in alone:
        own_side = standing[found.old is None]
        if not repeats(found.old or found.new, own_side, bool(old and new)):
            single.append(found)
            own_side.append(found.old or found.new)  # type: ignore[arg-type]
    if not both and not single:
        return None
    chosen = max(both or single, key=lambda found: found.weight)
    grouped = " > group " in (chosen.new or chosen.old).path  # type: ignore[union-attr]
    if not both:
        chosen = as_override(chosen, old, new)
        if not grouped and (chosen.old is None or chosen.new is None):
            chosen = by_speakers(old, new) or chosen
    split = is_split(old, new) or (grouped and not both and bool(old) and bool(new))
    return Difference(
        chosen.old,
        chosen.new,
        split,
        tuple(found.old for found in both + single if found.old is not None),
        tuple(found.new for found in both + single if found.new is not None),
    )


def stands(old: Setting, new: Setting) -> bool:
    """Tell whether a setting is where it was and means what it meant."""
    return old.path == new.path and same(old, new)


def by_speakers(old: list[Setting], new: list[Setting]) -> Difference | None:
    """Compare the places that speak for a knob: a literal may take over from a constant."""
    if not old or not new:
        return None
    before, after = max(old, key=weight), max(new, key=weight)
    if before.exact or after.exact:
        return None  # a feature in two places is in two places
    acting = before.effective is not False and after.effective is not False
    return None if not acting or same(before, after) else Difference(before, after)


def as_override(found: Difference, old: list[Setting], new: list[Setting]) -> Difference:
    """Read a constant set once more, in a branch, as a change of what it was set to before."""
    side, others = (found.new, old) if found.old is None else (found.old, new)
    if side is None or side.rank is not Rank.CONSTANT:
        return found
    rival = next((o for o in others if o.path == side.path and not same(o, side)), None)
    if rival is None:
        return found
    side = replace(side, effective=None if side.guarded else side.effective)
    return Difference(rival, side) if found.old is None else Difference(side, rival)


def is_split(old: list[Setting], new: list[Setting]) -> bool:
    """Tell whether one side has one value for all groups or layers and the other several."""
    spread = [len({s.token for s in side if " > group " in s.path}) for side in (old, new)]
    if min(spread) == 1 and max(spread) > 1:
        return True
    if not old or not new:
        return False
    if old[0].knob in TABLED:
        acting = [{s.token for s in side if s.effective is not False} for side in (old, new)]
        if min(map(len, acting)) == 1 and max(map(len, acting)) > 1:
            return True
    return any(s.layered for s in old) != any(s.layered for s in new)


# What a model has a table for: one more table, for some layers, splits the value.
TABLED: Final = frozenset({"position.rope_base"})


def to_change(found: Difference) -> Change:
    """Write a difference as the record of one change."""
    found = with_literals(found)
    old, new = found.old, found.new
    side = new or old
    if side is None:
        raise ValueError(found)
    off_on = switch_values(found.knob)
    absent = off_on[0] if off_on else None
    values = (shown(old, new) if old else absent, shown(new, old) if new else absent)
    if old is not None and old.exact and values[0] == values[1]:
        values = (None, None)  # its code differs, and no value says how
    return Change(
        knob=side.knob,
        component=side.component,
        change_type=change_type(found),
        optimizer_scope=side.optimizer_scope,
        old=values[0],
        new=values[1],
        effective=side.effective,
        path=side.path,
        old_span=old.span if old else None,
        new_span=new.span if new else None,
        overridden_at=side.overridden_at,
    )


def with_literals(found: Difference) -> Difference:
    """Take the numbers that differ as the values, if a feature's code differs in nothing else."""
    old, new = found.old, found.new
    if old is None or new is None or not old.exact or not (old.parts and new.parts):
        return found
    numbers = one_number(sorted(old.parts - new.parts), sorted(new.parts - old.parts))
    if numbers is None:
        return found
    amounts = [float(number) for number in numbers]
    if all(amounts) and any(f"/{numbers[0]})" in text for text in old.parts - new.parts):
        amounts = [1 / amount for amount in amounts]  # a share: `size // 4` is more than `// 8`
    return replace(
        found,
        old=replace(old, value=numbers[0], folded=amounts[0], parts=frozenset()),
        new=replace(new, value=numbers[1], folded=amounts[1], parts=frozenset()),
    )


def one_number(old: list[str], new: list[str]) -> tuple[str, str] | None:
    """Return the one number that differs between two lists of canonical texts, as written."""
    if [NUMBER.sub("?", text) for text in old] != [NUMBER.sub("?", text) for text in new]:
        return None
    pairs = {
        (before, after)
        for one, other in zip(old, new, strict=True)
        for before, after in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
        if value_of(before) != value_of(after)
    }
    return pairs.pop() if len(pairs) == 1 else None


def value_of(number: str) -> float | str:
    """Return what a number literal comes to, so that `15` is `15.0`; other texts stay."""
    try:
        return float(number)
    except ValueError:
        return number


NUMBER: Final = re.compile(r"(?<![\w.])\d[\d.]*(?:e[-+]?\d+)?(?![\w.])", re.I)


def shown(side: Setting, other: Setting | None) -> str:
    """Return the value to show: the whole expression where the short values do not differ."""
    if other is not None and side.value == other.value and side.long:
        return side.long
    if other is not None and side.knob == "norm.placement":
        lacks = [w for w in side.value.split("+") if w.startswith("no_")]
        both = {w for w in lacks if w in other.value.split("+")}
        return "+".join(w for w in side.value.split("+") if w not in both) or side.value
    if other is not None and side.itemised and (own := side.parts - other.parts):
        return "+".join(sorted(own))
    return side.value


def change_type(found: Difference) -> ChangeType:
    """Name the kind of a difference, by value where both sides have one."""
    old, new = found.old, found.new
    if switch_values(found.knob) and is_on(old) != is_on(new):
        return ChangeType.ENABLE if is_on(new) else ChangeType.DISABLE
    if found.split and (old is None) == (new is None):
        return ChangeType.RESTRUCTURE
    if old is None or new is None:
        if found.split:
            return ChangeType.RESTRUCTURE
        if found.knob in STANDING:
            return ChangeType.REPLACE
        return ChangeType.ADD if old is None else ChangeType.REMOVE
    if isinstance(old.folded, bool) and isinstance(new.folded, bool) and old.folded != new.folded:
        return ChangeType.ENABLE if new.folded else ChangeType.DISABLE
    if old.parts != new.parts and old.number is None and not old.itemised:
        if old.parts < new.parts:
            return ChangeType.ADD
        if new.parts < old.parts:
            return ChangeType.REMOVE
    return direction(old, new)


# What every script has in some form, if not in one that is read: a constant, a plain projection.
STANDING: Final = frozenset(
    {
        "schedule.grad_accum",
        "schedule.lr_shape",
        "schedule.adam_momentum",
        "attention.qkv_projection",
        "attention.backend",
        "mlp.activation",
    }
)
CLOCK: Final = re.compile(r"\b(?:progress|step|frac|elapsed|epoch|iteration)\b")


def is_on(setting: Setting | None) -> bool:
    """Tell whether a feature switch is set and not set to False."""
    return setting is not None and setting.folded not in (False, None, "False")


def direction(old: Setting, new: Setting) -> ChangeType:
    """Return increase or decrease where the two values can be compared, else replace."""
    if any(
        bool(CLOCK.search(a.value)) and b.number is not None for a, b in ((old, new), (new, old))
    ):
        return ChangeType.REPLACE  # a constant turned into a schedule
    before, after = values_to_compare(old), values_to_compare(new)
    if before == after and old.long and new.long and old.knob.endswith("_lr"):
        before, after = (float(old.long),), (float(new.long),)  # the constants behind them
    if not before or not after or len(before) != len(after):
        before, after = before[:1] * 3, after[:1] * 3
    signs = {(a > b) - (a < b) for b, a in zip(before, after, strict=False)} - {0}
    if signs == {1}:
        return ChangeType.INCREASE
    return ChangeType.DECREASE if signs == {-1} else ChangeType.REPLACE


def values_to_compare(setting: Setting) -> tuple[float, ...]:
    """Return the value three times, or the values at three sizes of unknown names."""
    number = number_of(setting.folded)
    return (number,) * 3 if number is not None else setting.probe
