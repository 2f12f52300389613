"""What comes with a new module or goes with an old one: its weights, its group, its wiring."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from kg.changes_settings import NUMBER, Difference
from kg.changes_tidy import is_loose, is_structural, lines_of, one_sided, only_repeats, path_of
from kg.config import Analysis
from kg.idioms_features import ON
from kg.knobs import component_of, switch_values
from kg.late import late
from kg.structure import Cluster, Homes
from kg.structure_knobs import knob_of

# A new module brings its own initial values and parameter groups.
LEADING: Final = frozenset(
    {"attention", "mlp", "embedding", "head", "norm", "residual", "position", "model_size",
     "loss", "regularization"}
)  # fmt: skip
# What a module that takes the place of the MLP says by itself.
MOE: Final = "mlp.moe"
MIXTURE: Final = late(r"mlp\.|loss\.(?:auxiliary|z_loss)$")


def without_followers(found: list[Difference], where: Homes) -> list[Difference]:
    """Drop the differences that only come with another one, in whose edit they lie."""
    leading = [
        d
        for d in found
        if is_structural(d) and component_of(d.knob) in LEADING and not only_repeats(d)
    ]
    homes = {id(d): where.of(*lines_of([d])) for d in found}
    led = {id(group) for difference in leading for group in homes[id(difference)]}
    leaders = {difference.knob for difference in leading}
    heads = [(d, homes[id(d)]) for d in leading if one_sided(d)]
    heads += [(d, homes[id(d)]) for d in found if d.knob == MOE and not one_sided(d)]
    kept = []
    for difference in found:
        own = homes[id(difference)]
        part = difference.knob not in leaders and follows(difference) and is_new(difference, where)
        if part and led & {id(group) for group in own}:
            continue
        if not any(comes_with(difference, own, head, groups) for head, groups in heads):
            kept.append(difference)
    return kept


def without_carried(
    found: list[Difference], where: Homes, old: Analysis, new: Analysis
) -> list[Difference]:
    """Drop what an edit says of its own new weights, where nothing else says what the edit is.

    Its code has a name, if only by its place; their first values and rates are part of it.
    """
    parts = [
        d
        for d in found
        if (follows(d) and is_new(d, where)) or (d.knob.endswith("_lr") and one_sided(d))
    ]
    if not parts:
        return found
    firm = [d for d in found if not is_loose(d) and d not in parts]
    said = {id(group) for group in where.of(*lines_of(firm))}
    carried = {
        id(group)
        for group in where.of(*lines_of(parts))
        if id(group) not in said
        and brings_weights([group])
        and component_of(knob_of(group, old.roles, new.roles)) in LEADING
    }
    return [
        d
        for d in found
        if d not in parts or not carried & {id(group) for group in where.of(*lines_of([d]))}
    ]


def valued(difference: Difference, where: Homes) -> Difference:
    """Show the number in `SPARE_HEADS = 2` as the value of what was put in or taken out with it."""
    side = difference.new or difference.old
    if not one_sided(difference) or side is None or not is_unsaid(side.value):
        return difference
    found = [
        match.groups()
        for group in where.of(*lines_of([difference]))
        for s in (group.added if difference.old is None else group.removed)
        if not s.scope and (match := CONSTANT.match(s.text))
    ]
    if switch_values(difference.knob):
        return difference
    named = [pair for pair in found if AMOUNT.search(pair[0])] if len(found) > 1 else found
    texts = [value for _, value in named]
    if side.value != ON and len(texts) != 1:
        return difference
    if not texts and RATED.match(difference.knob):
        texts = sorted(own_numbers(difference, where))
    if len(texts) != 1:
        return difference
    shown = replace(side, value=texts[0])
    if difference.old is None:
        return replace(difference, new=shown)
    return replace(difference, old=shown)


def is_unsaid(value: str) -> bool:
    """Tell whether a value only says that a feature is there, or by what local name it goes."""
    return value == ON or re.fullmatch(r"(?:self\.)?[a-z_]\w*", value) is not None


def own_numbers(difference: Difference, where: Homes) -> set[str]:
    """Return the numbers written in a feature's code, without those any code has: 0, 1, 2, 1e-6."""
    return {
        number
        for group in where.of(*lines_of([difference]))
        for s in (group.added if difference.old is None else group.removed)
        if not PLUMBING.search(s.text)
        for number in NUMBER.findall(s.text)
        if not USUAL.match(number)
    }


# Features that are trained by a term of the loss of their own.
OWN_LOSS: Final = frozenset({"residual.predictive_coding", "mlp.homeostatic_plasticity"})
# What is said by a number of its own, where it has but one.
RATED: Final = late(r"regularization\.|loss\.|optimizer\.|mlp\.moe$|data\.")
PLUMBING: Final = late(
    r"params=|capability|\bcap\b|\.init\.|(?:zeros|ones|fill|normal|uniform)_?\(|print"
)
USUAL: Final = late(r"[0-3]$|[012]\.0?$|0?\.5$|1e-\d+$")
CONSTANT: Final = late(r"(_?[A-Z][A-Z\d_]*)=(-?\d[\d.]*(?:e-?\d+)?)$")
# Of several constants put in at once, the one that says how much; the others say when.
AMOUNT: Final = late(
    r"(?:FRAC|RATE|RATIO|WEIGHT|SCALE|PROB|ALPHA|BETA|SIGMA|STD|DECAY|COEF\w*|LR)$"
)


def is_new(difference: Difference, where: Homes) -> bool:
    """Tell whether a knob is set where nothing was: once, or beside what still sets it."""
    old, new = lines_of([difference])
    return one_sided(difference) or (bool(new) and not where.of(old, set()))


def follows(difference: Difference) -> bool:
    """Tell whether a setting can come with a module."""
    return difference.knob.startswith("init.") or " > group " in path_of(difference)


def comes_with(
    difference: Difference, own: list[Cluster], head: Difference, groups: list[Cluster]
) -> bool:
    """Tell whether a difference is part of a feature that is put in or taken out."""
    if difference.knob == "attention.qk_norm" and head.knob == "attention.temperature":
        return False
    if difference.knob == head.knob or (difference.knob == MOE and MIXTURE.match(head.knob)):
        return False
    if " > group " in path_of(difference) and sorts_parameters(own) and brings_weights(groups):
        return True
    if head.knob == MOE and MIXTURE.match(difference.knob):
        if one_sided(difference) and one_sided(head):
            return True  # what the experts took the place of
        made = any(group is other for group in own for other in groups)
        return (made and one_sided(difference)) or (bool(own) and classes(own) <= classes(groups))
    shared = [group for group in own if any(group is other for other in groups)]
    if not shared:
        return False
    if difference.knob == "loss.auxiliary" and head.knob in OWN_LOSS and one_sided(difference):
        return True
    if difference.knob == "attention.backend" and one_sided(difference):
        return head.knob.startswith("attention.")  # the kernel's work is written out
    if difference.knob == "norm.placement" and is_inner(difference, head):
        return True
    if one_sided(difference) or not one_sided(head):
        return False
    if difference.knob == "attention.backend":
        return head.knob.startswith("attention.") and kernels(difference)
    return is_wiring(difference, shared) or weighs_new(difference, shared)


def is_inner(difference: Difference, head: Difference) -> bool:
    """Tell whether norms differ only within the branch that a feature is put into."""
    old, new = difference.old, difference.new
    parts = (old.parts if old else frozenset()) ^ (new.parts if new else frozenset())
    owner = {"attention": "attn:", "mlp": "mlp:"}.get(component_of(head.knob), "?")
    own = (f"{owner}{place}" for place in ("inner", "v"))
    return bool(parts) and parts <= set(own)


def classes(groups: list[Cluster]) -> set[str]:
    """Return the classes, and functions of none, that some edits lie in."""
    return {s.scope.partition(".")[0] for group in groups for s in group.statements()} - {""}


def sorts_parameters(groups: list[Cluster]) -> bool:
    """Tell whether an edit sorts the parameters by their dimensions: those new are no matrices."""
    return any(DIMENSIONS.search(s.text) for group in groups for s in group.statements())


DIMENSIONS: Final = late(r"\.(?:ndim|dim\(\))(?:[=!]=|[<>])")


def brings_weights(groups: list[Cluster]) -> bool:
    """Tell whether an edit makes or drops parameters."""
    return any(WEIGHTS.search(s.text) for group in groups for s in group.statements())


WEIGHTS: Final = late(r"\b(?:Parameter|Linear|Embedding|Conv\dd)\(")


def kernels(difference: Difference) -> bool:
    """Tell whether one attention kernel of several is only written out by hand."""
    sides = [set(side.value.split("+")) for side in (difference.old, difference.new) if side]
    return len(sides) == 2 and (sides[0] < sides[1] or sides[1] < sides[0])


def is_wiring(difference: Difference, shared: list[Cluster]) -> bool:
    """Tell whether code of a feature only passes on, or names, what another one brings."""
    old, new = difference.old, difference.new
    if old is None or new is None:
        return False
    if old.exact and new.exact and old.value == new.value:
        return True
    if not is_structural(difference):
        return False
    fresh = set().union(*(group.names for group in shared))
    words = [set(re.findall(r"[A-Za-z_]\w*", side.long or side.value)) for side in (old, new)]
    return bool((words[0] ^ words[1]) & fresh)


def weighs_new(difference: Difference, shared: list[Cluster]) -> bool:
    """Tell whether initial weights differ only by those of parameters that one version has."""
    if not difference.knob.startswith("init."):
        return False
    fresh = set().union(*(group.names for group in shared))
    spans = {span for p in (*difference.places, *difference.new_places) for span in p.lines()}
    return any(s.names & fresh for group in shared for s in group.statements() if s.span in spans)
