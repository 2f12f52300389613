"""Decide between a hyper-parameter and an event (setup, refactoring, fix) in one text."""

from __future__ import annotations

from collections.abc import Sequence

from kg.model import ChangeType
from kg.text_clauses import Opening
from kg.text_drafts import Draft
from kg.text_model import Claim

EVENTS = ("environment", "reset", "refactor", "bugfix", "docs", "unspecified")
"""Edits without a hyper-parameter, the most telling first."""

TAGS = {
    "fix": "bugfix", "doc": "docs", "docs": "docs", "refactor": "refactor", "style": "refactor",
    "build": "environment", "ci": "environment", "correct": "bugfix", "repair": "bugfix",
}  # fmt: skip

UNDO = frozenset({"revert", "reverted", "undo", "restore", "reset", "discard", "discarded"})


def settle_events(claims: Sequence[Claim], start: Opening, drafts: Sequence[Draft]) -> list[Claim]:
    """Decide between a hyper-parameter and an event (setup, refactoring, fix) in one text.

    A value or a deciding verb makes it a change; a bare name beside "setup" or "fallback"
    makes it an event. Of several events the most telling one stays.
    """
    events = [claim for claim in claims if is_event(claim)]
    changes = [claim for claim in claims if not is_event(claim)]
    tagged = by_tag(changes, start, drafts)
    if tagged is not None:
        changes, events = [], [e for e in events if e.knob == tagged.knob] or events or [tagged]
    if changes:  # "undo the last change of the softcap"
        events = [event for event in events if event.knob != "other.unspecified"]
    if not events:
        return changes
    written = [event for event in events if event.rule.startswith("in ")]
    valued = (draft.quantity for draft in drafts if draft.knob.value_kind != "event")
    if written and not any(valued):
        return written[:1]  # "correct the batch size in the docs"
    backed = {draft.knob.name for draft in drafts if draft.quantity or draft.new_value}
    verbal = {draft.knob.name for draft in drafts if draft.verb is not None and draft.quantity}
    first = min(claim.span for claim in claims)
    leads = any(event.span == first for event in events)
    if changes and (any(c.knob in backed for c in changes if not leads) or not leads):
        return changes
    if any(claim.knob in backed & verbal for claim in changes):
        return changes
    told = [event for event in events if event.span == first and event.knob == "other.refactor"]
    if told:
        return told  # "refactor the FLOPS calculation"
    ranks = {f"other.{name}": rank for rank, name in enumerate(EVENTS)}
    best = min(events, key=lambda claim: ranks.get(claim.knob, len(ranks)))
    return [best]


def by_tag(changes: Sequence[Claim], start: Opening, drafts: Sequence[Draft]) -> Claim | None:
    """Read "fix(train): ...", "docs: ..." as that, unless the text says what was set to what.

    A fix may also switch something on or off; a refactoring only tells where it took place.
    """
    event = TAGS.get(start.tag)
    if event is None or not changes:
        return None
    for draft in drafts:
        told = draft.quantity is not None and draft.quantity.paired
        if event == "bugfix":
            valued = draft.quantity is not None and draft.quantity.new is not None
            switched = draft.verb is not None or draft.new_value is not None
            told = valued or (switched and draft.knob.name != "precision.autocast")
        if told:
            return None
    return event_claim(event, ChangeType.NO_EFFECT, min(claim.span for claim in changes))


def event_claim(event: str, kind: ChangeType, span: tuple[int, int]) -> Claim:
    """Build the claim of a text that says by its tag or first word what kind of edit it is."""
    return Claim(f"other.{event}", "other", kind, None, None, span, "lexicon", "tag", 0.8)


def is_event(claim: Claim) -> bool:
    """Tell whether a claim is about no hyper-parameter."""
    return claim.knob.removeprefix("other.") in EVENTS
