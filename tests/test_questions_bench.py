from __future__ import annotations

from dataclasses import replace

import pytest
from histories import facts
from pyoxigraph import Store

from bench.peer_questions import CAMPAIGN, FLEET, KNOB, NAMED, PEERS, asked_with, sparql, sql
from bench.plain_rdflib import plain_rdflib
from bench.plain_sqlite import in_sqlite
from bench.question_peers import ours, same
from bench.questions import recorded, tell_again
from kg import ingest, vocab
from kg.memory import open_memory
from kg.query import questions
from kg.store import canonical

TAGS = ["c000", "c001"]
SIZE = 24
LENGTH = 40  # rdflib takes 4 times as long for twice as many
HELD = str(vocab.knob(KNOB))


def renamed(record, tag):
    new = {
        name: getattr(record, name).replace(record.campaign, tag)
        for name in ("name", "commit", "parent", "parent_commit")
        if getattr(record, name)
    }
    return replace(record, campaign=tag, **new)


def told(store):
    return [line for line in canonical(store).splitlines() if b"vocab#digest" not in line]


def test_campaigns_told_again_are_those_that_reading_them_would_give():
    records = [record for tag in TAGS for record in recorded(tag, SIZE)]
    copied, wanted = Store(), Store()
    ingest.build(copied, map(facts, records))
    tell_again(copied, TAGS, 3)
    again = [renamed(record, "c002") for record in records if record.campaign == "c000"]
    ingest.build(wanted, map(facts, [*records, *again]))
    assert told(copied) == told(wanted)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    memory = open_memory(tmp_path_factory.mktemp("memory"))
    memory.add_all(record for tag in TAGS for record in recorded(tag, LENGTH))
    return memory


@pytest.fixture(scope="module")
def given(memory):
    return asked_with(memory.graph(), "c000")


@pytest.fixture(scope="module")
def base(memory):
    return in_sqlite(memory, KNOB, "c000")


@pytest.fixture(scope="module")
def peer(memory, given):
    nodes = tuple(str(vocab.experiment(given[name])) for name in "ab")
    with plain_rdflib(memory.directory, (HELD,), nodes) as peer:
        yield peer


def test_every_question_has_peers_that_are_asked_all_it_is_about():
    assert sorted(question.name for question in PEERS) == sorted(questions())
    assert {question.name for question in PEERS if question.named} == {"common", "relations"}
    for question in PEERS:
        assert question.about(True) == ((NAMED,) if question.named else (CAMPAIGN, FLEET))
        assert set(question.compared(CAMPAIGN)) <= set(questions()[question.name].columns)


@pytest.mark.parametrize("question", PEERS, ids=lambda question: question.name)
def test_sqlite_and_rdflib_give_our_rows(memory, given, base, peer, question):
    for about in question.about(True):
        wanted = ours(memory, question, about, given)
        assert wanted
        assert same(base.execute(sql(question, about), given).fetchall(), wanted)
        _, theirs = peer.ask(sparql(question, about, given), 60.0)
        assert same(theirs, wanted)


def test_a_row_that_is_missing_or_says_something_else_is_not_the_same():
    wanted = [("c000-0001", 0.5, ["b", "a"], None), ("c000-0002", 8, [], True)]
    found = [("c000-0001", 0.5 + 1e-12, "b a", "", "more"), ("c000-0002", 8.0, None, 1, "more")]
    assert same(found, wanted)
    assert not same(found[:1], wanted)
    assert not same(found[::-1], wanted)
    for column, other in enumerate(("c000-0003", 0.50001, "a b", 0)):
        changed = [(*found[0][:column], other, *found[0][column + 1 :]), found[1]]
        assert not same(changed, wanted)


def test_a_query_of_rdflib_that_does_not_end_is_killed_and_the_next_one_answered(peer):
    endless = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
    assert peer.ask(endless, 0.2) is None
    assert peer.ask("SELECT ?s { ?s lab:status lab:keep }", 60.0)[1]
