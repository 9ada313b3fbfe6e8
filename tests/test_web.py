"""What people and programs get from the page: the database, in every form, and nothing that harms."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, text, update

from aggregator.cli.parser import parse
from aggregator.config import load_settings
from aggregator.meters import Meters
from aggregator.opml import read_opml
from aggregator.store import Store, feeds, listing, open_store
from aggregator.store.syncing import sync_feeds
from aggregator.store.tables import ENTRY, EVENT
from aggregator.types import EventFilter, Feed, FeedSettings, Place
from aggregator.web import WebError, WebServer
from aggregator.web.cursors import CursorError, read_place, write_place
from aggregator.web.templates import language, marked, shown
from tests.databases import Databases
from tests.documents import blocks, first_column
from tests.pages import ENTRIES, bridge, bring, serving

PAGES = (
    "/",
    "/search?q=bridge",
    "/feeds",
    "/docs",
    "/?day=2026-11-23",
    "/search?q=",
    "/search?q=nothing+has+this",
)
READ_ONLY = (
    "/feed.atom",
    "/feed.json",
    "/opml",
    "/api/v1/events",
    "/api/v1/entries",
    "/api/v1/feeds",
    *PAGES,
)


SEEN = datetime(2026, 11, 23, 12, tzinfo=UTC)
TIMES = dict.fromkeys(("first_seen_at", "last_seen_at", "news_at"), SEEN)
FLAGS = dict.fromkeys(("date_guessed", "truncated", "pending"), False)
ENTRY_ROW = {"published_at": SEEN, "first_seen_at": SEEN, "text_key": 0, "title_key": 0} | FLAGS


@pytest.fixture(scope="module")
def store(shared_databases: Databases) -> Iterator[Store]:
    """A store with events, not to be written to."""
    store = open_store(shared_databases.new())
    bring(store, ENTRIES)
    yield store
    store.close()


@pytest.fixture
def empty_store(database: str) -> Iterator[Store]:
    store = open_store(database)
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[httpx.Client]:
    with serving(store) as client:
        yield client


def _rows(store: Store, sql: str) -> list[Any]:
    with store.read() as db:
        return list(db.execute(text(sql)))


def _bridge_event(store: Store) -> int:
    return int(_rows(store, "SELECT event_id FROM v1_entry WHERE guid = 'bridge-1'")[0].event_id)


@pytest.mark.parametrize("path", READ_ONLY)
def test_every_page_answers_is_told_apart_and_may_only_be_read(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    tag = answer.headers["etag"]
    again = client.get(path, headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    head = client.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)
    refused = client.post(path, content=b"x")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_every_address_of_the_readme_answers(client: httpx.Client) -> None:
    written = first_column("| address |")
    assert len(written) > 15
    for path in written:
        place = path.replace("ID", "1").replace("WORDS", "bridge").replace("CURSOR", "0")
        with client.stream("GET", place) as answer:
            assert answer.status_code == 200, path
            assert next(answer.iter_raw()), path


@pytest.mark.parametrize("path", PAGES)
def test_pages_ask_nobody_else_for_anything(client: httpx.Client, path: str) -> None:
    page = client.get(path).text
    assert not re.search(r"\s(?:style|on\w+)=", page)
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"([^\"]+)", page)
    assert loaded
    assert all(address.startswith("/") and not address.startswith("//") for address in loaded)
    for address in loaded:
        assert client.get(address).status_code == 200


def test_an_event_tells_its_record_and_why_each_entry_is_there(client: httpx.Client, store: Store) -> None:
    number = _bridge_event(store)
    page = client.get(f"/events/{number}").text
    for words in (
        "Shopkeepers on the market square",
        "Bridge-1 Gazette",
        "Bridge-3 Gazette",
        "It has the same text",
    ):
        assert words in page
    record = client.get(f"/api/v1/events/{number}").json()
    assert {entry["guid"] for entry in record["entries"]} == {"bridge-1", "bridge-2", "bridge-3"}
    assert [teaser["kind"] for teaser in record["teasers"]].count("coverage") == 2


def test_a_merged_event_leads_to_the_one_it_is_in(empty_store: Store) -> None:
    store = empty_store
    bring(store, ENTRIES)
    with store.write() as db:
        db.execute(text("UPDATE event SET merged_into = 2 WHERE id = 1"))
    with serving(store) as client:
        answer = client.get("/events/1")
        assert (answer.status_code, answer.headers["location"]) == (308, "/events/2")
        assert client.get("/api/v1/events/1").json()["merged_into"] == 2


@pytest.mark.parametrize(
    "path", ["/events/99999", "/nothing", "/static/../config.py", "/api/v1/events/99999"]
)
def test_what_is_not_there_is_said_to_be_missing(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    if path.startswith("/api"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 404
    else:
        assert "<h1>Not Found</h1>" in answer.text


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "since=yesterday", "since=2026-01-01", "cursor=abc", "cursor=fjE", "after=-1"],
)
def test_wrong_requests_are_told_what_is_wrong(client: httpx.Client, query: str) -> None:
    path = "changes" if query.startswith("after") else "events"
    answer = client.get(f"/api/v1/{path}?{query}")
    assert answer.status_code == 400 or query == "cursor=fjE"
    if answer.status_code == 400:
        assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_pages_of_events_have_each_event_once(client: httpx.Client, store: Store) -> None:
    for query in ("", "&q=a", "&lang=en"):
        found: list[int] = []
        cursor = ""
        while True:
            page = client.get(f"/api/v1/events?limit=2{query}&cursor={cursor}").json()
            found += [event["id"] for event in page["events"]]
            cursor = page["next"]
            if not cursor:
                break
        whole = client.get(f"/api/v1/events?limit=200{query}").json()["events"]
        assert found == [event["id"] for event in whole]
        assert len(found) == len(set(found))
        if not query:
            expected = _rows(store, "SELECT id FROM v1_event WHERE merged_into IS NULL")
            assert sorted(found) == sorted(row.id for row in expected)


def test_the_river_is_in_order_of_the_news_and_not_of_its_arrival(empty_store: Store) -> None:
    store = empty_store
    ferry = {
        "id": "ferry",
        "source": "Harbour",
        "title": "A ferry ran aground",
        "published": "2026-11-23T08:00:00Z",
    }
    bring(store, [ferry])
    # An archive, a program of next year, and what has no date came later.
    choir = {
        "id": "choir",
        "source": "Chapel",
        "title": "Choir plans summer",
        "published": "2027-06-01T08:00:00Z",
    }
    owl = {
        "id": "owl",
        "source": "Woods",
        "title": "Owl counted in the woods",
        "published": "2019-03-01T08:00:00Z",
    }
    bring(store, [owl, choir, {"id": "undated", "source": "Chess", "title": "Chess club moves house"}])
    with serving(store) as client:

        def titles(path: str) -> list[str]:
            return re.findall(r"<h2 [^>]*><a [^>]*>(\w+)", client.get(path).text)

        assert titles("/") == ["Chess", "Choir", "A", "Owl"]
        assert titles("/?day=2019-03-01") == ["Owl"]
        assert titles("/?day=2027-06-01") == []
        assert sorted(titles("/?day=2026-11-23")) == ["A", "Chess", "Choir"]


def test_pages_of_a_search_have_each_event_once_under_its_newest_fitting_entry(empty_store: Store) -> None:
    store = empty_store
    with store.write() as db:
        sync_feeds(db, [Feed("https://news.example/rss", "News", "", "")], load_settings({}), SEEN)
        (feed,) = feeds.listed_feeds(db)
        # Seven events of one to seven entries, spread over all of them; every fourth entry has not the word.
        order = sorted(
            (number * 37 % 101, event) for event in range(1, 8) for number in range(event, 29, event)
        )
        events = [{"id": event, "entry_count": 1, "source_count": 1} | TIMES for event in range(1, 8)]
        db.execute(insert(EVENT), events)
        entries: list[dict[str, Any]] = [
            ENTRY_ROW | {"id": number, "feed_id": feed.id, "identity": str(number), "event_id": event}
            | {"title": "a bridge" if number % 4 else "a tunnel"}
            for number, (_, event) in enumerate(order, 1)
        ]  # fmt: skip
        db.execute(insert(ENTRY), entries)
        for event in range(1, 8):
            first = min(entry["id"] for entry in entries if entry["event_id"] == event)
            db.execute(update(EVENT).where(EVENT.c.id == event).values(canonical_entry_id=first))
    newest: dict[int, int] = {}
    for entry in reversed(entries):
        if entry["title"] == "a bridge":
            newest.setdefault(entry["event_id"], entry["id"])
    for size in (1, 2, 3, 10):
        found: list[int] = []
        place: Place | None = None
        with store.read() as db:
            while True:
                page = listing.list_events(db, EventFilter(words="bridge"), size, place)
                found += [event.id for event in page.events]
                place = page.next
                if place is None:
                    break
        assert found == list(newest), size


def test_words_and_filters_find_what_has_them(empty_store: Store) -> None:
    store = empty_store
    bring(store, ENTRIES)
    with serving(store) as client:

        def titles(query: str) -> list[str]:
            events = client.get(f"/api/v1/events?{query}").json()["events"]
            return sorted(event["title"][:8] for event in events)

        assert titles("q=BRIDGE+harbury") == ["The old "]
        assert titles("q=schubert") == ["A girl o"]
        assert titles("q=bridge+schubert") == []
        assert len(titles("q=the")) == 3
        assert titles("q=知事") == ["東京都知事が新し"[:8]]
        assert titles("lang=ar") == ["افتتاح ج"]
        assert titles("source=frost-1 GAZETTE") == ["Growers "]
        assert titles("q=%22%27)+OR+NEAR(*") == []
        assert titles("since=2026-11-24T00:00:00Z") == []
        assert len(titles("until=2026-11-24T00:00:00Z")) == len(titles(""))
        bring(store, [ENTRIES[3] | {"title": "Now of a violin", "text": "A violin was found in the river."}])
        assert titles("q=violin") != []
        assert client.get("/api/v1/entries?q=violin").json()["entries"][0]["title"] == "Now of a violin"
        assert client.get("/metrics").status_code == 200
        assert client.get("/feeds").status_code == 200


def test_feeds_read_back_are_the_database(client: httpx.Client, store: Store) -> None:
    stored = _rows(
        store, "SELECT * FROM v1_event WHERE merged_into IS NULL ORDER BY last_seen_at DESC, id DESC"
    )
    site = str(client.base_url)
    parsed = feedparser.parse(io.BytesIO(client.get("/feed.atom").content), sanitize_html=False)
    assert not parsed.bozo
    items = client.get("/feed.json").json()["items"]
    assert [entry.id for entry in parsed.entries] == [f"{site}events/{row.id}" for row in stored]
    assert [item["id"] for item in items] == [entry.id for entry in parsed.entries]
    for row, entry, item in zip(stored, parsed.entries, items, strict=True):
        assert item["title"] == row.title
        assert entry.updated == item["date_modified"]
        assert entry.updated[:19] == str(row.last_seen_at)[:19].replace(" ", "T")
        assert entry.links[0].href == item["url"] == f"{site}events/{row.id}"
        assert (entry.content[0].value, entry.content[0].type) == (item["content_html"], "text/html")
    bridge_item = next(item for item in items if "old bridge" in item["title"])
    assert bridge_item["content_html"].count("<li>") >= 2
    assert [item["id"] for item in client.get("/feed.json?q=schubert").json()["items"]] != []


def test_what_strangers_wrote_harms_no_page(client: httpx.Client, store: Store) -> None:
    number = _rows(store, "SELECT event_id FROM v1_entry WHERE guid = 'hostile'")[0].event_id
    for path in ("/", f"/events/{number}", "/search?q=alert", "/search?q=%3Cscript%3E", "/feeds"):
        page = client.get(path).text
        assert not re.search(
            r"<script(?! src=\"/static/)|<img|<iframe|<style|onerror=[^&]*>|href=\"javascript", page
        )
        assert "\u202e" not in page
        assert max(map(len, re.findall(r">([^<]+)<", page))) < 21_000


def test_the_list_comes_back_as_opml(client: httpx.Client) -> None:
    answer = client.get("/opml")
    assert answer.headers["content-type"].startswith("text/x-opml")
    assert "<opml" in answer.text


def test_the_list_as_opml_has_what_is_set_for_feeds_and_no_credentials(empty_store: Store) -> None:
    store = empty_store
    wanted = FeedSettings(interval=1800, enabled=False, language="fr", weight=2.5, keep_days=30)
    feeds = [
        Feed(
            "https://me:hidden@paper.example/rss",
            "Paper",
            "World/Europe",
            "https://me:hidden@paper.example/",
            wanted,
        ),
        Feed("https://wire.example/rss", "Wire", "", ""),
    ]
    with store.write() as db:
        sync_feeds(db, feeds, load_settings({}), datetime.now(UTC))
    with serving(store) as client:
        given = client.get("/opml").content
    assert b"hidden" not in given
    assert b'xmlns:agg="urn:news-event-aggregator:opml:1"' in given
    found = {feed.title: feed for feed in read_opml(given).feeds}
    assert found["Paper"] == replace(
        feeds[0], url="https://paper.example/rss", site_url="https://paper.example/"
    )
    assert found["Wire"] == feeds[1]


def test_changes_can_be_waited_for(empty_store: Store) -> None:
    store = empty_store
    bring(store, ENTRIES[:2])
    with serving(store) as client:
        before = client.get("/api/v1/events")
        known = client.get("/api/v1/changes").json()
        assert [change["cursor"] for change in known["changes"]] == list(range(1, known["next"] + 1))
        assert client.get(f"/api/v1/changes?after={known['next']}").json()["changes"] == []
        later = threading.Thread(target=bring, args=(store, [bridge(1)]))
        later.start()
        waited = client.get(f"/api/v1/changes?after={known['next']}&wait=20").json()
        later.join()
        assert waited["changes"][0]["kind"] == "updated"
        with client.stream("GET", "/api/v1/changes/stream", headers={"last-event-id": "0"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            ids: list[str] = []
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    ids.append(line.removeprefix("id: "))
                if len(ids) == waited["next"]:
                    break
        assert ids == [str(number) for number in range(1, waited["next"] + 1)]
        after = client.get("/api/v1/events", headers={"if-none-match": before.headers["etag"]})
        assert (after.status_code, after.json()["events"][0]["entry_count"]) == (200, 3)


def test_answers_begin_in_time_but_for_those_that_wait(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = client.get("/api/v1/changes?limit=1000").json()["next"]
    monkeypatch.setattr("aggregator.web.guard.ANSWER_SECONDS", 0.0)
    assert client.get(f"/api/v1/changes?after={last}&wait=0.3").json() == {"changes": [], "next": last}
    late = client.get("/api/v1/feeds")
    assert (late.status_code, late.json()["detail"]) == (
        503,
        "The database did not answer in time: ask again.",
    )


def test_figures_can_be_read_by_prometheus(client: httpx.Client) -> None:
    families = {family.name for family in text_string_to_metric_families(client.get("/metrics").text)}
    assert {
        "aggregator_entries",
        "aggregator_events",
        "aggregator_polls",
        "aggregator_event_lag_seconds",
    } <= families
    assert (client.get("/healthz").text, client.get("/livez").text) == ("ok\n", "ok\n")


def test_the_documents_rules_for_alerts_ask_for_figures_that_there_are(client: httpx.Client) -> None:
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    there = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    (shown,) = blocks("yaml")
    (group,) = yaml.safe_load(shown.body)["groups"]
    assert len(group["rules"]) >= 6
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "annotations"}
        assert set(re.findall(r"aggregator_\w+", rule["expr"])) <= there, rule["alert"]
        said = rule["expr"] + rule["annotations"]["summary"]
        assert set(re.findall(r"(?:\{|by \(|labels\.)(\w+)", said)) <= labels, rule["alert"]
        for command in re.findall(r"run\.py (.*)", said):
            parse(command.split())


def test_answers_are_sent_at_once(store: Store) -> None:
    """Headers and body are two writes: with Nagle's algorithm the second waits for the client's acknowledgement."""
    with WebServer(store, load_settings({"port": 0}), Meters()) as server:
        assert server._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_other_names_of_this_server_are_refused(client: httpx.Client, store: Store) -> None:
    for host, status in (
        ("evil.example", 421),
        ("localhost:1", 200),
        ("[::1]", 200),
        ("10.0.0.1", 421),
        ("", 421),
    ):
        assert client.get("/healthz", headers={"host": host}).status_code == status
    with serving(store, web_hosts="news.example") as named:
        assert named.get("/", headers={"host": "News.Example:80"}).status_code == 200


def test_endless_requests_are_refused(client: httpx.Client) -> None:
    assert client.get("/search?q=" + "x" * 5000).status_code == 414
    assert client.request("GET", "/", content=b"x" * 20_000).status_code == 413


def test_a_token_is_asked_of_readers(store: Store) -> None:
    with serving(store, token="s3cret-word") as client:
        assert client.get("/").status_code == 401
        assert client.get("/api/v1/events", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/healthz").status_code == 200
        shown = {"authorization": "Bearer s3cret-word"}
        assert client.get("/api/v1/events", headers=shown).status_code == 200
        welcome = client.get("/search?q=bridge&token=s3cret-word")
        assert (welcome.status_code, welcome.headers["location"]) == (303, "/search?q=bridge")
        assert "HttpOnly" in welcome.headers["set-cookie"]
        assert client.get("/").status_code == 200  # the client keeps cookies


def test_other_addresses_need_a_token_or_a_word(store: Store) -> None:
    with pytest.raises(WebError, match="set TOKEN to a secret"):
        WebServer(store, load_settings({"host": "0.0.0.0", "port": 0}), Meters())


def test_a_port_in_use_is_told(client: httpx.Client, store: Store) -> None:
    with pytest.raises(WebError, match="choose another with --host or --port"):
        WebServer(store, load_settings({"port": client.base_url.port}), Meters()).start()


def test_the_api_does_what_it_says_of_itself(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text("[parameters]\nwait = 0\n")
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{client.base_url}api/v1/openapi.json",
            "--exclude-path=/api/v1/changes/stream",
            "--max-examples=15",
            "--seed=1",
            "--checks=all",
            # Other methods are refused before anything is looked at; cursors are ours to make up.
            "--exclude-checks=unsupported_method,positive_data_acceptance",
        ],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:]


def test_texts_are_shown_as_they_are_read_and_cover_nothing() -> None:
    assert shown("می\u200cشود \U0001f469\u200d\U0001f467") == "می\u200cشود \U0001f469\u200d\U0001f467"
    assert shown("a\u202eb\u2066c\x00d") == "abcd"
    assert shown("z" + "\u0335" * 50 + "a") == "z" + "\u0335" * 6 + "a"
    assert shown("long " * 100, 20) == "long long long long…"
    assert (language("fr"), language("xx")) == ("French", "xx")


def test_what_was_searched_is_marked_and_nothing_else_is_markup() -> None:
    assert marked("<b>Bridge & bridges</b> at Café", "bridge cafe") == (
        "&lt;b&gt;<mark>Bridge</mark> &amp; bridges&lt;/b&gt; at <mark>Café</mark>"
    )
    assert marked("東京都知事が橋を", "知事") == "東京都<mark>知事</mark>が橋を"
    assert marked("amp & lt", "lt amp") == "<mark>amp</mark> &amp; <mark>lt</mark>"
    assert marked("<i>", "") == "&lt;i&gt;"


def test_filters_show_what_they_filter_by(client: httpx.Client) -> None:
    page = client.get("/?category=Sport/Chess&lang=xx").text
    assert '<option value="Sport/Chess" selected>' in page
    assert '<option value="xx" selected>xx</option>' in page
    assert "No event fits" in page


def test_a_new_database_says_what_will_come(empty_store: Store) -> None:
    store = empty_store
    with serving(store) as client:
        assert "No events yet" in client.get("/").text
        assert "No event has all these words" in client.get("/search?q=bridge").text
        assert "No feed is listed" in client.get("/feeds").text


def test_cursors_come_back_as_they_went() -> None:
    assert read_place("") is None
    assert read_place(write_place(Place(None, 7))) == Place(None, 7)
    for wrong in ("abc", "!", "fn4", write_place(Place(None, -1))):
        with pytest.raises(CursorError):
            read_place(wrong)
