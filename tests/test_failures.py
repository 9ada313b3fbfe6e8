"""What people read about a fetch that failed: what happened, at which host, and what to do about it."""

from __future__ import annotations

import ast
import gzip
import queue
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

import httpcore
import pytest

import aggregator.fetch
from aggregator.config import load_settings
from aggregator.fetch import Fetcher, FetchError, Limits
from aggregator.fetch.address import Address, unknown
from aggregator.fetch.exchange import without_answer
from aggregator.fetch.limits import MOST_PIECES, Deadline
from aggregator.publish import failure_words
from aggregator.types import Failed, FailureKind
from tests.loopback import Answer, LoopbackServer, Reply, Request, authority
from tests.states import new_state

SETTINGS = load_settings({"allow_addresses": "127.0.0.1", "fetch_timeout": 5.0})
LIMITS = Limits(wire_bytes=1_000_000, decoded_bytes=2000)
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LOGIN = "me:secret"

DEAD = ip_address("127.0.0.2")
"""An address that nobody may be asked at."""


def resolve(host: str, _seconds: float) -> tuple[Address, ...]:
    """The server of the test, by any name."""
    return (DEAD if host in {"inner.example", str(DEAD)} else ip_address("127.0.0.1"),)


def detail_of(url: str, *, etag: str = "", seconds: float = 5.0) -> str:
    settings = SETTINGS.model_copy(update={"fetch_timeout": seconds})
    with Fetcher(settings, limits=LIMITS, resolve=resolve) as fetcher:
        result = fetcher.fetch(replace(new_state(), url=url, etag=etag))
    assert isinstance(result, Failed), result
    return result.detail


def packed(coding: str, body: bytes) -> Reply:
    return Reply(200, (("Content-Encoding", coding),), body)


def redirect(location: str) -> Reply:
    return Reply(302, (("Location", location),))


def further(request: Request) -> Reply:
    return redirect(f"{request.target}?1")


def flood() -> Iterator[bytes]:
    for _ in range(10_000):
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 10


def crumbs() -> Iterator[bytes]:
    yield CHUNKED
    for _ in range(MOST_PIECES // 1000 + 1):
        yield b"1\r\n \r\n" * 1000


ANSWERS: tuple[tuple[Callable[[], Answer] | Answer | Callable[[Request], Answer], str], ...] = (
    (Reply(404), "own.example answered 404 Not Found."),
    (Reply(799), "own.example answered 799."),
    (Reply(410), "own.example answered 410 Gone: the feed was taken down for good."),
    (Reply(304), "own.example answered 304 Not Modified, although it was asked for the whole feed."),
    (Reply(302), "own.example answered 302 Found without saying where to go."),
    (redirect("/feed"), "own.example redirects in a circle."),
    (further, "own.example redirects further, after 5 redirects."),
    (redirect("http://[::1"), "own.example redirects to an unreadable address."),
    (
        redirect(f"ftp://{LOGIN}@other.example/\x9b"),
        "own.example redirects to ftp://other.example/?, which can't be fetched.",
    ),
    (
        redirect(f"ftp:///{LOGIN}@other.example/"),
        "own.example redirects to ftp:///other.example/, which can't be fetched.",
    ),
    (
        redirect(f"ftp:{LOGIN}@"),
        "own.example redirects to an address without a host, which can't be fetched.",
    ),
    (Reply(226), "own.example sent a part of the feed, but was asked for all of it."),
    (b"220 mail.example ESMTP\r\n\r\n", "The answer of own.example is no valid HTTP."),
    (b"", "own.example closed the connection without an answer."),
    (flood, "own.example sends more than a feed can be."),
    (HEAD + b"Content-Length: 9\r\n\r\n<rss", "The answer of own.example breaks off before its end."),
    (crumbs, "own.example sends the feed in far too many pieces."),
    (Reply(200, (), b"<rss>" * 1000), "The feed is larger than 0.002 MB."),
    (Reply(200, (("Content-Length", "9000000"),), b""), "The feed is larger than 1 MB."),
    (packed("gzip", gzip.compress(b"<rss>" * 1000)), "The feed is larger than 0.002 MB."),
    (packed("gzip", b"<rss>"), "The packed feed is damaged, or not gzip."),
    (packed("gzip", gzip.compress(b"<rss>")[:-4]), "The packed feed breaks off before its end."),
    (packed("gzip", gzip.compress(b"") * 10_001), "The packed feed is in far too many pieces."),
    (packed("gzip, gzip, gzip, gzip", b"<"), "The feed is packed in too many content codings."),
    (packed("b\x9br", b"<"), "The feed is packed in the content coding b?r, which was not offered."),
)

ELSEWHERE: tuple[tuple[Answer | Callable[[Request], Answer], str], ...] = (
    (Reply(404), "other.example answered 404 Not Found (own.example redirects there)."),
    (redirect("/there"), "other.example redirects in a circle (own.example redirects there)."),
    (further, "other.example redirects further, after 5 redirects (own.example redirects there)."),
    (b"", "other.example closed the connection without an answer (own.example redirects there)."),
    (
        packed("br", b"<"),
        (
            "The feed is packed in the content coding br, which was not offered (own.example redirects to "
            "other.example)."
        ),
    ),
    (
        redirect("http://inner.example/"),
        ("inner.example leads to 127.0.0.2, which is not a public address (own.example redirects there)."),
    ),
)

ADDRESSES = (
    ("http://[::1", "The address is no URL."),
    (f"ftp://{LOGIN}@own.example/", "The address must begin with http:// or https://."),
    (f"http://{LOGIN}@own.example:99999/", "The address names no host, or an impossible port."),
    (f"http://{LOGIN}@127.0.0.2/", "127.0.0.2 is not a public address."),
    (f"http://{LOGIN}@inner.example/", "inner.example leads to 127.0.0.2, which is not a public address."),
)


@pytest.mark.parametrize(("answer", "says"), ANSWERS, ids=[says for _, says in ANSWERS])
def test_a_failure_says_what_happened_and_at_which_host(
    loopback: LoopbackServer, answer: Answer | Callable[..., Answer], says: str
) -> None:
    loopback.on("/feed", answer() if answer in {flood, crumbs} else answer)
    assert detail_of(loopback.url("/feed", host="own.example", login=LOGIN)) == says


@pytest.mark.parametrize(("answer", "says"), ELSEWHERE, ids=[says for _, says in ELSEWHERE])
def test_a_failure_after_a_redirect_names_both_hosts(
    loopback: LoopbackServer, answer: Answer | Callable[[Request], Answer], says: str
) -> None:
    loopback.on("/feed", redirect(loopback.url("/there", host="other.example", login=LOGIN)))
    loopback.on("/there", answer)
    assert detail_of(loopback.url("/feed", host="own.example")) == says


@pytest.mark.parametrize(("url", "says"), ADDRESSES)
def test_an_address_that_can_not_be_asked_says_why(url: str, says: str) -> None:
    assert detail_of(url) == says


@contextmanager
def accepting(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does this with its one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def vcdiff(loopback: LoopbackServer) -> str:
    loopback.on("/feed", Reply(226, (("IM", "vcdiff"),), b"<"))
    return detail_of(loopback.url("/feed", host="own.example"), etag='"1"')


def slow(loopback: LoopbackServer) -> str:
    loopback.on("/feed", loopback.drip(b"H"))
    return detail_of(loopback.url("/feed", host="own.example"), seconds=0.2)


def slow_and_large(_: LoopbackServer) -> str:
    deadline = Deadline(5)
    deadline.shorten(0.0)
    with pytest.raises(FetchError) as missed:
        deadline.rest("own.example")
    return missed.value.failed.detail


def closed(_: LoopbackServer) -> str:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    return detail_of(f"http://own.example:{port}/").replace(str(port), "1")


def full(_: LoopbackServer) -> str:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as second:
        port = server.getsockname()[1]
        second.setblocking(False)
        with socket.create_connection(("127.0.0.1", port)):
            second.connect_ex(("127.0.0.1", port))
            return detail_of(f"http://own.example:{port}/", seconds=0.3).replace(str(port), "1")


def plain(loopback: LoopbackServer) -> str:
    said = detail_of(f"https://{LOGIN}@own.example:{loopback.port}/")
    # The words are OpenSSL's, and change with it.
    return re.sub(r": [a-z ]+\.$", ": WORDS.", said)


def reset(_: LoopbackServer) -> str:
    def talk(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with accepting(talk) as port:
        return detail_of(f"https://own.example:{port}/")


def untrusted(_: LoopbackServer) -> str:
    with LoopbackServer(certified="own.example") as server:
        said = detail_of(server.url("/feed", host="own.example"))
    return re.sub(r": [a-z ]+\.$", ": WORDS.", said)


def garbled(_: LoopbackServer) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("own.example").configure_cert(context)

    def talk(connection: socket.socket) -> None:
        secure = context.wrap_socket(connection, server_side=True)
        secure.recv(1)
        with socket.socket(fileno=secure.detach()) as bare:
            bare.sendall(b"HTTP/1.1 200 OK")

    with (
        authority().cert_pem.tempfile() as trusted,
        pytest.MonkeyPatch.context() as environment,
        accepting(talk) as port,
    ):
        environment.setenv("SSL_CERT_FILE", trusted)
        return detail_of(f"https://own.example:{port}/")


def nameless(loopback: LoopbackServer) -> str:
    return detail_of(f"https://a..b:{loopback.port}/")


def unreached(error: Exception) -> Callable[[LoopbackServer], str]:
    return lambda _: unknown("own.example", error).failed.detail


def unwritten(_: LoopbackServer) -> str:
    return without_answer(httpcore.LocalProtocolError(), "own.example").failed.detail


WAYS: tuple[tuple[Callable[[LoopbackServer], str], str], ...] = (
    (vcdiff, "own.example sent changes in a form that it was not asked for."),
    (slow, "own.example did not answer completely within 0.2 seconds."),
    (slow_and_large, "own.example did not send the rest of a large feed within 0 seconds."),
    (closed, "No connection to own.example, port 1: Connection refused."),
    (full, "No connection to own.example, port 1: no answer."),
    (plain, "No secure connection to own.example: WORDS."),
    (reset, "No secure connection to own.example: Connection reset by peer."),
    (untrusted, "The certificate of own.example is not valid: WORDS."),
    (garbled, "The secure connection to own.example broke."),
    (nameless, "No certificate can be for the name a..b."),
    (unreached(socket.gaierror(socket.EAI_NONAME, "")), "The name own.example is not known."),
    (unreached(UnicodeError()), "The name own.example is not known."),
    (unreached(socket.gaierror(socket.EAI_AGAIN, "")), "No name server answered for own.example in time."),
    (unreached(queue.Empty()), "No name server answered for own.example in time."),
    (unwritten, "The address can't be sent in a request."),
)


@pytest.mark.parametrize(("provoke", "says"), WAYS)
def test_so_does_one_that_takes_more_than_an_answer(
    loopback: LoopbackServer, provoke: Callable[[LoopbackServer], str], says: str
) -> None:
    assert provoke(loopback) == says


# ---- all of them -----------------------------------------------------------------------------------


SAID = [says for _, says in (*ANSWERS, *ELSEWHERE, *ADDRESSES, *WAYS)]


def patterns() -> Iterator[str]:
    """One for each sentence that stands in the room; what is filled in may be anything."""
    for file in sorted(Path(aggregator.fetch.__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text())
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        parts = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in documents | parts:
                values = node.values if isinstance(node, ast.JoinedStr) else [node]
                found = "".join(
                    re.escape(str(value.value)) if isinstance(value, ast.Constant) else ".+"
                    for value in values
                )
                if " " in found and found.endswith(r"\."):
                    yield found


def test_every_sentence_of_the_room_is_among_these() -> None:
    found = list(patterns())
    assert r"The\ name\ .+\ is\ not\ known\." in found
    assert [pattern for pattern in found if not any(re.fullmatch(pattern, said) for said in SAID)] == []


@pytest.mark.parametrize("says", SAID)
def test_each_is_a_sentence_of_which_nothing_is_hidden(says: str) -> None:
    assert says.isprintable()
    assert re.fullmatch(r".+[^.]\.", says)


@pytest.mark.parametrize("kind", FailureKind)
def test_whoever_reads_of_a_failure_is_told_what_to_do(kind: FailureKind) -> None:
    for status in (None, *HTTPStatus, 799):
        words = failure_words(Failed(kind, "It failed.", status=status))
        assert re.fullmatch(r"It failed\. [A-Z][^\n]+\.", words)


def test_what_to_do_depends_on_what_the_server_said() -> None:
    said = {
        status: failure_words(Failed(FailureKind.HTTP, "No.", status=status))
        for status in (401, 403, 404, 500)
    }
    assert "USER:PASSWORD@" in said[401]
    assert "USER_AGENT_CONTACT" in said[403]
    assert "present feed" in said[404]
    assert "Wait" in said[500]
