from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from histories import built, facts, records
from pyoxigraph import Literal, NamedNode, Quad, RdfFormat, Store

from kg import terms, vocab
from kg.build import facts_quads
from kg.components import COMPONENTS, GROUP_OF
from kg.knobs import rules
from kg.lexicon import load_shipped
from kg.shapes import check_store, shapes, violations
from kg.terms import LAB, PREFIXES, RDF, RDFS, SKOS, VOCAB
from kg.vocabulary import renewal, vocabulary

KG = Path(terms.__file__).parent
LEXICON_TERMS = {
    *("pattern", "weakPattern", "valueKind", "reference"),
    *("unit", "minimum", "maximum", "implies"),
}


def ontology() -> Store:
    store = Store()
    store.load((resources.files("kg") / "ontology.ttl").read_bytes(), RdfFormat.TURTLE)
    return store


def defined() -> set[str]:
    subjects = {quad.subject.value for quad in ontology()}
    return {iri.removeprefix(VOCAB) for iri in subjects if iri.startswith(VOCAB)}


def test_the_ontology_and_the_code_know_the_same_terms():
    known = set(LAB.__annotations__)
    assert known == defined() - LEXICON_TERMS


def test_every_term_has_a_label_and_a_comment():
    store = ontology()
    comment = NamedNode(PREFIXES["rdfs"] + "comment")
    for name in defined():
        node = NamedNode(VOCAB + name)
        assert any(store.quads_for_pattern(node, RDFS.label, None)), name
        assert any(store.quads_for_pattern(node, comment, None)), name


def test_every_term_is_used_somewhere():
    sources = "".join(path.read_text() for path in KG.glob("*.py") if path.name != "terms.py")
    unused = [name for name in LAB.__annotations__ if not re.search(rf"LAB\.{name}\b", sources)]
    assert unused == []


def test_a_misspelt_term_is_an_error():
    with pytest.raises(AttributeError):
        _ = LAB.hasChnage  # type: ignore[attr-defined]


def test_the_graph_uses_no_term_that_is_not_defined():
    store = built(records())
    used = {quad.predicate.value for quad in store}
    used |= {q.object.value for q in store.quads_for_pattern(None, RDF.type_, None)}
    mine = {iri.removeprefix(VOCAB) for iri in used if iri.startswith(VOCAB)}
    assert mine <= defined()


def test_every_question_uses_defined_terms_only():
    for path in (KG / "queries").glob("*.rq"):
        used = set(re.findall(r"\blab:(\w+)", path.read_text()))
        assert used <= defined(), path.name


def test_a_built_graph_conforms_to_the_shapes_by_pyshacl():
    assert check_store(built(records())) == []


@pytest.mark.parametrize(
    ("predicate", "bad", "said"),
    [
        (LAB.status, Literal("kept"), "status"),
        (LAB.seq, Literal("three"), "seq"),
        (LAB.value, Literal("low"), "value"),
        (LAB.digest, Literal("xyz"), "digest"),
        (LAB.inCampaign, Literal("mar8"), "inCampaign"),
        (LAB.sense, None, "sense"),
    ],
)
def test_the_native_check_and_pyshacl_refuse_the_same(predicate, bad, said):
    record = records(size=3)[2]
    node = vocab.experiment(record.name)
    quads = [q for q in facts_quads(facts(record)) if (q.subject, q.predicate) != (node, predicate)]
    quads += [Quad(node, predicate, bad)] if bad is not None else []
    assert [text for text in violations(quads) if said in text]
    store = Store()
    store.extend(quads)
    assert [text for text in check_store(store) if said in text]


def test_the_native_check_and_pyshacl_pass_the_same():
    quads = facts_quads(facts(records(size=3)[2]))
    store = Store()
    store.extend(quads)
    assert violations(quads) == []
    assert check_store(store) == []


def test_shapes_are_about_classes_that_exist():
    for target in shapes():
        if target.value.startswith(VOCAB):
            assert target.value.removeprefix(VOCAB) in defined()


def test_the_vocabulary_is_in_the_graph_and_is_renewed_when_it_changes():
    store = built(records(size=2))
    assert renewal(store) == (set(), set())
    stale = Quad(vocab.knob("model.depth"), NamedNode(PREFIXES["skos"] + "altLabel"), Literal("x"))
    version = next(q for q in vocabulary() if q.predicate.value.endswith("versionInfo"))
    store.remove(version)
    store.add(stale)
    assert renewal(store) == ({version}, {stale})


def test_a_knob_can_be_found_by_the_name_people_give_it():
    store = built(records(size=2))
    found = store.query(
        'SELECT ?knob { ?knob skos:altLabel ?name . FILTER(LCASE(STR(?name)) = "n_layer") }',
        prefixes=PREFIXES,
    )
    assert [row["knob"] for row in found] == [vocab.knob("model.depth")]


def test_the_groups_of_components_are_those_of_the_ontology():
    def pairs(store: Store) -> set[tuple[str, str]]:
        found = store.quads_for_pattern(None, SKOS.broader, None)
        return {(vocab.name_of(q.subject), vocab.name_of(q.object)) for q in found}

    assert pairs(ontology()) == set(GROUP_OF.items())
    known = {name for kind, name in load_shipped().concepts if kind == "component"}
    assert known == set(COMPONENTS)
    assert set(rules().components.values()) == known


def test_a_knob_is_in_its_component_and_in_the_group_of_that():
    query = "SELECT ?c { knob:model.depth lab:inComponent ?c . ?c a lab:Component } ORDER BY ?c"
    found = built(records(size=2)).query(query, prefixes=PREFIXES)
    assert [vocab.name_of(row["c"]) for row in found] == ["architecture", "model_size"]
