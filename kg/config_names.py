"""Names to values: which expression a name stands for in its scope, and what it folds to."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final, TypeAlias

from kg.canonical import canonical
from kg.fold import UNFOLDABLE, Unfoldable, Value, fold
from kg.given import default_given
from kg.nodes import SEEN, under
from kg.program import Function, Program, Statement

PROBE_SIZES: Final = (512, 2048, 8192)  # powers of two, so that `// 2` loses nothing
Bound: TypeAlias = tuple[ast.expr, str]  # an expression and the scope it must be read in

# Objects whose attributes are settings rather than state.
CONFIG_OBJECTS: Final = frozenset(
    {"config", "cfg", "args", "self.config", "self.cfg", "self.args", "hparams", "self", "hp",
     "conf", "opt", "params", "model_config", "train_config", "gpt_config"}
)  # fmt: skip


class Names:
    """What each name of a program stands for, found without running it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.locals: dict[tuple[str, str], list[Statement]] = {}
        self.fields: dict[str, list[Bound]] = {}
        self.attributes: dict[str, list[Bound]] = {}
        self.passed: dict[tuple[str, str], list[Bound]] = {}
        self.called: Counter[str] = Counter()
        self.callable: dict[str, Function] = {}
        for qualified, function in program.functions.items():
            owner, _, last = qualified.rpartition(".")
            called = owner.rpartition(".")[2] if last == "__init__" else last
            self.callable.setdefault(called, function)
        self.values: dict[tuple[str, str, int], Value | Unfoldable] = {}
        self.depends: dict[tuple[str, str], frozenset[str]] = {}
        for statement in program.statements:
            self.note_assignment(statement)
        for statement, call in program.calls():
            self.note_call(statement, call)

    def note_assignment(self, statement: Statement) -> None:
        """Record which names and attributes a statement sets."""
        node = statement.node
        if isinstance(node, REBINDING):
            for name in target_names(node.target):
                self.locals.setdefault((statement.scope, name), []).append(statement)
        for target, value in assignments(node):
            if isinstance(target, ast.Name):
                key = (statement.scope, target.id)
                self.locals.setdefault(key, []).append(statement)
                if statement.scope in self.program.classes:
                    bound = (default_given(value), statement.scope)
                    self.fields.setdefault(target.id, []).append(bound)
            elif isinstance(target, ast.Attribute):
                self.attributes.setdefault(target.attr, []).append((value, statement.scope))

    def note_call(self, statement: Statement, call: ast.Call) -> None:
        """Record which expressions a call passes to the parameters of a function of the file."""
        name = callee(call)
        self.called[name] += 1
        for keyword in call.keywords:
            if keyword.arg:
                bound = (keyword.value, statement.scope)
                self.passed.setdefault((name, keyword.arg), []).append(bound)
        if not call.args or name not in self.callable:
            return
        for parameter, argument in zip(self.parameters(name), call.args, strict=False):
            self.passed.setdefault((name, parameter), []).append((argument, statement.scope))

    def parameters(self, name: str) -> list[str]:
        """Return the parameter names of a function, or of a class's constructor, by its name."""
        function = self.callable.get(name)
        if function is None:
            return []
        names = [argument.arg for argument in function.args.args]
        return names[1:] if names[:1] in (["self"], ["cls"]) else names

    def is_looped(self, name: str, scope: str) -> bool:
        """Tell whether a loop of a function binds a name: it differs from layer to layer."""
        bound = self.locals.get((scope, name), ()) if scope else ()
        return any(isinstance(statement.node, ast.For) for statement in bound)

    def definition(self, node: ast.expr, scope: str) -> Bound | None:
        """Return the one expression a name stands for, None if there is none or several."""
        if isinstance(node, ast.Name):
            return self.name_definition(node.id, scope)
        if isinstance(node, ast.Attribute):
            return self.attribute_definition(node)
        return None

    def name_definition(self, name: str, scope: str) -> Bound | None:
        """Look a name up: local, parameter, then the enclosing scopes."""
        while True:
            found = self.locals.get((scope, name))
            if found:
                return single_value(found, name) if len(found) == 1 else None
            if scope in self.program.functions:
                bound = self.parameter(name, scope)
                if bound is not None:
                    return bound
            if not scope:
                return None
            scope = scope.rpartition(".")[0]

    def parameter(self, name: str, scope: str) -> Bound | None:
        """Return what a parameter receives: the one argument passed, else its default."""
        function = self.program.functions[scope]
        if name not in {argument.arg for argument in all_arguments(function)}:
            return None
        owner, _, last = scope.rpartition(".")
        called = owner.rpartition(".")[2] if last == "__init__" else last
        passed = self.passed.get((called, name), [])
        if len({canonical(value) for value, _ in passed}) == 1:
            return passed[0]
        default = defaults(function).get(name)
        return (default, "") if default is not None and not passed else None

    def attribute_definition(self, node: ast.Attribute) -> Bound | None:
        """Look up `config.x` and `self.x`: constructor argument, field default, assignment."""
        if canonical(node.value) not in CONFIG_OBJECTS:
            return None
        for _, owner in self.fields.get(node.attr, [])[:1]:
            passed = self.passed.get((owner.rpartition(".")[2], node.attr), [])
            if len(passed) == 1:
                return passed[0]
            return self.fields[node.attr][0]
        assigned = self.attributes.get(node.attr, [])
        return assigned[0] if len(assigned) == 1 else None

    def value(self, node: ast.expr, scope: str) -> Value | Unfoldable:
        """Fold an expression with every name resolved in its scope."""
        if isinstance(node, ast.Constant):
            return fold(node)
        return fold(node, lambda name: self.name_value(name, scope, 0))

    def name_value(self, node: ast.expr, scope: str, size: int) -> Value | Unfoldable:
        """Fold what a name stands for, each name once; a name within its own definition is unknown.

        With a ``size``, unknown names count as that number, and a field whose argument is
        imported keeps its default (`sequence_len` 2048).
        """
        key = (scope, canonical(node), size)
        if key in self.values:
            return self.values[key]
        unknown: Value | Unfoldable = size or UNFOLDABLE
        self.values[key] = unknown
        bound = self.definition(node, scope)
        if bound is None:
            return unknown
        value = fold(bound[0], lambda name: self.name_value(name, bound[1], 0))
        if isinstance(value, Unfoldable) and size:
            field = self.fields.get(getattr(node, "attr", ""), [])
            value = fold(field[0][0]) if field else UNFOLDABLE
            if isinstance(value, Unfoldable):
                value = fold(bound[0], lambda name: self.name_value(name, bound[1], size))
        self.values[key] = unknown if isinstance(value, Unfoldable) else value
        return self.values[key]

    def probe(self, node: ast.expr, scope: str) -> tuple[float, ...]:
        """Evaluate an expression at three sizes of its unknown names, to compare two of them.

        `num_heads` against `max(1, num_heads // 2)` has no value but a direction. Empty if the
        expression is no arithmetic.
        """
        results = []
        for size in PROBE_SIZES:
            value = fold(node, partial(self.name_value, scope=scope, size=size))
            if isinstance(value, bool) or not isinstance(value, int | float):
                return ()
            results.append(float(value))
        return tuple(results)

    def roots(self, node: ast.AST, scope: str) -> frozenset[str]:
        """Return every name an expression depends on, through locals, arguments and calls."""
        found: set[str] = set()
        for inner in under(node):
            if isinstance(inner, NAMING):
                found |= self.name_roots(inner, scope)
        return frozenset(found)

    def name_roots(self, node: ast.Name | ast.Attribute, scope: str) -> frozenset[str]:
        """Return a name and everything its definition depends on."""
        name = node.id if isinstance(node, ast.Name) else node.attr
        key = (scope, canonical(node))
        if key in self.depends:
            return self.depends[key]
        self.depends[key] = frozenset({name})
        bound = self.definition(node, scope)
        if bound is not None:
            self.depends[key] = frozenset({name}).union(self.roots(*bound))
        elif isinstance(node, ast.Name) and name in self.program.functions:
            self.depends[key] = frozenset({name}).union(self.body_names(name))
        return self.depends[key]

    def body_names(self, function: str) -> set[str]:
        """Return the names the body of a function mentions."""
        return {
            name
            for statement in self.program.by_scope.get(function, [])
            for name in statement.names
        }


REBINDING: Final = (ast.For, ast.AsyncFor, ast.AugAssign)
NAMING: Final = (ast.Name, ast.Attribute)


@lru_cache(maxsize=SEEN)
def assignments(node: ast.stmt) -> tuple[tuple[ast.expr, ast.expr], ...]:
    """Return (target, value) of an assignment; `a, b = 1, 2` has two."""
    return tuple(assigned(node))


def assigned(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (target, value) of an assignment."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                if len(target.elts) == len(node.value.elts):
                    yield from zip(target.elts, node.value.elts, strict=True)
            else:
                yield target, node.value


def target_names(target: ast.expr) -> Iterator[str]:
    """Yield the plain names a loop or an assignment binds."""
    for node in under(target):
        if isinstance(node, ast.Name):
            yield node.id


def single_value(found: list[Statement], name: str) -> Bound | None:
    """Return the value of the only assignment of a name."""
    for target, value in assignments(found[0].node):
        if isinstance(target, ast.Name) and target.id == name:
            return value, found[0].scope
    return None


def all_arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """Return all named parameters of a function."""
    arguments = function.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


@lru_cache(maxsize=SEEN)
def defaults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
    """Return the default expression of each parameter that has one."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = list(zip(reversed(positional), reversed(arguments.defaults), strict=False))[::-1]
    found = {argument.arg: default for argument, default in pairs}
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if keyword_default is not None:
            found[argument.arg] = keyword_default
    return found


def callee(call: ast.Call) -> str:
    """Return the last name of what is called: `nn.init.normal_(...)` gives `normal_`."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def is_computed(names: Names, value: ast.expr, scope: str) -> bool:
    """Tell whether an expression is arithmetic that can be followed, not a lookup or a call.

    What cannot be followed (`tokenizer.get_vocab_size()`) is only compared, so that a literal
    in its place is seen; a plain name passes on what another setting holds.
    """
    if isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
        return False
    return not isinstance(names.value(value, scope), Unfoldable) or bool(names.probe(value, scope))
