"""Names a user may give in a question: of knobs, of words of a set, of groups of components."""

from __future__ import annotations

import pytest
from histories import built, records

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
    assert ask(FULL, "attempts", {"knob": LR, "value": "77"}).notes == ()


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
