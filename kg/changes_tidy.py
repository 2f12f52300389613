"""One edit, one record: what belongs to another difference, and what a port is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kg.changes_settings import Difference
from kg.idioms_init import SHARED
from kg.knobs import component_of, is_unknown
from kg.late import late
from kg.model import Change, ChangeType, OptimizerScope
from kg.settings import Rank, Setting
from kg.structure import Cluster, span_lines
from kg.structure_about import is_environment
from kg.structure_knobs import PORT


def is_structural(difference: Difference) -> bool:
    """Tell whether a difference is one of shape, not of a number."""
    sides = [side for side in (difference.old, difference.new) if side is not None]
    return any(side.rank is Rank.IDIOM for side in sides) and (
        len(sides) == 1 or not all(side.number is not None for side in sides)
    )


def is_loose(difference: Difference) -> bool:
    """Tell whether a setting is no canonical knob: it belongs to the edit it is part of."""
    side = difference.new or difference.old
    return is_unknown(difference.knob) or (side is not None and side.secondary)


def lines_of(found: list[Difference]) -> tuple[set[int], set[int]]:
    """Return the lines of both versions that differing settings account for."""
    return (
        lines_in(place for difference in found for place in difference.places),
        lines_in(place for difference in found for place in difference.new_places),
    )


def lines_in(places: Iterable[Setting]) -> set[int]:
    """Return the lines of some settings."""
    return {line for place in places for span in place.lines() for line in span_lines(span)}


def tidy(found: list[Difference]) -> list[Difference]:
    """Drop the differences that are only part of another: one edit, one record."""
    knobs = {difference.knob for difference in found}
    dropped: set[str] = set()
    if "init.distribution" in knobs:
        # `s` of a uniform draw is sqrt(3) of a normal's: the same width in other words
        dropped |= {d.knob for d in found if d.knob in SHARED and not of_one_width(d)}
    if any(d.knob == "optimizer.lr_scale_reference" and one_sided(d) for d in found):
        dropped.add("optimizer.lr_scale_exponent")
        dropped |= {d.knob for d in found if d.knob.endswith("_lr") and same_factor(d)}
    if any(d.knob == "embedding.value_embeds.sharing" and one_sided(d) for d in found):
        dropped |= {"embedding.value_embeds.placement"}  # all layers that have any share the one
        gone = {d.knob for d in found if one_sided(d) and TABLES.search(d.knob + path_of(d))}
        dropped |= gone - {"embedding.value_embeds.sharing"}
    if any(d.knob == "attention.qk_norm" and not one_sided(d) for d in found):
        # another norm brings its own length: `q / |q| * sqrt(d)`
        dropped |= {d.knob for d in found if d.knob == "attention.temperature" and one_sided(d)}
    if "position.encoding" in knobs:
        # the norm that came after the rotation comes after nothing now
        dropped |= {d.knob for d in found if d.knob == "attention.qk_norm" and not one_sided(d)}
    if "embedding.tying" in knobs:
        dropped |= {d.knob for d in found if one_sided(d) and OUTPUT.search(path_of(d))}
    if any(d.knob == "embedding.value_embeds.placement" and one_sided(d) for d in found):
        dropped |= {d.knob for d in found if one_sided(d) and TABLES.search(d.knob)}
    if "optimizer.kind" in knobs:
        dropped |= {d.knob for d in found if " > group " in path_of(d) and one_sided(d)}
        dropped |= {d.knob for d in found if SCHEDULES.match(d.knob) and one_sided(d)}
    dropped |= parts_of_heads(found)
    if "schedule.muon_momentum" in knobs:
        dropped |= {d.knob for d in found if "muon_momentum_" in d.knob and one_sided(d)}
    if any(d.knob == "mlp.expansion" and one_sided(d) for d in found):
        dropped |= {"mlp.expansion"} if "mlp.activation" in knobs else set()  # another kind of MLP
    found = [d for d in found if not (one_sided(d) and only_repeats(d))]
    if any(DROPOUTS.match(d.knob) and is_structural(d) for d in found):
        dropped |= {d.knob for d in found if DROPOUTS.match(d.knob) and not is_structural(d)}
    return [*split_betas(d for d in found if d.knob not in dropped)]


def parts_of_heads(found: list[Difference]) -> set[str]:
    """Return the knobs that only say what another one says: a gate's parts, a phase's shape."""
    dropped: set[str] = set()
    gates = {d.knob for d in found if GATE.match(d.knob) and one_sided(d)}
    if gates:
        dropped |= {"init.ve_gate", *sorted(gates)[1:]}  # the gate as a whole
    if any(BUILT_ON.match(d.knob) and one_sided(d) for d in found):
        dropped |= {d.knob for d in found if d.knob == "mlp.activation" and goes_on(d)}
    for head, parts in PARTS.items():
        if any(d.knob == head and one_sided(d) for d in found):
            alone = [d for d in found if one_sided(d) or d.knob == "precision.compile"]
            dropped |= {d.knob for d in alone if parts.match(d.knob)}
    dropped |= {d.knob for d in found if one_sided(d) and IDLE.match(d.knob) and is_constant(d)}
    shaped = {d.knob for d in found if SHAPED.match(d.knob) and one_sided(d)}
    if shaped:
        unshaped = any(d.knob == "schedule.lr_shape" and is_flat(d) for d in found)
        # a phase put in or taken out says the shape; of a rate that never changed, the shape does
        dropped |= shaped if unshaped else {"schedule.lr_shape"}
    if any(d.knob == "schedule.adam_momentum" for d in found):
        dropped |= {d.knob for d in found if ADAM_BETA.match(d.knob) and one_sided(d)}
    return dropped


def split_betas(found: Iterable[Difference]) -> Iterator[Difference]:
    """Join the betas of several groups: a pair that is split, or a value changed in all of them."""
    apart: dict[tuple[str, ...], list[Difference]] = {}
    for difference in found:
        owner = BETA.match(difference.knob)
        sides = [side for side in (difference.old, difference.new) if side is not None]
        if owner is None or len(sides) < 2:
            yield difference
        elif len({side.hidden for side in sides}) == 2:
            apart.setdefault((owner.group(1),), []).append(difference)
        else:
            key = owner.group(1), *(side.value for side in sides)
            apart.setdefault(key, []).append(difference)
    for (number, *values), parts in apart.items():
        if len(parts) == 1 and values:
            yield parts[0]
            continue
        old, new = (
            replace(side, knob=f"optimizer.adam_beta{number}", hidden=False)
            for side in (parts[0].old, parts[0].new)
            if side is not None
        )
        places = tuple(place for part in parts for place in part.places)
        new_places = tuple(place for part in parts for place in part.new_places)
        yield Difference(old, new, split=not values, places=places, new_places=new_places)


# What comes with a knob that is put in, or goes with it: it is that knob in other words.
PARTS = {
    "attention.window_pattern": late(r"attention\.(?:short_window|window_sizes)$"),
    "embedding.value_embeds": late(
        r"embedding\.value_embeds\.|(?:init|optimizer|regularization)\..*(?:value_embeds|ve_gate)"
    ),
    "attention.every_n_layers": late(r"residual\.attn_skip$"),  # a skipped one is none
    "residual.predictive_coding": late(r"residual\.(?:branch|layer)_scale$"),
    "optimizer.lookahead": late(r"regularization\.weight_ema$"),
    "precision.compile_mode": late(r"precision\.compile$"),
    "position.encoding": late(r"position\.rope_base$"),
    "residual.branch_scale": late(r"residual\.layer_scale$"),  # a number, not learned
    "residual.rezero": late(r"residual\.(?:layer|branch)_scale$"),
}
BUILT_ON = late(r"mlp\.(?:sparsity|homeostatic_plasticity)$")
GATE = late(r"embedding\.value_embeds\.gate_")
SHAPED = late(r"schedule\.(?:warmup|warmdown)_(?:ratio|steps)$|schedule\.final_lr_frac$")
IDLE = late(r"schedule\.(?:weight_decay|adam_momentum)$")
ADAM_BETA = late(r"optimizer\.adam_beta\d$")


BETA = late(r"optimizer\.(?!muon|adam_|x0_)\w+_beta(\d)$")


def goes_on(difference: Difference) -> bool:
    """Tell whether an activation is put on top of the one that was there: a cut, a gain."""
    if difference.old is None or difference.new is None:
        return False
    short, long = sorted((difference.old.value, difference.new.value), key=len)
    return short in long


def one_sided(difference: Difference) -> bool:
    """Tell whether a knob is set in one version only, at the places that differ."""
    return difference.old is None or difference.new is None


SCHEDULES = late(r"schedule\.(adam_momentum|muon_momentum|weight_decay)")  # of one kind


DROPOUTS = late(r"regularization\.dropout\.")  # a rate, and where it is used


OUTPUT = late(r"group (lm_head|embedding)|lm_head_std|wte_std")


TABLES = late(r"value_embeds(?!\.(?:placement|sharing))|ve_gate")


def of_one_width(difference: Difference) -> bool:
    """Tell whether both sides are a number times the same width, and not the same number."""
    old, new = difference.old, difference.new
    if old is None or new is None or old.number is None or new.number is None:
        return False
    rests = {re.sub(r"[\d.]+", "", side.token.partition("*")[2]) for side in (old, new)}
    return old.number != new.number and len(rests) == 1


def only_repeats(difference: Difference) -> bool:
    """Tell whether a side is there to be compared with: shared betas, the order of two branches."""
    side = difference.new or difference.old
    return side is not None and side.hidden and side.rank is not Rank.CONSTANT


def same_factor(difference: Difference) -> bool:
    """Tell whether a group's rate has the same number on both sides."""
    old, new = difference.old, difference.new
    return old is not None and new is not None and old.folded == new.folded


def is_constant(difference: Difference) -> bool:
    """Tell whether the one side of a schedule only says that nothing changes."""
    side = difference.new or difference.old
    return side is not None and side.value == "constant"


def is_flat(difference: Difference) -> bool:
    """Tell whether a rate had no schedule of any kind before."""
    return difference.old is None or difference.old.value in ("none", "constant")


def path_of(difference: Difference) -> str:
    """Return where a difference is."""
    side = difference.new or difference.old
    return side.path if side is not None else ""


# A port to another machine edits dozens of lines about it; 40 statements leave no room for less.
PORT_LINES = 20
PORT_SIZE = 40


def is_port(groups: list[Cluster]) -> bool:
    """Tell whether an edit as a whole moves the script to another machine."""
    statements = [statement for group in groups for statement in group.statements()]
    machine = sum(is_environment(statement) for statement in statements)
    return machine >= PORT_LINES and len(statements) >= PORT_SIZE


def of_port(found: list[Difference]) -> list[Difference]:
    """Keep what a port sets anew in the open, and the attention kernel: the rest is the port."""
    return [
        difference
        for difference in found
        if difference.knob == "attention.backend"
        or (
            difference.old is not None
            and difference.new is not None
            and difference.old.rank is difference.new.rank is Rank.CONSTANT
        )
    ]


def port_change(groups: list[Cluster]) -> Change:
    """Return the record of a port."""
    places = [s for group in groups for s in group.statements()]
    first = min(places, key=lambda statement: statement.span)
    return Change(
        knob=PORT,
        component=component_of(PORT),
        change_type=ChangeType.NO_EFFECT,
        optimizer_scope=OptimizerScope.NONE,
        old=None,
        new=None,
        path=first.scope,
    )
