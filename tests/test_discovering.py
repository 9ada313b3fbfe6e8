"""The feed of a site is found from a page of it, politely, and added under its lasting address."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aggregator.cli import main
from aggregator.config import load_settings
from aggregator.normalise.page import feed_links
from aggregator.opml import read_opml
from aggregator.pipeline.discovering import find_feeds
from aggregator.types import Failed, Feed
from aggregator.workers import ParserPool
from tests.loopback import LoopbackServer, Reply
from tests.program import command, environment
from tests.stage import FEED, ok, rss, said

ATOM = b"<feed xmlns='http://www.w3.org/2005/Atom'><title>Replies to comments</title><id>x</id></feed>"
LOOPBACK = {"allow_addresses": "127.0.0.1", "host_delay": 0}
HTML = (("Content-Type", "text/html; charset=utf-8"),)


def page(*links: str) -> Reply:
    head = "".join(links)
    return Reply(200, HTML, f"<!doctype html><html><head><title>P</title>{head}</head><body>".encode())


def link(href: str, kind: str = "application/rss+xml") -> str:
    return f'<link rel="alternate" type="{kind}" href="{href}">'


@pytest.fixture(scope="module")
def parsers() -> Iterator[ParserPool]:
    pool = ParserPool(1)
    yield pool
    pool.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feeds.opml").write_text("<opml version='2.0'><body>\n</body></opml>\n")
    return tmp_path


def listed(folder: Path) -> tuple[Feed, ...]:
    return read_opml((folder / "feeds.opml").read_bytes()).feeds


def found(url: str, parsers: ParserPool) -> list[str]:
    """The addresses of the feeds that are found."""
    feeds = find_feeds(load_settings(LOOPBACK), url, parsers)
    assert not isinstance(feeds, Failed), feeds.detail
    return [feed.url for feed in feeds]


def add(folder: Path, *arguments: str) -> int:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in LOOPBACK.items()]
    return main([*flags, "--opml", str(folder / "feeds.opml"), "feeds", "add", *arguments])


def test_the_feed_that_a_page_names_is_added_with_its_own_title(
    folder: Path, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    loopback.on("/blog/", page("<base href='/data/'>", link("all?a=1&amp;b=2")))
    loopback.on("/data/all", ok(FEED))
    assert add(folder, loopback.url("/blog/"), "--category", "World/Europe") == 0
    told = capsys.readouterr().out
    assert "Paper is added" in told
    assert "RSS" in told
    url = loopback.url("/data/all?a=1&b=2")
    assert listed(folder) == (Feed(url, "Paper", "World/Europe", "https://paper.example/"),)
    before = len(loopback.requests)
    assert add(folder, url) == 0
    assert "lists it already: Paper" in capsys.readouterr().out
    assert len(loopback.requests) == before


def test_of_several_feeds_one_is_picked_and_comments_come_last(
    folder: Path, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    loopback.on(
        "/", page(link("/replies", "application/atom+xml"), link("/feed"), link("/other"), link("/none"))
    )
    loopback.on("/replies", ok(ATOM))
    loopback.on("/feed", ok(FEED))
    loopback.on("/other", ok(rss(channel="<description>x</description>")))
    assert add(folder, loopback.url("/")) == 1
    said = capsys.readouterr()
    assert "has 3 feeds, none is added: say which by --pick NUMBER" in said.err
    rows = [line.split() for line in said.out.splitlines()[1:4]]
    assert [(row[0], row[-1]) for row in rows] == [("1", "RSS"), ("2", "RSS"), ("3", "Atom")]
    assert listed(folder) == ()
    assert add(folder, loopback.url("/"), "--pick", "4") == 1
    assert "only 3 feeds" in capsys.readouterr().err
    assert add(folder, loopback.url("/"), "--pick", "3", "--title", "Mine") == 0
    assert [(feed.title, feed.url) for feed in listed(folder)] == [("Mine", loopback.url("/replies"))]


def test_somebody_at_a_terminal_is_asked_which_feed(folder: Path, loopback: LoopbackServer) -> None:
    loopback.on("/", page(link("/one"), link("/two")))
    loopback.on("/one", ok(FEED))
    loopback.on("/two", ok(FEED))
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        command("feeds", "add", loopback.url("/")),
        cwd=folder,
        env=environment(folder),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen = b""
    while b"Which one, 1 to 2?" not in screen:
        screen += os.read(ours, 4096)
    os.write(ours, b"2\n")
    assert asked.wait(60) == 0
    os.close(ours)
    assert [feed.url for feed in listed(folder)] == [loopback.url("/two")]


def test_the_usual_places_are_tried_until_one_is_a_feed_of_the_site(
    loopback: LoopbackServer, parsers: ParserPool
) -> None:
    loopback.on("/", page(link("/wp-json/wp/v2/pages/2", "application/json")))
    loopback.on("/feed/", said(302, Location="/"))
    loopback.on("/rss.xml", ok(FEED))
    assert found(loopback.url("/"), parsers) == [loopback.url("/rss.xml")]
    assert loopback.asked("/atom.xml") == []


def test_a_feed_has_its_lasting_address_with_its_login(loopback: LoopbackServer, parsers: ParserPool) -> None:
    loopback.on("/old", said(301, Location="/new"))
    loopback.on("/new", said(302, Location="/now"))
    loopback.on("/now", ok(FEED))
    assert found(loopback.url("/old", login="me:hidden"), parsers) == [
        loopback.url("/new", login="me:hidden")
    ]


def test_a_feed_listed_under_another_form_of_its_address_is_said(
    folder: Path, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    other = loopback.url("/feed/").replace("http:", "https:")
    (folder / "feeds.opml").write_text(f"<opml><body><outline text='Known' xmlUrl='{other}'/></body></opml>")
    loopback.on("/feed", ok(FEED))
    assert add(folder, loopback.url("/feed")) == 0
    assert f"lists it already: Known, {other}" in capsys.readouterr().out
    assert len(listed(folder)) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Reply(404), "404 Not Found"),
        (page(), "names no feed, and there is none at the usual places"),
        (page(link("/gone")), "names feeds that can't be read"),
        (Reply(200, (), b"<opml version='2.0'><body/></opml>"), "for `feeds import`"),
        (Reply(200, (), b"\x89PNG"), "neither XML nor JSON"),
    ],
)
def test_what_leads_to_no_feed_is_said(
    loopback: LoopbackServer, parsers: ParserPool, answer: Reply, says: str
) -> None:
    loopback.on("/", answer)
    fault = find_feeds(load_settings(LOOPBACK), loopback.url("/"), parsers)
    assert isinstance(fault, Failed)
    assert says in fault.detail


def test_where_there_is_no_feed_none_is_added(
    folder: Path, loopback: LoopbackServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(folder, loopback.url("/", login="me:hidden")) == 1
    told = capsys.readouterr().err
    assert "Nothing is added" in told
    assert "hidden" not in told
    assert listed(folder) == ()


@pytest.mark.parametrize("wrong", ["", "http://[", "ftp://paper.example/feed"])
def test_what_is_no_address_is_refused_and_nobody_asked(
    folder: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(folder, wrong) == 2
    assert "is no http or https address: give that" in capsys.readouterr().err


def test_a_server_that_asks_to_be_left_alone_is_asked_no_more(
    loopback: LoopbackServer, parsers: ParserPool
) -> None:
    loopback.on("/", page())
    loopback.on("/feed/", said(429))
    assert isinstance(find_feeds(load_settings(LOOPBACK), loopback.url("/"), parsers), Failed)
    assert [request.path for request in loopback.requests] == ["/", "/feed/"]


def test_a_feed_can_be_added_without_asking_for_it(folder: Path, loopback: LoopbackServer) -> None:
    assert add(folder, loopback.url("/feed"), "--no-fetch") == 0
    assert [feed.title for feed in listed(folder)] == ["127.0.0.1"]
    assert loopback.requests == []


def test_requests_to_one_site_are_apart(loopback: LoopbackServer, parsers: ParserPool) -> None:
    loopback.on("/", page(link("/feed")))
    loopback.on("/feed", ok(FEED))
    find_feeds(load_settings(LOOPBACK | {"host_delay": 0.3}), loopback.url("/"), parsers)
    first, second = (request.at for request in loopback.requests)
    assert second - first >= 0.25


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        (link("/a") + link("/a"), ["https://p.example/a"]),
        (
            "<LINK TYPE='Application/Atom+XML; charset=utf-8' REL='x Alternate' HREF=' b '>",
            ["https://p.example/x/b"],
        ),
        (link("/c", "application/feed+json"), ["https://p.example/c"]),
        ("<!-- " + link("/d") + " -->", []),
        (link("javascript:alert(1)"), []),
        (link("/e").replace("alternate", "stylesheet"), []),
        (link("/f", "text/html"), []),
        (link("/wp-json/oembed", "application/json"), []),
        (link("/g") + "<body>" + "<div>" * 100_000, ["https://p.example/g"]),
        ("<div>" * 100_000 + link("/h"), []),
    ],
)
def test_links_to_feeds_are_read_as_browsers_read_them(markup: str, found: list[str]) -> None:
    assert feed_links(f"<html><head>{markup}", "https://p.example/x/") == found
