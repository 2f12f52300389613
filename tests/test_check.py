from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from histories import line, records
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.check import EXIT_CODES, Advice, Advised, check
from kg.memory import Memory
from kg.model import ExperimentRecord, Status

KEEP, DISCARD, CRASH = Status.KEEP, Status.DISCARD, Status.CRASH
Told = tuple[str, float | None, Status]

SOURCE = """DEPTH = {depth}
EMBEDDING_LR = {lr}
MATRIX_LR = {matrix}
TOTAL_BATCH_SIZE = {batch}
WARMDOWN_RATIO = {warmdown}
SEED = {seed}

def optimizer(model):
    groups = [
        dict(kind="adamw", params=model.wte.parameters(), lr=EMBEDDING_LR, weight_decay={wd}),
        dict(kind="muon", params=model.blocks.parameters(), lr=MATRIX_LR, weight_decay=0.2),
    ]
    return MuonAdamW(groups)

def schedule(progress):
    return min(1.0, (1.0 - progress) / WARMDOWN_RATIO)

torch.manual_seed(SEED)
train(GPT(n_layer=DEPTH), optimizer, schedule, TOTAL_BATCH_SIZE)
"""
START = {
    "depth": 8,
    "lr": 0.8,
    "matrix": 0.04,
    "batch": 2**18,
    "warmdown": 0.7,
    "seed": 42,
    "wd": 0.0,
}


def source(**settings: object) -> str:
    return SOURCE.format(**{**START, **settings})


def memory(place: Path, *campaigns: Iterable[ExperimentRecord]) -> Memory:
    made = Memory(place / "graph")
    made.add_all([record for told in campaigns for record in told])
    return made


def night(*told: Told, tag: str = "t") -> list[ExperimentRecord]:
    return line([(source(), 1.0, KEEP), *told], tag)


def asked(made: Memory, new: str, old: str | None = None, **options: object) -> Advice:
    return check(made, new, old or source(), **options)  # type: ignore[arg-type]


FAILED = (source(lr=0.9), 1.01, DISCARD)


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


def test_a_wording_of_what_holds_already_is_told_so(tmp_path: Path) -> None:
    raised = source(lr=0.9)
    made = memory(tmp_path, night((raised, 0.99, KEEP)))
    advice = check(made, None, raised, campaign="t", message="embedding LR 0.9")
    assert advice.verdict is Advised.NEAR
    assert advice.reasons[0].text.startswith("t-0001 0000002 set it, and it still holds: embedding")
    made = memory(tmp_path / "left", night((raised, 0.99, KEEP), (source(), 0.98, KEEP)))
    advice = check(made, None, source(), campaign="t", message="embedding LR 0.9")
    assert "t-0001 0000002 had it, and it was changed later" in advice.reasons[0].text


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


WALL = tuple((source(matrix=value), 1.01, DISCARD) for value in (0.05, 0.06, 0.07))


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
    for change in ({"device": "h100"}, {"manifest": "m2"}, {"summary": {"training_seconds": 5.0}}):
        mine = [
            replace(one, device="cpu", manifest="m1", summary={"training_seconds": 300.0})
            for one in night()
        ]
        theirs = [replace(one, **change) for one in other]
        made = memory(tmp_path / str(change)[2:6], mine, theirs)
        told = asked(made, other[1].source or "", campaign="t")
        assert told.verdict is Advised.NEAR
        assert told.reasons[0].text.startswith("the same program ran as o-0001")


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


def test_an_untried_edit_next_to_the_failed_one_is_named(tmp_path: Path) -> None:
    made = memory(tmp_path, night((source(matrix=0.05), 1.01, DISCARD)))
    advice = asked(made, source(matrix=0.05, seed=42) + "\nx = 1\n", source() + "\nx = 1\n")
    assert advice.alternative is not None
    assert (advice.alternative.knob, advice.alternative.value) == ("optimizer.matrix_lr", 0.045)
    assert advice.alternative.experiment == "t-0001"


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


@settings(deadline=None, max_examples=60)
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
