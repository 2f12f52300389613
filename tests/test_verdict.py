import pytest

from flows.config import VerdictRule
from flows.verdict import SEED_ALONE, Size, judge
from kg.model import Status

RULE = VerdictRule(tolerance=0.001, much_code=20)
SAME, LESS, MORE = Size(1, 1, 0), Size(0, 5, -30), Size(40, 2, 300)


@pytest.mark.parametrize(
    ("value", "size", "status", "reason"),
    [
        (0.9, SAME, Status.KEEP, "lower by 0.100000"),
        (0.9, MORE, Status.KEEP, "lower by 0.100000"),
        (0.9995, SAME, Status.KEEP, "lower by 0.000500, within the tolerance of 0.001"),
        (
            0.9995,
            MORE,
            Status.DISCARD,
            "lower by only 0.000500, within the tolerance of 0.001, for 38 more lines of code",
        ),
        (
            1.0005,
            LESS,
            Status.KEEP,
            "simplification: equal within the tolerance of 0.001, 30 AST nodes less",
        ),
        (1.0, SAME, Status.DISCARD, "equal, and no simpler"),
        (1.1, LESS, Status.DISCARD, "not lower: worse by 0.100000"),
    ],
)
def test_the_rule_of_nightlab_toml(value: float, size: Size, status: Status, reason: str) -> None:
    found = judge(value, "", 1.0, size, RULE)
    assert (found.status, found.reason) == (status, reason)
    assert found.delta == pytest.approx(value - 1.0)


def test_maximising_turns_the_rule_round() -> None:
    assert judge(1.2, "", 1.0, SAME, RULE, "maximise").reason == "higher by 0.200000"
    assert judge(0.8, "", 1.0, SAME, RULE, "maximise").status is Status.DISCARD


def test_no_result_is_a_crash_and_the_first_result_is_kept() -> None:
    assert judge(None, "timeout: late", 1.0, SAME, RULE).status is Status.CRASH
    assert judge(None, "timeout: late", 1.0, SAME, RULE).reason == "timeout: late"
    assert judge(3.0, "", None, SAME, RULE).status is Status.KEEP


@pytest.mark.parametrize(("value", "size"), [(0.5, SAME), (1.0, LESS), (1.5, SAME)])
def test_another_seed_is_never_kept(value: float, size: Size) -> None:
    found = judge(value, "", 1.0, size, RULE, seed_alone=True)
    assert (found.status, found.reason) == (Status.DISCARD, SEED_ALONE)
    assert found.delta == pytest.approx(value - 1.0)
    assert judge(None, "nan", 1.0, size, RULE, seed_alone=True).status is Status.CRASH
    assert judge(value, "", None, size, RULE, seed_alone=True).status is Status.KEEP
