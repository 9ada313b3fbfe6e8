"""Cases of manners: how many connections, who asks, and what is never sent along."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

from aggregator.pipeline.reports import Result
from tests.cases import case
from tests.loopback import Answer, Reply, Request, Responder
from tests.stage import Stage, item, ok, rss, said

TAG = '"v1"'


def _many(stage: Stage, count: int, answer: Answer | Responder) -> None:
    paths = [f"/{number}" for number in range(count)]
    for path in paths:
        stage.serve(answer, path=path)
    stage.subscribe(*(stage.server.url(path) for path in paths))


@case(5)
def connections_at_once(stage: Stage) -> None:
    """However many feeds a host has, at most HOST_CONNECTIONS are under way there."""
    lock, under_way, most = threading.Lock(), 0, 0

    def answer(_request: Request) -> Reply:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return ok()

    _many(stage, 12, answer)
    assert len(stage.pass_over()) == 12
    assert most == 2


@case(5)
def spaced_starts(stage: Stage) -> None:
    """Starts at one host are HOST_DELAY apart."""
    stage.set(host_delay=0.1)
    _many(stage, 5, ok())
    stage.pass_over()
    starts = [request.at for request in stage.requests]
    assert min(later - former for former, later in pairwise(starts)) > 0.06


@case(5)
def redirects_to_one_host(stage: Stage) -> None:
    """Feeds of many hosts that lead to one wait for their turns there too."""
    stage.set(allow_addresses="127.0.0.0/8", host_connections=1, host_delay=0.05)
    stage.serve(said(302, Location=stage.server.url("/all")))
    stage.serve(ok(), path="/all")
    stage.subscribe(stage.server.url("/feed", host="localhost"), stage.server.url("/feed"))
    stage.pass_over()
    starts = [request.at for request in stage.requests if request.path == "/all"]
    assert len(starts) == 2
    assert abs(starts[1] - starts[0]) > 0.03


@case(5)
def one_address_listed_twice(stage: Stage) -> None:
    """An address that the list has twice, in whatever spelling, is asked once."""
    url = stage.server.url("/feed")
    stage.serve(ok())
    stage.subscribe(url, url.replace("http://", "HTTP://"), f"{url}#latest", f"feed:{url}")
    assert len(stage.pass_over()) == len(stage.requests) == 1


@case(5, "RFC 9110 10.1.5")
def user_agent(stage: Stage) -> None:
    """User-Agent says who asks and where to reach them."""
    stage.serve(ok())
    stage.poll()
    name, _, rest = (stage.last.header("User-Agent") or "").partition("/")
    assert name == "news-event-aggregator"
    assert rest.endswith("(+https://reader.example/bot)")


@case(5, "RFC 6265 5.4")
def cookies(stage: Stage) -> None:
    """Cookies are never sent back, not even along a redirect."""
    stage.serve(said(302, Location="/in", Set_Cookie="seen=1; Path=/"))
    stage.serve(ok(Set_Cookie="reader=42; Path=/"), path="/in")
    stage.poll()
    stage.poll(hours=1)
    assert len(stage.requests) == 4
    assert not any(request.header("Cookie") for request in stage.requests)


@case(5, "RFC 9110 10.1.3")
def referer(stage: Stage) -> None:
    """No Referer is sent, not even along a redirect."""
    stage.serve(said(301, Location="/in"))
    stage.serve(ok(), path="/in")
    stage.poll()
    assert not any(request.header("Referer") for request in stage.requests)


@case(5)
def query(stage: Stage) -> None:
    """The address is asked for as it stands, its query neither longer nor in another order."""
    stage.serve(ok())
    stage.poll(url=stage.server.url("/feed?b=2&amp;a=1&amp;a=%20x&amp;empty="))
    assert stage.last.target == "/feed?b=2&a=1&a=%20x&empty="


@case(5, "RFC 9110 12.5.3")
def codings(stage: Stage) -> None:
    """Only codings are offered that can be undone with a limit."""
    stage.serve(ok())
    stage.poll()
    assert stage.last.header("Accept-Encoding") == "gzip, deflate"


@case(5, "RFC 9110 9.3.1")
def no_body_in_a_request(stage: Stage) -> None:
    """A request has no body."""
    stage.serve(ok())
    stage.poll()
    assert stage.last.body == b""


@case(5, "RFC 3229 10.5.3")
def delta_asked_for(stage: Stage) -> None:
    """`A-IM: feed` goes along with an entity tag, and only then."""
    stage.serve(ok(ETag=TAG), said(304))
    stage.poll()
    stage.poll(hours=1)
    assert [request.header("A-IM") for request in stage.requests] == [None, "feed"]


@case(5, "RFC 3229 10.4.1")
def delta(stage: Stage) -> None:
    """A 226 adds its items; those that it leaves out are still there, and its tag is the new one."""
    stage.serve(ok(ETag=TAG), said(226, rss(item("three")), ETag='"v2"', IM="feed"), said(304))
    stage.poll()
    assert stage.poll(hours=1).new == 1
    stage.poll(hours=2)
    assert len(stage.titles) == 3
    assert stage.last.header("If-None-Match") == '"v2"'


@case(5, "RFC 3229 10.4.1")
def delta_and_whole_again(stage: Stage) -> None:
    """After a delta the whole feed brings nothing twice."""
    whole = rss(item("one"), item("two"), item("three"))
    stage.serve(ok(ETag=TAG), said(226, rss(item("three")), ETag='"v2"', IM="feed"), ok(whole))
    for hours in (0, 1):
        stage.poll(hours=hours)
    assert stage.poll(hours=2).new == 0
    assert len(stage.titles) == 3


@case(5, "RFC 3229 10.4.1")
def delta_that_nobody_asked_for(stage: Stage) -> None:
    """A 226 to somebody who has nothing is an error."""
    stage.serve(said(226, rss(item("three")), ETag=TAG, IM="feed"))
    assert stage.poll().result is Result.FAILED
    assert stage.state.etag == ""


@case(5, "RFC 3229 10.5.2")
def delta_in_another_form(stage: Stage) -> None:
    """A change in a form that was not asked for is an error, and the tag stays the old one."""
    stage.serve(ok(ETag=TAG), said(226, b"1c1\n< a", ETag='"v2"', IM="diffe"))
    stage.poll()
    assert stage.poll(hours=1).result is Result.FAILED
    assert stage.state.etag == TAG
