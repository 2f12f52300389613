"""From which optimizer to which: what a text that switches it says besides the switch."""

from __future__ import annotations

import re
from typing import Final

NAMES: Final = re.compile(
    r"\b(?:muon|adamw?|lion|sgd|sophia|soap|shampoo|adafactor|prodigy|ademamix|adamuon|lamb)\b",
    re.IGNORECASE,
)
BACKWARDS: Final = re.compile(r"\b(?:instead of|in place of|rather than|over)\b", re.IGNORECASE)
GONE: Final = re.compile(r"\b(?:drop|remove|ditch|without|no|leave|left)\b", re.IGNORECASE)


def switched(text: str) -> tuple[str | None, str | None]:
    """Return the optimizer a text leaves and the one it goes to, None what it does not name.

    >>> switched("replace AdamW with Muon"), switched("Muon instead of AdamW")
    (('adamw', 'muon'), ('adamw', 'muon'))
    >>> switched("switch back to AdamW"), switched("drop Muon"), switched("tune the optimizer")
    ((None, 'adamw'), ('muon', None), (None, None))
    """
    found = list(NAMES.finditer(text))
    named = list(dict.fromkeys(match.group().lower() for match in found))
    if not named or len(named) > 2:
        return None, None  # three are a survey, not a switch
    if len(named) == 1:
        gone = GONE.search(text[: found[0].start()])
        return (named[0], None) if gone else (None, named[0])
    between = text[found[0].end() : found[-1].start()]
    first, second = named
    return (second, first) if BACKWARDS.search(between) else (first, second)
