"""What may be shown in a terminal: logs and messages are written by others."""

from __future__ import annotations


def printable(text: str) -> str:
    """Replace control characters: what a run prints is untrusted and ends up in terminals."""
    return "".join(char if char.isprintable() else " " for char in text).strip()
