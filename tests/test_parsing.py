import ast
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kg
from kg import parsing
from kg.changes import changes
from kg.changes_compare import nominal
from kg.config import analysis_cached
from kg.parsing import LINE_END, Shelf, borders, parse, parse_cached
from kg.program import Program
from kg.syntax import syntax_tree
from tests.gpt_source import GPT

# Lines that cut a file in the wrong place if anything does.
LINES = [
    "x = 1", "x = 1; y = 2", "x = (", "[", "]", ")", "x = 1 + \\", "\\", "2", "x = '''", "'''",
    '"""', '"""; y = 2', "@f", "@f(", "@(", "def g():", "async def h(): pass", "class A:",
    "    pass", "    def m(self):", "        return 1", "    @p", "if x:", "elif y:", "else:",
    "try:", "finally:", "except E:", "for i in x:", "    break", "", "# c", "    # c",
    "\x0cz = 3", "\tpass", "elsewhere = 1", "import a", "from __future__ import annotations",
    "b if c else d", "match x:", "    case 1:", "lambda: 0", "é = 'é'", "\0",
]  # fmt: skip
texts = st.lists(st.sampled_from(LINES), max_size=12).map("\n".join)
Place = tuple[str, int, int, int | None]  # what, first and last line, column


@pytest.fixture
def empty_shelf(monkeypatch):
    """Give a test a shelf of its own: the shared one starts again after 16,384 lines of others."""
    monkeypatch.setattr(parsing, "SHELF", Shelf())
    parse_cached.cache_clear()
    yield
    parse_cached.cache_clear()


def nodes(source: str) -> list[Place] | None:
    """Return what a source was parsed to, in its order, each node with its place."""
    program = parse(source)
    if program is None:
        return None
    body = [node for unit in program.units for node in unit.body]
    return [(ast.dump(n), *program.span(n), n.col_offset) for n in located(body)]


def whole(source: str) -> list[Place] | None:
    """Return what Python makes of a source in one piece."""
    tree = syntax_tree(source)
    if tree is None:
        return None
    return [(ast.dump(n), n.lineno, n.end_lineno or 0, n.col_offset) for n in located(tree.body)]


def located(body: list[ast.stmt]) -> list[ast.expr | ast.stmt]:
    """Return every node below some statements that has a place."""
    found = [inner for node in body for inner in ast.walk(node)]
    return [node for node in found if isinstance(node, ast.expr | ast.stmt)]


def read(source: str) -> Program:
    """Return the program of a source that parses."""
    program = parse(source)
    assert program is not None
    return program


@settings(max_examples=400)
@given(texts, texts, texts)
@example("x = '''\n", "y = 2\n", "'''")
@example("", "x = 1\n\\\n", "y = 2")
@example("x = 1", "x = 1\n", "x = 1\n\\\n\n")
@example("@(\n", "'''\ndef f\n'''\n)\ndef g():\n    pass\n", "")
def test_pieces_parse_to_what_the_whole_file_parses_to(head, middle, tail):
    # The later versions find units of the earlier ones, some of which are cut elsewhere now.
    for parts in ((head, tail), (middle,), (head, middle, tail), (head + middle, tail)):
        assert nodes("\n".join(parts)) == whole("\n".join(parts))


@pytest.mark.usefixtures("empty_shelf")
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("edit", ["softcap = 17", "softcap = 15\n        # a line more"])
def test_versions_share_all_pieces_but_the_edited_one(ends, edit):
    old = GPT.replace("\n", ends)
    new = GPT.replace("softcap = 15", edit).replace("\n", ends)
    one, other = read(old), read(new)
    assert new != old
    assert len(set(one.units) - set(other.units)) == 1
    assert nodes(new) == whole(new)


@pytest.mark.usefixtures("empty_shelf")
def test_a_statement_of_a_shared_piece_stands_where_its_file_has_it():
    one = read("import a\n\n\ndef f(b):\n    return b + 1\n")
    other = read("import a\nimport c\n\n\n\ndef f(b):\n    return b + 1\n")
    assert [statement.span for statement in one.statements] == [(1, 1), (4, 4), (5, 5)]
    assert [statement.span for statement in other.statements] == [(1, 1), (2, 2), (6, 6), (7, 7)]
    assert one.units[-1] is other.units[-1]
    value = one.units[-1].body[0]
    assert one.source(value) == other.source(value) == "def f(b): return b + 1"


def test_a_statement_that_stands_twice_in_a_file_is_two_statements():
    program = read("x = 1\ny = 2\nx = 1\n")
    first, _, last = program.statements
    assert first.node is not last.node
    assert (first.span, last.span) == ((1, 1), (3, 3))


@pytest.mark.usefixtures("empty_shelf")
def test_a_piece_is_forgotten_with_the_last_version_that_has_it():
    read("gone_with_its_version = 1\nkept = 2")
    assert any("gone_with_its_version" in text for text, _, _ in parsing.SHELF.units)
    for number in range(40):
        read(f"kept = 2\nx = {number}")
    assert not any("gone_with_its_version" in text for text, _, _ in parsing.SHELF.units)


@pytest.mark.usefixtures("empty_shelf")
def test_line_numbers_start_again_before_they_grow_high(monkeypatch):
    monkeypatch.setattr(parsing, "MAX_LINES", 50)
    sources = [f"a = 1\nb = 2\n\nc = {number}\n" * 3 for number in range(40)]
    for source in sources:
        assert nodes(source) == whole(source)
    assert parsing.SHELF.lines < 100
    assert [nodes(source) for source in sources] == [whole(source) for source in sources]


@pytest.mark.usefixtures("empty_shelf")
def test_a_change_reads_the_same_across_a_new_start(monkeypatch):
    # Nodes of both versions then have the same numbers, one on each side of the start.
    new = GPT.replace("softcap = 15", "softcap = 17").replace(
        "MATRIX_LR = 0.02", "MATRIX_LR = 0.03"
    )
    expected = changes(GPT, new)
    assert sorted(change.knob for change in expected) == ["head.softcap", "optimizer.matrix_lr"]
    for known in (parse_cached, analysis_cached, nominal):  # else the answer is only recalled
        known.cache_clear()
    old = read(GPT)
    monkeypatch.setattr(parsing, "MAX_LINES", 0)
    assert not set(old.units) & set(read(new).units)
    assert changes(GPT, new) == expected


def test_only_lines_that_may_start_a_statement_of_the_module_start_a_piece():
    source = "x = (\n1\n)\n@f\n@g\ndef h():\n    pass\n# y\nif x:\n    y\nelse:\n    z\n\nw = 2"
    lines = LINE_END.split(source)
    assert [lines[number] for number in borders(lines)] == ["x = (", "1", "@f", "if x:", "w = 2"]


def test_lines_of_nodes_are_asked_of_the_program_alone():
    # A unit's nodes are numbered apart from any file, so `node.lineno` is no line of a version.
    allowed = {"parsing.py", "program.py", "fingerprint.py"}
    readers = [path for path in Path(kg.__file__).parent.glob("*.py") if path.name not in allowed]
    compared = re.compile(r"statement\.node\.lineno >= parent\.orelse\[0\]\.lineno")  # in one unit
    found = {p.name for p in readers if "lineno" in compared.sub("", p.read_text("utf-8"))}
    assert found == set()
