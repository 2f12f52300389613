"""The number a value stands for."""

from __future__ import annotations

import math
import re

from kg.vocab import Value


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
