"""The sample feeds keep what they promise: they parse, their copies are copies, and the server serves them."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from io import BytesIO
from typing import Any

import feedparser
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.demo import (
    DemoServer,
    SampleFeed,
    expected_copies,
    expected_events,
    look_alikes,
    sample_feeds,
)
from aggregator.demo.stories import TRUNCATION_MARK, Kind, SampleItem, read_items

NOW = datetime(2031, 3, 14, 9, 26, 53, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.timezones())  # noqa: DTZ001 - Hypothesis adds the zone


@dataclass(frozen=True, slots=True)
class Delivered:
    """An item as a reader gets it from the feed's bytes."""

    guid: str
    link: str
    title: str
    lang: str
    summary: str
    html: str
    published: datetime


def read(feed: SampleFeed) -> list[Delivered]:
    if "json" in feed.content_type:
        return [_from_json(item) for item in json.loads(feed.body)["items"]]
    parsed = feedparser.parse(BytesIO(feed.body), sanitize_html=False, resolve_relative_uris=False)
    assert not parsed.bozo, parsed.get("bozo_exception")
    return [_from_feedparser(entry) for entry in parsed.entries]


def _from_json(item: dict[str, Any]) -> Delivered:
    published = datetime.fromisoformat(item["date_published"])
    return Delivered(
        item["id"],
        item["url"],
        item["title"],
        item["language"],
        item["summary"],
        item["content_html"],
        published,
    )


def _from_feedparser(entry: Any) -> Delivered:
    year, month, day, hour, minute, second = (entry.get("published_parsed") or entry.updated_parsed)[:6]
    published = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    html = entry.content[0].value if "content" in entry else ""
    summary = entry.get("summary", "")
    return Delivered(entry.id, entry.link, entry.title, entry.get("language", ""), summary, html, published)


def paragraphs(item: Delivered) -> list[str]:
    """The delivered paragraphs without the linked teasers at the end."""
    if not item.html:
        return [unescape(item.summary)]
    return [unescape(text) for text in re.findall(r"<p>([^<]*)</p>", item.html)]


def without_dateline(text: str) -> str:
    return re.sub(r"^[A-Z ]+ \(NWA\) - ", "", text)


@pytest.fixture(scope="module")
def feeds() -> tuple[SampleFeed, ...]:
    return sample_feeds(NOW)


@pytest.fixture(scope="module")
def delivered(feeds: tuple[SampleFeed, ...]) -> dict[str, Delivered]:
    return {item.guid: item for feed in feeds for item in read(feed)}


@pytest.fixture(scope="module")
def server(feeds: tuple[SampleFeed, ...]) -> Iterator[DemoServer]:
    with DemoServer(feeds) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: DemoServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False) as opened:
        yield opened


def of_kind(*kinds: Kind) -> list[SampleItem]:
    return [item for item in read_items() if item.kind in kinds]


# ---- the feeds -------------------------------------------------------------------------------------


def test_every_feed_parses_and_holds_all_items_of_its_outlet(feeds: tuple[SampleFeed, ...]) -> None:
    counts = Counter(item.outlet.title for item in read_items())
    assert {feed.title: len(read(feed)) for feed in feeds} == counts


def test_no_guid_stands_twice(feeds: tuple[SampleFeed, ...]) -> None:
    guids = [item.guid for feed in feeds for item in read(feed)]
    assert len(guids) == len(set(guids))
    assert set(guids) == set(expected_events())


def test_every_dialect_and_every_shape_of_item_occurs(feeds: tuple[SampleFeed, ...]) -> None:
    outlets = {item.outlet for item in read_items()}
    assert {outlet.dialect for outlet in outlets} == {"rss", "rdf", "atom", "json"}
    assert {outlet.carries for outlet in outlets} == {"full", "summary", "headline"}
    assert len(feeds) == len(outlets)


def test_a_feed_carries_what_its_outlet_carries(delivered: dict[str, Delivered]) -> None:
    for item in read_items():
        got = delivered[item.guid]
        assert bool(got.html) == (item.outlet.carries == "full")
        assert bool(got.summary) == (item.outlet.carries != "headline")
        assert unescape(got.title) == item.title


def test_every_item_outside_the_headline_feed_tells_its_story() -> None:
    assert [
        item.key for item in read_items() if not item.paragraphs and item.outlet.carries != "headline"
    ] == []


def test_links_carry_tracking_where_the_outlet_tracks_and_guids_never_do(
    delivered: dict[str, Delivered],
) -> None:
    for item in read_items():
        assert delivered[item.guid].link.partition("?")[::2] == (item.url, item.outlet.tracking)
        assert "?" not in item.guid


def test_all_hosts_are_reserved_names() -> None:
    assert all(re.search(r"(\.example|\.test|\.example\.com)$", item.outlet.host) for item in read_items())


@settings(max_examples=15, deadline=None)
@given(now=MOMENTS)
def test_all_items_are_at_most_two_days_old_whatever_the_time(now: datetime) -> None:
    for feed in sample_feeds(now):
        for item in read(feed):
            assert timedelta(0) <= now.replace(microsecond=0) - item.published <= timedelta(hours=48)


@settings(max_examples=15, deadline=None)
@given(now=MOMENTS)
def test_the_same_moment_gives_the_same_bytes(now: datetime) -> None:
    assert (
        sample_feeds(now) == sample_feeds(now) == sample_feeds(now.astimezone(timezone(timedelta(hours=9))))
    )


def test_later_feeds_differ_in_nothing_but_their_dates(delivered: dict[str, Delivered]) -> None:
    later = timedelta(days=400, minutes=7)
    for feed in sample_feeds(NOW + later):
        for item in read(feed):
            assert item.published - later == delivered[item.guid].published
            assert (item.link, item.html) == (delivered[item.guid].link, delivered[item.guid].html)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        sample_feeds(NOW.replace(tzinfo=None))


# ---- the stories -----------------------------------------------------------------------------------


def test_a_copy_is_delivered_word_for_word(delivered: dict[str, Delivered]) -> None:
    for item in of_kind(Kind.COPY):
        source = [without_dateline(text) for text in paragraphs(delivered[expected_copies()[item.guid]])]
        copied = [without_dateline(text) for text in paragraphs(delivered[item.guid])]
        assert copied[: len(source)] == source, item.key
        # What follows in a copy are whole related items only.
        assert len(copied) - len(source) <= len(item.related), item.key


def test_a_truncated_item_is_a_start_of_its_source(delivered: dict[str, Delivered]) -> None:
    for item in of_kind(Kind.TRUNCATED):
        source = " ".join(paragraphs(delivered[expected_copies()[item.guid]]))
        (cut,) = paragraphs(delivered[item.guid])
        assert cut.endswith(TRUNCATION_MARK)
        assert without_dateline(source).startswith(cut.removesuffix(TRUNCATION_MARK)), item.key
        assert len(cut) < len(source)


def test_an_edit_shares_most_words_with_its_source_but_not_all() -> None:
    by_key = {item.key: item for item in read_items()}
    for item in of_kind(Kind.EDIT):
        ours = set(" ".join(item.paragraphs).split())
        theirs = set(" ".join(by_key[item.taken_from].paragraphs).split())
        assert ours != theirs
        assert len(ours & theirs) / len(ours) > 0.9, item.key


def test_a_rewrite_or_update_repeats_no_paragraph_of_its_story() -> None:
    for item in of_kind(Kind.REWRITE, Kind.UPDATE):
        others = {
            text
            for other in read_items()
            if other.story == item.story and item.key not in {other.key, other.taken_from}
            for text in other.paragraphs
        }
        assert others.isdisjoint(item.paragraphs), item.key


def test_copies_tell_the_event_of_their_source_and_come_later() -> None:
    events = expected_events()
    by_guid = {item.guid: item for item in read_items()}
    copies = expected_copies()
    assert copies
    for copy, source in copies.items():
        assert events[copy] == events[source]
        assert by_guid[copy].hours_ago < by_guid[source].hours_ago


def test_an_update_comes_after_the_story_it_updates() -> None:
    for item in of_kind(Kind.UPDATE):
        first = max(other.hours_ago for other in read_items() if other.story == item.story)
        assert item.hours_ago < first


def test_look_alikes_are_events_of_their_own() -> None:
    stories = set(expected_events().values())
    assert len(look_alikes()) >= 8
    for story, other in look_alikes():
        assert story != other
        assert {story, other} <= stories


def test_a_linked_teaser_is_the_cut_start_of_another_story(delivered: dict[str, Delivered]) -> None:
    whole_texts = {" ".join(paragraphs(item)): expected_events()[guid] for guid, item in delivered.items()}
    teasers = 0
    for guid, item in delivered.items():
        for line in re.findall(r"<p><a [^>]*>([^<]*)</a></p>", item.html):
            teaser = unescape(line)
            teasers += 1
            assert teaser.endswith("…")
            assert len(teaser) <= 60
            stories = {story for text, story in whole_texts.items() if text.startswith(teaser[:-1])}
            assert len(stories) == 1
            assert stories != {expected_events()[guid]}
    assert teasers >= 10


def test_a_short_related_item_stands_whole_before_its_teaser(delivered: dict[str, Delivered]) -> None:
    (short,) = paragraphs(delivered["tarn-library-book-tarn"])
    lines = delivered["tarn-ferry-strike-tarn"].html.split("\n")
    place = lines.index(f"<p>{short}</p>")
    assert f">{short[:59].rstrip()}…</a>" in lines[place + 1]


# ---- the server ------------------------------------------------------------------------------------


def test_a_feed_is_sent_once_and_then_not_modified(
    feeds: tuple[SampleFeed, ...], client: httpx.Client
) -> None:
    for feed in feeds:
        first = client.get(feed.path)
        assert (first.status_code, first.content) == (200, feed.body)
        assert first.headers["Content-Type"] == feed.content_type
        again = client.get(feed.path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("wanted", ["*", '"other", {etag}', "{strong}"])
def test_every_form_of_a_matching_validator_is_understood(wanted: str, client: httpx.Client) -> None:
    etag = client.get("/nwa.xml").headers["ETag"]
    sent = wanted.format(etag=etag, strong=etag.removeprefix("W/"))
    assert client.get("/nwa.xml", headers={"If-None-Match": sent}).status_code == 304


def test_another_validator_gets_the_feed(client: httpx.Client) -> None:
    assert client.get("/nwa.xml", headers={"If-None-Match": '"older"'}).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.00", False),
        ("identity", False),
    ],
)
def test_a_feed_is_gzipped_if_the_client_accepts_it(
    accepted: str, *, zipped: bool, feeds: tuple[SampleFeed, ...], client: httpx.Client
) -> None:
    with client.stream("GET", feeds[0].path, headers={"Accept-Encoding": accepted}) as response:
        raw = b"".join(response.iter_raw())
    assert (response.headers.get("Content-Encoding") == "gzip") == zipped
    assert (gzip.decompress(raw) if zipped else raw) == feeds[0].body
    assert response.headers["Vary"] == "Accept-Encoding"


def test_head_sends_the_headers_of_get_alone(feeds: tuple[SampleFeed, ...], client: httpx.Client) -> None:
    response = client.head(feeds[0].path, headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(feeds[0].body))


@pytest.mark.parametrize("path", ["/", "/nothing.xml", "/../pyproject.toml", "/nwa.xml/"])
def test_there_is_nothing_else_to_be_had(path: str, client: httpx.Client) -> None:
    assert client.get(path).status_code == 404


def test_the_server_says_nothing(client: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.get("/nwa.xml")
    client.get("/nothing.xml")
    assert capfd.readouterr() == ("", "")


def test_the_opml_lists_every_feed_under_its_category(
    feeds: tuple[SampleFeed, ...], server: DemoServer, client: httpx.Client
) -> None:
    body = ET.fromstring(server.opml()).find("body")
    assert body is not None
    listed = dict(_outlines(body, ()))
    assert listed == {server.base_url + feed.path: (feed.category, feed.title) for feed in feeds}
    assert all(client.head(url).status_code == 200 for url in listed)


def _outlines(parent: ET.Element, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, str]]]:
    for outline in parent:
        if "xmlUrl" in outline.attrib:
            yield outline.attrib["xmlUrl"], ("/".join(path), outline.attrib["text"])
        else:
            yield from _outlines(outline, (*path, outline.attrib["text"]))


def test_a_server_that_was_left_answers_no_more(feeds: tuple[SampleFeed, ...]) -> None:
    with DemoServer(feeds) as running:
        address = running.base_url
    with pytest.raises(httpx.ConnectError):
        httpx.get(address + feeds[0].path, trust_env=False)
