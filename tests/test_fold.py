import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kg.fold import MAX_BITS, UNFOLDABLE, fold, number_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2**19", 524288),
        ("24 * 2048", 49152),
        ("int(2**17 * 0.75)", 98304),
        ("-0.5", -0.5),
        ("1e-10", 1e-10),
        ("1_000", 1000),
        ("not True", False),
        ("~7", -8),
        ("1 << 10", 1024),
        ("7 // 2", 3),
        ("max(1, 8 // 2)", 4),
        ("math.sqrt(16)", 4.0),
        ("'SS' 'SL'", "SSSL"),
        ("(0.8, 0.95)", (0.8, 0.95)),
        ("[1, (2, 'a')]", (1, (2, "a"))),
        ("None", None),
    ],
)
def test_an_expression_of_literals_folds_to_its_value(text: str, value: object) -> None:
    assert fold(text) == value
    assert type(fold(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9**9", "(-2)**0.5", "1/0", "2j", "b'x'", "...", "open('x')", "__import__('os')",
        "'a' * 10**9", "[0] * 10**9", "1 << 10**9", "10**400", "x", "lambda: 1", "f'{1}'",
        "1e999", "1 if True else 2", "math.factorial(9)", "int('9' * 9999)", "", "1 +", "(" * 500,
        "-" * 5000 + "1", "+".join(["1"] * 3000), "1e308 * 10", "\ud800", "\0",
    ],
)  # fmt: skip
def test_what_cannot_be_folded_says_so(text: str) -> None:
    assert fold(text) is UNFOLDABLE


def test_names_are_taken_from_a_mapping_or_asked_for() -> None:
    assert fold("DEPTH * 64", {"DEPTH": 8}) == 512
    assert fold("config.n_embd // 2", lambda node: 768) == 384
    assert fold("DEPTH * WIDTH", {"DEPTH": 8}) is UNFOLDABLE


def test_a_number_is_told_from_text_and_truth() -> None:
    assert [number_of(value) for value in (2, 0.5, True, "2", None)] == [2.0, 0.5, None, None, None]


numbers = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False, width=32)
).map(repr)
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>", "@", "and", "<"]
FUNCTIONS = ["int", "float", "min", "max", "round", "math.exp", "log", "f"]
expressions = st.recursive(
    st.one_of(numbers, st.sampled_from(["'a'", "None", "True", "x", "()", "2j", "9**9"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(
            lambda part: f"({part[0]} {part[1]} {part[2]})"
        ),
        st.tuples(st.sampled_from(["-", "+", "~", "not "]), inner).map("".join),
        st.tuples(st.sampled_from(FUNCTIONS), inner).map(lambda part: f"{part[0]}({part[1]})"),
        st.lists(inner, max_size=3).map(lambda items: "(" + "".join(f"{i}, " for i in items) + ")"),
    ),
    max_leaves=12,
)


@given(expressions)
@example("9**9**9**9**9")
@example("(1 << 1000) ** 1000")
def test_folding_never_raises_and_agrees_with_python_where_both_answer(text: str) -> None:
    value = fold(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    assert not isinstance(value, int) or value.bit_length() <= MAX_BITS
    assert "x" not in {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    if not any(word in text for word in ("math", "log", "f(")):
        expected = eval(text, {})
        assert value == expected or abs(value - expected) <= 1e-9 * abs(expected)
