"""Names for edits that no setting accounts for: by where they are and what they mention."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kg.changes_settings import STANDING
from kg.config_names import assignments, callee
from kg.config_optimizer import Scopes, scope_of
from kg.features import matching
from kg.knobs import component_of, unknown_knob
from kg.late import late
from kg.logged import only_logs
from kg.model import Change, ChangeType, OptimizerScope
from kg.program import Statement
from kg.roles import Role, Roles
from kg.structure import (
    Cluster,
    by_knob,
    literal_change,
    merged_spans,
)
from kg.structure_about import (
    asks_presence,
    guards_reports,
    is_environment,
    numbers_layers,
    runs_layers_again,
)
from kg.structure_links import target_text
from kg.structure_same import only_casts, weighs

UNSPECIFIED: Final = "other.unspecified"
PORT: Final = "other.environment"
# What a statement is about by the names in it, where its place alone does not say; in order.
BY_NAMES: Final[tuple[tuple[re.Pattern[str], frozenset[Role], str], ...]] = tuple(
    (late(pattern), frozenset(roles), knob)
    for pattern, roles, knob in (
        (r"^(cross_entropy|_?loss\w*|\w+_loss|targets)$", (Role.MODEL,), "loss.function"),
        (r"^(?:logits?_)?soft_?cap(?:ping)?$", (Role.MODEL,), "head.softcap"),
        (r"^(logits|lm_head)$", (Role.MODEL,), "head.structure"),
        (r"(?:value|\bve)_(?:emb|table|proj)", (Role.MODEL, Role.BLOCK, Role.ATTENTION),
         "embedding.value_embeds"),
        (r"^(wte|idx|embed\w*)$", (Role.MODEL,), "embedding.structure"),
        (r"rotary|rope|^(cos|sin)$", (Role.INIT,), "position.encoding"),
        (r"window(?!_?sizes?$|s$)", (Role.MODEL,), "attention.window_sizes"),
        (r"^(x0_lambdas?|resid_lambdas?|x0)$", (Role.MODEL, Role.BLOCK), "residual.stream"),
        (r"^(attn|c_attn|q|k|v|y|c_q|c_k|c_v|n_head|head_dim)$", (Role.ATTENTION,),
         "attention.structure"),
        (r"\w_coeff?s?$", (Role.OPTIMIZER,), "optimizer.muon_ns_coeffs"),
        (r"accum", (Role.SCRIPT,), "schedule.grad_accum"),
        (r"^grad$|zero_grad|backward", (Role.SCRIPT,), "optimizer.gradient"),
        (r"^(param_groups|optimizer|group)$", (Role.SCRIPT,), "optimizer.loop"),
        (r"^(evaluate_bpb|val_bpb|eval|val_\w+)$", (Role.SCRIPT,), "evaluation.protocol"),
        (r"^(named_)?parameters$", (Role.SCRIPT,), "optimizer.gradient"),
        (r"dataloader|train_loader|tokenizer|make_dataloader", (Role.SCRIPT,), "data.loader"),
    )
)  # fmt: skip
# Knobs that only say where code changed: in a port they are part of it.
NAMELESS: Final = frozenset(
    {"attention.structure", "mlp.structure", "residual.structure", "residual.stream",
     "head.structure", "embedding.structure", "init.scheme", "optimizer.update",
     "optimizer.groups", "optimizer.gradient", "optimizer.loop", "data.loader",
     "evaluation.protocol", "evaluation.logging", "attention.window_sizes", "loss.function",
     "schedule.grad_accum"}
)  # fmt: skip
BY_ROLE: Final = {
    Role.ATTENTION: "attention.structure",
    Role.MLP: "mlp.structure",
    Role.BLOCK: "residual.structure",
    Role.MODEL: "residual.stream",
    Role.NORM: "norm.kind",
    Role.ROTARY: "position.encoding",
    Role.WINDOWS: "attention.window_sizes",
    Role.INIT: "init.scheme",
    Role.SETUP: "optimizer.groups",
    Role.OPTIMIZER: "optimizer.update",
    Role.LR_SCHEDULE: "schedule.lr_shape",
    Role.MOMENTUM_SCHEDULE: "schedule.muon_momentum",
    Role.DECAY_SCHEDULE: "schedule.weight_decay",
    Role.VALUE_EMBEDS: "embedding.value_embeds.placement",
}


# What a script always has in some form: edited code is another form of it.
RUN: Final = frozenset({Role.MODEL, Role.BLOCK, Role.MLP, Role.ATTENTION})
RECOMPUTED: Final = "precision.activation_checkpointing"
LAYOUTS: Final = frozenset(
    {RECOMPUTED, "norm.kind", "position.encoding", "attention.window_sizes", "schedule.lr_shape",
     "schedule.muon_momentum", "schedule.weight_decay", "embedding.value_embeds.placement",
     "init.scheme", "loss.function", "data.loader", "evaluation.protocol", "mlp.activation"}
)  # fmt: skip


def structural_changes(
    named: list[tuple[str, Cluster]], known: set[str], old: Scopes, new: Scopes
) -> Iterator[Change]:
    """Yield one change for each knob that unexplained edits belong to."""
    kept = [(knob, cluster) for knob, cluster in named if knob and knob not in known]
    machine = sum(len(list(c.statements())) for knob, c in kept if knob == PORT)
    whole = sum(len(list(c.statements())) for _, c in kept)
    ported = {UNSPECIFIED} if machine else set()
    if machine >= 5 or 2 * machine >= whole > 0:
        ported |= {knob for knob, _ in kept if knob in NAMELESS}
    for knob, group in by_knob(
        (PORT if k in ported else k, cluster) for k, cluster in kept
    ).items():
        change = structural_change(knob, group)
        touched = {new.of_place(knob, s.scope) for cluster in group for s in cluster.added}
        touched |= {old.of_place(knob, s.scope) for cluster in group for s in cluster.removed}
        both = OptimizerScope.BOTH in touched
        merged = OptimizerScope.BOTH if both else scope_of({scope.value for scope in touched})
        yield replace(change, optimizer_scope=merged)


def knob_of(cluster: Cluster, old: Roles, new: Roles) -> str:
    """Return the knob of a group of edited statements, "" if they only report."""
    if only_casts(cluster):
        return PORT
    votes: dict[str, int] = {}
    for side, roles in ((cluster.added, new), (cluster.removed, old)):
        for statement in side:
            knob = statement_knob(statement, roles)
            if knob:
                votes[knob] = votes.get(knob, 0) + 1
    if not votes:
        return ""
    if "schedule.lr_shape" in votes and votes.keys() <= {"schedule.lr_shape", *LOOP}:
        return "schedule.lr_shape"
    if "loss.function" in votes:
        both = cluster.removed and cluster.added
        return "loss.function" if both or not weighs(cluster) else "loss.auxiliary"
    if 2 * votes.get(PORT, 0) >= sum(votes.values()):
        return PORT
    named = {k: n for k, n in votes.items() if component_of(k) != "other"} or votes
    named = {k: n for k, n in named.items() if k not in FOLLOWING} or named
    told = {k: n for k, n in named.items() if k not in NAMELESS}
    if 3 * sum(told.values()) >= sum(named.values()):
        named = told or named  # a third of an edit that has a name names it
    return max(sorted(named), key=lambda knob: named[knob])


# Where the parameters of a new module are put, and what they start from.
FOLLOWING: Final = frozenset({"optimizer.groups", "init.scheme"})
LOOP: Final = frozenset({"optimizer.loop", UNSPECIFIED})  # what a rate is written under


def statement_knob(statement: Statement, roles: Roles) -> str:
    """Return what one statement is about."""
    role = roles.of(statement.scope)
    if numbers_layers(statement) or asks_presence(statement):
        return ""
    if guards_reports(statement):
        return "evaluation.logging"
    if only_logs(statement, roles.program) or role is Role.BOOKKEEPING:
        return ""
    if isinstance(statement.node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try):
        return ""  # what a function or a guarded block is for, its body says
    if role in (Role.SCRIPT, Role.OTHER, Role.CONFIG) and is_environment(statement):
        return PORT
    if target_text(statement).rpartition(".")[2].startswith("window"):
        return "attention.window_sizes"
    if role is Role.SCRIPT and RATE_SCALED.search(statement.text):
        return "schedule.lr_shape"
    if role is Role.SCRIPT and (written := written_knob(statement, roles)):
        return written
    known = [rule.knob for rule, _ in matching(statement, role) if not rule.whole]
    if known and (role is Role.SCRIPT or (role in RUN and RECOMPUTED in known)):
        return known[0]  # one more place of a feature the script has already
    if any(NORM_MADE.search(callee(call)) for call in statement.calls):
        return "norm.kind"
    if role is Role.MODEL and runs_layers_again(statement, roles):
        return "model.layer_loops"
    for pattern, wanted, knob in BY_NAMES:
        if role in wanted and any(pattern.search(name) for name in statement.names):
            return knob
    if role is Role.OTHER and statement.scope and not roles.scopes(Role.MODEL):
        return unknown_knob(statement.scope)  # no trainer: the function is all there is to name
    if role is Role.MLP and is_elementwise(statement, roles):
        return "mlp.activation"
    return BY_ROLE.get(role, UNSPECIFIED)


def is_elementwise(statement: Statement, roles: Roles) -> bool:
    """Tell whether a class in the place of an MLP has no projections: it is an activation."""
    owner = statement.scope.partition(".")[0]
    body = [s for scope, code in roles.program.by_scope.items() if scope.startswith(f"{owner}.")
            for s in code]  # fmt: skip
    return bool(body) and not any("Linear" in s.names or "experts" in s.names for s in body)


def written_knob(statement: Statement, roles: Roles) -> str:
    """Return the schedule whose value of the moment a statement of the loop works out."""
    node = statement.node
    targets = [t for t, _ in assignments(node)]
    targets += [node.target] if isinstance(node, ast.AugAssign) else []
    for target in targets:
        if isinstance(target, ast.Name) and target.id in roles.written:
            return SCHEDULED[roles.written[target.id]]
    return ""


SCHEDULED: Final = {
    "lr": "schedule.lr_shape",
    "momentum": "schedule.muon_momentum",
    "betas": "schedule.adam_momentum",
    "weight_decay": "schedule.weight_decay",
}
NORM_MADE: Final = late(r"(?:RMS|Layer|Group)_?Norm$")
RATE_SCALED: Final = late(
    r"AugAssign \w+\['lr'\] |\(AugAssign \w+\['lr'\] |^\w+\['lr'\]=.*(?:\b(?:max|min)\(|\*\*)"
)


def structural_change(knob: str, group: list[Cluster]) -> Change:
    """Write the record of an edit that is known by its place only."""
    removed = [s for cluster in group for s in cluster.removed]
    added = [s for cluster in group for s in cluster.added]
    numbers: tuple[str | None, str] | None = literal_change(group[0]) if len(group) == 1 else None
    kind = ChangeType.REPLACE
    if knob in ("other.environment", "other.refactor"):
        kind = ChangeType.NO_EFFECT
    elif numbers is not None and numbers[0] is not None:
        kind = direction_of(numbers[0], numbers[1])
    elif knob in ("schedule.lr_shape", "loss.function") or knob in STANDING:
        kind = ChangeType.REPLACE
    elif not removed:
        kind = ChangeType.ADD
    elif not added:
        kind = ChangeType.REMOVE
    elif knob not in LAYOUTS:
        kind = kind_by_names(removed, added)
    if numbers is None and knob == "loss.auxiliary":
        weights = [m.group(1) for s in added for m in WEIGHTED.finditer(s.text)]
        numbers = (None, weights[0]) if weights and not removed else None
    first = (added or removed)[0]
    return Change(
        knob=knob,
        component=component_of(knob),
        change_type=kind,
        optimizer_scope=OptimizerScope.NONE,
        old=numbers[0] if numbers else None,
        new=numbers[1] if numbers else None,
        path=first.scope,
        old_span=merged_spans(removed),
        new_span=merged_spans(added),
    )


WEIGHTED: Final = late(r"loss[-+]=?\(+(-?\d[\d.]*(?:e-?\d+)?)\*")  # `loss + 0.3 * other`


def kind_by_names(removed: list[Statement], added: list[Statement]) -> ChangeType:
    """Tell a term put in or taken out from code rewritten: by the names that come and go."""
    before = {name for statement in removed for name in statement.names}
    after = {name for statement in added for name in statement.names}
    gone, come = before - after, after - before
    if bool(gone) == bool(come):
        return ChangeType.REPLACE
    return ChangeType.ADD if come else ChangeType.REMOVE


def direction_of(old: str, new: str) -> ChangeType:
    """Compare two number literals."""
    return ChangeType.INCREASE if float(new) > float(old) else ChangeType.DECREASE
