"""The number a value stands for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

from kg.vocab import Value

ROUNDED: Final = 0.005
"""Relative difference up to which a value told in words is meant: 0.67 may stand for 2/3."""
SPOKEN: Final = {"k": (1e3, 2.0**10), "m": (1e6, 2.0**20), "%": (0.01,)}


def amount(text: str | None) -> float | None:
    """Return the number a value stands for: ``2**18``, ``1/8``, ``long_window//8``; else None."""
    if text is None:
        return None
    plain = text.strip().replace("_", "")
    power = re.fullmatch(r"(\d+)\s*\*\*\s*(\d{1,3})", plain)
    if power:
        return float(power[1]) ** int(power[2])
    floor = re.fullmatch(r"[A-Za-z][\w.]*\s*//\s*(\d+)", plain)
    if floor:
        return 1 / int(floor[1]) if int(floor[1]) else None
    over = re.fullmatch(r"(\d+)\s*/\s*(\d+)", plain)
    if over:
        return int(over[1]) / int(over[2]) if int(over[2]) else None
    try:
        return float(plain)
    except ValueError:
        return None


def number(value: Value | None) -> float | None:
    """Return the number a value is or stands for (``"long_window // 8"`` is 1/8), else None."""
    if isinstance(value, str):
        return amount(value)
    return None if value is None or not math.isfinite(value) else float(value)


def spoken(text: str) -> tuple[float, ...]:
    """Return what ``200K``, ``1.5M`` or ``70%`` may mean, nothing for all that is no such word.

    >>> spoken("128K"), spoken("70%"), spoken("262144")
    ((128000.0, 131072.0), (0.7,), ())
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKmM%])", text)
    units = SPOKEN[found[2].lower()] if found else ()
    return tuple(float(f"{float(found[1]) * unit:.12g}") for unit in units) if found else ()


def rounds_to(value: float, said: Iterable[float]) -> bool:
    """Tell whether a value was meant by what was said: 262144 by 262K, 131072 by 128K.

    >>> rounds_to(262144, spoken("262K")), rounds_to(150000, spoken("128K"))
    (True, False)
    """
    return any(math.isclose(value, one, rel_tol=ROUNDED) for one in said)
