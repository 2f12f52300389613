from __future__ import annotations

from dataclasses import replace

import pytest
from histories import added, asked, built, dump, facts, line, records
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode, Store

from kg import ingest, vocab
from kg.build import experiment_quads
from kg.errors import KgError
from kg.facts import Saying, read_facts
from kg.graph import Graph
from kg.model import Change, ChangeType, OptimizerScope, Status
from kg.store import canonical
from kg.terms import LAB, PROV

SOURCE = (
    "DEPTH = {depth}\nMATRIX_LR = {lr}\nmodel = GPT(n_layer=DEPTH)\nMuon(model, lr=MATRIX_LR)\n"
)


def source(depth: int = 8, lr: float = 0.04) -> str:
    return SOURCE.format(depth=depth, lr=lr)


def texts(quads, subject, predicate):
    return sorted(q.object.value for q in quads if (q.subject, q.predicate) == (subject, predicate))


def test_a_setting_is_one_triple_whose_predicate_is_the_knob():
    first, *_ = line([(source(), 1.0, Status.KEEP)])
    quads = experiment_quads(first)
    found = [q.object for q in quads if q.predicate == vocab.knob("model.depth")]
    assert found == [Literal(8)]


def test_a_change_says_what_was_where_before_and_after():
    _, second = line([(source(), 1.0, Status.KEEP), (source(depth=9), 0.9, Status.KEEP)])
    quads = experiment_quads(second)
    change = vocab.part(vocab.experiment("t-0001"), "change", "model.depth")
    assert texts(quads, change, LAB.oldValue) == ["8"]
    assert texts(quads, change, LAB.newValue) == ["9"]
    assert texts(quads, change, LAB.direction) == ["increase"]
    assert texts(quads, change, LAB.isolated) == ["true"]
    assert texts(quads, vocab.experiment("t-0001"), LAB.hasChange) == [change.value]


def test_a_crash_has_no_value_even_if_its_record_has_one():
    (crash,) = line([(source(), 0.0, Status.CRASH)])
    quads = experiment_quads(crash)
    assert not [q for q in quads if q.predicate == LAB.value]


def test_a_discarded_version_is_invalidated_by_its_experiment():
    kept, discarded = line([(source(), 1.0, Status.KEEP), (source(9), 1.1, Status.DISCARD)])
    code = vocab.part(vocab.experiment("t-0001"), "code")
    assert texts(experiment_quads(discarded), code, PROV.wasInvalidatedBy) == [
        vocab.experiment("t-0001").value
    ]
    own = vocab.part(vocab.experiment("t-0000"), "code")
    assert texts(experiment_quads(kept), own, PROV.wasInvalidatedBy) == []


def test_no_subject_is_a_blank_node_and_every_quad_is_in_the_default_graph():
    store = built(records())
    assert all(isinstance(quad.subject, NamedNode) for quad in store)
    assert list(store.named_graphs()) == []


def test_a_file_that_does_not_parse_is_an_experiment_with_one_unparsed_change():
    _, broken = line([(source(), 1.0, Status.KEEP), ("DEPTH = (", None, Status.CRASH)])
    quads = experiment_quads(broken)
    kinds = [q.object.value for q in quads if q.predicate == LAB.changeType]
    assert kinds == ["unparsed"]


def test_edits_are_told_against_the_last_accepted_file_too_where_the_parent_is_another():
    kept, failed = line([(source(), 1.0, Status.KEEP), (source(9), 1.1, Status.DISCARD)])
    third = replace(
        failed,
        name="t-0002",
        seq=2,
        parent="t-0001",
        source=source(lr=0.05),
        parent_source=failed.source,
        kept_source=kept.source,
        value=0.9,
        status=Status.KEEP,
        description="matrix LR 0.04 to 0.05",
    )
    found = read_facts(third)
    assert {edit.change.knob for edit in found.changes} == {"model.depth", "optimizer.matrix_lr"}
    assert found.net is not None
    assert [edit.change.knob for edit in found.net] == ["optimizer.matrix_lr"]
    rows = asked([kept, failed, third], "attempts", knob="optimizer.matrix_lr").rows
    assert [(row["alone"], row["delta"]) for row in rows] == [(True, -0.1)]


class Told:
    """A reader that is told what changed."""

    def changes(self, before, after, *, message, history):
        return [
            Change("model.depth", "model_size", ChangeType.INCREASE, OptimizerScope.NONE, "8", "9"),
            Change(
                "optimizer.matrix_lr",
                "optimizer",
                ChangeType.REVERT,
                OptimizerScope.MUON,
                "0.05",
                "0.04",
                silent=True,
            ),
        ]

    def settings(self, source):
        return []

    def fingerprint(self, source):
        return None

    def size(self, source):
        return 1, 1

    def saying(self, message, changes):
        return Saying()


def test_the_silent_undo_of_a_failure_is_no_attempt_of_its_own():
    _, second = line([(source(), 1.0, Status.KEEP), (source(9), 0.9, Status.KEEP)])
    found = read_facts(second, Told())
    assert [edit.change.knob for edit in found.basis] == ["model.depth"]
    assert [edit.direction for edit in found.changes] == ["increase", "decrease"]


@settings(max_examples=12)
@given(st.permutations(range(14)), st.integers(0, 14))
def test_the_order_of_adding_does_not_change_a_byte(order, cut):
    shuffled = [records(size=14)[index] for index in order]
    store = added(shuffled[:cut])
    ingest.add_facts(store, map(facts, shuffled[cut:]))
    assert dump(store) == dump(built(records(size=14)))


def test_adding_one_by_one_is_building_at_once_over_several_campaigns():
    one, two = records("one", 12), records("two", 12, seed=3)
    mixed = [record for pair in zip(one, two, strict=True) for record in pair]
    assert dump(added(mixed)) == dump(built([*one, *two]))


def test_a_campaign_is_written_while_the_next_one_is_read():
    store, written = Store(), list[int]()

    def read():
        for record in [*records("one", 5), *records("two", 3)]:
            written.append(len(Graph(store).names()))
            yield facts(record)

    ingest.add_facts(store, read())
    # The first of the next campaign tells that this one is at its end.
    assert written == [0, 0, 0, 0, 0, 0, 5, 5]
    assert dump(store) == dump(built([*records("one", 5), *records("two", 3)]))


def test_what_is_to_be_added_comes_by_campaign():
    mixed = [r for pair in zip(records("two", 3), records("one", 3), strict=True) for r in pair]
    fresh = ingest.unknown(Store(), mixed)
    assert [record.name for record in fresh] == [
        *(record.name for record in records("one", 3)),
        *(record.name for record in records("two", 3)),
    ]


def test_adding_twice_is_adding_once():
    found = records(size=10)
    assert dump(added([*found, *found])) == dump(built(found))


@settings(max_examples=25)
@given(st.integers(0, 13), st.sampled_from(["value", "status", "source", "agent", "lost"]))
def test_a_record_told_anew_replaces_the_old_one_wholly(index, field):
    found = [
        replace(record, source=None) if record.seq in (4, 5) else record
        for record in records(size=14)
    ]
    old = found[index]
    fields = {
        "value": {"value": 0.5},
        "status": {"status": Status.DISCARD, "value": 1.5},
        "source": {"source": source(depth=11)},
        "lost": {"source": None, "description": "depth 8 to 12"},
        "agent": {"agent": "another", "task": "", "hypothesis": None, "expected_delta": None},
    }[field]
    new = replace(old, **fields)
    store = added(found)
    ingest.add_facts(store, map(facts, ingest.unknown(store, [new])))
    wanted = [*found[:index], new, *found[index + 1 :]]
    assert dump(store) == dump(built(wanted))


def test_an_experiment_cannot_move_to_another_campaign():
    found = records(size=3)
    store = added(found)
    moved = replace(found[1], campaign="elsewhere")
    with pytest.raises(KgError, match="is in campaign 'mar8', not 'elsewhere'"):
        ingest.add_facts(store, [facts(moved)])
    assert canonical(store) == dump(built(found))


def test_a_record_without_the_shape_of_an_experiment_is_refused_and_nothing_is_written():
    found = records(size=2)
    store = added(found)
    before = canonical(store)
    bad = replace(records(size=3)[2], direction="sideways")
    with pytest.raises(KgError, match=r"experiment 'mar8-0002': .*sense.*mend the record"):
        ingest.add_facts(store, [facts(bad)])
    assert canonical(store) == before


def test_an_interrupted_run_is_no_attempt_and_no_evidence():
    first, second = line([(source(), 1.0, Status.KEEP), (source(9), None, Status.CRASH)])
    cut_off = replace(second, reason="interrupted: the machine went down")
    assert asked([first, cut_off], "attempts", knob="model.depth").rows == []
    crashed = asked([first, second], "attempts", knob="model.depth").rows
    assert [row["outcome"] for row in crashed] == ["crashed"]


def test_odd_names_and_messages_survive_the_way_into_the_graph_and_out():
    first, second = line([(source(), 1.0, Status.KEEP), (source(9), 0.9, Status.KEEP)])
    odd = 'tab\t "quote" \\ \n line \u2028 \ud800 nul \x00 {{ ?x }} </b> ü'
    records_ = [
        replace(r, campaign="exp/H100 ü", name=r.name.replace("t-", "exp/H100 ü-"), description=odd)
        for r in (first, replace(second, parent="exp/H100 ü-0000"))
    ]
    (row, *_) = asked(records_, "best", campaign="exp/H100 ü").rows
    assert row["experiment"] == "exp/H100 ü-0001"
    assert row["description"] == odd.replace("\ud800", "?")


def test_where_the_diff_is_lost_the_changes_are_what_the_message_says():
    _, second = line([(source(), 1.0, Status.KEEP), (source(9), 1.1, Status.DISCARD)])
    lost = replace(second, source=None, description="matrix LR 0.04 to 0.05")
    quads = experiment_quads(lost)
    change = vocab.part(vocab.experiment("t-0001"), "change", "optimizer.matrix_lr")
    assert texts(quads, change, LAB.fromText) == ["true"]
    assert texts(quads, change, LAB.newValue) == ["0.05"]
    assert texts(quads, change, LAB.optimizerScope) == ["muon"]
    assert texts(quads, vocab.experiment("t-0001"), LAB.agreement) == []


def test_message_and_diff_are_kept_apart_with_a_flag_of_agreement():
    _, second = line([(source(), 1.0, Status.KEEP), (source(9), 0.9, Status.KEEP)])
    said = {"depth 8 to 9": "agree", "matrix LR 0.04 to 0.05": "contradict"}
    for message, wanted in said.items():
        quads = experiment_quads(replace(second, description=message))
        assert texts(quads, vocab.experiment("t-0001"), LAB.agreement) == [wanted]
        changed = [q.object for q in quads if q.predicate == LAB.hasChange]
        assert changed == [vocab.part(vocab.experiment("t-0001"), "change", "model.depth")]
    false_claim = vocab.part(vocab.experiment("t-0001"), "claim", "00", "optimizer.matrix_lr")
    assert texts(quads, false_claim, LAB.agrees) == ["false"]


def test_a_board_knows_the_settings_of_every_experiment_from_few():
    found = [*records(size=40)]
    found[7] = replace(found[7], source=None)  # lost
    found[9] = replace(found[9], source=source(depth=11), status=Status.KEEP)
    graph = Graph(built(found))
    board = graph.board("mar8")
    knobs = {knob for row in board.rows for knob in graph.settings(row.name)}
    for row in board.rows:
        known = board.settings(row)
        assert dict(known or ()) == graph.settings(row.name)
        assert known is not None
    for knob in sorted(knobs):
        values = {row.name: graph.settings(row.name).get(knob) for row in board.rows}
        assert board.column(knob) == {k: v for k, v in values.items() if v is not None}


def test_the_settings_of_a_lost_experiment_are_those_it_must_have_had():
    first, second, third = line(
        [(source(), 1.0, Status.KEEP), (None, 0.9, Status.KEEP), (None, 1.1, Status.DISCARD)]
    )
    told = [
        first,
        replace(second, description="depth 8 to 9"),
        replace(third, description="matrix LR 0.04 to 0.05"),
    ]
    graph = Graph(built(told))
    assert graph.settings("t-0001")["model.depth"] == 9
    assert graph.settings("t-0002") == {**graph.settings("t-0001"), "optimizer.matrix_lr": 0.05}
    assert graph.value(vocab.experiment("t-0002"), LAB.inferred) is True
    assert graph.value(vocab.experiment("t-0000"), LAB.inferred) is None
    rows = asked(told, "timeline", knob="model.depth").rows
    assert [(row["value"], row["experiment"]) for row in rows] == [(8, "t-0000"), (9, "t-0001")]
