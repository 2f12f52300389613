import ast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kg.parsing import LINE_END, UNITS, borders, parse, syntax_tree
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


def nodes(source: str) -> list[str] | None:
    """Return what a source was parsed to, positions included."""
    program = parse(source)
    if program is None:
        return None
    body = [node for unit in program.units for node in unit.body]
    return [ast.dump(node, include_attributes=True) for node in body]


def whole(source: str) -> list[str] | None:
    """Return what Python makes of a source in one piece."""
    tree = syntax_tree(source)
    return None if tree is None else [ast.dump(n, include_attributes=True) for n in tree.body]


@settings(deadline=None, max_examples=400)
@given(texts, texts, texts)
@example("x = '''\n", "y = 2\n", "'''")
@example("", "x = 1\n\\\n", "y = 2")
@example("@(\n", "'''\ndef f\n'''\n)\ndef g():\n    pass\n", "")
def test_pieces_parse_to_what_the_whole_file_parses_to(head, middle, tail):
    # The later versions find units of the earlier ones, some of which are cut elsewhere now.
    for parts in ((head, tail), (middle,), (head, middle, tail), (head + middle, tail)):
        assert nodes("\n".join(parts)) == whole("\n".join(parts))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_versions_share_the_pieces_that_stand_at_the_same_lines(ends):
    old = GPT.replace("\n", ends)
    new = old.replace("softcap = 15", "softcap = 17")
    one, other = parse(old), parse(new)
    assert new != old
    assert one is not None
    assert other is not None
    assert len(set(one.units) - set(other.units)) == 1
    assert nodes(new) == whole(new)


def test_a_piece_is_forgotten_with_the_last_version_that_has_it():
    parse("gone_with_its_version = 1\nkept = 2")
    assert any("gone_with_its_version" in text for _, text in UNITS)
    for number in range(40):
        parse(f"kept = 2\nx = {number}")
    assert not any("gone_with_its_version" in text for _, text in UNITS)


def test_only_lines_that_may_start_a_statement_of_the_module_start_a_piece():
    source = "x = (\n1\n)\n@f\n@g\ndef h():\n    pass\n# y\nif x:\n    y\nelse:\n    z\n\nw = 2"
    lines = LINE_END.split(source)
    assert [lines[number] for number in borders(lines)] == ["x = (", "1", "@f", "if x:", "w = 2"]
