from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from histories import built, dump, records
from pyoxigraph import NamedNode, Quad, Store

from kg import ingest, store
from kg.errors import KgError, MemoryBroken
from kg.memory import open_memory

NODE = NamedNode("https://example.org/a")


def quad(name: str) -> Quad:
    return Quad(NODE, NODE, NamedNode(f"https://example.org/{name}"))


def test_an_empty_memory_knows_nothing_and_says_so(tmp_path: Path):
    memory = open_memory(tmp_path / "graph")
    assert memory.names() == []
    assert memory.dump() == b""
    assert memory.ask("best").rows == []
    assert not (tmp_path / "graph").exists()


def test_what_is_added_is_read_back_and_adding_again_publishes_nothing(tmp_path: Path):
    memory, found = open_memory(tmp_path), records(size=4)
    assert memory.add_all(found) == 4
    latest = store.snapshot(tmp_path)
    assert memory.add_all(found) == 0
    memory.add(found[0])
    assert store.snapshot(tmp_path) == latest
    assert memory.names() == [record.name for record in found]
    assert memory.dump() == dump(built(found))


def test_a_memory_that_was_deleted_and_made_again_is_not_mistaken_for_the_old_one(tmp_path: Path):
    found = records(size=4)
    memory, other = open_memory(tmp_path / "graph"), open_memory(tmp_path / "graph")
    memory.add_all(found[:2])
    assert memory.names() == [record.name for record in found[:2]]
    assert memory.holds(found[1].name)
    shutil.rmtree(tmp_path / "graph")
    assert not memory.holds(found[1].name)
    other.add(found[0])
    assert memory.names() == [found[0].name]
    assert [memory.holds(record.name) for record in found] == [True, False, False, False]
    memory.add(found[1])
    assert memory.dump() == dump(built(found[:2]))


def test_a_memory_that_was_put_back_from_a_copy_is_not_mistaken_for_the_later_one(tmp_path: Path):
    found, place, copy = records(size=4), tmp_path / "graph", tmp_path / "copy"
    memory, other = open_memory(place), open_memory(place)
    memory.add_all(found[:2])
    shutil.copytree(place, copy, symlinks=True)  # keeps the times, as cp -a does
    memory.add(found[2])
    shutil.rmtree(place)
    copy.rename(place)
    other.add(found[3])
    assert [memory.holds(record.name) for record in found] == [True, True, False, True]
    memory.add(found[2])
    assert memory.dump() == dump(built(found))


def test_adding_one_by_one_on_disk_is_a_rebuild(tmp_path: Path):
    found = records(size=5)
    one, other = open_memory(tmp_path / "one"), open_memory(tmp_path / "other")
    for record in found:
        one.add(record)
    assert other.rebuild(found) == 5
    assert one.dump() == other.dump()
    assert one.turtle() == other.turtle()


def test_what_the_database_logs_does_not_grow_with_the_night(tmp_path: Path):
    memory = open_memory(tmp_path)
    for record in records(size=4):
        memory.add(record)
    assert len(list((tmp_path / "store").glob("LOG.old.*"))) <= 1


def test_a_rebuild_replaces_the_store_and_leaves_one(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=4))
    memory.rebuild(records(size=2))
    assert len(memory.names()) == 2
    assert len(list(tmp_path.glob("store-*"))) == 1
    memory.add(records(size=3)[2])
    assert len(memory.names()) == 3


def test_a_rebuild_that_fails_leaves_the_old_graph(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=2))
    before = memory.dump()

    def torn():
        yield records(size=3)[2]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        memory.rebuild(torn())
    assert memory.dump() == before
    assert len(list(tmp_path.glob("store-*"))) == 1


def test_only_the_last_snapshots_are_kept_and_an_open_one_stays_readable(tmp_path: Path):
    memory, found = open_memory(tmp_path), records(size=6)
    memory.add(found[0])
    reader = open_memory(tmp_path)
    held = reader.graph()
    for record in found[1:]:
        memory.add(record)
    assert len(list(tmp_path.glob("snapshot-*"))) == store.KEPT_SNAPSHOTS
    assert held.names() == [found[0].name]
    assert len(reader.names()) == 6


def test_a_second_writer_waits_and_then_says_who_is_in_the_way(tmp_path: Path):
    with (
        store.writing(tmp_path),
        pytest.raises(KgError, match="another process has been writing"),
        store.writing(tmp_path, patience=0.01),
    ):
        pass


def test_readers_read_while_a_writer_writes(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=2))
    with store.writing(tmp_path) as graph:
        graph.extend([quad("unpublished")])
        assert len(open_memory(tmp_path).names()) == 2


def test_writers_in_several_threads_take_turns(tmp_path: Path):
    found = records(size=4)
    threads = [
        threading.Thread(target=open_memory(tmp_path).add, args=(record,)) for record in found
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_memory(tmp_path).dump() == dump(built(found))


def test_another_format_is_refused_and_a_rebuild_mends_it(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=2))
    (tmp_path / "format").write_text("0")
    with pytest.raises(MemoryBroken, match=r"format '0'.*`nightlab kg rebuild`"):
        memory.add(records(size=3)[2])
    with pytest.raises(MemoryBroken, match=r"format '0'.*`nightlab kg rebuild`"):
        open_memory(tmp_path).names()
    memory.rebuild(records(size=3))
    assert len(memory.names()) == 3


def test_a_damaged_store_says_what_to_type(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=2))
    for name in ("store", "snapshot"):
        for path in (tmp_path / name).resolve().glob("MANIFEST-*"):
            path.write_bytes(b"rubbish")
    with pytest.raises(MemoryBroken, match="`nightlab kg rebuild`"):
        open_memory(tmp_path).names()
    with pytest.raises(MemoryBroken, match="`nightlab kg rebuild`"):
        open_memory(tmp_path).add(records(size=3)[2])


@pytest.mark.parametrize("part", store.PARTS)
def test_a_memory_of_which_a_part_was_deleted_is_not_written_over(tmp_path: Path, part: str):
    memory = open_memory(tmp_path)
    assert not memory.whole()
    memory.add_all(records(size=3))
    assert memory.whole()
    (tmp_path / part).unlink()
    assert not memory.whole()
    with contextlib.suppress(MemoryBroken):  # it mends a snapshot that is gone
        memory.add(records(size=4)[3])
        assert len(memory.names()) == 4
    memory.rebuild(records(size=4))
    assert memory.whole()
    assert memory.dump() == dump(built(records(size=4)))


def test_a_writer_whose_memory_is_deleted_leaves_none_behind(tmp_path: Path):
    place = tmp_path / "graph"
    open_memory(place).add_all(records(size=3))
    with store.writing(place) as graph:
        shutil.rmtree(place)
        with pytest.raises(OSError, match="No such file"):
            store.publish(place, graph)
    assert not place.exists()


def test_one_change_of_the_graph_is_one_transaction():
    graph = Store()
    graph.extend([quad("old")])
    store.apply(graph, [quad("new")], [quad("old")])
    assert set(graph) == {quad("new")}
    with pytest.raises(ValueError, match="not a quad"):
        store.apply(graph, broken(), [quad("new")])
    assert set(graph) == {quad("new")}


def broken():
    yield quad("half")
    raise ValueError("not a quad")


def test_a_writer_killed_in_the_act_leaves_whole_experiments(tmp_path: Path):
    script = (
        "import os, sys; sys.path[:0] = [sys.argv[2], sys.argv[2] + '/tests']\n"
        "from pathlib import Path; from histories import records\n"
        "from kg import store; from kg.memory import open_memory\n"
        "memory = open_memory(Path(sys.argv[1])); memory.add_all(records(size=2))\n"
        "store.publish = lambda *_: os.kill(os.getpid(), 9)\n"
        "memory.add(records(size=3)[2])\n"
    )
    root = str(Path(__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path), root], check=False)
    assert done.returncode == -signal.SIGKILL
    memory = open_memory(tmp_path)
    assert len(memory.names()) == 2  # what was published
    memory.add(records(size=3)[2])
    assert memory.dump() == dump(built(records(size=3)))


def test_the_dump_is_sorted_lines_and_the_turtle_says_the_same(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=3))
    lines = memory.dump().splitlines()
    assert lines == sorted(lines)
    again = Store()
    again.load(memory.turtle(), store_format())
    assert store.canonical(again) == memory.dump()


def store_format():
    from pyoxigraph import RdfFormat

    return RdfFormat.TURTLE


def test_rdflib_reads_the_same_graph_through_oxigraph(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=3))
    query = "SELECT ?e { ?e a <https://w3id.org/nightlab/vocab#Experiment> }"
    assert len(list(memory.dataset().query(query))) == 3
    assert memory.stats()["experiments"] == 3


def test_reading_never_writes(tmp_path: Path):
    memory = open_memory(tmp_path)
    memory.add_all(records(size=3))
    before = {p: p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*"))}
    open_memory(tmp_path).ask("best")
    open_memory(tmp_path).sparql("SELECT * { ?s ?p ?o } LIMIT 3")
    open_memory(tmp_path).dump()
    assert {p: p.stat().st_mtime_ns for p in sorted(tmp_path.rglob("*"))} == before


def test_two_different_records_of_one_name_are_refused_in_a_rebuild(tmp_path: Path):
    first, second = records(size=2)
    twice = replace(first, value=0.1)
    with pytest.raises(KgError, match="experiment 'mar8-0000': two records have this name"):
        open_memory(tmp_path).rebuild([first, second, twice])
    assert open_memory(tmp_path).rebuild([first, second, first]) == 2


def test_a_pool_gives_the_facts_in_order_and_stops_when_nobody_listens():
    found = records(size=24)
    some = ingest.understand(iter(found), None, 2)
    assert next(some).record.name == "mar8-0000"
    some.close()
    names = [facts.record.name for facts in ingest.understand(iter(found), None, 2)]
    assert names == [record.name for record in found]
