from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from proposals import CRASH, DISCARD, FAILED, KEEP, WALL, asked, memory, night, source

from kg.check import Advised
from kg.memory import Memory


def test_an_empty_memory_knows_nothing_against_an_edit(tmp_path: Path) -> None:
    advice = asked(Memory(tmp_path / "graph"), source(lr=0.9))
    assert (advice.verdict, advice.exit_code, advice.reasons) == (Advised.NEW, 0, ())
    assert [(idea.knob, idea.new) for idea in advice.ideas] == [("optimizer.embedding_lr", 0.9)]


def test_a_value_that_failed_is_a_repeat_after_mere_retuning(tmp_path: Path) -> None:
    moved = source(matrix=0.05, warmdown=0.75)
    made = memory(tmp_path, night(FAILED, (moved, 0.99, KEEP)))
    advice = asked(made, source(matrix=0.05, warmdown=0.75, lr=0.9), moved, campaign="t")
    assert (advice.verdict, advice.exit_code) == (Advised.REPEAT, 4)
    assert [(r.experiment, r.commit, r.value) for r in advice.reasons] == [
        ("t-0001", "0000002", 0.9)
    ]
    assert advice.reasons[0].text == (
        "t-0001 0000002 tried it: embedding learning rate 0.8 -> 0.9 worsened (+0.010000 val_bpb)"
    )
    assert {(d.knob, d.bears) for d in advice.differences} == {
        ("optimizer.matrix_lr", False),
        ("schedule.warmdown_ratio", False),
    }


def test_one_failure_inside_the_measured_noise_is_no_repeat_but_two_are(tmp_path: Path) -> None:
    moved, again = source(matrix=0.05), source(matrix=0.05, lr=0.9)
    close = (source(lr=0.9), 1.004, DISCARD)
    made = memory(tmp_path, night(close, (moved, 0.99, KEEP)))
    assert asked(made, again, moved, campaign="t").verdict is Advised.REPEAT  # nothing measured
    advice = asked(made, again, moved, campaign="t", noise=0.005)
    assert (advice.verdict, advice.exit_code) == (Advised.NEAR, 0)
    assert advice.reasons[0].text == (
        "t-0001 0000002 tried it, undecided: embedding learning rate 0.8 -> 0.9 worsened"
        " (+0.004000 val_bpb, inside the noise)"
    )
    assert asked(made, again, moved, campaign="t", noise=0.003).verdict is Advised.REPEAT
    made = memory(tmp_path / "twice", night(close, (moved, 0.99, KEEP), (again, 0.993, DISCARD)))
    fresh = (again + "\nmore = 1\n", moved + "\nmore = 1\n")
    assert asked(made, *fresh, campaign="t", noise=0.005).verdict is Advised.REPEAT


def test_the_same_value_is_justified_once_a_bearing_knob_was_switched_on(tmp_path: Path) -> None:
    decayed = source(wd=0.001)
    made = memory(tmp_path, night(FAILED, (decayed, 0.99, KEEP)))
    advice = asked(made, source(wd=0.001, lr=0.9), decayed, campaign="t")
    assert (advice.verdict, advice.exit_code) == (Advised.RETRY_JUSTIFIED, 0)
    (difference,) = advice.differences
    assert difference.bears
    assert difference.text == (
        "embedding weight decay 0 -> 0.001 since t-0001 (by t-0002):"
        " same parameter group (embedding), switched"
    )
    assert advice.summary == f"retry-justified: {difference.text}"


def test_what_was_tried_under_the_new_setting_already_is_a_repeat_again(tmp_path: Path) -> None:
    decayed, again = source(wd=0.001), source(wd=0.001, lr=0.9)
    made = memory(tmp_path, night(FAILED, (decayed, 0.99, KEEP), (again, 1.0, DISCARD)))
    fresh = again + "\nmore = 1\n"
    advice = asked(made, fresh, decayed + "\nmore = 1\n", campaign="t")
    assert advice.verdict is Advised.REPEAT
    assert [reason.experiment for reason in advice.reasons] == [
        "t-0002".replace("2", "3"),
        "t-0001",
    ]
    assert not any(difference.bears for difference in advice.differences)


def test_what_came_with_another_value_of_the_knob_still_justifies_a_retry(tmp_path: Path) -> None:
    both = source(lr=0.85, wd=0.001)  # the accepted edit brought weight decay and a smaller step
    made = memory(tmp_path, night(FAILED, (both, 0.99, KEEP)))
    advice = asked(made, source(lr=0.9, wd=0.001), both, campaign="t")
    assert advice.verdict is Advised.RETRY_JUSTIFIED
    assert advice.differences[0].text.startswith("embedding weight decay 0 -> 0.001 since t-0001")


def test_a_value_that_won_is_no_repeat_even_where_it_failed_before(tmp_path: Path) -> None:
    decayed, won = source(wd=0.001), source(wd=0.001, lr=0.9)
    later = source(wd=0.001, lr=0.95)
    told = night(FAILED, (decayed, 0.99, KEEP), (won, 0.98, KEEP), (later, 0.97, KEEP))
    advice = asked(memory(tmp_path, told), won + "x = 1\n", later + "x = 1\n", campaign="t")
    assert advice.verdict is Advised.NEAR
    assert "had it, and it was changed later" in advice.reasons[0].text


@pytest.mark.parametrize(
    ("switch", "why"),
    [
        ({"batch": 2**19}, "another size of the problem, 2x"),
        ({"depth": 12}, "another size of the problem, 1.5x"),
        ({"wd": 0.1}, "same parameter group (embedding), switched"),
        ({"batch": 2**18 + 2**16}, None),
        ({"depth": 9}, None),
        ({"warmdown": 0.1}, None),
    ],
)
def test_only_what_changes_the_problem_of_a_knob_bears_on_it(
    tmp_path: Path, switch: dict[str, object], why: str | None
) -> None:
    moved = source(**switch)
    made = memory(tmp_path, night(FAILED, (moved, 0.99, KEEP)))
    advice = asked(made, source(**{**switch, "lr": 0.9}), moved, campaign="t")
    assert [d.why for d in advice.differences if d.bears] == ([why] if why else [])
    assert advice.verdict is (Advised.RETRY_JUSTIFIED if why else Advised.REPEAT)
    again = (source(**{**switch, "lr": 0.9}), 1.02, DISCARD)
    run = memory(tmp_path / "run", night(FAILED, (moved, 0.99, KEEP), again))
    (told,) = run.ask("repeats").rows  # what was run is judged by the rules it was advised by
    assert told["justified"] is bool(why)
    assert [by for by in told["justified_by"] if by.endswith("(t-0002)")] == told["justified_by"]


def test_a_setting_that_came_back_to_its_old_value_justifies_nothing(tmp_path: Path) -> None:
    told = night(FAILED, (source(wd=0.1), 0.99, KEEP), (source(seed=7), 0.98, KEEP))
    advice = asked(memory(tmp_path, told), source(seed=7, lr=0.9), source(seed=7), campaign="t")
    assert advice.verdict is Advised.REPEAT
    assert "regularization.weight_decay.embedding" not in {d.knob for d in advice.differences}


def test_the_same_program_returns_its_earlier_result(tmp_path: Path) -> None:
    made = memory(tmp_path, night(FAILED))
    advice = asked(made, "# another comment\n" + source(lr=0.9), campaign="t")
    assert (advice.verdict, advice.exit_code) == (Advised.IDENTICAL, 3)
    assert advice.reasons[0].text == (
        "the same program ran as t-0001 0000002: val_bpb 1.010000 (discard)"
    )


def test_the_accepted_program_itself_is_identical(tmp_path: Path) -> None:
    advice = asked(Memory(tmp_path / "graph"), source() + "# a note\n")
    assert advice.verdict is Advised.IDENTICAL
    assert advice.notes == ("the program is the accepted one, unchanged",)


def test_an_interrupted_experiment_was_no_attempt(tmp_path: Path) -> None:
    told = night((source(lr=0.9), None, CRASH))
    cut = [told[0], replace(told[1], reason="interrupted: the machine went down")]
    assert asked(memory(tmp_path / "a", cut), source(lr=0.9), campaign="t").verdict is Advised.NEW
    assert asked(memory(tmp_path / "b", told), source(lr=0.9)).verdict is Advised.IDENTICAL


def test_three_failures_in_one_direction_make_a_dead_end(tmp_path: Path) -> None:
    made = memory(tmp_path, night(*WALL))
    early = asked(made, source(matrix=0.08), campaign="t", as_of=2)
    assert early.verdict is Advised.NEAR
    assert early.reasons[0].text == (
        "t-0002 0000003 failed going less far: matrix learning rate 0.04 -> 0.06 worsened"
        " (+0.010000 val_bpb)"
    )
    advice = asked(made, source(matrix=0.08), campaign="t")
    assert (advice.verdict, advice.exit_code) == (Advised.DEAD_END, 5)
    assert [reason.experiment for reason in advice.reasons] == ["t-0003", "t-0002", "t-0001"]
    assert "is the last of 3 failures to increase it, none improved" in advice.reasons[0].text
    assert asked(made, source(matrix=0.03), campaign="t").verdict is Advised.NEW
    assert asked(made, source(matrix=0.044), campaign="t").verdict is Advised.NEW


def test_one_failure_beyond_the_measured_noise_makes_a_dead_end(tmp_path: Path) -> None:
    made = memory(tmp_path, night(*WALL[:1]))
    assert asked(made, source(matrix=0.08), campaign="t").verdict is Advised.NEAR
    advice = asked(made, source(matrix=0.08), campaign="t", noise=0.005)
    assert (advice.verdict, advice.exit_code) == (Advised.DEAD_END, 5)
    assert advice.reasons[0].text == (
        "t-0001 0000002 failed going less far, beyond the measured noise: matrix learning rate"
        " 0.04 -> 0.05 worsened (+0.010000 val_bpb)"
    )
    for value in (0.045, 0.03):  # on this side of the failure, and the other way
        assert asked(made, source(matrix=value), campaign="t", noise=0.005).exit_code == 0


def test_failures_inside_the_noise_make_no_dead_end(tmp_path: Path) -> None:
    made = memory(tmp_path, night(*WALL))
    advice = asked(made, source(matrix=0.08), campaign="t", noise=0.02)
    assert (advice.verdict, advice.noise) == (Advised.NEW, 0.02)


def test_a_dead_end_opens_again_when_what_bears_on_it_changes(tmp_path: Path) -> None:
    grown = source(batch=2**19)
    made = memory(tmp_path, night(*WALL, (grown, 0.9, KEEP)))
    advice = asked(made, source(batch=2**19, matrix=0.08), grown, campaign="t")
    assert advice.verdict is Advised.RETRY_JUSTIFIED


def test_a_combined_failure_is_never_credited_to_one_knob(tmp_path: Path) -> None:
    both = source(lr=0.9, depth=9)
    made = memory(tmp_path, night((both, 1.01, DISCARD)))
    alone = asked(made, source(lr=0.9), campaign="t")
    assert alone.verdict is Advised.NEAR
    assert "tried it only together with depth" in alone.reasons[0].text
    assert "combined" in alone.reasons[0].text
    same = asked(made, both + "\n\nx = 1\n", source() + "\n\nx = 1\n", campaign="t")
    assert same.verdict is Advised.REPEAT
    more = asked(memory(tmp_path / "more", night(FAILED)), both, campaign="t")
    assert more.verdict is Advised.NEAR
    assert "tried this part alone" in more.reasons[0].text
