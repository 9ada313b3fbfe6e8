"""Cases of intervals: how often a feed is asked, by its own rhythm and by what it and its server ask for."""

from __future__ import annotations

from datetime import timedelta

from aggregator.pipeline.reports import Result
from aggregator.store import open_store
from tests.cases import case
from tests.loopback import Reply, Request
from tests.stage import FEED, START, Stage, item, ok, rss, said

SY = 'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
DAY = 86_400


@case(2)
def one_request(stage: Stage) -> None:
    """A poll is one GET of the feed's own URL: no HEAD, no icon, no second try."""
    stage.serve(ok())
    stage.poll()
    assert [(request.method, request.target) for request in stage.requests] == [("GET", "/feed")]


@case(2)
def no_second_try(stage: Stage) -> None:
    """A request that fails is not repeated before the next poll."""
    stage.serve(b"")
    assert stage.poll().result is Result.FAILED
    assert len(stage.requests) == 1


@case(2)
def minimum_interval(stage: Stage) -> None:
    """Not even an explicit pass over all feeds asks a feed within MIN_INTERVAL."""
    stage.serve(ok())
    stage.poll()
    assert stage.pass_over(hours=599 / 3600) == []
    assert len(stage.pass_over(hours=1 / 3600)) == 1


@case(2)
def minimum_interval_after_a_restart(stage: Stage) -> None:
    """The minimum interval is kept in the database: a restart does not forget it."""
    stage.serve(ok())
    stage.poll()
    stage.store.close()
    stage.store = open_store(stage.store.engine.url.render_as_string(hide_password=False))
    asked = stage.pass_over(hours=0.1)
    stage.store.close()
    assert asked == []


@case(2)
def minimum_interval_after_a_crash(stage: Stage) -> None:
    """That a feed is asked is on record before it is: a crash in mid-request does not make it be asked again."""
    on_record: list[object] = []

    def answer(_request: Request) -> Reply:
        on_record.extend(stage.rows("SELECT last_polled_at FROM feed WHERE last_polled_at IS NOT NULL"))
        return ok()

    stage.serve(answer)
    stage.poll()
    assert len(on_record) == 1


@case(2)
def minimum_interval_after_an_edit(stage: Stage) -> None:
    """A feed that leaves the list and comes back is no new feed, and not asked any sooner."""
    url = stage.server.url("/feed")
    stage.serve(said(410), ok())
    stage.poll(url=url)
    stage.subscribe("http://else.example/feed")
    stage.subscribe(url)
    assert stage.pass_over(hours=0.1) == []
    assert stage.poll(hours=0.1, every=False).result is Result.OK


@case(2)
def minimum_interval_raised(stage: Stage) -> None:
    """A MIN_INTERVAL raised by the operator counts at once."""
    stage.serve(ok())
    stage.poll()
    stage.set(min_interval=7200)
    assert stage.pass_over(hours=1.9) == []
    assert len(stage.pass_over(hours=0.2)) == 1


@case(2)
def news_bring_the_next_poll_closer(stage: Stage) -> None:
    """A feed that brings news is asked more often."""
    stage.serve(ok(), ok(rss(item("three"))))
    stage.poll()
    stage.poll(hours=1)
    assert stage.state.interval == 900


@case(2)
def silence_puts_the_next_poll_off(stage: Stage) -> None:
    """A feed that brings nothing is asked less often, up to MAX_INTERVAL."""
    stage.serve(ok())
    stage.poll()
    waits = []
    for _ in range(30):
        stage.poll(hours=30)
        waits.append(stage.state.interval)
    assert waits == sorted(waits)
    assert waits[-1] == DAY
    assert stage.wait <= DAY


@case(2)
def edits_are_no_news(stage: Stage) -> None:
    """An edited item does not pass for news."""
    stage.serve(ok(), ok(rss(item("one"), item("two", extra="<description>More.</description>"))))
    stage.poll()
    assert stage.poll(hours=1).edited == 1
    assert stage.state.interval > 1800


@case(2)
def feeds_asked_together_drift_apart(stage: Stage) -> None:
    """Feeds that were asked in one moment are not asked in one moment again, least of all on the hour."""
    paths = [f"/{number}" for number in range(12)]
    for path in paths:
        stage.serve(ok(), path=path)
    stage.subscribe(*(stage.server.url(path) for path in paths))
    stage.now = START.replace(minute=0)
    stage.pass_over()
    dues = {state.next_poll_at for state in stage.states()}
    assert len(dues) == len(paths)
    assert max(dues) - min(dues) > timedelta(minutes=2)
    assert not any(due.minute == due.second == 0 for due in dues)


def _wait_after(stage: Stage, *answers: Reply) -> float:
    stage.serve(*answers)
    for number in range(len(answers)):
        stage.poll(hours=30 * number)
    return stage.wait


@case(2, "RFC 9111 5.2.2.1")
def max_age(stage: Stage) -> None:
    """A feed that is fresh for so long is not asked before."""
    assert 14_400 <= _wait_after(stage, ok(Cache_Control="public, max-age=14400")) <= 15_840


@case(2, "RFC 9111 4.2.3")
def max_age_less_age(stage: Stage) -> None:
    """The Age that a cache states is taken off."""
    assert 7200 <= _wait_after(stage, ok(Cache_Control="max-age=14400", Age="7200")) <= 7920


@case(2, "RFC 9111 5.3")
def expires(stage: Stage) -> None:
    """Expires counts from the server's own Date."""
    sent = {"Date": "Mon, 23 Nov 2026 00:00:00 GMT", "Expires": "Mon, 23 Nov 2026 03:00:00 GMT"}
    assert 10_800 <= _wait_after(stage, ok(**sent)) <= 11_880


@case(2, "RFC 9111 5.3")
def max_age_before_expires(stage: Stage) -> None:
    """Where both are given, max-age counts."""
    far = "Wed, 25 Nov 2026 03:00:00 GMT"
    assert _wait_after(stage, ok(Cache_Control="max-age=60", Expires=far)) <= 1980


@case(2, "RFC 9111 5.3")
def expired_already(stage: Stage) -> None:
    """`Expires: 0`, a date in the past or garbage asks for nothing."""
    assert _wait_after(stage, ok(Expires="0"), ok(Expires="soon"), ok(Expires=far_past())) < 3600


def far_past() -> str:
    """A date long ago."""
    return "Thu, 01 Jan 1970 00:00:00 GMT"


@case(2, "RFC 9111 5.2.2.4")
def no_cache(stage: Stage) -> None:
    """no-cache and no-store ask for no pause."""
    assert _wait_after(stage, ok(Cache_Control="no-cache, max-age=90000")) < 2000


@case(2, "RFC 9111 4.3.4")
def max_age_of_a_304(stage: Stage) -> None:
    """A 304 states freshness like a 200."""
    assert _wait_after(stage, ok(ETag='"a"'), said(304, Cache_Control="max-age=20000")) >= 20_000


@case(2, "RFC 9111 4.2")
def max_age_of_a_429(stage: Stage) -> None:
    """A refusal that calls itself fresh is not asked for again before."""
    assert _wait_after(stage, said(429, Cache_Control="max-age=20000")) >= 20_000


@case(2, "RFC 9111 5.2.2.1")
def max_age_of_a_year(stage: Stage) -> None:
    """A slip of the pen does not silence a feed: a day is the most, and the log says so."""
    assert DAY <= _wait_after(stage, ok(Cache_Control="max-age=31536000")) <= 1.1 * DAY
    assert any("asks to be left alone for 365 days" in line for line in stage.log.lines)


@case(2, "RFC 9111 4.2.1")
def max_age_that_is_no_number(stage: Stage) -> None:
    """Directives that can't be read ask for nothing."""
    assert _wait_after(stage, ok(Cache_Control='max-age=soon, private="x, =",,;')) < 2000


@case(2, "RSS 2.0 ttl")
def ttl(stage: Stage) -> None:
    """A feed's ttl, in minutes, is a floor."""
    assert _wait_after(stage, ok(rss(item("one"), channel="<ttl>180</ttl>"))) >= 10_800


@case(2, "RSS 2.0 ttl")
def ttl_through_304s(stage: Stage) -> None:
    """The ttl of the document counts on, however often it has not changed."""
    first = ok(rss(item("one"), channel="<ttl>1200</ttl>"), ETag='"a"')
    assert _wait_after(stage, first, said(304), said(304)) >= 72_000


@case(2, "RSS 2.0 ttl")
def ttl_of_years(stage: Stage) -> None:
    """An absurd ttl is capped at a day, and the log says so."""
    assert _wait_after(stage, ok(rss(item("one"), channel="<ttl>99999999999</ttl>"))) <= 1.1 * DAY
    assert any("asked again after 1 day" in line for line in stage.log.lines)


@case(2, "RSS 1.0 Syndication")
def update_period(stage: Stage) -> None:
    """sy:updatePeriod and sy:updateFrequency are a floor."""
    channel = "<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>"
    assert _wait_after(stage, ok(rss(item("one"), channel=channel, namespaces=SY))) >= 21_600


@case(2, "RSS 2.0 skipHours")
def skipped_hours(stage: Stage) -> None:
    """In the hours (GMT) that a feed skips it is not asked."""
    hours = "".join(f"<hour>{hour}</hour>" for hour in range(9, 17))
    stage.serve(ok(rss(item("one"), channel=f"<skipHours>{hours}</skipHours>")))
    stage.poll()
    assert stage.state.next_poll_at.hour == 17


@case(2, "RSS 2.0 skipDays")
def skipped_days(stage: Stage) -> None:
    """On the days that a feed skips it is not asked."""
    stage.serve(ok(rss(item("one"), channel="<skipDays><day>Monday</day><day>Tuesday</day></skipDays>")))
    stage.poll()
    assert START.strftime("%A") == "Monday"
    assert stage.state.next_poll_at.strftime("%A %H") == "Wednesday 00"


@case(2, "RSS 2.0 skipDays")
def every_day_skipped(stage: Stage) -> None:
    """A feed that skips the whole week is asked every three days all the same."""
    days = "".join(f"<day>{(START + timedelta(days=day)).strftime('%A')}</day>" for day in range(7))
    assert _wait_after(stage, ok(rss(item("one"), channel=f"<skipDays>{days}</skipDays>"))) < 3.1 * DAY


@case(2)
def freshness_and_an_explicit_pass(stage: Stage) -> None:
    """`poll --all` overrides what a feed says of its freshness: the operator has a reason."""
    stage.serve(ok(FEED, Cache_Control="max-age=80000"))
    stage.poll()
    assert len(stage.pass_over(hours=0.2)) == 1
