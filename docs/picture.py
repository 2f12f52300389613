"""Draw README's picture from a real history: its metric over experiments, coloured by component.

    python docs/picture.py --repo PATH --ref REF --results FILE [--out docs/images/night.png]

The picture in the repository is the public H100 run: karpathy/autoresearch,
`refs/heads/exp/H100/mar8`, and the results.tsv published with it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from flows.history import import_history
from flows.plot import Point, progress_plot
from kg.memory import open_memory

QUERY = """
SELECT ?name ?status ?value ?text (SAMPLE(?of) AS ?component) {
  ?e a lab:Experiment ; lab:name ?name ; lab:seq ?seq ; lab:status ?s .
  BIND(STRAFTER(STR(?s), "#") AS ?status)
  OPTIONAL { ?e lab:value ?value }
  OPTIONAL { ?e dct:description ?text }
  OPTIONAL { ?e lab:hasChange/lab:component/skos:notation ?of }
} GROUP BY ?name ?status ?value ?text ?seq ORDER BY ?seq
"""


def main() -> None:
    """Import the history into a scratch memory and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repo", required=True)
    parser.add_argument("--ref", required=True)
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--out", default="docs/images/night.png", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        account = import_history(
            options.repo,
            refs=[options.ref],
            target="train.py",
            results=[options.results],
            metric=None,
            direction="min",
            store=Path(store),
        )
        rows = open_memory(Path(store)).sparql(QUERY).rows
    points = [
        Point(
            row["name"],
            row["status"],
            row.get("value"),
            row.get("text") or "",
            row.get("component"),
        )
        for row in rows
        if row.get("value") is not None or row["status"] == "crash"
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    title = "One night on an H100: val_bpb by the component that was changed"
    progress_plot(points, options.out, metric="val_bpb", direction="minimise", title=title)
    print(f"{account.experiments} experiments imported, {len(points)} with a result: {options.out}")


def text_of(row: dict[str, Any]) -> str:
    """Return a point's label; the first commit's subject says nothing of the baseline."""
    return "baseline" if str(row["name"]).endswith("-0000") else str(row.get("text") or "")


if __name__ == "__main__":
    main()
