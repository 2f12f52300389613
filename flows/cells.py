"""Values of an answer as a person writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from flows.results import clean

DECIMALS = 6  # of results.tsv


def row_line(columns: Sequence[str], row: Mapping[str, object]) -> str:
    r"""Return a row as cells between tabs, which no cell holds itself.

    >>> row_line(["commit", "alone", "with"], {"commit": "0123456789", "alone": True})
    '0123456\tyes\t'
    """
    values = ((column, row.get(column)) for column in columns)
    return "\t".join("" if v is None else cell(name, v) for name, v in values)


def cell(column: str, value: object) -> str:
    """Return one value as a line; a full commit hash is cut to the 7 characters of results.tsv."""
    text = clean(words(value))
    return text[:7] if column == "commit" else text


def words(value: object) -> str:
    """Return a value as a person writes it: lists with commas, settings with equal signs."""
    if isinstance(value, list | tuple):
        return ", ".join(map(words, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={words(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number_text(value)
    return str(value)


def number_text(value: object) -> str:
    """Return a number with up to six decimals, or in powers of ten where that says nothing."""
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value) or (value and not 10**-DECIMALS <= abs(value) < 1e15):
        return f"{value:.3g}"
    text = f"{value:.{DECIMALS}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
