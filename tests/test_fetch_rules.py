"""The rules of fetching that need no network: addresses, URLs, header values, content codings."""

from __future__ import annotations

import gzip
import time
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address, ip_network

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.credentials import redacted
from aggregator.fetch.address import is_permitted
from aggregator.fetch.body import decoded
from aggregator.fetch.headers import MAX_SECONDS, Fields, freshness, retry_after, sendable
from aggregator.fetch.limits import FetchError
from aggregator.fetch.urls import Target, read_target
from aggregator.types import FailureKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def http_date(seconds: int) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def fields(**values: str) -> Fields:
    return Fields(
        (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in values.items()
    )


# ---- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1"],
)
def test_global_addresses_are_permitted(address: str) -> None:
    assert is_permitted(ip_address(address), ())


@pytest.mark.parametrize(
    "address",
    [
        *(
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
        ),
        *("172.16.0.1", "192.0.0.8", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
        *("203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ),
        *("100::1", "2001:db8::1", "2001::1", "3fff::1", "5f00::1", "4000::1", "::7f00:1", "::ffff:10.0.0.1"),
        *("::ffff:127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    ],
)
def test_special_addresses_are_refused(address: str) -> None:
    assert not is_permitted(ip_address(address), ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd00::5"])
def test_an_allowed_network_is_permitted_in_any_notation(address: str) -> None:
    allowed = (ip_network("10.1.0.0/16"), ip_network("fd00::/64"))
    assert is_permitted(ip_address(address), allowed)
    assert not is_permitted(ip_address("10.2.0.1"), allowed)
    assert not is_permitted(ip_address("fd00:0:0:1::5"), allowed)


# ---- URLs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://me:pw@example.org/feed", "https://example.org/feed"),
        ("https://me@example.org", "https://example.org"),
        ("https://me:p@w@example.org/feed", "https://example.org/feed"),
        (" HTTP://me:pw@example.org:8080/?q=a@b", " HTTP://example.org:8080/?q=a@b"),
        ("//me:pw@example.org/", "//example.org/"),
        ("http:///me:pw@example.org/", "http:///example.org/"),
        ("me:pw@example.org/feed", "example.org/feed"),
        ("https://example.org/@me//x@y#z@", "https://example.org/@me//x@y#z@"),
        ("no url at all", "no url at all"),
        ("", ""),
    ],
)
def test_a_redacted_url_has_lost_its_credentials_and_nothing_else(url: str, clean: str) -> None:
    assert redacted(url) == clean


@given(st.text(max_size=60) | st.from_regex(r"(https?:)?//[^/]{0,20}(/.{0,20})?", fullmatch=True))
def test_any_location_becomes_a_target_or_a_failure_of_the_server(location: str) -> None:
    start = Target(httpx.URL("http://example.org/feed"), "Basic eDp5")
    try:
        target = start.redirected(location)
    except FetchError as error:
        assert error.failed.kind is FailureKind.HTTP  # noqa: PT017 (either outcome is fine)
    else:
        assert target.url.scheme in {"http", "https"}
        assert target.url.host
        assert not target.url.userinfo


@given(st.text(max_size=30) | st.from_regex(r"(ftp:|http:)?/{0,3}", fullmatch=True), st.text(max_size=30))
def test_no_failure_of_a_redirect_shows_credentials_or_what_a_terminal_obeys(before: str, after: str) -> None:
    start = Target(httpx.URL("http://example.org/feed"), "")
    said = "Nothing failed."
    try:
        start.redirected(f"{before}me:secret@{after}")
    except FetchError as error:
        said = error.failed.detail
    assert "secret" not in said
    assert said.isprintable()
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("old", "new", "is_kept"),
    [
        ("http://a.example/", "/other", True),
        ("http://a.example/", "https://a.example/", True),
        ("http://a.example:8080/", "http://A.example:8080/x", True),
        ("https://a.example/", "http://a.example/", False),
        ("http://a.example/", "http://a.example:8080/", False),
        ("http://a.example/", "//b.a.example/", False),
        ("http://a.example/", "http://a.example.b.example/", False),
    ],
)
def test_credentials_go_along_only_to_the_same_service(old: str, new: str, *, is_kept: bool) -> None:
    start = read_target(old.replace("://", "://me:pw@"))
    assert start.authorization == "Basic bWU6cHc="
    assert (start.redirected(new).authorization == start.authorization) is is_kept


def test_credentials_of_a_redirect_are_its_own() -> None:
    target = read_target("http://me:pw@a.example/").redirected("http://you:pw@b.example/")
    assert target == Target(httpx.URL("http://b.example/"), "Basic eW91OnB3")


# ---- header values ---------------------------------------------------------------------------------


@given(st.binary())
def test_a_validator_is_sent_as_it_came_or_not_at_all(value: bytes) -> None:
    has_controls = any((byte < 32 and byte != 9) or byte == 127 for byte in value)
    is_whole = value == value.strip(b" \t")
    assert sendable(value.decode("latin-1")) == (value if is_whole and not has_controls else b"")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("9" * 30, MAX_SECONDS),
        (http_date(90), 90),
        (http_date(-90), 0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60),
        ("Sun Mar  1 12:01:00 2026", 60),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("12 seconds", None),
        ("\xb2", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int | None) -> None:
    assert retry_after(fields(retry_after=value), NOW) == seconds


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ({}, None),
        ({"cache_control": "max-age=600"}, 600),
        ({"cache_control": 'Public, MAX-AGE = "600" , must-revalidate'}, 600),
        ({"cache_control": "max-age=600", "age": "50"}, 550),
        ({"cache_control": "max-age=600", "age": "5000"}, 0),
        ({"cache_control": "max-age=600", "age": "old"}, 600),
        ({"cache_control": "max-age=600", "expires": http_date(9)}, 600),
        ({"cache_control": "max-age=" + "9" * 5000}, MAX_SECONDS),
        ({"cache_control": "max-age=600, no-cache"}, 0),
        ({"cache_control": "no-store"}, 0),
        ({"cache_control": 'no-cache="set-cookie", max-age=5'}, 5),
        ({"cache_control": "s-maxage=600"}, None),
        ({"cache_control": "max-age=-5"}, None),
        ({"cache_control": "max-age=soon"}, None),
        ({"cache_control": "max-age"}, None),
        ({"cache_control": '="",,;"'}, None),
        ({"expires": http_date(90)}, 90),
        ({"expires": http_date(-90)}, 0),
        ({"expires": http_date(90), "date": http_date(-10)}, 100),
        ({"expires": http_date(90), "date": "today"}, 90),
        ({"expires": "0"}, 0),
        ({"expires": "-1"}, 0),
        ({"expires": "tomorrow"}, None),
    ],
)
def test_freshness_is_what_the_server_stated(sent: dict[str, str], seconds: int | None) -> None:
    assert freshness(fields(**sent), NOW) == seconds


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_no_header_value_is_an_error(value: str, other: str) -> None:
    for name in ("retry_after", "cache_control", "expires", "age"):
        sent = fields(**{name: value, "date": other})
        assert (retry_after(sent, NOW) or 0) >= 0
        assert (freshness(sent, NOW) or 0) >= 0


def test_a_list_sent_in_two_lines_is_one_list() -> None:
    sent = Fields([(b"Cache-Control", b"public"), (b"cache-control", b"max-age=5")])
    assert freshness(sent, NOW) == 5
    assert sent.first("cache-control") == "public"


# ---- content codings -------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=200), max_size=5), st.booleans())
def test_gzip_of_any_number_of_members_is_undone(parts: list[bytes], padded: bool) -> None:  # noqa: FBT001 (Hypothesis)
    packed = b"".join(gzip.compress(part) for part in parts) + (b"\0" * 512 if padded and parts else b"")
    assert decoded(packed, "gzip", 10_000) == b"".join(parts)


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate", "zstd", " , identity"]))
def test_any_body_is_decoded_or_refused(body: bytes, codings: str) -> None:
    try:
        assert len(decoded(body, codings, 100)) <= 100
    except FetchError as error:
        assert error.failed.kind in {FailureKind.BROKEN_BODY, FailureKind.TOO_LARGE}  # noqa: PT017 (either is fine)


@given(st.binary(min_size=1), st.data())
def test_a_cut_body_is_never_taken_for_whole(body: bytes, data: st.DataObject) -> None:
    coding, packed = data.draw(
        st.sampled_from([("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))])
    )
    cut = data.draw(st.integers(1, len(packed) - 1))
    with pytest.raises(FetchError) as caught:
        decoded(packed[:cut], coding, 10_000)
    assert caught.value.failed.kind is FailureKind.BROKEN_BODY


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"\0" * 100_000_000, 1),
        gzip.compress(gzip.compress(b"\0" * 100_000_000, 1)),
        gzip.compress(b"") * 400_000,
    ],
    ids=["one", "nested", "members"],
)
def test_a_bomb_costs_little_time(body: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(FetchError):
        decoded(body, "gzip, gzip", 1_000_000)
    assert time.process_time() - begun < 1
