from __future__ import annotations

from pathlib import Path

from histories import line
from proposals import DISCARD, FAILED, KEEP, asked, memory, night, source

from kg.check import Advised, check
from kg.check_alternative import alternative
from kg.check_case import Case
from kg.check_labels import Labels
from kg.check_model import Idea


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


BATCHES = """WIDTH = 512
HEAD_DIM = 64
TOTAL_BATCH_SIZE = {total}
DEVICE_BATCH_SIZE = 128
def build():
    heads = WIDTH // HEAD_DIM
    return GPTConfig(n_head=heads)
train(GPT(build()), TOTAL_BATCH_SIZE, DEVICE_BATCH_SIZE)
"""


def test_a_knob_beside_the_proposal_is_told_with_what_it_is_now(tmp_path: Path) -> None:
    totals = (2**18, 2**17, 2**19)
    values = zip(totals, (1.0, 1.1, 1.2), (KEEP, DISCARD, DISCARD), strict=True)
    told = [(BATCHES.format(total=total), value, status) for total, value, status in values]
    graph = memory(tmp_path, line(told)).graph()

    def instead(knob: str, new: float) -> str:
        now = graph.settings("t-0000")
        idea = Idea(knob, "batch", "increase", now[knob], new)
        found = alternative(Case(graph.board("t"), (idea,), Labels(graph), None), now)
        assert found is not None
        return found.text

    assert instead("batch.total", 2**19) == (
        "device batch size, now 128: the same component, never touched"
    )


def test_a_knob_that_only_follows_is_no_alternative(tmp_path: Path) -> None:
    graph = memory(tmp_path, line([(BATCHES.format(total=2**18), 1.0, KEEP)])).graph()
    now = graph.settings("t-0000")
    assert (now["attention.n_head"], now["attention.head_dim"]) == (8, 64.0)
    idea = Idea("attention.head_dim", "attention", "replace", now["attention.head_dim"], "x")
    assert alternative(Case(graph.board("t"), (idea,), Labels(graph), None), now) is None


def test_another_seed_is_told_what_it_is_before_anyone_tried_one(tmp_path: Path) -> None:
    made = memory(tmp_path, night(FAILED))
    for advice in (
        asked(made, source(seed=7), campaign="t"),
        check(made, None, source(), campaign="t", message="seed 7"),
    ):
        assert (advice.verdict, advice.exit_code) == (Advised.NEAR, 0)
        assert advice.summary == "near: another seed is noise and no improvement"
        assert advice.alternative is None  # not yet another one
    assert asked(made, source(seed=7, matrix=0.08), campaign="t").verdict is Advised.NEW
    many = memory(tmp_path / "many", night(FAILED), line([(source(depth=12), 0.9, KEEP)], "o"))
    everywhere = asked(many, source(seed=7))
    assert everywhere.summary == "near: another seed is noise and no improvement"
    assert asked(many, source(seed=7, matrix=0.08)).verdict is Advised.NEW


def test_another_seed_is_told_of_the_one_that_was_tried(tmp_path: Path) -> None:
    made = memory(tmp_path, night((source(seed=7), 0.98, DISCARD)))
    said = "t-0001 0000002 tried another seed, which is noise and no improvement: random seed"
    assert said in asked(made, source(seed=8), campaign="t").summary
    assert said in check(made, None, source(), campaign="t", message="seed 8").summary
    more = [(source(seed=number), 1.01, DISCARD) for number in (50, 60, 70)]
    advice = asked(memory(tmp_path / "more", night(*more)), source(seed=80), campaign="t")
    assert advice.verdict is Advised.NEAR  # three failures to increase it are no dead end
    assert advice.reasons[0].text.startswith("t-0003")
