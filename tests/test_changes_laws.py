import ast
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kg.changes import changes
from kg.fingerprint import fingerprint
from kg.model import Change, ChangeType
from tests.gpt_edits import NUMBERS, STRUCTURE
from tests.gpt_source import GPT

EDITS = [[(old, new)] for old, new, _ in NUMBERS] + [pairs for _, pairs, _ in STRUCTURE]
MIRROR = {
    ChangeType.INCREASE: ChangeType.DECREASE,
    ChangeType.ADD: ChangeType.REMOVE,
    ChangeType.ENABLE: ChangeType.DISABLE,
}
MIRROR |= {after: before for before, after in MIRROR.items()}


law = settings(max_examples=30)  # 30 ms each: a version takes 10 to read
recipes = st.lists(st.integers(0, len(EDITS) - 1), max_size=3)  # short to print, unlike a source


def version(recipe: list[int]) -> str:
    """Return the small trainer with some edits on it, those that still fit."""
    source = GPT
    for number in recipe:
        pairs = EDITS[number]
        if all(old in source for old, _ in pairs):
            for old, new in pairs:
                source = source.replace(old, new)
    return source


def what(found: list[Change]) -> list[tuple[object, ...]]:
    """Return what changes say, without where."""
    rows = [(c.knob, c.change_type, c.optimizer_scope, c.old, c.new, c.effective) for c in found]
    return sorted(rows, key=repr)


def sides(found: list[Change]) -> list[tuple[str, str, str | None, str | None]]:
    """Return knob, type and values of changes, in an order that no layout decides."""
    rows = [(c.knob, c.change_type.value, c.old, c.new) for c in found]
    return sorted(rows, key=repr)


def noisy(source: str, seed: int) -> str:
    """Return a source with comments and blank lines put in at random."""
    chance = random.Random(seed)
    lines = []
    for line in source.split("\n"):
        bare = not line.strip() or line.startswith(("@", "'", '"'))
        if not bare and chance.random() < 0.2:
            lines.append(" " * (len(line) - len(line.lstrip())) + "# a word about it")
        lines.append(line)
    return "\n".join(lines)


@law
@given(recipes)
def test_a_version_has_no_changes_to_itself(recipe: list[int]) -> None:
    assert changes(version(recipe), version(recipe)) == []


@law
@given(recipes, st.integers(0, 99))
def test_reformatting_and_comments_change_nothing(recipe: list[int], seed: int) -> None:
    source = version(recipe)
    layouts = [ast.unparse(ast.parse(source)), noisy(source, seed), source.replace("\n", "\r\n")]
    for other in layouts:
        assert changes(source, other) == changes(other, source) == []
        assert fingerprint(other) == fingerprint(source)


@law
@given(recipes, recipes)
def test_going_back_undoes_the_changes(one: list[int], two: list[int]) -> None:
    before, after = version(one), version(two)
    mirrored = [
        (c.knob, MIRROR.get(c.change_type, c.change_type).value, c.new, c.old)
        for c in changes(after, before)
    ]
    assert sides(changes(before, after)) == sorted(mirrored, key=repr)


@law
@given(recipes, recipes, st.integers(0, 99))
def test_the_layout_of_a_version_does_not_matter(one: list[int], two: list[int], seed: int) -> None:
    before, after = version(one), version(two)
    assert what(changes(noisy(before, seed), after)) == what(changes(before, after))
    plain = changes(before, ast.unparse(ast.parse(after)))
    assert kinds(plain) == kinds(changes(before, after))


def kinds(found: list[Change]) -> list[tuple[str, str]]:
    """Return knob and type; a formatter may write the values themselves in another way."""
    return sorted((c.knob, c.change_type.value) for c in found)


@law
@given(recipes, recipes, st.lists(recipes, max_size=3), st.text(max_size=40))
def test_history_and_message_never_lose_a_change(
    one: list[int], two: list[int], older: list[list[int]], message: str
) -> None:
    before, after = version(one), version(two)
    told = changes(before, after, message=message, history=[version(r) for r in older])
    assert bool(told) == bool(changes(before, after))
    assert len({change.knob for change in told}) == len(told)
    assert all(change.component for change in told)
