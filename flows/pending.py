"""A hypothesis recorded before its experiment: one small file in the campaign's directory."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from flows.errors import CampaignError

FILE: Final = "hypothesis.json"
LONGEST: Final = 2000  # characters: a paragraph, not a paper


@dataclass(frozen=True, slots=True)
class Pending:
    """What is expected of the next experiment."""

    hypothesis: str
    expected_delta: float | None = None  # in the metric's units


def record_hypothesis(
    directory: Path, hypothesis: str, expected_delta: float | None = None
) -> Pending:
    """Keep a hypothesis for the next experiment of a campaign; a later one replaces it.

    Raises:
        CampaignError: It is empty, too long, or the expected delta is no number.
    """
    text = hypothesis.strip()
    if not text or len(text) > LONGEST:
        raise CampaignError(f"hypothesis: has {len(text)} characters; say it in 1 to {LONGEST}")
    if expected_delta is not None and not math.isfinite(expected_delta):
        raise CampaignError(f"expected delta {expected_delta!r}: is not finite; give a number")
    pending = Pending(text, expected_delta)
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{FILE}.tmp"
    draft.write_text(json.dumps(asdict(pending)), encoding="utf-8")
    draft.replace(directory / FILE)
    return pending


def pending_hypothesis(directory: Path) -> Pending | None:
    """Return what was recorded for the next experiment of a campaign, None if nothing was."""
    try:
        found = json.loads((directory / FILE).read_text(encoding="utf-8"))
        return Pending(str(found["hypothesis"]), found["expected_delta"])
    except (OSError, ValueError, LookupError, TypeError):  # a hint, never a reason to fail a run
        return None


def clear_hypothesis(directory: Path) -> None:
    """Forget it, once an experiment carries it."""
    (directory / FILE).unlink(missing_ok=True)
