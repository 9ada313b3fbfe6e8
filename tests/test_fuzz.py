"""Whatever bytes come, parse, normalise and opml keep their promises; a failure shows what repeats it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator.normalise import normalise
from aggregator.opml import read_opml
from aggregator.parse import parse_feed
from aggregator.parse.mend import mend
from aggregator.types import Entry, Fetched, ParsedEntry, ParsedFeed
from tests.floods import FEED_FLOODS, LIST_FLOODS
from tests.mutations import CONTENT_TYPES, FEEDS, LISTS, MUTATORS, content_type, mutate, pieces
from tests.promises import NOW, URL, broken_by_feed, broken_by_list, broken_by_normalising

MUTATIONS = 300
BATCH = 50
SMALL_FLOOD = 4000
FLOOD = 200_000


def numbers(first: int) -> range:
    return range(first, first + BATCH)


def parsed(body: bytes) -> ParsedFeed:
    found = parse_feed(Fetched(URL, 200, body, "", "", "", "", None, ""))
    assert isinstance(found, ParsedFeed)
    return found


def only_entry(item: str) -> Entry:
    feed = normalise(parsed(f"<rss version='2.0'><channel>{item}</channel></rss>".encode()), URL, NOW)
    return feed.entries[0]


# ---- whatever comes ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, MUTATIONS, BATCH))
def test_every_mutated_feed_keeps_the_promises(first: int) -> None:
    broken = {
        number: found
        for number in numbers(first)
        if (found := broken_by_feed(mutate(number), content_type(number)))
    }
    assert not broken, "repeat with mutate(number)"


@pytest.mark.parametrize("first", range(0, MUTATIONS, BATCH))
def test_every_mutated_list_keeps_the_promises(first: int) -> None:
    broken = {number: found for number in numbers(first) if (found := broken_by_list(mutate(number, LISTS)))}
    assert not broken, "repeat with mutate(number, LISTS)"


def test_the_seeds_themselves_are_feeds_and_lists_and_break_nothing() -> None:
    for body in FEEDS:
        assert parsed(body).entries
        assert not broken_by_feed(body, "")
    for content in LISTS:
        assert read_opml(content).feeds
        assert not broken_by_list(content)


def test_a_number_always_makes_the_same_mutation_and_all_kinds_occur() -> None:
    assert [mutate(number) for number in range(50)] == [mutate(number) for number in range(50)]
    assert len({mutate(number) for number in range(200)}) > 150
    assert len(set(MUTATORS)) == 11


@given(st.binary(max_size=400), st.sampled_from(CONTENT_TYPES))
def test_any_bytes_keep_the_promises(body: bytes, kind: str) -> None:
    assert not broken_by_feed(body, kind)
    assert not broken_by_list(body)


@given(st.sampled_from(FEEDS), st.integers(0, 3000), st.integers(0, 40), st.binary(max_size=40))
@example(FEEDS[2], 53, 26, b"\x00\r")
def test_any_bytes_in_the_place_of_any_part_keep_the_promises(
    body: bytes, start: int, length: int, other: bytes
) -> None:
    assert not broken_by_feed(body[:start] + other + body[start + length :], "")


@given(st.sampled_from(LISTS), st.integers(0, 1500), st.integers(0, 40), st.binary(max_size=40))
def test_any_bytes_in_the_place_of_any_part_of_a_list_keep_the_promises(
    content: bytes, start: int, length: int, other: bytes
) -> None:
    assert not broken_by_list(content[:start] + other + content[start + length :])


ANY = st.text(max_size=60)
SCRAPS = pieces("<p>‖</p>‖<a href='‖'>‖<img src=/x>‖<b>‖</i>‖<!--‖-->‖<script>‖&lt;‖&#0;‖&amp;‖ ‖x‖\n")
MARKUP = st.lists(st.sampled_from([scrap.decode() for scrap in SCRAPS]) | st.text(max_size=6)).map("".join)


@given(ANY, ANY, MARKUP, MARKUP, ANY, st.booleans())
@example("", "https://a.example:99999/", "<a href='x'>y</a>", "", "", True)
@example("", "", "", "", "0\r0", False)  # a guid with a carriage return
def test_any_strings_in_an_item_leave_it_clean(  # noqa: PLR0917  (drawn, not called)
    link: str,
    base: str,
    content: str,
    summary: str,
    other: str,
    is_html: bool,  # noqa: FBT001  (drawn)
) -> None:
    item = ParsedEntry(
        guid=other,
        link=link,
        title=other,
        title_is_html=is_html,
        summary=summary,
        summary_is_html=is_html,
        content=content,
        content_is_html=is_html,
        base=base,
        author=other,
        lang=other,
        source=other,
        published=None,
    )
    feed = replace(parsed(FEEDS[0]), title=other, site_url=link, lang=other, entries=(item, item))
    assert not broken_by_normalising(feed)


# ---- floods --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FEED_FLOODS)
def test_a_flood_keeps_the_promises(name: str) -> None:
    assert not broken_by_feed(FEED_FLOODS[name](SMALL_FLOOD), "")


@pytest.mark.parametrize("name", LIST_FLOODS)
def test_a_flood_in_a_list_keeps_the_promises(name: str) -> None:
    assert not broken_by_list(LIST_FLOODS[name](SMALL_FLOOD))


@pytest.mark.parametrize(
    "name",
    [
        "b'a' in <author>",
        "b'a.' in <author>",
        "b\" a%d='b'\" in the root",
        "b\" x:a%d='b'\" in the root",
        "b'<category>%d</category>' in a channel",
        "b'a%d,' in <itunes:keywords>",
    ],
)
def test_what_costs_feedparser_the_square_of_its_length_does_not_reach_it(name: str) -> None:
    document = mend(FEED_FLOODS[name](FLOOD).decode())
    assert document.had_excess
    assert len(document.text) < FLOOD / 10


def test_an_endless_base_does_not_multiply() -> None:
    feed = parsed(FEED_FLOODS["items under a long base"](FLOOD))
    assert len(feed.entries) > 1000
    assert sum(len(entry.base) + len(entry.link) for entry in feed.entries) < FLOOD


def test_the_titles_of_outlines_that_are_never_closed_do_not_multiply() -> None:
    folder = "<outline text='folder'><outline xmlUrl='http://a.example/{}'/>"
    found = read_opml(f"<opml><body>{''.join(map(folder.format, range(3000)))}</body></opml>".encode())
    assert len(found.feeds) == 3000
    assert found.feeds[1].category == "folder/folder"
    assert max(len(feed.category) for feed in found.feeds) <= 6000


# ---- faults that mutations found -----------------------------------------------------------------


@pytest.mark.parametrize(
    "base", ["https://a\u3c71>.example/", "https://a.example:99999/", "https://a b.example/"]
)
def test_a_base_that_is_no_address_leaves_the_text_without_its_relative_links(base: str) -> None:
    entry = only_entry(
        f"<item xml:base='{base}'><description>&lt;a href='x'>One&lt;/a> two</description></item>"
    )
    assert entry.text == "One two"
    assert "href" not in entry.html


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\n  ", " \t\r\n "])
def test_an_address_is_one_line(separator: str) -> None:
    entry = only_entry(f"<item><title>x</title><link>https://a.example/one{separator}two</link></item>")
    assert entry.url == "https://a.example/onetwo"


def test_relative_links_do_not_grow_without_end_by_their_base() -> None:
    base = "https://a.example/" + "b/" * 400
    links = "&lt;a href='x'>y&lt;/a> " * 1000
    entry = only_entry(f"<item xml:base='{base}'><description>{links}</description></item>")
    assert len(entry.html) < 100_000
    assert entry.text.startswith("y y y")


def test_an_author_keeps_the_beginning_of_an_endless_name() -> None:
    entry = only_entry(f"<item><title>x</title><author>Ann {'a' * 9000}</author></item>")
    assert entry.author.startswith("Ann aaa")


def test_an_item_with_thousands_of_keywords_keeps_all_else() -> None:
    keywords = "".join(f"<category>{number}</category>" for number in range(6000))
    entry = only_entry(f"<item><title>x</title>{keywords}<link>https://a.example/1</link></item>")
    assert (entry.title, entry.url) == ("x", "https://a.example/1")


def test_a_picture_within_a_long_attribute_stays() -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 2000
    feed = parsed(
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id><content type='xhtml'>"
        f"<div xmlns='http://www.w3.org/1999/xhtml'><img src='{picture}'/></div></content></entry></feed>".encode()
    )
    assert picture in feed.entries[0].content


def test_endless_guids_tell_items_apart_by_keys_that_an_index_takes() -> None:
    long = "\u4e00" * 600
    items = "".join(f"<item><title>x</title><guid>{long}{number}</guid></item>" for number in range(2))
    feed = normalise(parsed(f"<rss version='2.0'><channel>{items}</channel></rss>".encode()), URL, NOW)
    assert [len(entry.guid) for entry in feed.entries] == [601, 601]
    assert all(entry.identity.startswith("g:") and len(entry.identity) < 40 for entry in feed.entries)


def test_an_address_too_long_to_be_looked_up_is_kept_as_it_is() -> None:
    address = "https://a.example/" + "a" * 3000
    first, second = (
        only_entry(f"<item><title>{title}</title><link>{address}</link></item>") for title in ("One", "Two")
    )
    assert first.url == second.url == address
    assert first.canonical_url == ""
    assert first.identity != second.identity
