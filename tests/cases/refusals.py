"""Cases of refusals: how long a server that says no is left alone."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from itertools import pairwise

from aggregator.pipeline.reports import Result
from aggregator.types import FeedHealth
from tests.cases import case
from tests.stage import START, Stage, item, ok, rss, said

DAY = 86_400


def _wait_after(stage: Stage, status: int, **headers: str) -> float:
    stage.serve(said(status, **headers))
    assert stage.poll().result is Result.FAILED
    return stage.wait


def _backs_off(stage: Stage, url: str = "") -> None:
    """The gaps grow from poll to poll up to a day, and never beyond; the entries of better days stay."""
    waits = []
    for _ in range(10):
        stage.poll(url=url)
        waits.append(stage.wait)
        stage.now = stage.state.next_poll_at
    assert all(later > 1.4 * former for former, later in pairwise(waits[:5]))
    assert max(waits) <= DAY
    assert waits[-1] >= 0.9 * DAY
    assert stage.state.health is FeedHealth.FAILING


@case(3, "RFC 6585 4")
def too_many_requests(stage: Stage) -> None:
    """429 with Retry-After in seconds: not before they have passed, by no command."""
    assert 7200 <= _wait_after(stage, 429, Retry_After="7200") <= 7920
    assert stage.pass_over(hours=1.9) == []
    assert len(stage.pass_over(hours=0.2)) == 1


@case(3, "RFC 9110 10.2.3")
def retry_after_a_date(stage: Stage) -> None:
    """Retry-After as a date counts from the server's Date."""
    dates = {
        "Date": format_datetime(START, usegmt=True),
        "Retry-After": format_datetime(START + timedelta(hours=3), usegmt=True),
    }
    assert 10_800 <= _wait_after(stage, 429, **dates) <= 11_880


@case(3, "RFC 9110 15.6.4")
def service_unavailable(stage: Stage) -> None:
    """503 with Retry-After is heeded like 429."""
    assert _wait_after(stage, 503, Retry_After="9000") >= 9000


@case(3, "RFC 9110 10.2.3")
def retry_after_garbage(stage: Stage) -> None:
    """A Retry-After that is neither is passed over."""
    assert 600 <= _wait_after(stage, 429, Retry_After="in a while") <= 3960


@case(3, "RFC 9110 10.2.3")
def retry_after_in_the_past(stage: Stage) -> None:
    """A Retry-After that lies back, or is negative, asks for nothing."""
    assert 600 <= _wait_after(stage, 503, Retry_After="-20") <= 3960
    stage.serve(said(503, Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"))
    stage.poll(hours=2)
    assert stage.wait >= 600


@case(3, "RFC 9110 10.2.3")
def retry_after_years(stage: Stage) -> None:
    """A week is the most that Retry-After can ask for, and the log says so."""
    assert 7 * DAY <= _wait_after(stage, 429, Retry_After="99999999999999") <= 7.7 * DAY
    assert any("it gets 7 days" in line for line in stage.log.lines)


@case(3, "RFC 9111 4.2")
def retry_after_and_max_age(stage: Stage) -> None:
    """Of Retry-After and max-age the later counts."""
    assert _wait_after(stage, 503, Retry_After="60", Cache_Control="max-age=30000") >= 30_000


@case(3)
def throttled_feeds_slow_down(stage: Stage) -> None:
    """A server that finds itself asked too often is asked half as often from then on."""
    _wait_after(stage, 429)
    assert stage.state.interval == 3600


@case(3)
def not_found(stage: Stage) -> None:
    """404: growing gaps up to a day."""
    stage.serve(said(404))
    _backs_off(stage)


@case(3)
def forbidden(stage: Stage) -> None:
    """403: growing gaps up to a day."""
    stage.serve(said(403))
    _backs_off(stage)


@case(3)
def unauthorized(stage: Stage) -> None:
    """401: growing gaps; nobody is asked for a password."""
    stage.serve(said(401, WWW_Authenticate="Basic realm=x"))
    _backs_off(stage)


@case(3)
def server_error(stage: Stage) -> None:
    """500: growing gaps up to a day, and the entries stay."""
    stage.serve(ok(), said(500))
    stage.poll()
    stage.now = stage.state.next_poll_at
    _backs_off(stage)
    assert len(stage.titles) == 2


@case(3, "RFC 9110 15")
def strange_status(stage: Stage) -> None:
    """A status that no standard knows counts as an error of the server's, kept with what to do about it."""
    stage.serve(said(799))
    detail = stage.poll().detail
    assert detail.startswith("127.0.0.1 answered 799. Wait; ")
    assert stage.state.problem == detail


@case(3)
def no_content(stage: Stage) -> None:
    """204 has no feed: a failure, no empty feed."""
    stage.serve(said(204))
    assert stage.poll().result is Result.FAILED


@case(3)
def unknown_name(stage: Stage) -> None:
    """A name that is not known: growing gaps up to a day."""
    _backs_off(stage, "http://no-such-host.invalid/feed")


@case(3)
def broken_tls(stage: Stage) -> None:
    """No TLS where it should be: growing gaps up to a day."""
    _backs_off(stage, f"https://127.0.0.1:{stage.server.port}/feed")


@case(3)
def refused_connection(stage: Stage) -> None:
    """Nobody listens: growing gaps up to a day."""
    _backs_off(stage, "http://127.0.0.1:1/feed")


@case(3)
def closed_without_an_answer(stage: Stage) -> None:
    """A connection closed without a byte: growing gaps up to a day."""
    stage.serve(b"")
    _backs_off(stage)


@case(3, "RFC 9110 15.5.11")
def gone(stage: Stage) -> None:
    """410 stops the feed, says so, and its entries stay."""
    stage.serve(ok(), said(410))
    stage.poll()
    assert "for good" in stage.poll(hours=1).detail
    assert stage.rows("SELECT state FROM v1_feed") == [("gone",)]
    assert stage.pass_over(hours=9999) == []
    assert len(stage.titles) == 2


@case(3, "RFC 9110 15.5.11")
def gone_behind_a_temporary_redirect(stage: Stage) -> None:
    """A 410 from where a redirect leads says nothing about the feed's own address."""
    stage.serve(said(302, Location="/old"), ok())
    stage.serve(said(410), path="/old")
    stage.poll()
    assert stage.state.health is FeedHealth.FAILING
    assert stage.poll(hours=9).result is Result.OK


@case(3)
def gone_and_listed_anew(stage: Stage) -> None:
    """A feed that was gone is asked again once the operator takes it out of the list and puts it back."""
    url = stage.server.url("/feed")
    stage.serve(said(410), ok())
    stage.poll(url=url)
    stage.subscribe()
    stage.subscribe(url)
    assert stage.poll(hours=1).result is Result.OK


@case(3)
def recovered(stage: Stage) -> None:
    """An answer ends all trouble: failures, problem and pauses are over."""
    stage.serve(said(503, Retry_After="3600"), said(500), ok(rss(item("one"))))
    for hours in (0, 2, 9):
        stage.poll(hours=hours)
    state = stage.state
    assert (state.health, state.failures, state.problem, state.retry_at) == (FeedHealth.OK, 0, "", None)
