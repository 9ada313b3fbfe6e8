"""Cases of redirects and moves: followed every time, believed late."""

from __future__ import annotations

from aggregator.pipeline.reports import Result
from tests.cases import case
from tests.loopback import LoopbackServer
from tests.stage import Stage, item, ok, rss, said

PAGE = b"<!doctype html><html><body>Welcome to our new site</body></html>"


def _asked_on(stage: Stage, days: int) -> list[str]:
    """The paths asked for in polls on so many days."""
    for _ in range(days):
        stage.pass_over(hours=25)
    return [request.path for request in stage.requests]


@case(4, "RFC 9110 15.4.2")
def moved_once(stage: Stage) -> None:
    """A 301 is followed, but the next poll asks at the old address again."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    assert _asked_on(stage, 1) == ["/feed", "/new", "/feed", "/new"]


@case(4, "RFC 9110 15.4.2")
def moved_for_days(stage: Stage) -> None:
    """A 301 to a real feed that is seen on four days changes the address; the list stays as it is."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    asked = _asked_on(stage, 5)
    assert asked == ["/feed", "/new"] * 4 + ["/new", "/new"]
    assert stage.rows("SELECT url, moved_to FROM v1_feed") == [
        (stage.server.url("/feed"), stage.server.url("/new"))
    ]


@case(4, "RFC 9110 15.4.9")
def moved_with_308(stage: Stage) -> None:
    """308 counts like 301."""
    stage.serve(said(308, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    assert _asked_on(stage, 4)[-1] == "/new"
    assert stage.state.move.address == stage.server.url("/new")


@case(4, "RFC 9110 15.4.2")
def moved_within_an_hour(stage: Stage) -> None:
    """Many sightings on one day are one sighting."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    for _ in range(20):
        stage.poll(hours=0.2)
    assert stage.state.move.address == ""


@case(4, "RFC 9110 15.4.3")
def found_elsewhere(stage: Stage) -> None:
    """302 is followed and never changes the address."""
    stage.serve(said(302, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    assert _asked_on(stage, 9)[-2:] == ["/feed", "/new"]
    assert stage.rows("SELECT moved_to FROM v1_feed") == [("",)]


@case(4, "RFC 9110 15.4.8")
def temporarily_elsewhere(stage: Stage) -> None:
    """307 is followed and never changes the address."""
    stage.serve(said(307, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    assert _asked_on(stage, 9)[-2:] == ["/feed", "/new"]


@case(4, "RFC 9110 15.4.4")
def see_other(stage: Stage) -> None:
    """303 is followed and never changes the address."""
    stage.serve(said(303, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    assert _asked_on(stage, 9)[-2:] == ["/feed", "/new"]


@case(4)
def moved_to_a_page(stage: Stage) -> None:
    """A 301 to something that is no feed never changes the address."""
    stage.serve(said(301, Location="/home"))
    stage.serve(ok(PAGE), path="/home")
    stage.poll()
    assert _asked_on(stage, 9)[-2:] == ["/feed", "/home"]
    assert stage.rows("SELECT moved_to FROM v1_feed") == [("",)]


@case(4)
def moved_by_a_slip(stage: Stage) -> None:
    """A 301 that is taken back in between has to prove itself again."""
    back = said(301, Location="/new")
    stage.serve(back, back, back, ok(), back)
    stage.serve(ok(), path="/new")
    stage.poll()
    _asked_on(stage, 6)
    assert stage.state.move.address == ""


@case(4, "RFC 9110 15.4.2")
def moved_by_way_of_a_302(stage: Stage) -> None:
    """Behind a temporary redirect nothing is permanent."""
    stage.serve(said(302, Location="/via"))
    stage.serve(said(301, Location="/new"), path="/via")
    stage.serve(ok(), path="/new")
    stage.poll()
    _asked_on(stage, 9)
    assert stage.state.move.address == ""


@case(4)
def stepped_up_to_tls(stage: Stage) -> None:
    """A 301 from http to https of the same host counts at once."""
    with LoopbackServer(certified="127.0.0.1") as secure:
        secure.on("/feed", ok())
        stage.serve(said(301, Location=secure.url("/feed")))
        stage.poll()
        stage.poll(hours=1)
        assert (len(stage.requests), len(secure.requests)) == (1, 2)


@case(4)
def moved_and_lost(stage: Stage) -> None:
    """A new address that fails again and again is given up for the listed one."""
    stage.serve(said(301, Location="/new"))
    stage.serve(*[ok()] * 4, said(404), path="/new")
    stage.poll()
    assert _asked_on(stage, 6)[-3:] == ["/new", "/new", "/new"]
    stage.serve(ok(rss(item("three"))))
    stage.poll(hours=200)
    assert stage.last.path == "/feed"
    assert len(stage.titles) == 3


@case(4)
def moved_to_a_listed_feed(stage: Stage) -> None:
    """A feed that moved to another listed one is not asked twice: it rests."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.subscribe(stage.server.url("/feed"), stage.server.url("/new"))
    _asked_on(stage, 5)
    before = len(stage.requests)
    stage.pass_over(hours=25)
    assert [request.path for request in stage.requests[before:]] == ["/new"]


@case(4)
def moved_and_followed_in_the_list(stage: Stage) -> None:
    """When the operator lists the new address, the feed keeps its history."""
    stage.serve(said(301, Location="/new"))
    stage.serve(ok(), path="/new")
    stage.poll()
    number = stage.state.id
    stage.subscribe(stage.server.url("/new"))
    assert stage.state.id == number
    assert stage.poll(hours=1).new == 0


@case(4, "RFC 9110 10.2.2")
def relative_location(stage: Stage) -> None:
    """A Location is resolved against the address that was asked."""
    stage.serve(said(302, Location="there?x=1"), path="/a/feed")
    stage.serve(ok(), path="/a/there")
    stage.poll(url=stage.server.url("/a/feed"))
    assert stage.last.target == "/a/there?x=1"


@case(4, "RFC 9110 15.4")
def redirect_circle(stage: Stage) -> None:
    """A circle of redirects ends as an error."""
    stage.serve(said(301, Location="/b"))
    stage.serve(said(301, Location="/feed"), path="/b")
    assert "circle" in stage.poll().detail


@case(4, "RFC 9110 15.4")
def redirects_without_end(stage: Stage) -> None:
    """A chain of more than five redirects is given up."""
    for number in range(9):
        stage.serve(said(302, Location=f"/{number + 1}"), path=f"/{number}")
    assert stage.poll(url=stage.server.url("/0")).result is Result.FAILED
    assert len(stage.requests) == 6


@case(4, "RFC 9110 10.2.2")
def redirect_to_nowhere(stage: Stage) -> None:
    """A redirect without Location, or with one that is no address, is an error."""
    stage.serve(said(302), said(302, Location="http://[::"), said(302, Location="ftp://paper.example/feed"))
    for hours in (0, 9, 9):
        assert stage.poll(hours=hours).result is Result.FAILED
