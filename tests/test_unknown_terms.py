from __future__ import annotations

import pytest
from histories import built, records

from kg.result_formats import answer
from kg.schema import example_files, examples
from kg.sparql import sparql
from kg.unknown_terms import unknown_terms

STORE = built(records(size=12))
NMAE = "lab:nmae is not a term of the ontology; did you mean lab:name?"


@pytest.mark.parametrize(
    ("query", "notes"),
    [
        ("SELECT ?n { ?e lab:nmae ?n }", (NMAE,)),
        ("SELECT (COUNT(?e) AS ?n) { ?e lab:nmae ?x }", (NMAE,)),
        ("ASK { ?e lab:nmae ?n }", (NMAE,)),
        ("CONSTRUCT { ?e rdfs:label ?n } WHERE { ?e lab:nmae ?n }", (NMAE,)),
        ("SELECT ?e { ?e <https://w3id.org/nightlab/vocab#nmae> ?n }", (NMAE,)),
        (
            "SELECT ?e { ?e knob:model.dept 8 }",
            (
                "knob:model.dept is not a knob of this memory or of the lexicon;"
                " did you mean knob:model.depth?",
            ),
        ),
        (
            "SELECT ?k { ?k lab:inComponent component:architectur }",
            (
                "component:architectur is not a component or a group of them;"
                " did you mean component:architecture?",
            ),
        ),
        (
            "SELECT ?e { ?e lab:zzzz 1 }",
            ("lab:zzzz is not a term of the ontology; see `nightlab kg schema`",),
        ),
        (
            'SELECT ?e { ?e lab:status "keep" ; lab:name ?n }',
            ("lab:status leads to a thing, not to a text; write lab:keep",),
        ),
        (
            "ASK { ?c lab:knob 'model.depth' ; lab:component 'nothing' }",
            (
                "lab:knob leads to a thing, not to a text; write knob:model.depth",
                "lab:component leads to a thing, not to a text; see `nightlab kg schema`",
            ),
        ),
        (
            'SELECT ?e { ?e lab:inCampaign "mar8" }',
            (
                "lab:inCampaign leads to a thing, not to a text;"
                " write <https://w3id.org/nightlab/id/campaign/mar8>",
            ),
        ),
        ('SELECT ?e { ?e lab:metric "none" }', ()),  # a text it is
        ("SELECT ?e { ?e lab:seq 77 ; knob:model.depth 8 }", ()),
        ("SELECT ?e { ?e knob:embedding.tying 'x' }", ()),  # no experiment's, but the lexicon's
        ("SELECT ?e { ?e lab:seq 1 OPTIONAL { ?e lab:nmae ?n } }", ()),  # something was found
        ('SELECT ?e { ?e rdfs:label "lab:nmae" } # lab:nmae', ()),
    ],
)
def test_an_empty_answer_names_the_words_that_stand_for_nothing(
    query: str, notes: tuple[str, ...]
) -> None:
    assert sparql(STORE, query).notes == notes
    assert answer(STORE, query).notes == notes


def test_no_example_of_ours_has_a_word_that_stands_for_nothing() -> None:
    assert len(example_files()) == 10
    for example in examples("mar8", "model.depth"):
        assert unknown_terms(STORE, example["sparql"]) == []
