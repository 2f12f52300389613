"""The generated parts of docs/questions.md and docs/ontology.md."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from pyoxigraph import QuerySolutions, RdfFormat, Store

from kg.query import Question, questions
from kg.schema import examples
from kg.terms import PREFIXES

PROSE = ("comment", "definition")
COMPONENTS = """
SELECT ?component ?definition ?group {
  ?component skos:definition ?definition .
  FILTER(STRSTARTS(STR(?component), STR(component:)))
  OPTIONAL { ?component skos:broader ?group }
}
ORDER BY ?group ?component
"""
TERMS = """
SELECT ?term ?comment ?domain ?range (GROUP_CONCAT(STR(?of); separator=" ") AS ?above) {
  ?term a ?kind ; rdfs:comment ?comment .
  OPTIONAL { ?term rdfs:domain ?domain }
  OPTIONAL { ?term rdfs:range ?range }
  OPTIONAL { ?term rdfs:subClassOf ?of }
  FILTER(?kind IN (KINDS))
}
GROUP BY ?term ?comment ?domain ?range
ORDER BY ?term
"""


def question_lines() -> Iterator[str]:
    """Yield the table of the questions and, for each, what its answer holds."""
    yield "| question | answers | arguments |"
    yield "|---|---|---|"
    for name, question in questions().items():
        words = [f"`{a.name}`" + ("" if a.required else "?") for a in question.arguments]
        yield f"| [`{name}`](#{name}) | {question.summary} | {' '.join(words)} |"
    for question in questions().values():
        yield from described(question)


def described(question: Question) -> Iterator[str]:
    """Yield the section of one question."""
    yield from ("", f"## {question.name}", "", f"{question.summary} {question.description}", "")
    for argument in question.arguments:
        default = f" (default `{argument.default}`)" if argument.default else ""
        optional = "" if argument.required else ", optional"
        yield f"- `{argument.name}`{optional}: {argument.help}{default}"
    yield f"- columns {' '.join(f'`{column}`' for column in question.columns)}"
    yield f"- try `nightlab ask {question.example}`"


def vocabulary_lines() -> Iterator[str]:
    """Yield the classes, the properties, the components and the example queries."""
    store = Store()
    for name in ("ontology.ttl", "lexicon.ttl"):
        store.load((resources.files("kg") / name).read_bytes(), RdfFormat.TURTLE)
    yield from ("## Classes", "", "| class | is | meaning |", "|---|---|---|")
    for row in terms(store, "owl:Class"):
        yield f"| `{row['term']}` | {row['above']} | {row['comment']} |"
    yield from ("", "## Properties", "", "| property | from | to | meaning |", "|---|---|---|---|")
    for row in terms(store, "owl:ObjectProperty, owl:DatatypeProperty"):
        yield f"| `{row['term']}` | {row['domain']} | {row['range']} | {row['comment']} |"
    yield from ("", "## Components", "", "| component | in | holds |", "|---|---|---|")
    for row in rows_of(store, COMPONENTS):
        yield f"| `{row['component']}` | {row['group']} | {row['definition']} |"
    yield from ("", "## Examples", "")
    for example in examples():
        yield from (example["summary"], "", "```sparql", example["sparql"].strip(), "```", "")


def terms(store: Store, kinds: str) -> Iterator[dict[str, str]]:
    """Yield the terms of some kinds."""
    return rows_of(store, TERMS.replace("KINDS", kinds))


def rows_of(store: Store, sparql: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a query with the names in them shortened, prose as it is."""
    found = store.query(sparql, prefixes=PREFIXES)
    if not isinstance(found, QuerySolutions):
        raise TypeError("the query is a SELECT")
    names = [variable.value for variable in found.variables]
    for solution in found:
        values = [getattr(term, "value", "") for term in solution]
        row = dict(zip(names, values, strict=True))
        yield {key: row[key] if key in PROSE else shortened(row[key]) for key in names}


def shortened(text: str) -> str:
    """Return IRIs with their prefixes."""
    for name, iri in PREFIXES.items():
        text = text.replace(iri, f"{name}:")
    return text
