from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from histories import asked, built, facts, records
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import Literal

from kg import ingest, vocab
from kg.errors import BadArgument, UnknownQuestion
from kg.graph import Graph
from kg.memory import open_memory
from kg.query import ask, bind, questions, run

LR = "optimizer.embedding_lr"


def arguments_for(name, last):
    known = {
        "knob": "optimizer.embedding_lr",
        "value": ">0.5",
        "a": "mar8-0000",
        "b": f"mar8-{last:04d}",
        "experiment": f"mar8-{last:04d}",
        "switch": "model.depth",
    }
    return {a.name: known[a.name] for a in questions()[name].arguments if a.required}


FULL = Graph(built(records(size=24)))
TWO = Graph(built([*records("one", 40), *records("two", 40, seed=3)]))


@pytest.mark.parametrize("name", sorted(questions()))
@settings(max_examples=6)
@given(last=st.integers(0, 23), scoped=st.booleans())
def test_the_answer_as_of_an_experiment_is_that_of_a_graph_built_so_far(name, last, scoped):
    campaign = "mar8" if scoped else None
    given_ = arguments_for(name, last)
    early = Graph(built(records(size=24)[: last + 1]))
    wanted = ask(early, name, given_, campaign=campaign)
    found = ask(FULL, name, given_, campaign=campaign, as_of=last)
    assert (found.rows, found.truncated) == (wanted.rows, wanted.truncated)


@pytest.mark.parametrize("name", sorted(questions()))
def test_a_question_says_what_it_answers_takes_and_gives(name):
    question = questions()[name]
    assert question.summary.endswith(".")
    assert question.example.split()[0] == name
    words = [word.partition("=")[0] for word in question.example.split()[1:]]
    assert set(words) <= {argument.name for argument in question.arguments}
    assert all(argument.help for argument in question.arguments)
    answer = ask(FULL, name, arguments_for(name, 9))
    assert answer.columns == question.columns
    assert all(tuple(row) == question.columns for row in answer.rows)


@pytest.mark.parametrize("name", sorted(questions()))
def test_a_row_about_an_experiment_names_it_and_its_commit(name):
    for row in ask(FULL, name, arguments_for(name, 9)).rows:
        if row.get("experiment"):
            assert re.fullmatch(r"mar8-\d{4}", row["experiment"])
            assert re.fullmatch(r"[0-9a-f]{7}", row["commit"])


@pytest.mark.parametrize("name", sorted(questions()))
def test_asking_an_empty_memory_gives_no_rows(name):
    if not {"experiment", "a"} & {a.name for a in questions()[name].arguments}:
        assert asked([], name, **arguments_for(name, 0)).rows == []


@pytest.mark.parametrize("name", sorted(questions()))
def test_a_lone_campaign_is_the_one_that_is_meant(name):
    given = arguments_for(name, 9)
    assert ask(FULL, name, given) == ask(FULL, name, given, campaign="mar8")


def test_limits_cut_and_say_so():
    answer = asked(records(), "progress", campaign="mar8", limit=2)
    assert (len(answer.rows), answer.truncated) == (2, True)


@pytest.mark.parametrize("name", sorted(questions()))
def test_an_answer_is_called_cut_exactly_where_a_limit_cut_it(name):
    given = arguments_for(name, 9)
    if "limit" not in {argument.name for argument in questions()[name].arguments}:
        assert not ask(FULL, name, given).truncated
        return
    size = len(ask(FULL, name, {**given, "limit": "100000"}).rows)
    assert size
    for limit in {1, max(1, size - 1), size, size + 1}:
        answer = ask(FULL, name, {**given, "limit": str(limit)})
        assert (len(answer.rows), answer.truncated) == (min(limit, size), limit < size)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("attempts", {}, "needs knob="),
        ("attempts", {"knobs": "x"}, "takes no argument 'knobs'; it takes knob, direction"),
        ("best", {"limit": "many"}, "limit='many' is not a number"),
        ("best", {"as-of": "-1"}, "experiment '-1': no experiment has this name, number or commit"),
        ("best", {"limit": "-3"}, "limit='-3' is not a whole number of 1 or more"),
        ("best", {"limit": "0"}, "limit='0' is not a whole number of 1 or more"),
        ("best", {"limit": "inf"}, "limit='inf' is not a whole number of 1 or more"),
        ("sweeps", {"least": "nan"}, "least='nan' is not a whole number of 1 or more"),
        ("attempts", {"knob": LR, "direction": "up"}, "direction='up' is not known; it is one of"),
        ("dead-ends", {"component": "nope"}, "component='nope' is not known; it is one of"),
        ("unexplored", {"state": "done"}, "never touched, one direction, open, bracketed"),
        ("hypotheses", {"verdict": "right"}, "supported, refuted, open, untested"),
        ("attempts", {"knob": "model.dept"}, "is not known; did you mean model.depth?"),
        ("attempts", {"knob": "qqq"}, "`nightlab kg schema` lists those that are"),
        ("timeline", {"knob": "depth and width"}, "means model.depth or model.width"),
        ("best-before", {"switch": "nosuch"}, "knob 'nosuch': is not known"),
        ("improved-while", {"knob": LR, "value": "<muon"}, "compare text with = or !="),
    ],
)
def test_a_wrong_argument_says_what_to_type(name, arguments, message):
    with pytest.raises(BadArgument) as caught:
        ask(FULL, name, arguments)
    assert message in str(caught.value)


def test_an_unknown_question_lists_those_that_exist():
    with pytest.raises(UnknownQuestion) as caught:
        ask(FULL, "deadends", {})
    assert "dead-ends" in str(caught.value)


def test_an_unknown_campaign_lists_those_that_exist():
    with pytest.raises(BadArgument, match="campaign 'x': is not in the memory; it has mar8"):
        ask(FULL, "best", {}, campaign="x")


def test_an_argument_cannot_break_out_of_its_query():
    hostile = 'x" } SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } #'
    for name in ("attempts", "improved-while", "timeline", "conflicts"):
        given_ = {"knob": hostile, **({"value": hostile} if name == "improved-while" else {})}
        with pytest.raises(BadArgument, match="is not known"):
            ask(FULL, name, given_)
    with pytest.raises(BadArgument, match="it is one of"):
        ask(FULL, "hypotheses", {"verdict": hostile})
    assert ask(FULL, "attempts", {"knob": LR, "value": hostile}).rows == []


def test_campaigns_are_answered_apart_and_together():
    store = built(records("one", 12))
    ingest.add_facts(store, map(facts, records("two", 12, seed=3)))
    graph = Graph(store)
    apart = [ask(graph, "by-task", {}, campaign=tag).rows[0]["attempts"] for tag in ("one", "two")]
    together = ask(graph, "by-task", {}).rows[0]
    assert together["attempts"] == sum(apart)
    assert together["campaigns"] == 2
    assert len(ask(graph, "best", {}).rows) == 2


@pytest.mark.parametrize(
    ("name", "columns", "terms"),
    [
        ("attempts", "experiment seq direction old new outcome delta alone", {"knob": LR}),
        ("best", "experiment metric value", {}),
        (
            "best-before",
            "experiment from to best_before best_experiment",
            {"switch": "model.depth"},
        ),
        ("hypotheses", "experiment expected delta verdict outcome", {}),
        ("repeats", "experiment seq level of of_outcome outcome justified", {}),
        ("sweeps", "knob n from_seq until_seq", {}),
        ("timeline", "knob value from_seq until_seq experiment ended_by", {"knob": "model.depth"}),
    ],
)
def test_the_query_of_a_question_finds_what_its_answer_says(name, columns, terms):
    graph = Graph(built(records(size=60)))
    answer = ask(graph, name, {**terms, "limit": "1000"}, campaign="mar8")
    bound = {key: vocab.knob(value) for key, value in terms.items()}
    scope = {"scope": vocab.campaign("mar8"), "until": Literal(2**53)}
    rows = run(graph.store, bind(questions()[name].sparql, {**scope, **bound}))
    names = columns.split()
    wanted = {tuple(row[column] for column in names) for row in answer.rows}
    assert {tuple(row[column] for column in names) for row in rows} == wanted
    assert wanted


def test_the_query_of_common_finds_the_settings_its_answer_lists():
    a, b = (vocab.experiment(f"mar8-{seq:04d}") for seq in (2, 9))
    rows = run(FULL.store, bind(questions()["common"].sparql, {"a": a, "b": b}))
    answer = ask(FULL, "common", {"a": "mar8-0002", "b": "mar8-0009"})
    wanted = {(r["what"], r["a"], r["b"]) for r in answer.rows if r["kind"] == "setting"}
    assert {(row["what"], row["left"], row["right"]) for row in rows} == wanted


def test_the_query_of_attribution_finds_the_experiments_its_answer_lists():
    scope = {"scope": vocab.campaign("mar8"), "until": Literal(2**53)}
    found = run(FULL.store, bind(questions()["attribution"].sparql, scope))
    answer = ask(FULL, "attribution", {"limit": "1000"}, campaign="mar8")
    wanted = {(row["knob"], name) for row in answer.rows for name in row["experiments"]}
    assert {(row["edited"], row["experiment"]) for row in found} >= wanted
    assert len(wanted) > 10


def test_the_query_of_improved_while_finds_the_experiments_its_answer_lists():
    depth = vocab.knob("model.depth")
    scope = {"scope": vocab.campaign("mar8"), "until": Literal(2**53), "knob": depth}
    rows = run(FULL.store, bind(questions()["improved-while"].sparql, scope))
    found = {(r["edited"], r["experiment"]) for r in rows if r["outcome"] == "improved"}
    given_ = {"knob": "model.depth", "value": ">0"}
    answer = ask(FULL, "improved-while", given_, campaign="mar8")
    assert found == {(row["knob"], name) for row in answer.rows for name in row["experiments"]}


def test_asking_loads_no_heavy_library(tmp_path):
    open_memory(tmp_path).add_all(records(size=3))
    script = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from kg.memory import open_memory\n"
        "open_memory(Path(sys.argv[1])).ask('dead-ends', campaign='mar8')\n"
        "open_memory(Path(sys.argv[1])).ask('attempts', {'knob': 'optimizer.embedding_lr'})\n"
        "heavy = {'numpy', 'rdflib', 'spacy', 'torch', 'pyshacl', 'dvc', 'prefect'}\n"
        "heavy |= {'kg.lexicon', 'kg.text', 'kg.text_tokens', 'difflib'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    root = str(Path(__file__).parent.parent)
    words = [sys.executable, "-c", script, str(tmp_path), root]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
