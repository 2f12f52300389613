from __future__ import annotations

import pytest
from histories import records
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode, Quad, Store

from kg import schema as schemas
from kg import vocab
from kg.dialect import escaped, relocated
from kg.guard import guard
from kg.memory import Memory
from kg.result_formats import answer
from kg.schema import examples, schema, to_text
from kg.slow_shapes import hint
from kg.terms import KNOBS, LAB, PREFIXES


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    made = Memory(tmp_path_factory.mktemp("schema") / "graph")
    made.add_all([*records(size=16), *records("b", 3)])
    return made


def test_classes_and_predicates_are_counted_from_the_graph(memory: Memory) -> None:
    found = schema(memory)
    store = memory.graph().store
    counts = {term["name"]: term["count"] for term in found["classes"]}
    stats = memory.stats()
    assert counts["lab:Experiment"] == stats["experiments"] == 19
    assert counts["lab:Change"] == stats["changes"]
    predicates = {term["name"]: term for term in found["predicates"]}
    assert predicates["lab:seq"]["count"] == sum(
        1 for _ in store.quads_for_pattern(None, LAB.seq, None)
    )
    assert predicates["lab:delta"]["domain"] == "lab:Experiment"
    assert predicates["lab:delta"]["range"] == "xsd:double"
    assert "prov:used" in predicates
    assert not any(term["more"] or not term["count"] for term in predicates.values())


def test_every_predicate_in_the_graph_is_listed_or_a_knob(memory: Memory) -> None:
    listed = {term["name"] for term in schema(memory)["predicates"]}
    store = memory.graph().store
    used = {quad.predicate for quad in store if quad.subject in set(experiments(store))}
    named = {schemas.short(node) for node in used if not node.value.startswith(KNOBS)}
    assert named - listed == {"rdf:type"}


def experiments(store: Store) -> list[object]:
    return [quad.subject for quad in store.quads_for_pattern(None, LAB.digest, None)]


def test_counting_stops_where_it_would_take_long(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "COUNTED", 5)
    found = schema(memory)
    term = next(term for term in found["classes"] if term["name"] == "lab:Experiment")
    assert (term["count"], term["more"]) == (5, True)
    assert "lab:Experiment (5+): One version of the target file" in to_text(found)


def test_the_examples_are_about_the_largest_campaign_and_its_most_tried_knob(
    memory: Memory,
) -> None:
    found = schema(memory)
    assert found["campaigns"][0]["campaign"] == "mar8"
    knob = found["knobs"][0]["knob"]
    assert found["examples"] == examples("mar8", knob)
    assert str(vocab.campaign("mar8")) in found["examples"][0]["sparql"]
    assert f"knob:{knob} " in found["examples"][3]["sparql"]


@pytest.mark.parametrize("number", range(10))
def test_each_example_is_let_through_and_answered(memory: Memory, number: int) -> None:
    example = schema(memory)["examples"][number]
    assert guard(example["sparql"]).form == "SELECT"
    assert example["summary"].endswith(".")
    assert answer(memory.graph().store, example["sparql"], "text/csv").body.count(b"\r\n") > 1


def test_an_example_names_any_knob() -> None:
    assert "KNOB" not in examples("t", "a b")[3]["sparql"]
    assert f"<{KNOBS}a%20b>" in examples("t", "a b")[3]["sparql"]


def test_an_empty_memory_has_a_schema_too(tmp_path) -> None:
    found = schema(Memory(tmp_path / "graph"))
    assert (found["classes"], found["campaigns"], len(found["examples"])) == ([], [], 10)
    assert "# prefixes\nlab: id:" in to_text(found)


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("SELECT * { ?a lab:seq ?x . ?b lab:seq ?y }", "nothing joins ?a with ?b"),
        ("SELECT * { ?a ?p ?x . ?b ?q ?y FILTER(?x < ?y) }", "nothing joins ?a with ?b"),
        (
            "SELECT ?k { ?c lab:knob ?k FILTER NOT EXISTS { ?d lab:knob ?k } } GROUP BY ?k",
            "NOT EXISTS is asked for every row",
        ),
        ("SELECT ?a { ?x lab:parent+ ?a . ?y lab:parent+ ?a }", "two paths meet in ?a"),
        ("SELECT * { ?a ?p ?x . ?b ?p ?y }", "predicates are left open for two subjects"),
        (
            "SELECT * { ?r lab:fromSeq ?f ; lab:knob ?k . ?e lab:seq ?s ; ?k 1 FILTER(?s > ?f) }",
            "regimes are joined by a FILTER",
        ),
        ("SELECT * { ?e lab:seq ?s }", "it reads every campaign"),
        ("SELECT * { ?e lab:inCampaign <urn:c> ; lab:seq ?s , ?t ; (^lab:a|lab:b)/lab:c* ?u }", ""),
        (
            "SELECT * { { SELECT ?k { ?e lab:evidenceIn <u:c> ; ?k 1 } }"
            " { SELECT ?k { ?f ?k 2 } } }",
            "",
        ),
    ],
)
def test_a_slow_shape_is_told_with_what_to_write_instead(query: str, start: str) -> None:
    assert hint(query)[: len(start) or None] == start


@given(st.text("?ab :.;,{}()<>'\"#SELECTVALUESFILTERBIND\n+*/|^!", max_size=80))
def test_no_text_is_too_strange_for_a_hint(text: str) -> None:
    assert isinstance(hint(text), str)
    assert isinstance(hint(text, stopped=False), str)


names = st.lists(st.text("abcxyz_", min_size=1, max_size=4), min_size=1, max_size=5).map(".".join)


@given(names)
def test_any_name_in_dots_means_its_iri(name: str) -> None:
    store = Store()
    store.add(Quad(NamedNode("urn:s"), NamedNode(KNOBS + name), Literal(1)))
    text = escaped(f"ASK {{ ?s knob:{name} ?v . ?s knob:{name} 1 }}")
    assert bool(store.query(text, prefixes=PREFIXES)) is True
    assert escaped(text) == text


@given(st.lists(names, max_size=3))
def test_a_place_in_the_engines_text_is_told_in_the_authors(found: list[str]) -> None:
    text = "ASK {\n" + " . ".join(f"?s knob:{name} 1" for name in found) + " @ }"
    engine = escaped(text).split("\n")[1].index("@") + 1
    author = text.split("\n")[1].index("@") + 1
    assert relocated(text, f"error at 2:{engine}: x") == f"error at 2:{author}: x"
    assert relocated(text, "error at 9:9: x") == "error at 9:9: x"


def test_the_questions_are_listed_with_what_they_take(memory: Memory) -> None:
    text = to_text(schema(memory))
    assert "\nsweeps(knob?: only this knob; least?: attempts it takes (3); limit?: rows" in text
    assert "\ncommon(a: one experiment: its name, number or commit; b: the other one): " in text
