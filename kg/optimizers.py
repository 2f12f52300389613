"""Which optimizer rules which parameters: read from group dicts and the class they go to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kg.canonical import canonical
from kg.config_names import Names, assignments, callee
from kg.holders import holder_of, is_name, tested_holder
from kg.nodes import under
from kg.overwrites import (
    KIND_KEYS,
    Overwrite,
    compared_kinds,
    kind_named,
    loop_overwrites,
    node_names,
)
from kg.program import Program, Statement

OPTIMIZER_NAME: Final = re.compile(
    r"(adam\w*|muon\w*|sgd|lion|adagrad|adadelta|rmsprop|adafactor|shampoo|soap|sophia\w*|lamb"
    r"|prodigy|lbfgs|nadam|radam|adopt|mars|kron|psgd)$",
    re.I,
)
# Evidence in the code that runs a step: orthogonalised momentum is Muon's mark.
MUON_MARK: Final = re.compile(r"newton|schulz|polar|zeropower|orthogonal|ns_steps|muon", re.I)
ADAM_MARK: Final = re.compile(r"exp_avg|bias_?corr|adam", re.I)


ALIASES: Final = {"learning_rate": "lr", "epsilon": "eps"}
MAX_GROUPS = 200  # more are no parameter groups; real files have at most 20


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """One dict of parameters with one update rule and its hyper-parameters."""

    holder: str  # `lm_head`, `matrix`, ..., `all` for a whole model
    kind: str  # `muon`, `adamw`, or the name of another optimizer
    entries: dict[str, ast.expr]  # key -> value, without `params` and the kind
    statement: Statement
    order: int  # among the groups of this holder: Muon has one group per shape


@dataclass(frozen=True, slots=True, eq=False)
class Optimizers:
    """The optimizers of one program."""

    groups: tuple[Group, ...]
    overwrites: tuple[Overwrite, ...]
    names: tuple[str, ...]  # constructors used, in order

    @property
    def kinds(self) -> frozenset[str]:
        """Return the update rules in use."""
        return frozenset(group.kind for group in self.groups)

    def overwritten_at(self, group: Group, key: str) -> int | None:
        """Return the line that overwrites an entry with something not made from it, if any."""
        for write in self.overwrites:
            if write.key != key or write.keeps:
                continue
            if write.statement.scope == group.statement.scope != "":
                continue  # set up in the same function: part of building the groups
            if write.kinds is None or group.kind in write.kinds:
                return write.statement.span[0]
        return None


def read_optimizers(program: Program, names: Names) -> Optimizers:
    """Find every parameter group, its kind, and what later overwrites it."""
    constructors = list(islice(optimizer_calls(program, names), MAX_GROUPS))
    rules = dispatch(program)
    groups: list[Group] = []
    default = constructors[0][2] if constructors else ""
    dicts = ((s, entries) for s in program.statements for entries in group_dicts(s))
    for statement, entries in islice(dicts, MAX_GROUPS):
        held = holder_of(entries["params"], statement, names)
        kind = kind_of(entries, rules, consumer(statement, constructors, default))
        add_group(groups, held, kind, entries, statement)
    for statement in program.statements:
        table = table_entry(statement)
        if table is not None and len(groups) < MAX_GROUPS:
            owner = statement.scope.partition(".")[0]
            own = kind_named(owner) if OPTIMIZER_NAME.search(owner) else default
            held = tested_holder(statement)
            add_group(groups, held, own or "adamw", table, statement)
    for statement, call, kind in constructors:
        add_plain_group(groups, statement, call, kind, names)
    overwrites = tuple(islice(loop_overwrites(program, rules), MAX_GROUPS))
    return Optimizers(tuple(groups), overwrites, tuple(callee(call) for _, call, _ in constructors))


def add_group(
    groups: list[Group],
    held: str,
    kind: str,
    entries: dict[str, ast.expr],
    statement: Statement,
) -> None:
    """Append one group, counted within its holder."""
    kept = {
        key: value for key, value in entries.items() if key not in ("params", "name", *KIND_KEYS)
    }
    order = sum(group.holder == held for group in groups)
    groups.append(Group(held, kind, kept, statement, order))


def add_plain_group(
    groups: list[Group], statement: Statement, call: ast.Call, kind: str, names: Names
) -> None:
    """Append the group that `AdamW(model.parameters(), lr=...)` makes without any dict."""
    entries = {ALIASES.get(k.arg, k.arg): k.value for k in call.keywords if k.arg}
    params = call.args[0] if call.args else entries.get("params")
    if kind in {group.kind for group in groups} and not entries:
        return
    # Without parameters (MLX and Keras hand them over later) or over dicts: defaults for all.
    shared = params is None or any(reaches_dicts(params, group, statement) for group in groups)
    if shared or params is None:
        held = "all" if entries else ""
    else:
        held = holder_of(params, statement, names)
    if held:
        add_group(groups, held, kind, entries, statement)


def reaches_dicts(params: ast.expr, group: Group, statement: Statement) -> bool:
    """Tell whether the first argument of a constructor is a list that holds a group's dict."""
    if group.statement is statement:
        return isinstance(params, ast.List | ast.Tuple | ast.ListComp)
    if group.statement.scope != statement.scope or not isinstance(params, ast.Name):
        return False
    bound = {target.id for target, _ in assignments(group.statement.node) if is_name(target)}
    grown = re.match(r"(\w+)\.(append|extend)\(", group.statement.text)
    return params.id in bound or (grown is not None and grown.group(1) == params.id)


def optimizer_calls(program: Program, names: Names) -> Iterator[tuple[Statement, ast.Call, str]]:
    """Yield the constructor calls of optimizers with their kind."""
    own = {
        name.rpartition(".")[2]
        for name, node in program.classes.items()
        if any("optimizer" in canonical(base).lower() for base in node.bases)
    }
    classes = (name for name in names.called if name[:1].isupper())
    wanted = {name for name in classes if name in own or OPTIMIZER_NAME.search(name)}
    for statement in program.mentioning(wanted):
        for call in statement.calls:
            if callee(call) in wanted:
                yield statement, call, kind_named(callee(call))


def consumer(
    statement: Statement, constructors: list[tuple[Statement, ast.Call, str]], default: str
) -> str:
    """Return the kind of the optimizer built in the same scope, else of the only one."""
    here = [kind for other, _, kind in constructors if other.scope == statement.scope]
    return here[0] if here else default


def group_dicts(statement: Statement) -> Iterator[dict[str, ast.expr]]:
    """Yield the entries of each dict in a statement that has a `params` key."""
    if "params" not in statement.names and "'params'" not in statement.text:
        return
    for call in statement.calls:
        entries = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if callee(call) == "dict" and "params" in entries:
            yield entries
    if "'params'" not in statement.text:
        return
    for node in under(statement.node):
        if isinstance(node, ast.Dict):
            found = dict_entries(node)
            if "params" in found:
                yield found


def table_entry(statement: Statement) -> dict[str, ast.expr] | None:
    """Return the settings that `table[path] = {"lr": ..., "betas": ...}` gives one parameter."""
    node = statement.node
    if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
        return None
    entries: dict[str, ast.expr] = {}
    if isinstance(node.value, ast.Dict):
        entries = dict_entries(node.value)
    elif isinstance(node.value, ast.Call) and callee(node.value) == "dict":
        entries = {k.arg: k.value for k in node.value.keywords if k.arg}
    told = entries.keys() & {"betas", "eps", "weight_decay", "momentum"}
    return entries if "lr" in entries and told and "params" not in entries else None


def dict_entries(node: ast.Dict) -> dict[str, ast.expr]:
    """Return the entries of a dict display whose keys are strings."""
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def kind_of(entries: dict[str, ast.expr], rules: dict[str, str], constructor: str) -> str:
    """Return the update rule of a group: its kind key as the step dispatches it."""
    for key in KIND_KEYS:
        value = entries.get(key)
        if not isinstance(value, ast.Constant):
            continue
        if isinstance(value.value, bool):
            return "muon" if value.value else "adamw"
        if isinstance(value.value, str):
            return rules.get(value.value) or kind_named(value.value)
    return constructor or "adamw"


def dispatch(program: Program) -> dict[str, str]:
    """Map each kind key to the update that an optimizer's `step` really runs for it."""
    found: dict[str, str] = {}
    for name, function in program.functions.items():
        if name.rpartition(".")[2] != "step":
            continue
        owner = name.rpartition(".")[0]
        for node in under(function):
            if isinstance(node, ast.If):
                for kind in compared_kinds(node.test):
                    update = update_rule(program, owner, node.body)
                    if update:
                        found[kind] = update
    return found


def update_rule(program: Program, owner: str, body: list[ast.stmt]) -> str:
    """Judge a branch of `step` by the code it runs, methods and functions it calls included."""
    words = {name for node in body for name in node_names(node)}
    called = {callee(n) for node in body for n in under(node) if isinstance(n, ast.Call)}
    seen = {f"{owner}.step"}
    for _ in range(3):  # step -> method -> fused function
        scopes = {name for word in called for name in (f"{owner}.{word}", word)} - seen
        seen |= scopes
        statements = [s for scope in scopes for s in program.by_scope.get(scope, [])]
        words |= {name for statement in statements for name in statement.names}
        called = {callee(call) for statement in statements for call in statement.calls}
    text = " ".join(sorted(words))
    if MUON_MARK.search(text):
        return "muon"
    return "adamw" if ADAM_MARK.search(text) else ""
