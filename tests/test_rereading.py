"""Reading only what was not seen before keeps the same as reading all of every document."""

from __future__ import annotations

from random import Random

import pytest

from aggregator.parse import parse_feed
from aggregator.parse.split import split
from aggregator.types import Failed, Fetched, Seen, SeenItem
from tests.databases import Databases
from tests.mutations import FEEDS, content_type, mutate
from tests.rereading import URL, Reader, later_documents
from tests.stage import item, rss

ITEMS = [
    item(
        str(number),
        extra=f"<description>The {number} ferries of Harbury were late for the {number}th day.</description>",
    )
    for number in range(12)
]


def _compare(databases: Databases, documents: list[tuple[bytes, str]]) -> int:
    """How many items were left out; the two ways must keep the same after each document."""
    whole = Reader(databases.new(), whole=True)
    rest = Reader(databases.new(), whole=False)
    try:
        for body, kind in documents:
            for reader in (whole, rest):
                reader.read(body, kind)
            assert rest.stored() == whole.stored()
    finally:
        whole.close()
        rest.close()
    assert not whole.skipped
    return rest.skipped


@pytest.mark.parametrize("number", range(6))
def test_items_come_go_change_move_and_double(databases: Databases, number: int) -> None:
    body = (*FEEDS, rss(*ITEMS))[number]
    _compare(databases, [(document, "") for document in later_documents(body, "", Random(number))])


@pytest.mark.parametrize("number", range(40))
def test_documents_that_chance_made(databases: Databases, number: int) -> None:
    seeds = [*FEEDS, rss(*ITEMS)]
    bodies = [seeds[number % len(seeds)], mutate(number, seeds), mutate(1000 + number, seeds)]
    _compare(databases, [(body, content_type(number)) for body in (*bodies, bodies[0], bodies[1])])


def test_what_was_seen_is_left_out(databases: Databases) -> None:
    documents = [rss(*ITEMS[2:]), rss(*ITEMS[1:11]), rss(*ITEMS), rss(ITEMS[0], *ITEMS[5:9])]
    assert _compare(databases, [(document, "") for document in documents]) == 9 + 10 + 5


def test_a_new_item_at_the_address_of_a_known_one_makes_all_be_read(databases: Databases) -> None:
    twin = item("other", link="https://paper.example/3#top")
    documents = [rss(*ITEMS), rss(twin, *ITEMS), rss(item("again", guid="guid-4"), *ITEMS)]
    assert _compare(databases, [(document, "") for document in documents]) == 0


def test_the_frame_counts_but_for_its_times() -> None:
    first = rss(*ITEMS[:2], channel="<lastBuildDate>Mon</lastBuildDate><language>en</language>").decode()
    later = rss(*ITEMS[1:], channel="<lastBuildDate>Tue</lastBuildDate> <language>en</language>").decode()
    other = rss(*ITEMS[1:], channel="<lastBuildDate>Tue</lastBuildDate><language>fr</language>").decode()
    frames = [getattr(split(text, URL), "frame", None) for text in (first, later, other)]
    assert frames[0] == frames[1] != frames[2]
    assert getattr(split(first, "https://elsewhere.example/"), "frame", None) != frames[0]


@pytest.mark.parametrize(
    "text",
    [
        "<rss><channel><item><item/></item></channel></rss>",
        "<rss><item><title>Outside</title></item></rss>",
        "<rss xmlns:a='urn:a'><channel><a:item/><item/></channel></rss>",
        "<rss><channel><item xmlns:m='http://search.yahoo.com/mrss/'><m:title>T</m:title></item></channel></rss>",
        "<rss><channel><item></channel></rss>",
    ],
)
def test_items_that_may_depend_on_one_another_are_not_told_apart(text: str) -> None:
    assert split(text, URL) is None


def test_an_item_is_cut_out_to_its_last_byte() -> None:
    text = "<feed><title>T</title><entry a='>'/><entry>\u00e9<x/></entry ><entry></entry></feed>"
    parts = split(text, URL)
    assert parts is not None
    assert [parts.document[start:end].decode() for start, end in parts.spans] == [
        "<entry a='>'/>",
        "<entry>\u00e9<x/></entry >",
        "<entry></entry>",
    ]
    rest, left = parts.without({parts.contents[0]: 0, parts.contents[2]: 0})
    assert rest.decode() == "<feed><title>T</title><entry>\u00e9<x/></entry ></feed>"
    assert left == [parts.contents[1]]


def test_empty_items_are_remembered_as_nothing() -> None:
    fetched = Fetched(URL, 200, rss("<item></item>", ITEMS[0]), "", "", "", "", None, "")
    first = parse_feed(fetched)
    assert not isinstance(first, Failed)
    (empty,) = first.skipped
    assert empty == SeenItem(empty.content)
    again = parse_feed(fetched, Seen(first.frame, (empty, SeenItem(first.contents[0], 1, 2, 3, 4))))
    assert not isinstance(again, Failed)
    assert (again.entries, len(again.skipped)) == ((), 2)
