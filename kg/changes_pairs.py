"""Which place of a knob in one version stands for which in the other."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator

from kg.config import weight
from kg.fold import Unfoldable
from kg.settings import Setting


def same(old: Setting, new: Setting) -> bool:
    """Tell whether two settings of one knob mean the same value, however they are written."""
    if old.token == new.token:
        return True
    if old.exact or new.exact:
        return False
    if isinstance(old.folded, Unfoldable) or isinstance(new.folded, Unfoldable):
        return bool(old.probe) and old.probe == new.probe and old.layered == new.layered
    return equal_values(old.folded, new.folded)


def equal_values(old: object, new: object) -> bool:
    """Compare folded values; True is not 1, and 1 is 1.0."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return old == new


MAX_RIVALS = 50
MAX_PAIRS = 10_000  # places of one knob on both sides; a real file has at most a dozen


def pair_up(
    old: list[Setting], new: list[Setting]
) -> Iterator[tuple[Setting | None, Setting | None]]:
    """Pair the places of a knob: by path first, then equal values, then the most open ones."""
    by_path: dict[str, deque[Setting]] = defaultdict(deque)
    for setting in new:
        by_path[setting.path].append(setting)
    left: list[Setting] = []
    for setting in old:
        waiting = by_path.get(setting.path)
        if waiting:
            yield setting, waiting.popleft()
        else:
            left.append(setting)
    rest = [setting for waiting in by_path.values() for setting in waiting]
    for setting in list(left) if len(left) * len(rest) < MAX_PAIRS else ():
        match = next((other for other in rest if same(setting, other)), None)
        if match is not None:
            left.remove(setting)
            rest.remove(match)
            yield setting, match
    left.sort(key=weight, reverse=True)
    rest.sort(key=weight, reverse=True)
    yield from zip(left, rest, strict=False)
    paired = min(len(left), len(rest))
    yield from ((setting, None) for setting in left[paired:])
    yield from ((None, setting) for setting in rest[paired:])


def repeats(mine: Setting | None, own_side: list[Setting], both_sides: bool) -> bool:
    """Tell whether a place that exists on one side only repeats what its own side says anyway."""
    if mine is None or not both_sides:
        return False
    rivals = [other for other in own_side[:MAX_RIVALS] if other is not mine]
    return bool(rivals) and (mine.effective is False or any(same(mine, r) for r in rivals))
