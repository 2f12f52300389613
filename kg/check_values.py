"""When two values are one value, and when they are neighbours."""

from __future__ import annotations

import math
from typing import Final

from kg.amount import number
from kg.changes_message import is_nameless
from kg.vocab import Value

EXACT: Final = 1e-9
"""Relative difference up to which two values of two programs are one value."""
NEAR_STEP: Final = 0.25
"""Neighbours differ by at most this part of the step that was tried: 0.044 beside 0.04 -> 0.045."""
NEAR_RATIO: Final = 0.02
"""Neighbours where the step is not known: within 2 %."""
EVENTS: Final = frozenset({"bugfix", "docs", "environment", "refactor", "reset", "unparsed"})
VALUELESS: Final = frozenset({"add", "remove", "enable", "disable"})
"""Edits that say all by their kind: removing a feature twice is the same edit twice."""


def same_value(one: Value | None, other: Value | None, tolerance: float = EXACT) -> bool:
    """Tell whether two values mean the same; None means nothing that could be compared.

    >>> same_value(0.045, 0.0450000000001), same_value("SSSL", " sssl"), same_value(8, 9)
    (True, True, False)
    """
    if one is None or other is None:
        return False
    left, right = number(one), number(other)
    if left is not None and right is not None:
        return math.isclose(left, right, rel_tol=tolerance, abs_tol=1e-12)
    return plain(one) == plain(other)


def plain(value: Value) -> str:
    """Return a text without what does not count: spaces, quotes and case."""
    return "".join(str(value).split()).strip("'\"").casefold()


def same_edit(
    direction: str,
    new: Value | None,
    other_direction: str,
    other_new: Value | None,
    tolerance: float = EXACT,
    knob: str = "",
) -> bool:
    """Tell whether two edits of one knob lead to the same setting.

    A knob that only says where code changed, not what, names no setting two edits could share.

    >>> same_edit("increase", 0.9, "decrease", 0.9), same_edit("remove", None, "remove", None)
    (True, True)
    """
    if new is None and other_new is None:
        alike = direction == other_direction and direction in VALUELESS
        return alike and not unnamed(knob)
    return same_value(new, other_new, tolerance)


def unnamed(knob: str) -> bool:
    """Tell whether a knob stands for any code, so that two edits of it need not be alike.

    >>> unnamed("other.unspecified"), unnamed("attention.structure"), unnamed("head.softcap")
    (True, True, False)
    """
    return is_nameless(knob) or knob.removeprefix("other.") in EVENTS


def near_value(new: Value | None, tried: Value | None, base: Value | None) -> bool:
    """Tell whether a value lies next to one that was tried from a base.

    >>> near_value(0.044, 0.045, 0.04)
    True
    >>> near_value(0.042, 0.045, 0.04), near_value(9, 10, 8)
    (False, False)
    """
    left, right, start = number(new), number(tried), number(base)
    if left is None or right is None:
        return False
    step = abs(right - start) * NEAR_STEP if start is not None else 0.0
    return abs(left - right) <= (step or NEAR_RATIO * max(abs(left), abs(right)))
