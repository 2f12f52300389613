"""States of the simulated agent's knobs, a step from the start."""

from __future__ import annotations

from bench.synthetic import KNOBS, START


def moved(name: str, by: int = 1) -> dict[str, int]:
    """Return the start with one knob moved, inwards where the range ends."""
    position = START[name] + by
    inside = 0 <= position < len(KNOBS[name][0])
    return {**START, name: position if inside else START[name] - by}
