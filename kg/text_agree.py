"""Whether a message and its diff say the same; both are kept, neither corrects the other."""

from __future__ import annotations

from collections.abc import Sequence

from kg.amount import amount
from kg.model import Change, ChangeType
from kg.text_model import Agreement, Claim

UP = frozenset({ChangeType.INCREASE, ChangeType.ADD, ChangeType.ENABLE})
DOWN = frozenset({ChangeType.DECREASE, ChangeType.REMOVE, ChangeType.DISABLE})
TOLERANCE = 0.01
"""524K is 524288: values that differ by less than 1 % are the same value."""
IDLE = frozenset({ChangeType.NO_EFFECT})


def agree(claims: Sequence[Claim], changes: Sequence[Change]) -> Agreement:
    """Compare what a text claims with what its diff changed.

    ``contradict``: a knob both name goes the other way or to another value, or they share no
    knob at all. ``missing_in_diff``: the text announces more (the graver of the two, so it
    also stands where both hold more). ``extra_in_diff``: the diff holds more, silent undoing
    of an earlier edit included. ``no_claim``: the text claims nothing.
    """
    if not claims:
        return Agreement.NO_CLAIM
    said = {claim.knob: claim for claim in claims}
    done = {change.knob: change for change in changes}
    shared = said.keys() & done.keys()
    if any(opposed(said[knob], done[knob]) for knob in shared):
        return Agreement.CONTRADICT
    if not shared:
        idle = all(claim.change_type in IDLE for claim in claims)
        if idle and all(change.change_type in IDLE for change in changes):
            return Agreement.AGREE  # both say: nothing that acts
        return Agreement.CONTRADICT if changes else Agreement.MISSING_IN_DIFF
    if said.keys() - done.keys():
        return Agreement.MISSING_IN_DIFF
    return Agreement.EXTRA_IN_DIFF if done.keys() - said.keys() else Agreement.AGREE


def opposed(claim: Claim, change: Change) -> bool:
    """Tell whether a claim and a change of one knob exclude one another."""
    new_said, new_done = amount(claim.new), amount(change.new)
    if new_said is not None and new_done is not None:
        shares = (0 < new_said < 1 < new_done, 0 < new_done < 1 < new_said)
        if not any(shares):  # "512" against ``long_window//4``: not one scale
            return not close(new_said, new_done)
    said, done = claim.change_type, change.change_type
    return (said in UP and done in DOWN) or (said in DOWN and done in UP)


def close(left: float, right: float) -> bool:
    """Tell whether two values are the same but for rounding."""
    return abs(left - right) <= TOLERANCE * max(abs(left), abs(right))
