"""Differences called by another knob than their own code: what they are beside the rest."""

from __future__ import annotations

import re
from dataclasses import replace

from kg.changes_settings import Difference
from kg.changes_tidy import one_sided
from kg.config import Analysis
from kg.late import late
from kg.model import Change, ChangeType
from kg.program import is_forward
from kg.roles import Role
from kg.structure_knobs import NAMELESS


def from_shared(difference: Difference, old: Analysis) -> Difference:
    """Compare a beta that a group has for itself from now on with the one it shared."""
    own = re.match(r"optimizer\.(?!muon|adam_)\w+_beta(\d)$", difference.knob)
    if own is None or difference.old is not None:
        return difference
    shared = old.configuration.settings.get(f"optimizer.adam_beta{own.group(1)}")
    return replace(difference, old=shared and replace(shared, knob=difference.knob))


def of_rezero(difference: Difference, old: Analysis, new: Analysis) -> Difference:
    """Call a learned gain of another branch what that of the first one is: from zero, ReZero."""
    gains = all(
        any(place.knob == REZERO for place in side.configuration.places) for side in (old, new)
    )
    if difference.knob != "residual.layer_scale" or not gains:
        return difference
    sides = [side and replace(side, knob=REZERO) for side in (difference.old, difference.new)]
    return replace(difference, old=sides[0], new=sides[1])


REZERO = "residual.rezero"


def of_tables(difference: Difference, old: Analysis, new: Analysis) -> Difference:
    """Call layers that get value embeddings, where no layer had any, the value embeddings."""
    if difference.knob != PLACEMENT or not one_sided(difference):
        return difference
    without = old if difference.old is None else new
    passes = (s for s in without.roles.scopes(Role.MODEL) if is_forward(s))
    if any(TABLE.search(s.text) for p in passes for s in without.program.by_scope.get(p, ())):
        return difference
    sides = [
        side and replace(side, knob="embedding.value_embeds", exact=True)
        for side in (difference.old, difference.new)
    ]
    return replace(difference, old=sides[0], new=sides[1])


PLACEMENT = "embedding.value_embeds.placement"


TABLE = late(r"value_(?:emb|table|proj)|\bve_?\w*\(|\bve=")


def as_rewritten(change: Change, old: Analysis, new: Analysis) -> Change:
    """Call code put beside a feature that both versions have a change of it, not a new one."""
    both = change.knob not in NAMELESS and all(
        any(
            (p.knob == change.knob or p.knob.startswith(f"{change.knob}.")) and not p.hidden
            for p in side.configuration.places
        )
        for side in (old, new)
    )
    one_side = change.change_type in (ChangeType.ADD, ChangeType.REMOVE)
    return replace(change, change_type=ChangeType.REPLACE) if both and one_side else change


def one_position(records: list[Change]) -> list[Change]:
    """Join a rotation taken out and a table of positions put in: one took the other's place."""
    knobs = {record.knob: record for record in records}
    turned, table = knobs.get("position.encoding"), knobs.get("position.absolute")
    if (
        turned is None
        or table is None
        or (table.change_type is ChangeType.ADD) != (turned.new == "none")
    ):
        return records
    side = {"new": "absolute"} if turned.new == "none" else {"old": "absolute"}
    both = replace(turned, change_type=ChangeType.REPLACE, **side)  # type: ignore[arg-type]
    return [both if r is turned else r for r in records if r is not table]
