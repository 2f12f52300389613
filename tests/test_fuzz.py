import random

import pytest

from kg.changes import changes
from kg.config import configuration
from kg.fingerprint import fingerprint, size
from kg.model import ChangeType
from tests.gpt_source import GPT

DEEP = [
    "x = " + "(" * 300 + "1" + ")" * 300,
    "x = " + "-" * 3000 + "1",
    "x = " + "+".join(["1"] * 5000),
    "x = " + "[" * 90 + "]" * 90,
    "x = a" + ".b" * 3000,
    "x = f" + "(1)" * 3000,
    "".join("    " * i + "if a:\n" for i in range(90)) + "    " * 90 + "pass\n",
    "x = {'params': " * 40 + "1" + "}" * 40,
    "a0 = 1\n" + "".join(f"a{i + 1} = a{i} + a{i} + a{i}\n" for i in range(900)),
    "def f(" + ", ".join(f"a{i}={i}" for i in range(3000)) + "): pass",
    "X = 9**9**9**9**9\nY = 2**X\nZ = 'a' * 10**12\nW = [0] * 10**12",
    "X = X\nY = Z\nZ = Y\nX = Y + X",
    "class A(A): pass\nclass MLP:\n  def forward(self, x): return self.forward(x)",
]
ODD = [
    "", "\n", "\ufeffDEPTH = 8\n", "DEPTH = 8\r", "\x0cDEPTH = 8\n", "\0", "\ud800",
    "DEPTH = '\ud800'", "\udcff = 1", "# -*- coding: klingon -*-\nx = 1", "x = '\\d'", "x = 1 is 1",
    "é = 'ü' # ☃\n",
    "x = 0777", "match x:\n    case {'a': 1}: y = 2\n", "type X = int\n",
    "async def f():\n  await g()",
    "lambda: (yield)", "*a, b = 1, 2", "x: int", "del x", "global x", "with a as b, c: pass",
    "try:\n  pass\nexcept* E:\n  pass", "@a\n@b(1)\nclass C(D, e=F): x = 1", "x = yield",
    "nonlocal x",
    "x = 1e999", "x = -1e999", "x = " + "9" * 5000, "return 1", "for x in y: x = x[0][1]['k'] = 2",
]  # fmt: skip


def faults(before: str, after: str) -> list[str]:
    """Run the whole builder over two versions; return what is not as it must be."""
    found = changes(before, after, message="try it", history=[GPT, after])
    unparsed = [change.change_type for change in found] == [ChangeType.UNPARSED]
    told = []
    for source in (before, after):
        if not fingerprint(source):
            told.append("a program without identity")
        if size(source)[0] < 0:
            told.append("a negative size")
        if before != after and not configuration(source).parsed and not unparsed:
            told.append("changes of a file that does not parse")
    return told


@pytest.mark.parametrize("source", DEEP + ODD, ids=range(len(DEEP + ODD)))
def test_deep_and_odd_sources_are_read_or_refused_but_never_raise(source: str) -> None:
    assert faults(GPT, source) == []
    assert faults(source, GPT) == []
    assert faults(source, source + "\nDEPTH = 9\n") == []


def test_a_file_of_ten_megabytes_is_one_unparsed_change() -> None:
    huge = GPT + "# " + "x" * 10_000_000
    assert [c.change_type for c in changes(GPT, huge)] == [ChangeType.UNPARSED]
    assert fingerprint(huge).startswith("unparsed:")


def mutated(source: str, chance: random.Random) -> str:
    """Return a source with a few random edits: cuts, repeats, swaps, odd characters."""
    for _ in range(chance.randint(1, 4)):
        lines = source.split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                del lines[at : at + chance.randint(1, 20)]
            case 1:
                lines[at], lines[other] = lines[other], lines[at]
            case 2:
                lines[at:at] = lines[other : other + 5]
            case 3:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
            case 4:
                lines[at] = lines[at].replace("1", chance.choice(["1e9", "x", "(", "None", "''"]))
            case 5:
                lines[at] = "    " * chance.randrange(4) + lines[at].lstrip()
            case 6:
                lines[at] += chance.choice(["\0", "\ud800", "\x0c", "\\", "#", "'''", "\t", "ﬁ"])
            case _:
                return source[: chance.randrange(len(source) + 1)]
        source = "\n".join(lines)
    return source


def test_mutated_trainers_never_raise() -> None:
    chance = random.Random(8)
    before = GPT
    for _ in range(120):
        after = mutated(chance.choice([GPT, before]), chance)
        assert faults(before, after) == []
        before = after if len(after) > 200 else GPT
