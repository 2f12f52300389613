from __future__ import annotations

from pathlib import Path

from histories import line
from proposals import DISCARD, FAILED, KEEP, asked, memory, night, source

from kg.check import Advised, check


def test_a_wording_of_what_holds_already_is_told_so(tmp_path: Path) -> None:
    raised = source(lr=0.9)
    made = memory(tmp_path, night((raised, 0.99, KEEP)))
    advice = check(made, None, raised, campaign="t", message="embedding LR 0.9")
    assert advice.verdict is Advised.NEAR
    assert advice.reasons[0].text.startswith("t-0001 0000002 set it, and it still holds: embedding")
    made = memory(tmp_path / "left", night((raised, 0.99, KEEP), (source(), 0.98, KEEP)))
    advice = check(made, None, source(), campaign="t", message="embedding LR 0.9")
    assert "t-0001 0000002 had it, and it was changed later" in advice.reasons[0].text


def test_a_neighbour_of_a_failed_value_is_near(tmp_path: Path) -> None:
    made = memory(tmp_path, night((source(matrix=0.05), 1.01, DISCARD)))
    near = asked(made, source(matrix=0.049), campaign="t")
    assert (near.verdict, near.exit_code) == (Advised.NEAR, 0)
    assert "tried a neighbouring value" in near.reasons[0].text
    far = asked(made, source(matrix=0.045), campaign="t")
    assert far.verdict is Advised.NEW
    assert far.reasons[0].text.startswith("t-0001 0000002 is the nearest attempt:")


def test_a_new_value_is_told_the_latest_attempts_on_both_sides_of_it(tmp_path: Path) -> None:
    raised = source(lr=0.9)
    told = [
        FAILED,
        (source(lr=0.7), 1.01, DISCARD),
        (raised, 0.99, KEEP),
        (source(lr=1.0), 1.1, DISCARD),
    ]
    made = memory(tmp_path, night(*told))
    advice = asked(made, source(lr=0.95), raised, campaign="t")
    assert advice.verdict is Advised.NEW
    assert [reason.experiment for reason in advice.reasons] == ["t-0003", "t-0004"]


def test_what_follows_from_another_setting_is_no_edit_of_its_own(tmp_path: Path) -> None:
    def deep(depth: int) -> str:
        heads = "heads = DEPTH // 2\nconfig = GPTConfig(n_head=heads)\n"
        return source(depth=depth) + heads

    told = line([(deep(8), 1.0, KEEP), (deep(12), 1.1, DISCARD), (source(), 0.99, KEEP)], "t")
    advice = check(memory(tmp_path, told[:2]), deep(12) + "print(1)\n", campaign="t")
    assert [idea.knob for idea in advice.ideas] == ["model.depth"]
    assert advice.verdict is Advised.REPEAT


def test_a_program_whose_result_nobody_knows_is_told_after_those_with_one(tmp_path: Path) -> None:
    deep = source(depth=9)
    told = night((deep, 0.9, KEEP), (source(depth=10), 0.95, DISCARD), (deep, None, KEEP))
    reasons = check(memory(tmp_path, told), deep, campaign="t").reasons
    assert [reason.experiment for reason in reasons] == ["t-0001", "t-0003"]
    assert reasons[1].text == "the same program ran as t-0003 0000004: no result is known (keep)"
