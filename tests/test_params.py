import json

from hypothesis import given
from hypothesis import strategies as st

from trainer.params import extract_params


def test_constants_are_folded_and_names_put_in() -> None:
    source = "DEPTH = 4 * 2\nDIM = DEPTH * 64\nBATCH: int = 2**19\nLR = -1e-3\nPATTERN = 'SS' 'L'\n"
    assert extract_params(source) == {
        "DEPTH": 8,
        "DIM": 512,
        "BATCH": 524288,
        "LR": -0.001,
        "PATTERN": "SSL",
    }


def test_tuples_become_lists_also_inside() -> None:
    assert extract_params("BETAS = (0.8, 0.95)\nGRID = [(1, 2), (3, 4)]") == {
        "BETAS": [0.8, 0.95],
        "GRID": [[1, 2], [3, 4]],
    }


def test_what_has_no_value_without_running_is_left_out() -> None:
    source = (
        "import os\nHOME = os.environ['HOME']\nHUGE = 9**9**9**9\nBOMB = 'a' * 10**9\n"
        "COMPLEX = (-2)**0.5\nINFINITE = 1e999\nlower = 3\nNOTHING = None\nGOOD = True\n"
    )
    assert extract_params(source) == {"GOOD": True}


def test_a_file_that_does_not_parse_has_no_parameters() -> None:
    for source in ("DEPTH = (", "\x00", "(" * 5000, "x = " + "-" * 100_000 + "1"):
        assert extract_params(source) == {}


@given(
    st.recursive(
        st.integers(-9, 9).map(str),
        lambda inner: st.tuples(
            inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<<"]), inner
        ).map(lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"),
        max_leaves=8,
    )
)
def test_folding_agrees_with_python_and_never_raises(expression: str) -> None:
    found = extract_params(f"X = {expression}")
    json.dumps(found, allow_nan=False)
    if "X" in found:
        assert found["X"] == eval(expression)
