from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from histories import line, records
from hypothesis import given, settings
from hypothesis import strategies as st
from proposals import CRASH, DISCARD, FAILED, KEEP, WALL, asked, memory, night, source

from kg.check import EXIT_CODES, Advised, check
from kg.memory import Memory
from kg.model import Status


def test_a_message_alone_is_judged_like_its_edit(tmp_path: Path) -> None:
    made = memory(tmp_path, night(FAILED))
    repeat = check(made, None, campaign="t", message="embedding LR 0.8 to 0.9")
    assert repeat.verdict is Advised.REPEAT
    spoken = check(made, "", campaign="t", message="raise the embedding learning rate")
    assert (spoken.verdict, spoken.ideas[0].direction) == (Advised.NEAR, "increase")
    new = check(made, None, campaign="t", message="halve the matrix LR")
    assert [(idea.knob, idea.new) for idea in new.ideas] == [("optimizer.matrix_lr", 0.02)]
    assert new.verdict is Advised.NEW
    unknown = check(made, None, campaign="t", message="frobnicate the quux")
    assert (unknown.verdict, unknown.ideas) == (Advised.NEW, ())
    assert "frobnicate the quux" in unknown.notes[0]


def test_a_history_of_words_alone_shows_the_justified_retry(tmp_path: Path) -> None:
    said = [
        ("baseline", 1.0, KEEP),
        ("embedding LR 0.8 to 0.9", 1.01, DISCARD),
        ("matrix LR 0.04 to 0.045", 1.01, DISCARD),
        ("unembedding LR 0.004 to 0.006", 0.99, KEEP),
        ("tiny embedding WD 0.001", 0.98, KEEP),
    ]
    told = [
        replace(record, source=None, parent_source=None, description=text)
        for record, (text, _, _) in zip(line(said), said, strict=True)
    ]
    made = memory(tmp_path, told)
    won = check(made, None, campaign="t", message="embedding LR 0.8 to 0.9 (with WD)")
    assert won.verdict is Advised.RETRY_JUSTIFIED
    assert won.differences[0].knob == "regularization.weight_decay.embedding"
    again = check(made, None, campaign="t", message="matrix LR 0.04 to 0.045")
    assert again.verdict is Advised.REPEAT


def test_other_campaigns_are_told_but_never_stop_an_edit(tmp_path: Path) -> None:
    wide = source(depth=12)
    other = line([(wide, 0.9, KEEP), (source(depth=12, lr=0.9), 0.95, DISCARD)], "other")
    made = memory(tmp_path, night(), other)
    here = asked(made, source(lr=0.9), campaign="t")
    assert here.verdict is Advised.NEAR
    assert here.reasons[0].text == (
        "embedding learning rate 0.9 improved 0 of 1 in other campaigns,"
        " such as other-0001 0000002 (+0.050000 val_bpb)"
    )
    everywhere = asked(made, source(lr=0.9))
    assert everywhere.verdict is Advised.REPEAT


def test_a_program_run_elsewhere_counts_only_under_the_same_conditions(tmp_path: Path) -> None:
    other = line([(source(depth=12), 0.9, KEEP), (source(depth=12, lr=0.9), 0.95, DISCARD)], "o")
    same = asked(memory(tmp_path / "a", night(), other), other[1].source or "", campaign="t")
    assert (same.verdict, same.reasons[0].experiment) == (Advised.IDENTICAL, "o-0001")
    known = {"device": "cpu", "manifest": "m1", "scorer": "s1"}
    others = ({"device": "h100"}, {"manifest": "m2"}, {"scorer": "s2"})
    for change in (*others, {"summary": {"training_seconds": 5.0}}):
        mine = [
            replace(one, **known, summary={"training_seconds": 300.0})  # type: ignore[arg-type]
            for one in night()
        ]
        theirs = [replace(one, **change) for one in other]
        made = memory(tmp_path / str(change)[2:6], mine, theirs)
        told = asked(made, other[1].source or "", campaign="t")
        assert told.verdict is Advised.NEAR
        assert told.reasons[0].text.startswith("the same program ran as o-0001")


def test_a_result_of_another_scorer_is_no_answer(tmp_path: Path) -> None:
    """Experiments 0 to 2 were scored by s1, 3 by s2: the files that score were committed anew."""
    deep, wide = source(depth=12), source(lr=0.9)
    told = night((deep, 1.1, DISCARD), (wide, 1.1, DISCARD), (wide, 110.0, DISCARD))
    told = [replace(one, scorer="s2" if one.seq == 3 else "s1") for one in told]
    made = memory(tmp_path, told)
    before = asked(made, deep, campaign="t", as_of=2)
    assert (before.verdict, before.reasons[0].experiment) == (Advised.IDENTICAL, "t-0001")
    now = asked(made, deep, campaign="t")
    assert now.verdict is not Advised.IDENTICAL
    assert now.reasons[0].text.startswith("the same program ran as t-0001")
    assert asked(made, wide, campaign="t").reasons[0].experiment == "t-0003"
    again = asked(made, source(), campaign="t")  # the accepted program, to be measured anew
    assert again.verdict is not Advised.IDENTICAL
    rows = made.ask("attempts", {"knob": "optimizer.embedding_lr"}, campaign="t").rows
    assert [row["delta"] for row in rows] == [0.1, None]
    unknown = [replace(one, scorer=None) if one.seq < 3 else one for one in told]
    made = memory(tmp_path / "old", unknown)
    assert asked(made, deep, campaign="t").verdict is Advised.IDENTICAL


def test_where_campaigns_disagree_nothing_is_called_a_repeat(tmp_path: Path) -> None:
    good = line([(source(depth=9), 0.9, KEEP), (source(depth=9, lr=0.9), 0.8, KEEP)], "good")
    made = memory(tmp_path, night(FAILED), good)
    advice = asked(made, source(lr=0.9, seed=43), source(seed=43))
    assert advice.verdict is Advised.NEAR
    assert {reason.outcome for reason in advice.reasons} == {"worsened", "improved"}
    left = line([(source(depth=9, lr=0.9), 0.9, KEEP), (source(depth=9), 0.8, KEEP)], "left")
    moved = memory(tmp_path / "moved", night(FAILED), left)  # it improved by leaving this value
    assert asked(moved, source(lr=0.9, seed=43), source(seed=43)).verdict is Advised.REPEAT


def test_without_the_accepted_file_the_remembered_settings_stand_in(tmp_path: Path) -> None:
    made = memory(tmp_path, night(FAILED))
    advice = check(made, source(lr=0.9) + "\nx = 1\n", campaign="t")
    assert advice.verdict is Advised.REPEAT
    assert "remembered settings" in advice.notes[0]


@pytest.mark.parametrize("status", [DISCARD, CRASH])
def test_where_nothing_was_kept_an_edit_starts_from_the_baseline(
    tmp_path: Path, status: Status
) -> None:
    first, *more = line([(source(), 1.0, status), (source(depth=9), 1.1, status)])
    start = {"parent": first.name, "parent_commit": first.commit, "parent_source": first.source}
    made = memory(tmp_path, [first, *(replace(record, **start) for record in more)])
    advice = check(made, source(depth=10), campaign="t")
    assert [(idea.knob, idea.old, idea.new) for idea in advice.ideas] == [("model.depth", 8, 10)]
    assert advice.reasons[0].experiment == "t-0001"


def test_a_file_without_a_campaign_is_held_against_the_nearest(tmp_path: Path) -> None:
    far = line([(source(lr=0.3, matrix=0.1, wd=0.2), 1.0, KEEP)], tag="a")
    advice = check(memory(tmp_path, far, night(FAILED)), source(lr=0.9, depth=9))
    assert advice.campaign == "t"
    assert [idea.knob for idea in advice.ideas] == ["model.depth", "optimizer.embedding_lr"]
    assert advice.notes[0] == "no campaign was given: held against t, whose settings are nearest"


def test_an_untried_edit_next_to_the_failed_one_is_named(tmp_path: Path) -> None:
    made = memory(tmp_path, night((source(matrix=0.05), 1.01, DISCARD)))
    advice = asked(made, source(matrix=0.05, seed=42) + "\nx = 1\n", source() + "\nx = 1\n")
    assert advice.alternative is not None
    assert (advice.alternative.knob, advice.alternative.value) == ("optimizer.matrix_lr", 0.045)
    assert advice.alternative.experiment == "t-0001"


def test_a_value_that_was_left_for_a_better_one_is_not_called_never_tried(tmp_path: Path) -> None:
    told = night((source(depth=7), 1.01, DISCARD), (source(depth=9), 0.99, KEEP))
    advice = check(memory(tmp_path, told), None, campaign="t", message="depth 7")
    assert advice.verdict is Advised.REPEAT
    assert advice.alternative is None or advice.alternative.value != 8  # the baseline's


def test_a_file_that_does_not_parse_is_no_repeat_of_anything(tmp_path: Path) -> None:
    advice = asked(memory(tmp_path, night(FAILED)), "DEPTH = (", campaign="t")
    assert advice.verdict is Advised.NEW
    assert advice.notes == ("the file does not parse: nothing to compare but the whole text",)


def test_advice_is_plain_json_with_an_exit_code_per_verdict(tmp_path: Path) -> None:
    advice = asked(memory(tmp_path, night(FAILED)), source(lr=0.9), campaign="t")
    told = json.loads(json.dumps(advice.to_json()))
    assert (told["verdict"], told["exit_code"]) == ("identical", 3)
    assert told["reasons"][0]["experiment"] == "t-0001"
    assert set(EXIT_CODES) == set(Advised)
    assert not {1, 2} & set(EXIT_CODES.values())  # could not, misused


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    return memory(tmp_path_factory.mktemp("known"), night(FAILED, *WALL))


@settings(max_examples=60)
@given(st.text(max_size=200), st.sampled_from(["", "lr", "embedding LR 0.8 to 0.9, "]))
def test_no_text_makes_a_check_fail(known: Memory, text: str, start: str) -> None:
    assert check(known, text, source(), campaign="t", message=text).verdict in Advised
    spoken = check(known, None, campaign="t", message=start + text)
    assert spoken == check(known, None, campaign="t", message=start + text)
    json.dumps(spoken.to_json())


@pytest.mark.parametrize("seq", range(1, 24, 4))
def test_the_answer_as_of_n_is_that_of_a_memory_of_the_first_n(tmp_path: Path, seq: int) -> None:
    told = records("c", 24, 5)
    whole, early = memory(tmp_path / "whole", told), memory(tmp_path / "early", told[:seq])
    one = told[seq]
    assert one.source is not None
    now = check(whole, one.source, one.parent_source, campaign="c", as_of=seq - 1)
    then = check(early, one.source, one.parent_source, campaign="c")
    assert now == then


def test_a_cold_check_loads_nothing_heavy(tmp_path: Path) -> None:
    memory(tmp_path, night(FAILED))
    code = (
        "import sys; from pathlib import Path; from kg.memory import open_memory\n"
        "from kg.check import check\n"
        f"made = open_memory(Path({str(tmp_path / 'graph')!r}))\n"
        "print(check(made, None, message='embedding LR 0.8 to 0.9').verdict)\n"
        "print(sorted(set(sys.modules) & {'torch', 'spacy', 'rdflib', 'numpy', 'prefect', 'dvc'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["repeat", "[]"]


def test_a_switch_of_the_optimizer_in_words_is_judged_by_what_it_leaves(tmp_path: Path) -> None:
    adamw = source().replace('"muon"', '"adamw"')
    made = memory(tmp_path, line([(adamw, 1.0, KEEP), (source(), 0.95, KEEP)], "t"))
    back = check(made, None, campaign="t", message="switch back to AdamW")
    assert (back.verdict, back.ideas[0].new) == (Advised.NEAR, "adamw")
    assert "t-0001 0000002 moved away from adamw" in back.reasons[0].text
    again = check(made, None, campaign="t", message="swap AdamW for Muon")
    assert again.notes == ("optimizer.kind: is muon+adamw already",)


def test_what_nobody_has_tried_is_said_so(tmp_path: Path) -> None:
    advice = check(memory(tmp_path, night(FAILED)), None, campaign="t", message="depth 8 to 9")
    assert advice.summary == "new: no attempt at model.depth is known"
