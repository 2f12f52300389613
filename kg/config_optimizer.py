"""Settings of the parameter groups, and whose update each knob touches."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from kg.canonical import canonical
from kg.config_names import Names
from kg.fold import number_of
from kg.knobs import holder, is_known_holder, scope_rule
from kg.model import OptimizerScope
from kg.optimizers import Group, Optimizers, update_rule
from kg.program import Program
from kg.roles import Role, Roles
from kg.settings import (
    Rank,
    Setting,
    Site,
    base_of,
    coefficient,
    make_setting,
    make_value,
    mentions_layer,
)

GROUP_KNOBS = {"eps": "optimizer.adam_eps", "ns_steps": "optimizer.muon_ns_steps"}


def group_settings(program: Program, names: Names, optimizers: Optimizers) -> Iterator[Setting]:
    """Yield the settings of every parameter group, and `optimizer.kind`."""
    yield from kind_setting(optimizers)
    yield from written_settings(program, names, optimizers)
    for group in optimizers.groups:
        for key, value in group.entries.items():
            line = optimizers.overwritten_at(group, key)
            secondary = not is_known_holder(group.holder)
            for setting in entry_settings(program, names, group, key, value):
                if line is not None or secondary:
                    setting = replace(
                        setting, effective=line is None, overridden_at=line, secondary=secondary
                    )
                yield setting


# What the loop writes that has a schedule of its own, read from its shape.
SCHEDULED = frozenset({"lr", "initial_lr", "momentum", "betas", "beta1", "weight_decay"})


def written_settings(program: Program, names: Names, optimizers: Optimizers) -> Iterator[Setting]:
    """Yield what the loop makes of any other entry: `group["ns_steps"] = 3 if early else 5`."""
    for write in optimizers.overwrites:
        if write.key in SCHEDULED:
            continue
        groups = [group for group in optimizers.groups if write.key in group.entries]
        for group in groups[:1]:
            site = Site(f"loop > {write.key}", "", write.statement.span, Rank.ARGUMENT)
            yield make_setting(program, names, group_knob(group, write.key), write.value, site)


def kind_setting(optimizers: Optimizers) -> Iterator[Setting]:
    """Yield which optimizers the file uses: `muon+adamw`, `adamw`, `sgd`."""
    kinds = sorted(optimizers.kinds, key=lambda kind: (kind != "muon", kind))
    if kinds:
        first = optimizers.groups[0].statement
        site = Site("optimizer", first.scope, first.span, Rank.IDIOM)
        yield make_value("optimizer.kind", "+".join(kinds), site)


def entry_settings(
    program: Program, names: Names, group: Group, key: str, value: ast.expr
) -> Iterator[Setting]:
    """Yield what one entry of a group dict sets."""
    scope = group.statement.scope
    number = f"#{group.order}" if group.order else ""
    path = f"{scope} > group {group.holder}{number} > {key}".removeprefix(" > ")
    site = Site(path, scope, program.span(value), Rank.ARGUMENT)
    if key == "lr":
        yield rate_setting(program, names, group, value, site)
    elif key == "betas":
        yield from beta_settings(program, names, group, value, site)
    else:
        yield expanded(
            names, make_setting(program, names, group_knob(group, key), value, site), value
        )


PLAIN = frozenset({"optimizer.all_lr", "optimizer.momentum"})


def entry_knob(group: Group, key: str) -> str:
    """Return the knob of a group's entry, its learning rate included."""
    return holder(group.holder).lr if key == "lr" else group_knob(group, key)


def group_knob(group: Group, key: str) -> str:
    """Return the knob of a group's entry."""
    if key == "weight_decay":
        return f"regularization.weight_decay.{holder(group.holder).decay}"
    if key in GROUP_KNOBS:
        return GROUP_KNOBS[key]
    if re.search(r"wd|decay", key):
        return f"regularization.weight_decay.{holder(group.holder).decay}"
    if re.search(r"(^|_)lr(_|$)", key):
        return holder(group.holder).lr
    if group.kind == "muon" and not key.startswith("muon_"):
        return f"optimizer.muon_{key}"
    return f"optimizer.{key}"


def expanded(names: Names, setting: Setting, value: ast.expr) -> Setting:
    """Compare a local by what it stands for: `wd = weight_decay * 0.5` set apart is no hiding."""
    text, layered, covers = setting.token, setting.layered, setting.covers
    for _ in range(4):
        bound = None
        if isinstance(value, ast.Name):
            bound = names.locals.get((setting.path.partition(" > ")[0], value.id))
        if not bound or len(bound) != 1 or not isinstance(bound[0].node, ast.Assign):
            break
        value = bound[0].node.value
        text = canonical(value)
        layered = layered or mentions_layer(value, names, bound[0].scope)
        covers = (*covers, bound[0].span)
    if not covers:
        return setting
    return replace(setting, token=text, layered=layered, covers=covers)


def rate_setting(
    program: Program, names: Names, group: Group, value: ast.expr, site: Site
) -> Setting:
    """Read a group's learning rate as its own factor on what it is made from, 1 if it has none.

    `scalar_lr * 0.01` is 0.01 of SCALAR_LR: the constant is a knob of its own.
    """
    knob = holder(group.holder).lr
    whole = expanded(names, make_setting(program, names, knob, value, site), value)
    number, rest = coefficient(value)
    local = names.locals.get((site.scope, value.id), ()) if isinstance(value, ast.Name) else ()
    if not rest or (whole.number is not None and len(local) == 1 and not value.id.isupper()):  # type: ignore[attr-defined]
        return whole
    shown = program.source(number) if number is not None else "1"
    factor = number_of(make_setting(program, names, knob, number, site).folded) if number else 1.0
    return replace(
        whole,
        value=shown,
        long=base_of(names, value, site.scope) if number is None else "",
        folded=1.0 if factor is None else factor,
        token=f"{factor} * {rest}",
        literal=False,
        exact=True,
        rank=Rank.DERIVED,
        parts=frozenset(rest),
        probe=(),
    )


def beta_settings(
    program: Program, names: Names, group: Group, value: ast.expr, site: Site
) -> Iterator[Setting]:
    """Yield a group's own betas; shared ones are the constant's."""
    folded = pair_of(names, value, site.scope)
    owner = holder(group.holder).betas
    if not isinstance(folded, tuple):
        return
    for number, beta in enumerate(folded, 1):
        part = value.elts[number - 1] if isinstance(value, ast.Tuple | ast.List) else None
        own = part is not None and not isinstance(part, ast.Subscript)
        yield replace(
            make_value(f"optimizer.{owner}_beta{number}", repr(beta), site),
            value=program.source(part) if part is not None and own else repr(beta),
            folded=beta,
            path=f"{site.path}[{number - 1}]",
            token=repr(beta) if own or part is not None else canonical(value),
            literal=own,
            rank=Rank.ARGUMENT if own else Rank.DERIVED,
            hidden=not own,
        )


def pair_of(names: Names, value: ast.expr, scope: str) -> object:
    """Return what a pair of betas comes to; `(0.7, betas[1])` takes one from another pair."""
    folded = names.value(value, scope)
    if isinstance(folded, tuple) or not isinstance(value, ast.Tuple | ast.List):
        return folded
    found = []
    for part in value.elts:
        beta: object = names.value(part, scope)
        if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant):
            whole, number = names.value(part.value, scope), part.slice.value
            if isinstance(whole, tuple) and isinstance(number, int) and number < len(whole):
                beta = whole[number]
        if not isinstance(beta, int | float):
            return folded
        found.append(beta)
    return tuple(found)


class Scopes:
    """Whose update each setting touches, judged on one file."""

    def __init__(
        self, program: Program, names: Names, optimizers: Optimizers, roles: Roles
    ) -> None:
        self.updates = {
            scope: kind
            for scope in roles.scopes(Role.OPTIMIZER)
            if (kind := update_kind(program, scope))
        }
        self.all = scope_of(optimizers.kinds)
        self.by_root: dict[str, set[str]] = {}
        self.entries: dict[str, set[str]] = {}
        self.by_path: dict[str, str] = {}
        self.decayed: set[str] = set()
        for group in optimizers.groups:
            for key, value in group.entries.items():
                for root in names.roots(value, group.statement.scope):
                    self.by_root.setdefault(root, set()).add(group.kind)
                    self.entries.setdefault(root, set()).add(entry_knob(group, key))
                self.by_path[f"group {group.holder}"] = group.kind
                if key == "weight_decay":
                    self.decayed.add(group.kind)
        for write in optimizers.overwrites:
            kinds = optimizers.kinds & (write.kinds or optimizers.kinds)
            if write.keeps and write.key in ("lr", "initial_lr"):
                continue
            for root in names.roots(write.value, write.statement.scope):
                self.by_root.setdefault(root, set()).update(kinds)
            if write.key == "weight_decay":
                self.decayed = set(kinds) if write.kinds and kinds else self.decayed

    def knob_reached(self, setting: Setting) -> str:
        """Return the knob of a plainly named constant: that of the one group entry it reaches.

        `lr = 0.02` that only `Muon(matrices, lr=lr)` reads is the matrices' learning rate.
        """
        if setting.knob not in PLAIN or setting.rank is not Rank.CONSTANT:
            return setting.knob
        reached = self.entries.get(setting.path, set())
        return next(iter(reached)) if len(reached) == 1 else setting.knob

    def of(self, setting: Setting) -> OptimizerScope:
        """Return the optimizer scope of a setting."""
        return self.of_place(setting.knob, setting.path)

    def of_place(self, knob: str, path: str) -> OptimizerScope:
        """Return the optimizer scope of a knob that is set, or edited, at a place."""
        rule = scope_rule(knob)
        if rule == "all":
            update = self.updates.get(path.partition(" > ")[0])
            return scope_of({update}) if update is not None else self.all
        if rule == "decay":
            return scope_of(self.decayed)
        if rule == "groups":
            return self.of_groups(path)
        if rule in ("muon", "adamw"):
            return OptimizerScope(rule)
        return OptimizerScope.NONE

    def of_groups(self, path: str) -> OptimizerScope:
        """Return the kinds of the groups that a group's entry, or a constant, reaches."""
        for part in path.split(" > "):
            kind = self.by_path.get(part.partition("#")[0])
            if kind is not None:
                return scope_of({kind})
        update = self.updates.get(path.partition(" > ")[0])
        if update is not None:
            return scope_of({update})
        name = path.rpartition(" > ")[2].partition("[")[0]
        name = name.partition("(")[2].rstrip(")") if "(" in name else name.rpartition(".")[2]
        return scope_of(self.by_root.get(name, set()))


def update_kind(program: Program, scope: str) -> str:
    """Return whose update a function of an optimizer computes: by its name, then its code."""
    for kind in ("muon", "adam"):
        if kind in scope.rpartition(".")[2].lower():
            return "muon" if kind == "muon" else "adamw"
    text = " ".join(statement.text for statement in program.by_scope.get(scope, ())).lower()
    if "muon" in text and "adam" in text:
        return "muon+adamw"  # hands each group on to its own rule
    node = program.functions.get(scope)
    return update_rule(program, scope.rpartition(".")[0], node.body) if node is not None else ""


def scope_of(kinds: set[str] | frozenset[str]) -> OptimizerScope:
    """Return the scope that a set of update rules makes."""
    muon, adam = "muon" in kinds, "adamw" in kinds or "muon+adamw" in kinds
    if (muon and adam) or "muon+adamw" in kinds:
        return OptimizerScope.BOTH
    if muon:
        return OptimizerScope.MUON
    return OptimizerScope.ADAMW if adam else OptimizerScope.NONE
