"""Cases of sizes and times: a hostile server costs its own limit and its own deadline, nothing else."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from functools import partial

from aggregator.pipeline.reports import Result
from tests.cases import case
from tests.loopback import Reply, Request
from tests.stage import FEED, Stage, item, ok, rss, said

BOMB = bytes(200_000_000)
"""What a bomb unpacks to: beyond the limit of decoded bytes, and a thousandth of it on the wire."""


def _given_up(stage: Stage, *words: str) -> None:
    report = stage.poll()
    assert report.result is Result.FAILED
    assert any(word in report.detail for word in words), report.detail


@case(8, "RFC 9110 8.4.1.3")
def gzip_bomb(stage: Stage) -> None:
    """A small gzip body that unpacks to far too much is given up at the limit."""
    stage.serve(ok(gzip.compress(BOMB, 1), Content_Encoding="gzip"))
    _given_up(stage, "larger than")


@case(8, "RFC 9110 8.4.1.2")
def deflate_bomb(stage: Stage) -> None:
    """So is one in deflate."""
    stage.serve(ok(zlib.compress(BOMB, 1), Content_Encoding="deflate"))
    _given_up(stage, "larger than")


@case(8, "RFC 9110 8.4")
def nested_bomb(stage: Stage) -> None:
    """So is gzip within gzip."""
    stage.serve(ok(gzip.compress(gzip.compress(BOMB, 1)), Content_Encoding="gzip, gzip"))
    _given_up(stage, "larger than")


@case(8, "RFC 9110 8.4")
def codings_without_end(stage: Stage) -> None:
    """A body in more than three codings is no feed."""
    stage.serve(ok(FEED, Content_Encoding=", ".join(["gzip"] * 100)))
    _given_up(stage, "codings")


@case(8, "RFC 9110 8.4")
def coding_not_offered(stage: Stage) -> None:
    """A coding that was not offered is an error that says so, not a feed in garbage."""
    stage.serve(ok(FEED, Content_Encoding="br"))
    _given_up(stage, "not offered")


@case(8)
def endless_body(stage: Stage) -> None:
    """A body that never ends is cut off at the limit of wire bytes."""
    stage.serve(_endless(b"HTTP/1.1 200 OK\r\n\r\n<rss>", b"<item/>" * 10_000))
    _given_up(stage, "more than", "larger than")


@case(8, "RFC 9112 7.1")
def endless_chunks(stage: Stage) -> None:
    """So is one in chunks."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    stage.serve(_endless(head, b"8000\r\n" + b" " * 0x8000 + b"\r\n"))
    _given_up(stage, "more than", "larger than")


def _endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield piece


@case(8, "RFC 9112 7.1")
def tiny_chunks(stage: Stage) -> None:
    """A body in a hundred thousand chunks of a byte is given up: each costs time."""
    stage.set(fetch_timeout=30.0)
    stage.serve(_endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n<\r\n" * 1000))
    _given_up(stage, "pieces")


@case(8, "RFC 9110 8.6")
def announced_too_large(stage: Stage) -> None:
    """A Content-Length beyond the limit is believed, and nothing of the body read."""
    stage.serve(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    _given_up(stage, "more than", "larger than")


@case(8, "RFC 9110 5.4")
def header_flood(stage: Stage) -> None:
    """Headers without end are cut off."""
    stage.serve(_endless(b"HTTP/1.1 200 OK\r\n", b"X-Pad: " + b"x" * 8000 + b"\r\n"))
    _given_up(stage, "no valid HTTP", "more than", "without an answer")


@case(8, "RFC 9112 3")
def long_status_line(stage: Stage) -> None:
    """So is a status line without end."""
    stage.serve(_endless(b"HTTP/1.1 200 ", b"O" * 8000))
    _given_up(stage, "no valid HTTP", "more than", "without an answer")


@case(8, "RFC 9110 15.2")
def informational_flood(stage: Stage) -> None:
    """Interim answers without end are cut off."""
    stage.serve(_endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"))
    _given_up(stage, "more than")


def _within(stage: Stage, seconds: float) -> None:
    """The poll fails for its time, and takes no longer."""
    stage.set(fetch_timeout=0.4)
    started = time.monotonic()
    _given_up(stage, "within 0.4 seconds")
    assert time.monotonic() - started < seconds


@case(8)
def silent_server(stage: Stage) -> None:
    """A server that takes the request and never answers costs one deadline."""
    stage.serve(stage.server.drip(b""))
    _within(stage, 10)


@case(8)
def dripping_headers(stage: Stage) -> None:
    """A byte now and then does not stretch the deadline: it is for the whole fetch."""
    stage.serve(stage.server.drip(b"H"))
    _within(stage, 10)


@case(8)
def dripping_body(stage: Stage) -> None:
    """Nor does a body that comes byte by byte."""

    def slowly() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        yield from stage.server.drip(b"<")

    stage.serve(slowly())
    _within(stage, 10)


@case(8)
def large_and_dripping(stage: Stage) -> None:
    """Nor does a large body that comes quickly at first: others wait for it."""

    def slowly() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 7900000\r\n\r\n" + b" " * 2_000_000
        yield from stage.server.drip(b"<")

    stage.serve(slowly())
    _within(stage, 10)


@case(8)
def dripping_redirects(stage: Stage) -> None:
    """Nor do slow redirects: all hops share one deadline."""
    for number in range(6):
        stage.serve(partial(_later, number), path=f"/{number}")
    stage.set(fetch_timeout=0.4)
    assert stage.poll(url=stage.server.url("/0")).result is Result.FAILED
    assert len(stage.requests) < 6


def _later(number: int, _request: Request) -> Reply:
    time.sleep(0.15)
    return said(302, Location=f"/{number + 1}")


@case(8)
def others_go_on(stage: Stage) -> None:
    """While a host drips, feeds of others are polled."""
    stage.set(allow_addresses="127.0.0.0/8", fetch_timeout=2.0)
    stage.serve(stage.server.drip(b"H"), path="/slow")
    stage.serve(ok(), path="/fast")
    stage.subscribe(stage.server.url("/slow"), stage.server.url("/fast", host="localhost"))
    results = [report.result for report in stage.pass_over()]
    assert results == [Result.OK, Result.FAILED]


@case(8)
def too_many_entries(stage: Stage) -> None:
    """Of a feed with tens of thousands of items the first five thousand are taken."""
    stage.serve(ok(rss(*(item(f"n{number}") for number in range(6000)))))
    assert stage.poll().new == 5000


@case(8)
def huge_fields(stage: Stage) -> None:
    """Titles, names and guids of any length are cut to what a reader can use."""
    name = "x" * 300_000
    author = f"<author>{name}</author>"
    stage.serve(ok(rss(item("one", title=name, guid=name, extra=author))))
    stage.poll()
    ((title, guid, author),) = stage.rows("SELECT title, guid, author FROM v1_entry")
    assert (len(title), len(guid), len(author)) == (500, 2000, 200)


@case(8)
def deep_markup(stage: Stage) -> None:
    """Markup nested a hundred thousand deep is read, or refused, without a crash."""
    deep = "&lt;b>" * 100_000 + "x"
    stage.serve(ok(rss(item("one"), item("two", extra=f"<description>{deep}</description>"))))
    assert stage.poll().result is not None
    assert stage.pass_over(hours=9)


@case(8)
def deep_xml(stage: Stage) -> None:
    """XML nested a hundred thousand deep is read, or refused, without a crash."""
    stage.serve(ok(b"<rss><channel>" + b"<a>" * 100_000), ok())
    stage.poll()
    assert stage.poll(hours=9).new == 2


@case(8)
def deep_json(stage: Stage) -> None:
    """JSON nested a hundred thousand deep is read, or refused, without a crash."""
    deep = '{"version": "https://jsonfeed.org/version/1.1", "items": ' + "[" * 100_000
    stage.serve(ok(deep.encode()), ok(json.dumps({"items": []}).encode()))
    assert stage.poll().result is Result.FAILED


@case(8)
def attribute_flood(stage: Stage) -> None:
    """An element with a hundred thousand attributes costs its own feed at most."""
    flood = " ".join(f"a{number}='1'" for number in range(100_000))
    stage.serve(ok(rss(item("one", extra=f"<media {flood}/>"))), ok())
    stage.poll()
    assert stage.poll(hours=9).result is Result.OK
