"""Failures undone, with a word or without one."""

from kg.changes import changes
from tests.gpt_edits import NUMBERS, STRUCTURE
from tests.gpt_source import GPT, edited

FAILED = edited(("base=10000", "base=500"))
IDEA = edited(("softcap = 15", "softcap = 30"))


def test_a_failure_undone_without_a_word_is_a_silent_revert() -> None:
    found = changes(FAILED, IDEA, message="softcap 30", history=[GPT])
    assert [(c.knob, c.change_type.value, c.silent, c.old, c.new) for c in found] == [
        ("position.rope_base", "revert", True, "500", "10000"),
        ("head.softcap", "increase", False, "15", "30"),
    ]


def test_the_same_edit_announced_is_a_change_like_any_other() -> None:
    message = "softcap 30, rope base back at 10000 from 500"
    found = changes(FAILED, IDEA, message=message, history=[GPT])
    assert [c.change_type.value for c in found] == ["increase", "increase"]


def test_a_structural_failure_is_undone_as_a_whole() -> None:
    failed = edited(*STRUCTURE[-1][1])
    found = changes(failed, IDEA, message="softcap 30", history=["x = 1\n", GPT])
    assert [(c.knob, c.change_type.value, c.silent) for c in found] == [
        ("mlp.moe", "revert", True),
        ("head.softcap", "increase", False),
    ]


def test_a_commit_that_says_so_reverts() -> None:
    for history in ([], [GPT]):
        found = changes(FAILED, GPT, message="revert rope base", history=history)
        assert [(c.change_type.value, c.silent) for c in found] == [("revert", False)]


def test_a_reset_of_many_knobs_is_one_change() -> None:
    far = edited(*[(old, new) for old, new, _ in NUMBERS[:6]])
    found = changes(far, GPT, message="reset to the baseline", history=[GPT])
    assert [(c.knob, c.change_type.value) for c in found] == [("other.reset", "revert")]
    near = changes(FAILED, GPT, message="reset to the baseline", history=[GPT])
    assert [(c.knob, c.change_type.value) for c in near] == [("position.rope_base", "revert")]


def test_an_old_value_tried_again_is_no_revert() -> None:
    again = changes(FAILED, GPT, message="rope base 500 -> 10000", history=[GPT])
    assert [c.change_type.value for c in again] == ["increase"]
