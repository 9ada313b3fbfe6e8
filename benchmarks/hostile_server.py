"""A loopback server of healthy feeds and of all that a feed's server can do to its readers, logging its requests.

usage: python benchmarks/hostile_server.py FEEDS PERCENT LOG     (until its standard input ends; prints its port)
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import os
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache, partial
from pathlib import Path
from random import Random
from urllib.parse import unquote

sys.path.insert(0, str(Path(__file__).parent.parent))

from aggregator.fetch.limits import Limits

HOSTS = 50
"""Loopback addresses, from 127.0.0.2 on, over which the feeds are spread."""

ITEMS = 20
CHANGING = 4
"""One healthy feed in so many is another document each time, without any new item: it is parsed at every poll."""

DECODED = Limits().decoded_bytes - 100_000
"""Bytes just below the largest decoded body that is read."""

BOMB = 300_000_000
LINGER_SECONDS = 300
BACKLOG = 1024
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in ("a", "e", "i", "o", "u", "an", "el")]

RSS = b"<?xml version='1.0'?><rss version='2.0'><channel><title>x</title>"
RSS_END = b"</channel></rss>"
TEXT = RSS + b"<item><title>x</title><link>http://a.example/</link><description><![CDATA["
TEXT_END = b"]]></description></item>" + RSS_END
ITEM = b"<item><title>Item %d</title><guid>%d</guid><description>%s</description></item>"

Writer = asyncio.StreamWriter
Behaviour = Callable[[Writer, str], Awaitable[None]]


def paths(count: int, percent: int) -> list[str]:
    """The paths of the feeds, hostile ones among the healthy; the same for the same numbers."""
    hostile = count * percent // 100
    names = list(BEHAVIOURS)
    found = [f"/healthy/{number}" for number in range(count - hostile)]
    found += [f"/hostile/{names[number % len(names)]}/{number}" for number in range(hostile)]
    Random(1).shuffle(found)
    return found


def host(number: int) -> str:
    """The address at which the feed of that number in the list is served."""
    return f"127.0.0.{2 + number % HOSTS}"


# ---- healthy ---------------------------------------------------------------------------------------


@cache
def healthy(number: int) -> bytes:
    """A feed in words that no other feed shares."""
    random = Random(number)

    def words(count: int) -> str:
        return " ".join("".join(random.choices(SYLLABLES, k=random.randint(2, 4))) for _ in range(count))

    now = datetime.now(UTC)
    items = "".join(
        f"<item><title>{words(8).capitalize()}</title><link>http://site{number}.example/{item}.html</link>"
        f"<guid isPermaLink='false'>{number}-{item}</guid>"
        f"<pubDate>{format_datetime(now - timedelta(minutes=7 * item))}</pubDate>"
        f"<description>{words(60).capitalize()}.</description></item>"
        for item in range(ITEMS)
    )
    start = f"<?xml version='1.0'?><rss version='2.0'><channel><title>{words(2).title()}</title>"
    return f"{start}<link>http://site{number}.example/</link>{items}</channel></rss>".encode()


async def answer_well(writer: Writer, number: int, request: str) -> None:
    """200 with an ETag, or 304; a changing feed is different every time."""
    body = healthy(number)
    etag = f'"{number}"'
    if number % CHANGING == 0:
        etag = f'"{number}-{time.monotonic_ns()}"'
        body = body.replace(b"</channel>", b"<generator>%d</generator></channel>" % time.monotonic_ns())
    if etag in request:
        await send(writer, f"HTTP/1.1 304 Not Modified\r\nETag: {etag}\r\n\r\n".encode())
    else:
        await send(writer, whole(body, f"ETag: {etag}"))


# ---- hostile ---------------------------------------------------------------------------------------


def head(*fields: str, status: str = "200 OK") -> bytes:
    """The start of an answer, up to its body."""
    lines = (f"HTTP/1.1 {status}", "Content-Type: application/rss+xml", "Connection: close", *fields)
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def whole(body: bytes, *fields: str) -> bytes:
    """An answer whose header tells the truth."""
    return head(f"Content-Length: {len(body)}", *fields) + body


@cache
def zipped(build: Callable[[], bytes]) -> bytes:
    """What `build` gives, as an answer in gzip."""
    return whole(gzip.compress(build(), 6, mtime=0), "Content-Encoding: gzip")


@cache
def bomb() -> bytes:
    """A gzip stream of BOMB zeros."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        for _ in range(BOMB // 1_000_000):
            file.write(bytes(1_000_000))
    return out.getvalue()


@cache
def nested_bomb() -> bytes:
    """The same in two layers: some hundred bytes on the wire."""
    return whole(gzip.compress(gzip.compress(bomb(), mtime=0), mtime=0), "Content-Encoding: gzip, gzip, gzip")


def fill(start: bytes, piece: bytes, end: bytes, size: int) -> bytes:
    """The piece again and again, `size` bytes in all."""
    return start + piece * ((size - len(start) - len(end)) // len(piece)) + end


def many_items() -> bytes:
    """Items of 5 KB, each with its own words."""
    random = Random(0)
    words = [first + second for first in SYLLABLES for second in SYLLABLES]
    texts = (" ".join(random.choices(words, k=250)).encode() * 4 for _ in range(DECODED // 5680))
    return RSS + b"".join(ITEM % (number, number, text) for number, text in enumerate(texts)) + RSS_END


def laughs() -> bytes:
    """The entity that is ten billion letters."""
    entities = "".join(f"<!ENTITY a{level} '{f'&a{level - 1};' * 10}'>" for level in range(1, 11))
    return f"<!DOCTYPE rss [<!ENTITY a0 'lol'>{entities}]>".encode() + fill(
        RSS, b"<item><title>&a10;</title></item>", RSS_END, 10_000
    )


def one_large_entity() -> bytes:
    """An entity of 100 KB, named ten thousand times."""
    start = b"<!DOCTYPE rss [<!ENTITY a '" + b"x" * 100_000 + b"'>]>" + RSS + b"<item><title>x"
    return fill(start, b"&a;", b"</title></item>" + RSS_END, 130_000)


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "many items": many_items,
    "one long text": partial(fill, TEXT, b"<p>Some words of a text.</p>", TEXT_END, DECODED),
    "many tags": partial(fill, RSS, b"<a>", b"", DECODED),
    "many NULs": partial(bytes, DECODED),
    "billion laughs": laughs,
    "one large entity": one_large_entity,
    "deep elements": partial(fill, RSS, b"<item><a>", b"", 2_000_000),
    "deep markup": partial(fill, TEXT, b"<div><b><i>", TEXT_END, 5_000_000),
    "open sections": partial(fill, RSS, b"<![CDATA[<item>", b"", 1_000_000),
    "open tags": partial(fill, RSS, b"<item <", b"", 1_000_000),
    "an author in 1 MB": partial(
        fill, RSS + b"<item><author>", b"a@", b"</author></item>" + RSS_END, 1_000_000
    ),
    "NULs": partial(fill, b"", b"<rss>\0\0\0", b"", 1_000_000),
}


async def send(writer: Writer, answer: bytes) -> None:
    """Sends all of it, as fast as it is read."""
    writer.write(answer)
    await writer.drain()


async def send_document(build: Callable[[], bytes], writer: Writer, _path: str) -> None:
    """A document that is hostile by what it says."""
    await send(writer, zipped(build))


async def send_fixed(build: Callable[[], bytes], writer: Writer, _path: str) -> None:
    """The same answer every time."""
    await send(writer, build())


async def repeat(start: bytes, piece: bytes, pause: float, writer: Writer, _path: str) -> None:
    """The piece for ever."""
    await send(writer, start)
    while True:
        await send(writer, piece)
        await asyncio.sleep(pause)


async def say_nothing(_writer: Writer, _path: str) -> None:
    """A connection on which nothing comes."""
    await asyncio.sleep(LINGER_SECONDS)


async def reset(writer: Writer, path: str) -> None:
    """Half a feed, and then the connection is gone."""
    await send(writer, head("Content-Length: 100000") + RSS + path.encode() * 1000)
    await asyncio.sleep(0.1)
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def redirect(where: str, writer: Writer, path: str) -> None:
    """To `where`, which may name the path that was asked for."""
    host, port = writer.get_extra_info("sockname")[:2]
    target = where.format(here=f"http://{host}:{port}{path}", port=port)
    await send(writer, head(f"Location: {target}", "Content-Length: 0", status="301 Moved Permanently"))


CHUNKED = head("Transfer-Encoding: chunked")
BEHAVIOURS: dict[str, Behaviour] = {
    **{name: partial(send_document, build) for name, build in DOCUMENTS.items()},
    "bomb": partial(send_fixed, lambda: whole(bomb(), "Content-Encoding: gzip")),
    "nested bomb": partial(send_fixed, nested_bomb),
    "truncated gzip": partial(
        send_fixed, lambda: whole(gzip.compress(healthy(0))[:-100], "Content-Encoding: gzip")
    ),
    "endless body": partial(repeat, head() + RSS, b"<item>" * 10_000, 0),
    "endless chunks": partial(repeat, CHUNKED, b"1\r\nx\r\n" * 1000, 0),
    "slow header": partial(repeat, b"HTTP/1.1 200 OK\r\n", b"x", 1),
    "slow body": partial(repeat, head("Content-Length: 100000") + RSS, b"x", 1),
    "slow large body": partial(repeat, head("Content-Length: 9000000") + b"x" * 1_500_000, b"x", 1),
    "silence": say_nothing,
    "reset": reset,
    "huge header": partial(send_fixed, lambda: head("X: " + "x" * 5_000_000)),
    "endless headers": partial(repeat, b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n" * 1000, 0),
    "circle": partial(redirect, "{here}"),
    "endless redirects": partial(redirect, "{here}0"),
    "redirect inwards": partial(redirect, "http://[::1]:{port}/"),
    "longer than announced": partial(send_fixed, lambda: head("Content-Length: 10") + healthy(0)),
    "shorter than announced": partial(send_fixed, lambda: head("Content-Length: 900000") + healthy(0)),
    "no HTTP": partial(send_fixed, lambda: b"\0\xff\r\n" * 100_000),
}


# ---- the server ------------------------------------------------------------------------------------


class Log:
    """A line for each request, and one for each answer to a healthy feed: time, word, path."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", buffering=1)

    def write(self, word: str, path: str) -> None:
        """Adds a line; the clock is the same in all processes (CLOCK_MONOTONIC)."""
        self._file.write(f"{time.monotonic():.4f}\t{word}\t{path}\n")


async def answer(log: Log, reader: asyncio.StreamReader, writer: Writer) -> None:
    """Serves one connection."""
    try:
        request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        path = request.split(" ", 2)[1]
        log.write("asked", path)
        _, share, name, *_number = unquote(path).split("/")
        if share == "healthy":
            await answer_well(writer, int(name), request)
            log.write("answered", path)
        else:
            await BEHAVIOURS[name](writer, path)
    except (OSError, asyncio.IncompleteReadError):
        return  # the other end has hung up, as it should
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def serve(count: int, percent: int, file: Path) -> None:
    """Serves until the end of standard input."""
    for path in paths(count, percent):
        _, share, name, *_number = path.split("/")
        if share == "healthy":
            healthy(int(name))
        elif name in DOCUMENTS:
            zipped(DOCUMENTS[name])
    nested_bomb()
    log = Log(file)
    first = await asyncio.start_server(partial(answer, log), host(0), 0, backlog=BACKLOG)
    port = first.sockets[0].getsockname()[1]
    others = [host(number) for number in range(1, HOSTS)]
    await asyncio.start_server(partial(answer, log), others, port, backlog=BACKLOG)
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # without a word on all the connections that still hang


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
