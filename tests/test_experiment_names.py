"""How an experiment may be named: by its name, its number or a start of its commit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from histories import asked, line
from told import KEEP, source

from kg.errors import BadArgument


def related(found, text, **scope):
    rows = asked(found, "relations", experiment=text, **scope).rows
    return {row["experiment"] for row in rows}


HASHES = ("0000000", "abcd1", "abcd2", "1234567", "12345678" * 5)


def hashed():
    """Five experiments, each built on the one before, with commits as tables have them."""
    told = line([(source(8 + n), 1.0 - n / 10, KEEP) for n in range(5)])
    return [replace(record, commit=HASHES[record.seq]) for record in told]


@pytest.mark.parametrize("text", ["t-0002", "2", "#2", "abcd2", "ABCD2", "abcd2" + "0" * 35])
def test_an_experiment_goes_by_its_name_its_number_or_a_start_of_its_commit(text):
    assert related(hashed(), text) == {"t-0001", "t-0003"}


def test_a_number_of_seven_digits_may_start_a_commit():
    assert related(hashed(), "12345678") == {"t-0003"}  # t-0004, although t-0003 starts it too
    assert related(hashed(), "1234567") == {"t-0002", "t-0004"}  # t-0003 itself
    assert related(hashed(), "12345670") == {"t-0002", "t-0004"}  # all the table has of t-0003
    with pytest.raises(BadArgument, match="'7777777': no experiment has this name, number or"):
        related(hashed(), "7777777")
    with pytest.raises(BadArgument, match="'11': no experiment has this name, number or"):
        related(hashed(), "11")
    with pytest.raises(BadArgument, match="'#12345678': no experiment has this name, number or"):
        related(hashed(), "#12345678")  # a number it is, and no commit
    with pytest.raises(BadArgument, match=r"commit; t has t-0000 to t-0004$"):
        related(hashed(), "183")


def test_a_start_that_several_commits_have_names_their_experiments():
    with pytest.raises(BadArgument, match="'abcd': means t-0001, t-0002; give a name"):
        related(hashed(), "abcd")
    with pytest.raises(BadArgument, match="'abc': no experiment"):
        related(hashed(), "abc")


def test_a_number_needs_a_campaign_where_there_are_several():
    edits = [(source(), 1.0, KEEP), (source(9), 0.9, KEEP)]
    two = [*line(edits, tag="a"), *line(edits, tag="b")]
    rows = asked(two, "common", a="0", b="1", campaign="b").rows
    assert ("common ancestor", "b-0000", "b-0000") in {(r["what"], r["a"], r["b"]) for r in rows}
    with pytest.raises(
        BadArgument, match="'1': is a number in a campaign, and there are a, b; add"
    ):
        related(two, "1")
    with pytest.raises(BadArgument, match=r"'9': no experiment .*; the campaigns are a, b"):
        related(two, "9")
