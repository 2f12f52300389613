from __future__ import annotations

import re
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

import pytest
from histories import built, records
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import NamedNode, Quad, Store

from kg.dialect import escaped
from kg.errors import BadSparql
from kg.guard import Limits, guard
from kg.sparql import sparql
from kg.terms import PREFIXES

STORE = built(records(size=4))
ONE = Store()
for _name in ("http://a:", "urn:x:a.b"):
    ONE.add(Quad(NamedNode("urn:s"), NamedNode("urn:p"), NamedNode(_name)))


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * { ?s ?p "SERVICE <http://x> FROM LOAD" }',
        "SELECT * { ?s ?p ?o } # SERVICE <http://x> { }",
        "SELECT ?service ?from { ?service lab:from ?from }",
        "SELECT * { <http://x/SERVICE> ?p ?o }",
        "SELECT * { ?s ?p 'x'@from }",
        'PREFIX x: <http://x/services#> SELECT * { ?s x:from \'it\' , """a service\'s""" }',
    ],
)
def test_a_word_that_is_no_keyword_is_not_refused(text):
    assert guard(text).form == "SELECT"
    assert list(Store().query(guard(text).text, prefixes=PREFIXES)) == []


# Each hides the keyword from whoever cuts tokens otherwise than the engine does.
HIDDEN = [
    "SELECT * { SERVICESILENT <urn:x> { } SERVICE<urn:x>{ } }",
    "PREFIX x: <urn:x:> SELECT * { SERVICEx:y { } }",
    "PREFIX : <urn:x:> SELECT * { seRvice:y { } }",
    "PREFIX x:#<\n<urn:x:> SELECT * { SERVICEx:y { } }",
    "PREFIX x: <http://a:> SELECT * { OPTIONAL { ?s ?p x:SERVICE<urn:x>{ } } }",
    "PREFIX x: <urn:x:> SELECT * { ?s ?p x:a.b.SERVICE<urn:x>{ } }",
    "PREFIX x: <urn:x:> SELECT * { FILTER(1<2)SERVICEx:y#>\n{ } }",
    "PREFIX x: <urn:x:> SELECT * { FILTER(1<x:c#>'''\n)SERVICE<urn:x>{ } }#'''",
    "PREFIX x: <urn:x:> SELECT * { BIND(1<x:c#>'''\n AS ?z)SERVICE<urn:x>{ } }#'''",
    'SELECT * { VALUES ?x { """a" } SERVICE <urn:x> { } } #\\q"""',
    "SELECT * { VALUES ?x { '''a' } SERVICE <urn:x> { } } #\\uD800'''",
    "SELECT * { OPTIONAL { <urn:\\u0041'''> ?p 1 } SERVICE <urn:x> { } } #'''",
    "SELECT * { OPTIONAL { <\\u0075rn:'''> ?p 1 } SERVICE <urn:x> { } } #'''",
    "BASE <urn:a> SELECT * { OPTIONAL { <#'''> ?p 1 } SERVICE <urn:x> { } } #'''",
    "SELECT * { VALUES ?x { 'a'@en1 } SERVICE <urn:x> { } }",
    "SELECT * { BIND('a'@en AS ?x·)SERVICE <urn:x> { } }",
    "SELECT * { VALUES ?x { 1e3 }SERVICE <urn:x> { } }",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_no_spelling_hides_a_request_that_the_engine_would_send(text):
    with pytest.raises(OSError, match=r"URI scheme|invalid authority"):  # it goes there
        list(ONE.query(text))
    with pytest.raises(BadSparql):
        sparql(ONE, text)


@pytest.mark.parametrize("text", HIDDEN)
def test_what_the_engine_is_given_is_judged_whatever_the_tokens_say(text, monkeypatch):
    monkeypatch.setattr("kg.guard.forbidden", lambda token: "")
    with pytest.raises(BadSparql, match=r"SERVICE asks another server|mend"):
        sparql(ONE, text)


PARTS = [
    *("SERVICE<urn:x>{}", "SERVICEurn:y{}", "x:SERVICE<urn:x>{}", "{", "}", ")", "# ", "\n", "'"),
    *("FILTER(1<x:c#>'''\n)", "FILTER(?s<?p)", "'''", '"""', 'VALUES ?v { """a" }', "#>", "<urn:"),
    *("OPTIONAL { ?s ?p ?o }", "OPTIONAL { <urn:\\u0041'''> ?p 1 }", '#\\q"""', "?s ?p x:a.b."),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PARTS), max_size=6), st.sampled_from(["", " ", "\n"]))
def test_whatever_is_answered_sends_no_request(parts, glue):
    text = f"PREFIX x: <http://a:> PREFIX urn: <urn:> SELECT * {{ {glue.join(parts)} }}"
    assert not re.search("URI scheme|authority", complaint(lambda: sparql(ONE, text)))


def complaint(act: Callable[[], object]) -> str:
    """Return why a query was refused or failed, "" if it did not."""
    try:
        act()
    except BadSparql as error:
        return str(error)
    return ""


@pytest.mark.parametrize("bracket", ["{", "(", "["])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "?s ?p ",
        "FILTER(1<x:c#>'''\n",  # what looks like an IRI and a string is none
        "}}}}}}}}",
        "<urn:)))>",
    ],
)
def test_brackets_that_would_crash_the_engine_are_refused(bracket, before):
    text = "PREFIX x: <urn:x:> SELECT * { " + before + bracket * 20_000
    told = complaint(lambda: guard(text))
    assert re.search("nested deeper than 64|the string never ends", told)


def test_brackets_in_what_looks_like_an_iri_reach_nobody():
    with pytest.raises(BadSparql, match="mend the query there"):
        sparql(ONE, "PREFIX x: <urn:x:> ASK { FILTER(1<x:a" + "(" * 20_000 + ">2) }")


CHAINS = [
    ("SELECT (1{} AS ?x) {{}}", "+1"),
    ("SELECT (1{} AS ?x) {{}}", "*1"),
    ("ASK {{ FILTER({}?s) }}", "!"),
    ("ASK {{ FILTER(1{}) }}", "||1"),
    ("ASK {{ FILTER(1{}) }}", "&&1"),
    ("ASK {{ ?s {}a ?o }}", "a/"),
    ("ASK {{ ?s {}a ?o }}", "a|"),
    ("ASK {{ ?s ({}a)* ?o }}", "a/"),
    ("ASK {{ {{}} {} }}", "UNION{}"),
    ("ASK {{ {} }}", "MINUS{}"),
    ("ASK {{ {} }}", "OPTIONAL{}"),
    ("ASK {{ {} }}", "{}"),
    ("ASK {{ {} }}", "{SELECT*{}}"),
    ("ASK {{ {} }}", "FILTER(1)"),
    ("ASK {{ VALUES ?x {{1}} {} }}", "{}"),
    ("ASK {{ FILTER(1 < {}", "<<"),
    ("SELECT (COUNT(*) AS ?n) {{}} HAVING {}", "(1)"),
    ("DESCRIBE {}", "<urn:a>"),
    ("DESCRIBE {}", "lab:a "),
    ("DESCRIBE {}", "?a "),
    ("SELECT {} {{}}", "(1 AS?a)"),
]
SLOW = [  # not asked in a test: 240 of them take minutes
    ("ASK {{ {} }}", "VALUES?x{1}"),
    ("ASK {{ ?s ?p ({}) }}", "1 "),
    ("ASK {{ ?s ?p ({}) }}", "true "),
    ("ASK {{ ?s ?p ({}) }}", "'a'@en "),
    ("ASK {{ ?s ?p 1 {} }}", ",1"),
    ("ASK {{ ?s ?p 1 {} }}", ";?p 1"),
]


def longest(shape: str, link: str) -> str:
    """Return the longest chain of a kind that is let through."""
    links = bisect_left(
        range(2 * Limits().operators), True, key=lambda n: bool(refused(shape, link, n))
    )
    assert f"more than {Limits().operators} operators" in refused(shape, link, links)
    return shape.format(link * (links - 1))


def refused(shape: str, link: str, links: int) -> str:
    """Return why a chain of so many links is refused."""
    return complaint(lambda: guard(shape.format(link * links)))


@pytest.mark.parametrize(("shape", "link"), [*CHAINS, *SLOW])
def test_every_chain_is_cut_before_the_engine_sees_it(shape, link):
    assert 60 < longest(shape, link).count(link) <= Limits().operators


def test_the_longest_chains_that_are_let_through_are_safe():
    # with the 8 MB of a usual stack the engine dies at 2,600 links, and here it has 1 MB
    code = (
        "import threading, test_guard as t\n"
        "threading.stack_size(2**20)\n"
        "for shape, link in t.CHAINS:\n"
        "    ask = lambda: t.sparql(t.ONE, t.longest(shape, link))\n"
        "    one = threading.Thread(target=t.complaint, args=(ask,))\n"
        "    one.start()\n"
        "    one.join()\n"
        "print('alive')"
    )
    words, here = [sys.executable, "-c", code], Path(__file__).parent
    done = subprocess.run(words, capture_output=True, text=True, cwd=here)
    assert (done.stdout, done.stderr, done.returncode) == ("alive\n", "", 0)


def test_lists_of_values_are_as_long_as_the_text_may_be():
    values = " ".join(f"('a{n}' -1.5e3 UNDEF)" for n in range(900))
    some = ", ".join(f"'a{n}'" for n in range(900))
    text = f"SELECT ?a {{ VALUES (?a ?b ?c) {{ {values} }} FILTER(?a IN ({some})) }}"
    assert len(sparql(STORE, text).rows) == 900


def test_a_place_is_counted_only_for_an_error(monkeypatch):
    asked = []
    monkeypatch.setattr("kg.guard.position_of", lambda *_: asked.append(1) or (1, 1))
    guard("SELECT * { " + '?s lab:a """b""" .\n' * 200 + "}")
    assert asked == []
    with pytest.raises(BadSparql, match="operators and keywords"):
        guard("SELECT * { " + "?s lab:a ?b .\n" * 300 + "}")
    assert asked == [1]


WORDS = [
    *("SELECT", "*", "{", "}", "(", ")", "?s", "?p", "?o", ".", "FILTER", "<http://x/a#b'c(d)>"),
    *("'a#b'", '"""a"b"""', "a", "<", ">", "&&", "knob:a.b.c", "_:b", "1.5", "'x'@en-a", "# '\n"),
    *("'service'", "lab:fromSeq", "/", "|", "^^", "xsd:integer", "VALUES", "?o {", ";", ",", "!"),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=10))
def test_what_the_engine_is_given_has_the_answer_of_the_original(words):
    text = f"SELECT * {{ ?s ?p ?o {' '.join(words)} }}"
    try:
        wanted = list(map(str, STORE.query(text, prefixes=PREFIXES)))
    except (SyntaxError, ValueError):
        return
    assert list(map(str, STORE.query(escaped(text), prefixes=PREFIXES))) == wanted
