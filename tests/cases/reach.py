"""Cases of reach: whose credentials go where, and which addresses are never asked."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from aggregator.pipeline.reports import Result
from aggregator.store.syncing import sync_feeds
from aggregator.types import Feed
from tests.cases import case
from tests.loopback import LoopbackServer
from tests.stage import FEED, Stage, item, ok, rss, said

LOGIN = "reader:s3cr%40t"
SENT = "Basic " + b64encode(b"reader:s3cr@t").decode()


def _with_login(stage: Stage) -> str:
    return stage.server.url("/feed", login=LOGIN)


def _shown(stage: Stage) -> str:
    """All that people and other programs get to see of a feed."""
    views = ("v1_feed", "v1_entry", "v1_event_entry", "v1_event", "v1_teaser")
    rows = [stage.rows(f"SELECT * FROM {view}") for view in views]
    return f"{rows} {stage.log.lines}"


@case(6, "RFC 7617 2")
def login(stage: Stage) -> None:
    """User name and password in a feed's address are sent as Basic authorization, decoded."""
    stage.serve(ok())
    assert stage.poll(url=_with_login(stage)).new == 2
    assert stage.last.header("Authorization") == SENT
    assert "@" not in stage.last.target + (stage.last.header("Host") or "")


@case(6)
def login_shown_nowhere(stage: Stage) -> None:
    """They show in no view, no log line and no message, whatever goes wrong."""
    slow = iter((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",))
    stage.serve(ok(), said(401), ok(b"<html>"), said(302, Location="http://[x"), b"garbage\r\n\r\n", slow)
    for hours in (0, 9, 30, 30, 30, 30):
        stage.pass_over(hours=hours, url=_with_login(stage))
    stage.group()
    assert stage.server.url("/feed") in _shown(stage)
    assert "s3cr" not in _shown(stage)


@case(6)
def login_in_a_title(stage: Stage) -> None:
    """A list that names a feed by its address does not give them away either."""
    with stage.store.write() as db:
        url = _with_login(stage)
        sync_feeds(db, [Feed(url, f"Paper {url}", "", url)], stage.settings, stage.now)
    stage.serve(said(500))
    stage.poll()
    assert "s3cr" not in _shown(stage)


@case(6, "RFC 9110 11.6.2")
def login_and_another_host(stage: Stage) -> None:
    """They are not sent along when a redirect leads to another host or port."""
    with LoopbackServer() as other:
        other.on("/feed", ok())
        stage.serve(said(302, Location=other.url("/feed")))
        assert stage.poll(url=_with_login(stage)).result is Result.OK
        assert stage.last.header("Authorization") == SENT
        assert other.requests[0].header("Authorization") is None


@case(6)
def login_on_the_same_host(stage: Stage) -> None:
    """They are sent along when a redirect stays on the same host and port."""
    stage.serve(said(302, Location="/private"))
    stage.serve(ok(), path="/private")
    stage.poll(url=_with_login(stage))
    assert stage.last.header("Authorization") == SENT


@case(6)
def login_at_a_new_address(stage: Stage) -> None:
    """They go on working when the feed has moved on the same host."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll(url=_with_login(stage))
    for _ in range(5):
        stage.poll(hours=25)
    assert stage.last.path == "/new"
    assert stage.requests[-2].path == "/new"
    assert stage.last.header("Authorization") == SENT
    assert "s3cr" not in _shown(stage)


def _refused(stage: Stage, host: str) -> None:
    """Nothing is asked at a host that leads to this machine unless it is allowed."""
    stage.set(allow_addresses="")
    stage.serve(ok())
    report = stage.poll(url=f"http://{host}:{stage.server.port}/feed")
    assert report.result is Result.FAILED
    assert list(stage.requests) == []


@case(7, "RFC 6890")
def loopback(stage: Stage) -> None:
    """127.0.0.1 is refused."""
    _refused(stage, "127.0.0.1")


@case(7, "RFC 6761 6.3")
def localhost(stage: Stage) -> None:
    """A name that leads to this machine is refused."""
    _refused(stage, "localhost")


@case(7)
def decimal_address(stage: Stage) -> None:
    """2130706433 is 127.0.0.1."""
    _refused(stage, "2130706433")


@case(7)
def octal_address(stage: Stage) -> None:
    """0177.0.0.1 is 127.0.0.1."""
    _refused(stage, "0177.0.0.1")


@case(7)
def hexadecimal_address(stage: Stage) -> None:
    """0x7f.0.0.1 is 127.0.0.1."""
    _refused(stage, "0x7f.0.0.1")


@case(7)
def short_address(stage: Stage) -> None:
    """127.1 is 127.0.0.1."""
    _refused(stage, "127.1")


@case(7)
def address_with_a_final_dot(stage: Stage) -> None:
    """`localhost.` and `127.0.0.1.` are this machine."""
    _refused(stage, "localhost.")


@case(7, "UTS 46")
def full_width_address(stage: Stage) -> None:
    """Full-width digits are digits."""
    _refused(stage, "１２７.０.０.１")


@case(7, "RFC 1122 3.2.1.3")
def zero_address(stage: Stage) -> None:
    """0.0.0.0 is this machine."""
    _refused(stage, "0.0.0.0")


@case(7, "RFC 4291 2.5.3")
def ipv6_loopback(stage: Stage) -> None:
    """[::1] is refused."""
    _refused(stage, "[::1]")


@case(7, "RFC 4291 2.5.5.2")
def mapped_address(stage: Stage) -> None:
    """An IPv4 address mapped into IPv6 counts as what it is."""
    _refused(stage, "[::ffff:127.0.0.1]")


@case(7, "RFC 6052 2.1")
def translated_address(stage: Stage) -> None:
    """An IPv4 address behind NAT64 or in 6to4 counts as what it is."""
    _refused(stage, "[64:ff9b::7f00:1]")
    stage.subscribe()
    _refused(stage, "[2002:7f00:1::]")


@case(7, "RFC 3927")
def metadata_service(stage: Stage) -> None:
    """The link-local address where clouds keep their secrets is refused."""
    report = stage.poll(url="http://169.254.169.254/latest/meta-data/")
    assert "not a public address" in report.detail


@case(7, "RFC 1918")
def private_networks(stage: Stage) -> None:
    """Private networks are refused."""
    stage.subscribe(
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.64.0.1/",
        "http://[fd00::1]/",
    )
    assert all("not a public address" in report.detail for report in stage.pass_over())


@case(7)
def redirect_into_the_house(stage: Stage) -> None:
    """Each hop of a redirect is checked, not only the first."""
    stage.serve(said(302, Location=f"http://127.0.0.2:{stage.server.port}/secret"))
    assert "not a public address" in stage.poll().detail
    assert len(stage.requests) == 1


@case(7)
def redirect_to_a_file(stage: Stage) -> None:
    """Only http and https are followed."""
    for target in ("file:///etc/passwd", "gopher://127.0.0.1/", "data:text/xml,%3Crss/%3E"):
        stage.serve(said(302, Location=target))
        assert stage.poll(hours=30).result is Result.FAILED
    assert stage.titles == []


@case(7)
def allowed_network(stage: Stage) -> None:
    """ALLOW_ADDRESSES opens exact addresses and networks, and nothing beside them."""
    stage.serve(ok())
    stage.set(allow_addresses="127.0.0.1/32, 10.0.0.0/30")
    assert stage.poll().result is Result.OK
    stage.subscribe(f"http://127.0.0.2:{stage.server.port}/feed")
    assert stage.poll(hours=1).result is Result.FAILED


@case(7, "RFC 3986 6.1")
def address_of_a_file(stage: Stage) -> None:
    """A body that is the path of a file is a body, and no file is opened."""
    secret = stage.folder / "secret.xml"
    Path(secret).write_bytes(FEED)
    stage.serve(ok(str(secret).encode()))
    assert stage.poll().result is Result.FAILED
    assert stage.titles == []


@case(7)
def addresses_in_the_content(stage: Stage) -> None:
    """Nothing in a feed's content is fetched: no image, stylesheet, enclosure, included file or hub."""
    here = stage.server.url("/spy")
    body = rss(
        item(
            "one",
            extra=f"<enclosure url='{here}/e' length='1' type='audio/mpeg'/>"
            f"<description>&lt;img src='{here}/i'></description>",
        ),
        channel=f"<image><url>{here}/logo</url></image><atom:link rel='hub' href='{here}/hub'/>"
        f"<xi:include href='{here}/x'/><docs>{here}/d</docs>",
        namespaces="xmlns:atom='http://www.w3.org/2005/Atom' xmlns:xi='http://www.w3.org/2001/XInclude'",
    )
    head = (
        f"<?xml version='1.0'?><?xml-stylesheet href='{here}/s'?><!DOCTYPE rss SYSTEM '{here}/dtd'>".encode()
    )
    stage.serve(ok(head + body))
    assert stage.poll().new == 1
    assert [request.path for request in stage.requests] == ["/feed"]
