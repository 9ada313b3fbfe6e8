"""Fetching over real sockets: what is asked, what comes back, and what goes wrong on the way."""

from __future__ import annotations

import gzip
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address
from itertools import chain, repeat

import pytest

from aggregator.config import load_settings
from aggregator.fetch import Fetcher, Limits
from aggregator.fetch.address import Address, look_up
from aggregator.fetch.limits import FetchError
from aggregator.types import Failed, FailureKind, Fetched, NotModified
from tests.loopback import LoopbackServer, Reply, Request
from tests.states import new_state

BODY = b"<rss version='2.0'><channel><title>Loopback</title></channel></rss>"
SETTINGS = load_settings(
    {
        "allow_addresses": "127.0.0.1",
        "fetch_timeout": 5.0,
        "user_agent_contact": "https://example.org/bot",
    }
)
STATE = new_state()


@pytest.fixture(scope="module")
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(SETTINGS) as fetcher:
        yield fetcher


def fetched(fetcher: Fetcher, url: str, *, etag: str = "", last_modified: str = "") -> Fetched:
    result = fetcher.fetch(replace(STATE, url=url, etag=etag, last_modified=last_modified))
    assert isinstance(result, Fetched), result
    return result


def failed(fetcher: Fetcher, url: str) -> Failed:
    result = fetcher.fetch(replace(STATE, url=url))
    assert isinstance(result, Failed), result
    return result


def redirect(status: int, location: str) -> Reply:
    return Reply(status, (("Location", location),))


# ---- what is asked ---------------------------------------------------------------------------------


def test_a_feed_comes_with_its_body_and_headers(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    headers = (
        ("ETag", 'W/"v1"'),
        ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("Content-Type", "application/rss+xml; charset=utf-8"),
        ("Content-Location", "/feed.en"),
        ("Cache-Control", "public, max-age=300"),
    )
    loopback.on("/feed", Reply(200, headers, BODY))
    assert fetched(fetcher, loopback.url("/feed")) == Fetched(
        url=loopback.url("/feed"),
        status=200,
        body=BODY,
        content_type="application/rss+xml; charset=utf-8",
        content_location="/feed.en",
        etag='W/"v1"',
        last_modified="Thu, 01 Jan 2026 00:00:00 GMT",
        max_age=300,
        moved_to="",
    )


def test_a_request_says_who_asks_and_carries_nothing_else(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", Reply(200, (("Set-Cookie", "visitor=1"),), BODY))
    for _ in range(2):
        fetched(fetcher, loopback.url("/feed"))
    request = loopback.requests[-1]
    assert {name.lower() for name, _ in request.headers} == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }
    assert request.header("Host") == f"127.0.0.1:{loopback.port}"
    assert request.header("Accept-Encoding") == "gzip, deflate"
    agent = request.header("User-Agent") or ""
    assert agent.startswith("news-event-aggregator/")
    assert agent.endswith(" (+https://example.org/bot)")


def test_without_a_contact_the_user_agent_is_the_name_alone(loopback: LoopbackServer) -> None:
    loopback.on("/feed", Reply(200, (), BODY))
    with Fetcher(SETTINGS.model_copy(update={"user_agent_contact": ""})) as fetcher:
        fetched(fetcher, loopback.url("/feed"))
    assert "(" not in (loopback.requests[0].header("User-Agent") or "")


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"', "unquoted", '"caf\xe9\xff"', '"a  b"', '""'])
def test_validators_go_back_byte_for_byte(loopback: LoopbackServer, fetcher: Fetcher, etag: str) -> None:
    headers = (("ETag", etag), ("Last-Modified", "yesterday, about noon"))
    loopback.on("/feed", Reply(200, headers, BODY))
    first = fetched(fetcher, loopback.url("/feed"))
    assert loopback.requests[0].header("If-None-Match") is None
    assert loopback.requests[0].header("If-Modified-Since") is None
    fetched(fetcher, loopback.url("/feed"), etag=first.etag, last_modified=first.last_modified)
    assert loopback.requests[1].header("If-None-Match") == etag
    assert loopback.requests[1].header("If-Modified-Since") == "yesterday, about noon"


def test_a_stored_validator_that_no_server_can_have_sent_is_left_out(
    loopback: LoopbackServer, fetcher: Fetcher
) -> None:
    loopback.on("/feed", Reply(200, (), BODY))
    fetched(fetcher, loopback.url("/feed"), etag='"snow\u2603"', last_modified="a\r\nX-Evil: 1")
    assert loopback.requests[0].header("If-None-Match") is None
    assert loopback.requests[0].header("If-Modified-Since") is None
    assert loopback.requests[0].header("X-Evil") is None


def test_a_304_keeps_what_it_does_not_repeat(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", Reply(304, (("ETag", '"new"'), ("Cache-Control", "max-age=60"))))
    state = replace(STATE, url=loopback.url("/feed"), etag='"old"', last_modified="then")
    assert fetcher.fetch(state) == NotModified('"new"', "then", 60, "")


def test_a_304_that_nobody_asked_for_is_a_failure(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", Reply(304))
    failure = failed(fetcher, loopback.url("/feed"))
    assert failure.kind is FailureKind.HTTP
    assert "304 Not Modified" in failure.detail


# ---- the body --------------------------------------------------------------------------------------


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + b"\0\0"),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", bytes),
    ],
)
def test_content_codings_are_undone(
    loopback: LoopbackServer, fetcher: Fetcher, coding: str, pack: Callable[[bytes], bytes]
) -> None:
    loopback.on("/feed", Reply(200, (("Content-Encoding", coding),), pack(BODY)))
    assert fetched(fetcher, loopback.url("/feed")).body == BODY


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 100\r\n\r\nonly this",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot-a-size\r\nhello\r\n0\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY * 9)[:-9],
        HEAD + b"Content-Encoding: gzip\r\n\r\n" + BODY,
        HEAD + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(BODY * 9)[:-9],
        HEAD + b"Content-Encoding: br\r\n\r\n" + BODY,
    ],
    ids=["length", "chunks", "chunk-size", "gzip-cut", "gzip-not", "deflate-cut", "not-offered"],
)
def test_a_body_that_is_not_whole_is_a_failure(
    loopback: LoopbackServer, fetcher: Fetcher, answer: bytes
) -> None:
    loopback.on("/feed", answer)
    assert failed(fetcher, loopback.url("/feed")).kind is FailureKind.BROKEN_BODY


def test_a_body_without_a_length_ends_with_the_connection(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", HEAD + b"\r\n" + BODY)
    assert fetched(fetcher, loopback.url("/feed")).body == BODY


@pytest.mark.parametrize(
    ("headers", "body", "is_too_large"),
    [
        ((), b"x" * 1000, False),
        ((), b"x" * 1001, True),
        ((("Content-Encoding", "gzip"),), gzip.compress(b"x" * 5000), False),
        ((("Content-Encoding", "gzip"),), gzip.compress(b"x" * 5001), True),
        ((("Content-Encoding", "gzip, gzip"),), gzip.compress(gzip.compress(b"x" * 3_000_000)), True),
        ((("Content-Encoding", "deflate"),), raw_deflate(b"x" * 5001), True),
    ],
    ids=["wire", "wire-over", "gzip", "gzip-over", "gzip-twice", "deflate-over"],
)
def test_limits_hold_on_the_wire_and_after_inflating(
    loopback: LoopbackServer, headers: tuple[tuple[str, str], ...], body: bytes, *, is_too_large: bool
) -> None:
    loopback.on("/feed", Reply(200, headers, body))
    with Fetcher(SETTINGS, limits=Limits(wire_bytes=1000, decoded_bytes=5000)) as fetcher:
        result = fetcher.fetch(replace(STATE, url=loopback.url("/feed")))
    assert isinstance(result, Failed) is is_too_large
    assert not isinstance(result, Failed) or result.kind is FailureKind.TOO_LARGE


def test_an_endless_body_ends_at_the_limit(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    endless = chain([HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], repeat(chunk))
    loopback.on("/feed", endless)
    assert failed(fetcher, loopback.url("/feed")).kind is FailureKind.TOO_LARGE


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"])
def test_a_dripping_server_can_not_stretch_the_deadline(loopback: LoopbackServer, start: bytes) -> None:
    def dripping() -> Iterator[bytes]:
        yield start
        yield from loopback.drip(b"X" if start else b"H")

    loopback.on("/feed", dripping())
    with Fetcher(SETTINGS.model_copy(update={"fetch_timeout": 0.5})) as fetcher:
        begun = time.monotonic()
        failure = failed(fetcher, loopback.url("/feed"))
        took = time.monotonic() - begun
    assert failure.kind is FailureKind.TIMEOUT
    assert "0.5 seconds" in failure.detail
    assert 0.4 < took < 1.5


# ---- redirects -------------------------------------------------------------------------------------


def test_redirects_are_followed_with_the_validators_on_each_hop(
    loopback: LoopbackServer, fetcher: Fetcher
) -> None:
    loopback.on("/a", redirect(302, "b?x=1"))
    loopback.on("/b", redirect(307, loopback.url("/c/d#fragment")))
    loopback.on("/c/d", redirect(303, "../e"))
    loopback.on("/e", Reply(200, (), BODY))
    result = fetched(fetcher, loopback.url("/a"), etag='"1"', last_modified="then")
    assert result.url == loopback.url("/e")
    assert result.moved_to == ""
    assert [request.target for request in loopback.requests] == ["/a", "/b?x=1", "/c/d", "/e"]
    assert {request.header("If-None-Match") for request in loopback.requests} == {'"1"'}
    assert {request.header("If-Modified-Since") for request in loopback.requests} == {"then"}
    assert not any(request.header("Referer") for request in loopback.requests)


def test_only_leading_permanent_redirects_move_a_feed(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/a", redirect(301, "/b"))
    loopback.on("/b", redirect(308, "/c"))
    loopback.on("/c", redirect(302, "/d"))
    loopback.on("/d", redirect(301, "/e"))
    loopback.on("/e", Reply(200, (), BODY))
    result = fetched(fetcher, loopback.url("/a"))
    assert result.moved_to == loopback.url("/c")
    assert result.url == loopback.url("/e")


def test_five_redirects_are_followed_and_no_sixth(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    for number in range(6):
        loopback.on(f"/{number}", redirect(302, f"/{number + 1}"))
    loopback.on("/6", Reply(200, (), BODY))
    assert fetched(fetcher, loopback.url("/1")).url == loopback.url("/6")
    assert failed(fetcher, loopback.url("/0")).kind is FailureKind.HTTP


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("/feed", FailureKind.HTTP),
        ("ftp://127.0.0.1/feed", FailureKind.HTTP),
        ("file:///etc/passwd", FailureKind.HTTP),
        ("http://[::1", FailureKind.HTTP),
        ("http://127.0.0.1:port/", FailureKind.HTTP),
        ("http://127.0.0.1:99999/", FailureKind.HTTP),
        ("http://127.0.0.2/", FailureKind.FORBIDDEN_ADDRESS),
        ("http://[::ffff:127.0.0.2]/", FailureKind.FORBIDDEN_ADDRESS),
        ("http://169.254.169.254/latest/meta-data", FailureKind.FORBIDDEN_ADDRESS),
    ],
)
def test_a_redirect_to_nowhere_is_a_failure(
    loopback: LoopbackServer, fetcher: Fetcher, location: str, kind: FailureKind
) -> None:
    loopback.on("/feed", redirect(301, location))
    assert failed(fetcher, loopback.url("/feed")).kind is kind


def test_a_redirect_without_a_location_is_a_failure(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", Reply(302))
    assert failed(fetcher, loopback.url("/feed")).detail == (
        "127.0.0.1 answered 302 Found without saying where to go."
    )


# ---- credentials -----------------------------------------------------------------------------------


def test_credentials_become_basic_authorization_and_show_nowhere(
    loopback: LoopbackServer, fetcher: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    loopback.on("/feed", redirect(301, "/moved"))
    loopback.on("/moved", Reply(200, (), BODY))
    caplog.set_level("DEBUG")
    result = fetched(fetcher, loopback.url("/feed", login="me:se%3Acret"))
    # "me:se:cret" in base64.
    assert [each.header("Authorization") for each in loopback.requests] == ["Basic bWU6c2U6Y3JldA=="] * 2
    assert result.url == result.moved_to == loopback.url("/moved")
    assert "cret" not in caplog.text
    assert "bWU6" not in caplog.text


def test_credentials_stay_with_their_host(loopback: LoopbackServer) -> None:
    with LoopbackServer() as other:
        loopback.on("/feed", redirect(302, other.url("/feed")))
        other.on("/feed", redirect(302, loopback.url("/end")))
        loopback.on("/end", Reply(200, (), BODY))
        with Fetcher(SETTINGS) as fetcher:
            fetched(fetcher, loopback.url("/feed", login="me:secret"))
        assert other.requests[0].header("Authorization") is None
        assert loopback.asked("/end")[0].header("Authorization") is None


# ---- statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (404, FailureKind.HTTP, "127.0.0.1 answered 404 Not Found."),
        (410, FailureKind.GONE, "127.0.0.1 answered 410 Gone: the feed was taken down for good."),
        (429, FailureKind.THROTTLED, "127.0.0.1 answered 429 Too Many Requests."),
        (503, FailureKind.THROTTLED, "127.0.0.1 answered 503 Service Unavailable."),
        (500, FailureKind.HTTP, "127.0.0.1 answered 500 Internal Server Error."),
        (204, FailureKind.HTTP, "127.0.0.1 answered 204 No Content."),
        (599, FailureKind.HTTP, "127.0.0.1 answered 599."),
    ],
)
def test_a_status_that_brings_no_feed_says_so_and_when_to_come_back(
    loopback: LoopbackServer, fetcher: Fetcher, status: int, kind: FailureKind, detail: str
) -> None:
    loopback.on("/feed", Reply(status, (("Retry-After", "120"),), b""), Reply(status))
    assert failed(fetcher, loopback.url("/feed")) == Failed(kind, detail, 120, status=status)
    assert failed(fetcher, loopback.url("/feed")) == Failed(kind, detail, status=status)


def test_an_answer_changed_on_the_way_is_a_feed_too(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    loopback.on("/feed", Reply(203, (), BODY))
    assert fetched(fetcher, loopback.url("/feed")).status == 203


def test_retry_after_as_a_date_counts_from_the_servers_clock(
    loopback: LoopbackServer, fetcher: Fetcher
) -> None:
    def dates(_: Request) -> Reply:
        sent, until = (datetime(2001, 1, 1, hour, tzinfo=UTC) for hour in (0, 1))
        headers = (("Date", sent), ("Retry-After", until))
        return Reply(503, tuple((name, format_datetime(date, usegmt=True)) for name, date in headers))

    loopback.on("/feed", dates)
    assert failed(fetcher, loopback.url("/feed")).retry_after == 3600


# ---- addresses and connections ---------------------------------------------------------------------


def test_loopback_is_refused_unless_it_is_allowed(loopback: LoopbackServer) -> None:
    with Fetcher(SETTINGS.model_copy(update={"allow_addresses": ()})) as fetcher:
        failure = failed(fetcher, loopback.url("/feed"))
    assert failure.kind is FailureKind.FORBIDDEN_ADDRESS
    assert failure.detail.startswith("127.0.0.1 is not a public address")
    assert loopback.requests == []


@pytest.mark.parametrize(
    "host", ["2130706434", "0x7f000002", "017700000002", "127.2", "127.0.0.2", "[::1]", "[::127.0.0.2]", "0"]
)
def test_every_spelling_of_a_forbidden_address_is_refused(
    loopback: LoopbackServer, fetcher: Fetcher, host: str
) -> None:
    assert failed(fetcher, loopback.url("/", host=host)).kind is FailureKind.FORBIDDEN_ADDRESS


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"])
def test_every_spelling_of_an_allowed_address_is_fetched(
    loopback: LoopbackServer, fetcher: Fetcher, host: str
) -> None:
    loopback.on("/feed", Reply(200, (), BODY))
    assert fetched(fetcher, loopback.url("/feed", host=host)).body == BODY


def resolver(*addresses: str) -> Callable[[str, float], tuple[Address, ...]]:
    return lambda _host, _seconds: tuple(ip_address(address) for address in addresses)


def test_an_address_that_refuses_is_followed_by_the_next(loopback: LoopbackServer) -> None:
    loopback.on("/feed", Reply(200, (), BODY))
    addresses = resolver("10.0.0.1", "::ffff:127.0.0.1", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed_port = unused.getsockname()[1]
    with Fetcher(SETTINGS, resolve=addresses) as fetcher:
        assert fetched(fetcher, loopback.url("/feed", host="news.example")).body == BODY
        failure = failed(fetcher, f"http://news.example:{closed_port}/feed")
    assert loopback.requests[0].header("Host") == f"news.example:{loopback.port}"
    assert failure == Failed(
        FailureKind.CONNECT,
        f"No connection to news.example, port {closed_port}: Connection refused.",
        is_unasked=True,
    )


def test_a_feed_whose_server_was_met_before_the_failure_counts_as_asked(
    loopback: LoopbackServer, fetcher: Fetcher
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/feed"
    loopback.on("/feed", Reply(302, (("Location", closed),)))
    assert not failed(fetcher, loopback.url("/feed")).is_unasked
    assert failed(fetcher, closed).is_unasked


def test_a_name_that_changes_its_meaning_is_checked_again_for_each_connection(
    loopback: LoopbackServer,
) -> None:
    loopback.on("/feed", redirect(302, "/moved"))
    answers = iter(["127.0.0.1", "127.0.0.2"])

    def rebinding(_host: str, _seconds: float) -> tuple[Address, ...]:
        return (ip_address(next(answers)),)

    with Fetcher(SETTINGS, resolve=rebinding) as fetcher:
        failure = failed(fetcher, loopback.url("/feed", host="rebinding.example"))
    assert failure.kind is FailureKind.FORBIDDEN_ADDRESS
    assert failure.detail.startswith("rebinding.example leads to 127.0.0.2, which is not a public address")
    assert [request.path for request in loopback.requests] == ["/feed"]


def test_an_unknown_name_is_a_dns_failure() -> None:
    def unknown(host: str, _seconds: float) -> tuple[Address, ...]:
        raise FetchError(FailureKind.DNS, f"The name {host} is not known.")

    with Fetcher(SETTINGS, resolve=unknown) as fetcher:
        assert failed(fetcher, "http://unknown.example/feed").kind is FailureKind.DNS


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example"])
def test_a_name_that_can_not_exist_is_a_dns_failure(host: str) -> None:
    with pytest.raises(FetchError) as caught:
        look_up(host, 5)
    assert caught.value.failed.kind is FailureKind.DNS


def test_a_server_without_tls_is_a_tls_failure(loopback: LoopbackServer, fetcher: Fetcher) -> None:
    failure = failed(fetcher, loopback.url("/feed").replace("http:", "https:"))
    assert failure.kind is FailureKind.TLS
    assert failure.detail.startswith("No secure connection to 127.0.0.1: ")


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_name_that_no_certificate_can_have_is_a_tls_failure(loopback: LoopbackServer, host: str) -> None:
    with Fetcher(SETTINGS, resolve=resolver("127.0.0.1")) as fetcher:
        assert failed(fetcher, f"https://{host}:{loopback.port}/").kind is FailureKind.TLS


def test_a_server_that_is_silent_under_tls_can_not_stretch_the_deadline() -> None:
    settings = SETTINGS.model_copy(update={"fetch_timeout": 0.2})
    with socket.create_server(("127.0.0.1", 0)) as silent, Fetcher(settings) as fetcher:
        failure = failed(fetcher, f"https://127.0.0.1:{silent.getsockname()[1]}/")
    assert failure.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", FailureKind.CONNECT),
        (b"HTTP/1.1 200", FailureKind.CONNECT),
        (b"220 mail.example ESMTP\r\n\r\n", FailureKind.HTTP),
        (HEAD + b"X: " + b"x" * 200_000, FailureKind.HTTP),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", FailureKind.HTTP),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", FailureKind.HTTP),
    ],
)
def test_an_answer_that_is_no_http_is_a_failure(
    loopback: LoopbackServer, fetcher: Fetcher, answer: bytes, kind: FailureKind
) -> None:
    loopback.on("/feed", answer)
    assert failed(fetcher, loopback.url("/feed")).kind is kind


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/feed",
        "ftp://example.org/",
        "http://",
        "http:///feed",
        "http://a:b@c:d/",
        "http://h:0x1/",
        "http://me:secret@[::1/",
        "javascript:alert(1)",
        "feed://me:secret@example.org/",
        "http://h:99999/",
    ],
)
def test_an_address_that_can_not_be_fetched_is_a_bad_url(fetcher: Fetcher, url: str) -> None:
    failure = failed(fetcher, url)
    assert failure.kind is FailureKind.BAD_URL
    assert "secret" not in failure.detail
