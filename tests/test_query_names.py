"""Names a user may give in a question: of knobs, of words of a set, of groups of components."""

from __future__ import annotations

import pytest
from histories import built, records
from proposals import DISCARD, KEEP, night, source

from kg.components import GROUPS
from kg.graph import Graph
from kg.query import ask

LR = "optimizer.embedding_lr"
FULL = Graph(built(records(size=24)))
TWO = Graph(built([*records("one", 40), *records("two", 40, seed=3)]))


@pytest.mark.parametrize("name", ["depth", "DEPTH", "n_layer", "number of layers", "Model.Depth"])
def test_a_knob_may_go_by_any_of_its_names_and_the_answer_says_which_it_is(name):
    wanted = ask(FULL, "attempts", {"knob": "model.depth"})
    found = ask(FULL, "attempts", {"knob": name})
    assert found.rows == wanted.rows
    assert (found.notes, wanted.notes) == ((f"knob={name}: read as model.depth",), ())


def test_words_of_a_set_may_be_written_with_other_signs():
    assert ask(FULL, "unexplored", {"state": "Never-Touched"}) == ask(
        FULL, "unexplored", {"state": "never touched"}
    )
    assert ask(FULL, "dead-ends", {"component": "Model Size"}) == ask(
        FULL, "dead-ends", {"component": "model_size"}
    )


def test_an_empty_answer_tells_a_known_knob_nobody_tried_from_one_that_was():
    tied = "embedding.tying"
    assert ask(FULL, "attempts", {"knob": tied}).notes == (
        f"{tied}: a known knob, never tried in this memory",
    )
    assert ask(FULL, "timeline", {"knob": "residual.parallel_block"}, as_of=3).notes == (
        "residual.parallel_block: a known knob, but no experiment in this memory up to experiment 3"
        " sets it",
    )
    two = Graph(built([*records("one", 6), *records("two", 6, seed=3)]))
    (note,) = ask(two, "attempts", {"knob": tied}, campaign="two").notes
    assert note == f"{tied}: a known knob, never tried in campaign two"
    assert ask(FULL, "attempts", {"knob": LR, "value": "77"}) == ask(
        FULL, "attempts", {"knob": LR, "value": "78"}
    )


DEEP = [(source(depth=9), 1.1, DISCARD), (source(depth=7), 0.9, KEEP)]
LONE = Graph(built(night(*DEEP)))
FLEET = Graph(built([*night(*DEEP), *night(*DEEP, tag="u")]))


@pytest.mark.parametrize(
    ("name", "given", "as_of", "note"),
    [
        ("attempts", {"value": "12"}, None, "tried {} at 7, 9, but not as this question asks"),
        ("attempts", {"value": "7"}, 1, "tried {} at 9, but not as this question asks"),
        ("best-before", {"to": "12"}, None, "tried {} at 7, 9, but not as this question asks"),
        ("improved-while", {"value": ">9"}, None, "never >9 {}; it was 7, 8, 9"),
        ("improved-while", {"value": "7"}, 1, "never 7 {}; it was 8, 9"),
        (
            "improved-while",
            {"value": "9"},
            None,
            "it held {}, and nothing this question asks for improved meanwhile",
        ),
    ],
)
def test_an_empty_answer_tells_what_was_tried_or_held_instead(name, given, as_of, note):
    knob = "switch" if name == "best-before" else "knob"
    told = {knob: "model.depth", **given}
    until = "" if as_of is None else f" up to experiment {as_of}"
    for graph, campaign, where in ((LONE, None, "in this memory"), (FLEET, "t", "in campaign t")):
        answer = ask(graph, name, told, campaign=campaign, as_of=as_of)
        assert answer.rows == []
        assert answer.notes == (f"model.depth: {note.format(where + until)}",)


@pytest.mark.parametrize("name", ["attempts", "best-before"])
def test_an_empty_answer_names_the_experiments_that_edited_what_cannot_act(name):
    unread = "WARMUP_RATIO = {}\n" + source()
    told = [(unread.format(ratio), 1.0, DISCARD) for ratio in (0.1, 0.2)]
    mine, other = night(*told), night(*told, tag="u")
    graph, where = Graph(built([*mine, *other])), "a known knob, never tried in campaign t"
    given = {"switch" if name == "best-before" else "knob": "schedule.warmup_ratio"}
    for as_of, names in ((None, "t-0001, t-0002"), (1, "t-0001")):
        (note,) = ask(graph, name, given, campaign="t", as_of=as_of).notes
        assert note.startswith(f"schedule.warmup_ratio: {where}")
        assert note.endswith(f"; it was edited where it cannot act, in {names}")


def test_an_empty_answer_over_all_campaigns_tells_what_held_by_then():
    told = {"knob": "model.depth", "value": ">90"}
    assert "it was 7, 8, 9" in ask(FLEET, "improved-while", told).notes[0]
    early = ask(FLEET, "improved-while", told, as_of=1).notes[0]
    assert "up to experiment 1; it was 8, 9" in early


@pytest.mark.parametrize("campaign", ["one", None])
@pytest.mark.parametrize("until", [None, 30])
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("improved-while", {"knob": "model.depth", "value": ">0"}),
        ("dead-ends", {"least": "1"}),
        ("unexplored", {}),
        ("attribution", {}),
    ],
)
def test_a_group_of_components_is_all_of_its_members(name, given, campaign, until):
    def rows(component):
        answer = ask(
            TWO, name, {**given, **component, "limit": "999"}, campaign=campaign, as_of=until
        )
        return answer.rows

    for group, members in GROUPS.items():
        wanted = [row for row in rows({}) if row["component"] in members]
        assert rows({"component": group}) == wanted
        assert len({row["component"] for row in wanted}) > 1
    answer = ask(TWO, name, {**given, "component": "training", "limit": "1"}, campaign=campaign)
    assert (len(answer.rows), answer.truncated) == (1, True)


def test_the_settings_of_a_group_are_those_of_its_members():
    def settings(component):
        return ask(FULL, "best", {"component": component}).rows[0]["settings"]

    assert settings("architecture").items() >= settings("model_size").items() > set()
    assert not settings("architecture").keys() & settings("training").keys()
