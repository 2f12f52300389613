from __future__ import annotations

from dataclasses import replace

import pytest
from histories import facts
from pyoxigraph import Store

from bench.plain_rdflib import plain_rdflib
from bench.question_peers import PEERS, in_sqlite, same, sparql, sql
from bench.questions import recorded, tell_again
from kg import ingest, vocab
from kg.memory import open_memory
from kg.store import canonical

TAGS = ["c000", "c001"]
SIZE = 24
HELD = str(vocab.knob("optimizer.matrix_lr"))


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
    memory.add_all(record for tag in TAGS for record in recorded(tag, 60))
    return memory


def test_sqlite_and_rdflib_give_our_rows(memory):
    base, found = in_sqlite(memory), {}
    with plain_rdflib(memory.directory, (HELD,)) as peer:
        for question in PEERS:
            for tag in ("c000", None):
                columns = question.columns.split()
                rows = memory.ask(question.name, question.arguments, campaign=tag).rows
                wanted = [tuple(row[name] for name in columns) for row in rows]
                assert same(base.execute(*sql(question, tag)).fetchall(), wanted)
                _, theirs = peer.ask(sparql(question, tag), 60.0)
                assert same(theirs, wanted)
                found[question.name, tag] = len(wanted)
    assert all(found.values())


def test_a_query_of_rdflib_that_does_not_end_is_killed_and_the_next_one_answered(memory):
    endless = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
    with plain_rdflib(memory.directory, (HELD,)) as peer:
        assert peer.ask(endless, 0.2) is None
        assert peer.ask("SELECT ?s { ?s lab:status lab:keep }", 60.0)[1]
